/** What the processes of a product cost, from the texts of /proc. Pure. */

export interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  /** Tells two processes with the same pid apart. */
  readonly startTicks: number;
  /** Time of the processor, of all its threads. */
  readonly ownTicks: number;
  /** The same of its children that ended and were waited for, and of theirs. */
  readonly reapedTicks: number;
}

/** `/proc/PID/stat`; null when it is something else. Source: proc(5). */
export function parseStat(text: string): ProcessStat | null {
  // The name stands in parentheses and may itself contain any of them, and blanks.
  const close = text.lastIndexOf(")");
  const pid = /^(\d+) \(/.exec(text)?.[1];
  if (pid === undefined || close < 0) return null;
  const fields = text
    .slice(close + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  // The field that proc(5) numbers 3 is the first one after the name.
  const field = (number: number): number => fields[number - 3] ?? Number.NaN;
  const stat: ProcessStat = {
    pid: Number(pid),
    parentPid: field(4),
    startTicks: field(22),
    ownTicks: field(14) + field(15),
    reapedTicks: field(16) + field(17),
  };
  return Object.values(stat).every(Number.isFinite) ? stat : null;
}

/** `/proc/PID/task/PID/children`. */
export function parseChildren(text: string): readonly number[] {
  return text.split(/\s+/).filter(Boolean).map(Number);
}

/**
 * All that the tree has used so far. A child that ends hands its time on to its parent, so the sum
 * never falls.
 */
export function ticksOf(tree: readonly ProcessStat[]): number {
  return tree.reduce((sum, one) => sum + one.ownTicks + one.reapedTicks, 0);
}

/** Proportional set size from `/proc/PID/smaps_rollup`: shared pages count by their share. */
export function parsePssKib(text: string): number | null {
  return parseKib(text, "Pss");
}

/** A figure of `/proc/PID/status` and its like; null when the kernel does not say. */
export function parseKib(text: string, name: "Pss" | "VmRSS" | "VmHWM"): number | null {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  return found === undefined ? null : Number(found);
}
