import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Processes as /proc shows them. A process is known by its id *and* its start time, so that a
 * number which the system gave to somebody else meanwhile is never signalled.
 */
export interface ProcessInfo {
  readonly pid: number;
  readonly parentPid: number;
  /** Clock ticks since boot. */
  readonly startedAt: string;
  readonly state: string;
  /** What the process calls itself: its words, or the title that it set. */
  readonly title: string;
}

/** Null when there is no such process, or only its remains (a zombie). */
export function processInfo(pid: number): ProcessInfo | null {
  let stat: string;
  let title: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    title = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return null;
  }
  // The name stands in brackets and may hold any character, so count from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state = "", parentPid = "0"] = fields;
  if (state === "Z" || state === "X") return null;
  return { pid, parentPid: Number(parentPid), startedAt: fields[19] ?? "", state, title };
}

export function isAlive(process: ProcessInfo): boolean {
  return processInfo(process.pid)?.startedAt === process.startedAt;
}

export function allProcesses(): ProcessInfo[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processInfo(Number(name)))
    .filter((info) => info !== null);
}

/** Every process inside a network namespace: all of them are the lab's, nobody else enters it. */
export function processesInNamespace(namespace: string): ProcessInfo[] {
  let inode: number;
  try {
    inode = statSync(`/run/netns/${namespace}`).ino;
  } catch {
    return [];
  }
  return allProcesses().filter(
    (process) => linkOf(process.pid, "ns/net") === `net:[${inode}]` && process.pid !== 1,
  );
}

/** Every process that was started with this `NAME=value`. */
export function processesWithEnvironment(setting: string): ProcessInfo[] {
  return allProcesses().filter((process) => {
    try {
      return readFileSync(`/proc/${process.pid}/environ`, "utf8").split("\0").includes(setting);
    } catch {
      return false; // Somebody else's.
    }
  });
}

/** The process and all that descend from it. */
export function treeOf(pid: number): ProcessInfo[] {
  const root = processInfo(pid);
  if (root === null) return [];
  const everybody = allProcesses();
  const tree = [root];
  for (const parent of tree) {
    tree.push(...everybody.filter((child) => child.parentPid === parent.pid));
  }
  return tree;
}

/**
 * Whether the process runs the program of this file. The file itself is compared, not its name:
 * in a container the same file may be seen under another one.
 */
export function runsProgram(process: ProcessInfo, path: string): boolean {
  try {
    const [running, wanted] = [statSync(`/proc/${process.pid}/exe`), statSync(path)];
    return running.ino === wanted.ino && running.dev === wanted.dev;
  } catch {
    return false;
  }
}

function linkOf(pid: number, name: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return null;
  }
}

/** Sends a signal to those that are still the processes we saw. Returns how many got it. */
export function signalAll(processes: readonly ProcessInfo[], signal: NodeJS.Signals): number {
  let count = 0;
  for (const target of processes) {
    if (!isAlive(target)) continue;
    try {
      process.kill(target.pid, signal);
      count += 1;
    } catch {
      // It ended between the look and the signal: that is as good.
    }
  }
  return count;
}

/** Waits until all of them have ended; false when some have not within `timeoutMs`. */
export async function waitUntilGone(
  processes: readonly ProcessInfo[],
  timeoutMs: number,
): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  while (processes.some((process) => isAlive(process))) {
    if (performance.now() >= endMs) return false;
    await sleep(10);
  }
  return true;
}
