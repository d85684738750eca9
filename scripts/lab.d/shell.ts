import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "./failure.ts";

/** How the lab runs other programs: always as a list of words, never through a shell. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

/**
 * Ctrl-C in the middle of a work that has to be cleaned up after: once `interrupt` was called no
 * program is started any more, so the work fails at its next step and its own clean-up begins.
 */
let interruptedBy: NodeJS.Signals | null = null;

export function interrupt(signal: NodeJS.Signals): void {
  interruptedBy = signal;
}

export function isInterrupted(): boolean {
  return interruptedBy !== null;
}

/** Lets programs run again, for the clean-up. */
export function endInterruption(): void {
  interruptedBy = null;
}

/** Throws when Ctrl-C was pressed: for work that waits without starting programs. */
export function mustNotBeInterrupted(): void {
  if (interruptedBy === null) return;
  throw new LabFailure(`stopped by ${interruptedBy}`, null, interruptedBy === "SIGINT" ? 130 : 143);
}

const RUN_TIMEOUT_MS = 60_000;
/** Neither a program's output nor its errors are kept beyond this. */
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

/** Runs a program to its end. Exit code 124 when it took longer than `timeoutMs`. */
export async function tryRun(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  mustNotBeInterrupted();
  const [program = "", ...args] = words;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    let stdout = "";
    let stderr = "";
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, options.timeoutMs ?? RUN_TIMEOUT_MS);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < OUTPUT_BYTES_MAX) stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (stderr.length < OUTPUT_BYTES_MAX) stderr += text;
    });
    child.stdin.on("error", () => undefined); // A program may end without reading its input.
    child.stdin.end(options.input ?? "");
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ code: 127, stdout, stderr: `${program}: ${error.message}` });
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: isLate ? 124 : (code ?? 128), stdout, stderr });
    });
  });
}

/** Like `tryRun`, but anything except exit code 0 is a failure that names the command. */
export async function run(words: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await tryRun(words, options);
  if (ran.code === 0) return ran.stdout;
  mustNotBeInterrupted(); // Then the program was only a victim.
  const said = (ran.stderr.trim() || ran.stdout.trim()).slice(-2000);
  const how = ran.code === 124 ? "took too long" : `ended with ${ran.code}`;
  throw new LabFailure(`\`${words.join(" ")}\` ${how}`, said === "" ? null : said);
}

/** Gives the terminal to a program and returns its exit code. */
export function runAttached(words: readonly string[], env = process.env): Promise<number> {
  const [program = "", ...args] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit", env });
    // The program on the terminal hears Ctrl-C itself; we wait for what it makes of it.
    const ignore = (): void => undefined;
    process.on("SIGINT", ignore);
    child.on("error", (error) => reject(new LabFailure(`${program}: ${error.message}`)));
    child.on("close", (code, signal) => {
      process.off("SIGINT", ignore);
      resolve(code ?? (signal === null ? 1 : 128));
    });
  });
}

/** Starts a program that outlives this one; its output goes to the end of `logFile`. */
export function startDetached(
  words: readonly string[],
  logFile: string,
  env: NodeJS.ProcessEnv,
): number {
  mustNotBeInterrupted();
  const [program = "", ...args] = words;
  const log = openSync(logFile, "a");
  try {
    const child = spawn(program, args, { stdio: ["ignore", log, log], detached: true, env });
    child.on("error", () => undefined); // Seen by whoever waits for the program to come up.
    child.unref();
    if (child.pid === undefined) throw new LabFailure(`${program} cannot be started`);
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/** Asks again every `everyMs` until the answer is not null; null when `timeoutMs` is over. */
export async function waitFor<T>(
  ask: () => T | null | Promise<T | null>,
  timeoutMs: number,
  everyMs = 50,
): Promise<T | null> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() >= endMs) return null;
    await sleep(everyMs);
  }
}
