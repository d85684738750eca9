/** What a case of the rounds is. */
import type { LabPlan } from "../../../../scripts/lab.d/layout.ts";
import type { CaseRecord } from "../figures.ts";
import type { Stage } from "../stage.ts";

export interface Case {
  readonly about: string;
  /** As many as are played when nobody says otherwise. */
  readonly roundsUsual: number;
  /** Lines of pgpool.conf that its lab has beyond those of all. */
  readonly settings?: readonly string[];
  /** Why it cannot be played with this product; null: it can. */
  readonly missing?: (plan: LabPlan) => string | null;
  readonly play: (stage: Stage, record: CaseRecord, options: CaseOptions) => Promise<void>;
}

export interface CaseOptions {
  readonly rounds: number;
  /** No further round is begun. */
  readonly isOver: () => boolean;
  /** Of a storm of cancels. */
  readonly cancels: number;
  /** In [0, 1), from the seed. */
  readonly dice: () => number;
}
