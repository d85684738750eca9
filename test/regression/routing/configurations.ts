/** The configurations under which the corpus is replayed: each routing parameter in one of them. */

export interface Configuration {
  readonly name: string;
  /** Of the primary and both standbys. A standby alone at 1 makes node ids comparable. */
  readonly weights: readonly [number, number, number];
  readonly lines: readonly string[];
  /** Chance chooses the standby: only whether it is one is compared. */
  readonly comparesRoles?: boolean;
  /** Files of the corpus. */
  readonly files: readonly string[];
}

export const CONFIGURATIONS: readonly Configuration[] = [
  {
    name: "default",
    weights: [0, 1, 0],
    lines: [],
    files: ["statements"],
  },
];
