import type { Ms } from "../../base/index.ts";

/** What is known of this node's hold on the virtual IP. */
export interface Observed {
  /** A filter keeps the address shut: it may be there before anybody may use it. */
  readonly isFenced: boolean;
  /** The guardian that runs now has the secret and would let go if this process died. */
  readonly isGuarded: boolean;
  /** The present secret was handed out: when the address is gone, it must be shown. */
  readonly isClaimed: boolean;
  /** The filter has a permit of the present attempt. Without a filter: a renewal was asked for. */
  readonly isPermitted: boolean;
  /**
   * Whether the kernel has the address. From the first attempt to bring it up until it was read
   * back it is unknown.
   */
  readonly address: "gone" | "unknown" | "there";
  /** Consensus knows that everything is ready for renewals. */
  readonly isReported: boolean;
  /** The filter stops what goes to and from the address. */
  readonly isGated: boolean;
}

export type VipCommand =
  /** Hand the secret to the guardian: before the address exists, never after. */
  | "arm-guardian"
  /** Give the filter a permit, which opens nothing by itself. */
  | "permit"
  | "if-up"
  /** Tell consensus: from the next round on, renewals have an effect. */
  | "report-armed"
  | "if-down"
  /** Show the secret to the peers: only when the address is read back as gone. */
  | "prove-release"
  /** Let packets pass by that are another holder's. */
  | "ungate";

/**
 * The next command towards the wanted state, or null when it is reached. Asked again after each
 * command, so that a lost command is simply planned again.
 */
export function planVip(wanted: "held" | "released", observed: Observed): VipCommand | null {
  if (wanted === "released") {
    if (observed.address !== "gone") return "if-down";
    if (observed.isClaimed) return "prove-release";
    return observed.isFenced && observed.isGated ? "ungate" : null;
  }
  if (!observed.isGuarded) return "arm-guardian";
  if (observed.isFenced) {
    if (!observed.isPermitted) return "permit";
    if (observed.address !== "there") return "if-up";
    return observed.isReported ? null : "report-armed";
  }
  // Without a filter the address itself is what opens: not before a renewal says so.
  if (!observed.isReported) return "report-armed";
  return observed.isPermitted && observed.address !== "there" ? "if-up" : null;
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
