import type { Ms } from "../../base/index.ts";

/** What is known of this node's hold on the virtual IP. */
export interface Observed {
  /** The guardian has the secret and would let go if this process died. */
  readonly isArmed: boolean;
  /**
   * Whether the kernel has the address. From the first attempt to bring it up until it was read
   * back it is unknown, and so it is when somebody else took it away.
   */
  readonly address: "gone" | "unknown" | "there";
  /** Neighbours have been told since the address was assigned. */
  readonly isAnnounced: boolean;
}

export type VipCommand =
  /** Hand the secret to the guardian: before the address exists, never after. */
  | "arm"
  | "if-up"
  | "announce"
  | "if-down"
  /** Show the secret to the peers: only when the address is read back as gone. */
  | "prove-release";

/**
 * The next command towards the wanted state, or null when it is reached. Asked again after each
 * command, so that a lost command is simply planned again.
 */
export function planVip(wanted: "held" | "released", observed: Observed): VipCommand | null {
  if (wanted === "released") {
    if (observed.address !== "gone") return "if-down";
    return observed.isArmed ? "prove-release" : null;
  }
  if (!observed.isArmed) return "arm";
  if (observed.address !== "there") return "if-up";
  return observed.isAnnounced ? null : "announce"; // Gratuitous ARP: neighbours have the old MAC.
}

/** When, after taking over, neighbours are told: ARP has no answer, so it is said again. */
const ANNOUNCE_AT_MS: readonly Ms[] = [0, 50, 200, 1000, 5000];
const ANNOUNCE_EVERY_MS: Ms = 30_000;

/**
 * The next moment to announce the address, in milliseconds after it was taken.
 *
 * @param announced how many announcements were made since then.
 */
export function announcementDueMs(announced: number): Ms {
  const scheduled = ANNOUNCE_AT_MS[announced];
  if (scheduled !== undefined) return scheduled;
  const last = ANNOUNCE_AT_MS[ANNOUNCE_AT_MS.length - 1] ?? 0;
  return last + (announced - ANNOUNCE_AT_MS.length + 1) * ANNOUNCE_EVERY_MS;
}

/**
 * `valid_lft` of each renewal, in whole seconds as the kernel wants it. Short, because a successor
 * that has no proof of release must wait for it; long enough that a busy host renews in time.
 *
 * @param promiseMs wd_lease_time.
 */
export function vipLifetimeSeconds(promiseMs: Ms): number {
  return Math.max(1, Math.ceil(promiseMs / 2000));
}

/**
 * Splits a command such as if_up_cmd into words, puts the address in for `$_IP_$`, and completes
 * a relative program name, as Pgpool-II does: no shell ever sees it.
 *
 * @param directory if_cmd_path or arping_path.
 */
export function commandWords(
  template: string,
  vip: string,
  directory: string,
): readonly [string, ...string[]] | null {
  const [program, ...rest] = template.trim().split(/\s+/);
  if (program === undefined || program === "") return null;
  const absolute = program.startsWith("/")
    ? program
    : `${directory.replace(/\/+$/, "")}/${program}`;
  const fill = (word: string): string => word.replaceAll("$_IP_$", vip);
  return [fill(absolute), ...rest.map(fill)];
}
