/** Starts, watches and ends the servers that are measured, and asks the kernel what they cost. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  parseChildren,
  parseKib,
  parsePssKib,
  parseStat,
  ticksOf,
  type ProcessStat,
} from "./process-cost.ts";

const STOP_WITHIN_MS = 5000;
const LOG_TAIL_CHARS = 2000;

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** A server of ours: its process and all that descend from it. */
export class Server {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #stopSignal: NodeJS.Signals;
  #startError: Error | null = null;

  /** @param o.account null: the same as ours. */
  constructor(o: {
    readonly command: readonly string[];
    readonly account: Account | null;
    readonly logFile: string;
    /** Asks it to end at once, but orderly. */
    readonly stopSignal: NodeJS.Signals;
    /** Beside what we have. */
    readonly env?: Readonly<Record<string, string>>;
  }) {
    this.#logFile = o.logFile;
    this.#stopSignal = o.stopSignal;
    const [program = "", ...args] = o.command;
    const log = openSync(o.logFile, "w");
    this.#child = spawn(program, args, {
      cwd: "/",
      env: { ...process.env, ...o.env },
      stdio: ["ignore", log, log],
      // A terminal's Ctrl-C is for us alone: we end it in order.
      detached: true,
      ...o.account,
    });
    closeSync(log);
    this.#child.once("error", (error) => {
      this.#startError = error;
    });
  }

  get isAlive(): boolean {
    const { pid, exitCode, signalCode } = this.#child;
    return pid !== undefined && exitCode === null && signalCode === null;
  }

  /** What it wrote last, or why it could not be started, in one line. */
  lastWords(): string {
    if (this.#startError !== null) return this.#startError.message;
    const lines = readFileSync(this.#logFile, "utf8").slice(-LOG_TAIL_CHARS).trim().split("\n");
    const worst = lines.findLast((line) => /\b(fatal|error|panic)\b/i.test(line));
    return (worst ?? lines.at(-1) ?? "").trim();
  }

  /** Itself and all that descend from it, parents first; none when it is gone. */
  tree(): readonly ProcessStat[] {
    const { pid } = this.#child;
    const pids = pid === undefined ? [] : [pid];
    const tree: ProcessStat[] = [];
    for (const one of pids) {
      const stat = parseStat(readOrNull(`/proc/${one}/stat`) ?? "");
      if (stat === null) continue;
      tree.push(stat);
      // Programs that fork from several threads are none of those that are measured.
      pids.push(...parseChildren(readOrNull(`/proc/${one}/task/${one}/children`) ?? ""));
    }
    return tree;
  }

  cpuTicks(): number {
    return ticksOf(this.tree());
  }

  pssMib(): number | null {
    return this.#sumMib((pid) => parsePssKib(readOrNull(`/proc/${pid}/smaps_rollup`) ?? ""));
  }

  rssMib(): number | null {
    return this.#sumMib((pid) => parseKib(readOrNull(`/proc/${pid}/status`) ?? "", "VmRSS"));
  }

  /** Since `forgetPeak`, the peaks of all processes together. */
  peakRssMib(): number | null {
    return this.#sumMib((pid) => parseKib(readOrNull(`/proc/${pid}/status`) ?? "", "VmHWM"));
  }

  /** @returns whether we may: they may be another user's. */
  forgetPeak(): boolean {
    try {
      for (const { pid } of this.tree()) writeFileSync(`/proc/${pid}/clear_refs`, "5");
      return true;
    } catch {
      return false;
    }
  }

  /** Null when one of them does not say: a sum without it would be too small. */
  #sumMib(kibOf: (pid: number) => number | null): number | null {
    let sumKib = 0;
    for (const { pid } of this.tree()) {
      const kib = kibOf(pid);
      if (kib === null) return null;
      sumKib += kib;
    }
    return sumKib / 1024;
  }

  /** Returns when no process of it is left. */
  async stop(): Promise<void> {
    const family = this.tree();
    if (this.isAlive) this.#child.kill(this.#stopSignal);
    const deadline = performance.now() + STOP_WITHIN_MS;
    while (family.some(isStillThere) && performance.now() < deadline) await sleep(25);
    for (const one of family.filter(isStillThere)) signal(one.pid, "SIGKILL");
    while (family.some(isStillThere) && performance.now() < deadline + 1000) await sleep(25);
  }
}

/** The pid may have gone to somebody else meanwhile: the time of its start tells. */
function isStillThere(process: ProcessStat): boolean {
  const text = readOrNull(`/proc/${process.pid}/stat`);
  if (text === null || text.includes(") Z ")) return false;
  return parseStat(text)?.startTicks === process.startTicks;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself just now.
  }
}

/** Processes end while one looks at them. */
function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly isTimedOut: boolean;
}

/** Runs a program to its end, or kills it: when `abort` says so, or after the given time. */
export function runToEnd(
  command: readonly string[],
  o: {
    readonly timeoutMs: number;
    readonly abort: AbortSignal;
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly cwd?: string;
    /** Called with what it writes to its standard error, as it comes. */
    readonly onErrorText?: (text: string) => void;
  },
): Promise<Ended> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: o.cwd ?? "/",
      env: o.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
      signal: o.abort,
      killSignal: "SIGKILL",
    });
    const texts = { stdout: "", stderr: "" };
    let isTimedOut = false;
    child.stdout.on("data", (chunk: Buffer) => (texts.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      texts.stderr += chunk.toString();
      o.onErrorText?.(chunk.toString());
    });
    const timer = setTimeout(() => {
      isTimedOut = true;
      child.kill("SIGKILL");
    }, o.timeoutMs);
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once("close", (exitCode) => {
      clearTimeout(timer);
      resolve({ exitCode, ...texts, isTimedOut });
    });
  });
}
