/**
 * The processes of a command, as /proc shows them: its descendants, and whatever has its mark in
 * the environment it was started with. So what left the process group (setsid) is found as well.
 * Not found: who left it, was orphaned and cleared the environment, and, unless we are root, who
 * runs as another user.
 */
import { readdirSync, readFileSync } from "node:fs";

interface Entry {
  readonly pid: number;
  readonly parentPid: number;
  /** Of the process, in ticks since boot: the same number again is another process. */
  readonly startedAt: number;
}

export class CommandProcesses {
  /** `NAME=value`; null: only descendants can be told. */
  readonly #mark: string | null;
  /** When the command was started: who is older is none of it. */
  readonly #since: number;
  /** Seen before as one of them: `pid startedAt`. Its parent may have ended since. */
  readonly #known = new Set<string>();

  constructor(rootPid: number, mark: string | null) {
    this.#mark = mark;
    const root = readEntry(String(rootPid));
    this.#since = root?.startedAt ?? 0;
    if (root !== null) this.#known.add(keyOf(root));
  }

  /** Those that live now; looks at every process of the machine, so not for every day. */
  living(): readonly number[] {
    const entries = readEntries();
    const ours = new Set<number>();
    // Parents come before their children but where numbers began anew; a second look finds those.
    for (let round = 0; round < 2; round += 1) {
      for (const entry of entries) {
        if (ours.has(entry.pid)) continue;
        const isKnown = ours.has(entry.parentPid) || this.#known.has(keyOf(entry));
        if (!isKnown && (round > 0 || !this.#isMarked(entry))) continue;
        ours.add(entry.pid);
        this.#known.add(keyOf(entry));
      }
    }
    return entries.map(({ pid }) => pid).filter((pid) => ours.has(pid));
  }

  /** @returns how many there were. */
  signal(signal: "SIGTERM" | "SIGKILL"): number {
    const pids = this.living();
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended meanwhile, or is another user's.
      }
    }
    return pids.length;
  }

  #isMarked({ pid, startedAt }: Entry): boolean {
    if (this.#mark === null || startedAt < this.#since) return false;
    const environment = read(`/proc/${pid}/environ`);
    return environment !== null && environment.split("\0").includes(this.#mark);
  }
}

function keyOf({ pid, startedAt }: Entry): string {
  return `${pid} ${startedAt}`;
}

function readEntries(): readonly Entry[] {
  const entries: Entry[] = [];
  for (const name of readdirSync("/proc")) {
    const entry = /^\d+$/u.test(name) ? readEntry(name) : null;
    if (entry !== null) entries.push(entry);
  }
  return entries.sort((one, other) => one.pid - other.pid);
}

/** Null also for a zombie: it has ended. */
function readEntry(name: string): Entry | null {
  const stat = read(`/proc/${name}/stat`);
  if (stat === null) return null;
  // The second field is the program's name in parentheses, whatever that contains.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parent] = fields;
  if (state === "Z" || state === "X") return null;
  return { pid: Number(name), parentPid: Number(parent), startedAt: Number(fields[19]) };
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null; // It has ended meanwhile, or is another user's.
  }
}
