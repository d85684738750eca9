/**
 * Commands of the administrator and of the system, as one promise: own process group, bounded
 * time, bounded output, and, where it is asked for, nothing of them left when this process dies or
 * when the right to run them is over (`command-guard.ts`).
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Ms } from "../base/index.ts";
import { monotonicNowMs } from "./clock.ts";
import { CommandProcesses } from "./command-processes.ts";
import { letGo, startGuard, throughStarter, type CommandGuard } from "./command-guard.ts";
import type { CommandRight } from "./command-right.ts";
import { systemErrorText } from "./files.ts";
import { leaveUnraised } from "./priority.ts";

export interface CommandOptions {
  /** A text for `/bin/sh -c`, or a program with its arguments (no shell). */
  readonly command: string | readonly [string, ...string[]];
  /** Added to (and over) this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** After this all of it is told to end (TERM), and killed 2 s later; 0 = no limit. */
  readonly timeoutMs: Ms;
  /**
   * A variable of the environment with a value that no other command's begins with: what carries
   * it belongs to this command, also outside of its process group, and is ended with it.
   */
  readonly mark?: { readonly name: string; readonly value: string };
  /** Each line of standard output and standard error, as it comes. */
  readonly onLine?: (line: string) => void;
  /** Ends it as a timeout does. */
  readonly signal?: AbortSignal;
  /**
   * Also kill the group when this process dies, however it dies. Costs a second small process;
   * meant for commands that must never run on without their node.
   */
  readonly killGroup?: boolean;
  /** Implies `killGroup`. When it ends the group is killed at once, even while we are frozen. */
  readonly right?: CommandRight;
  /** Written to standard input, which is then closed; without it standard input is empty. */
  readonly input?: string;
}

export interface CommandOutcome {
  /** Null when a signal ended it or it could not be started. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  /** Why it could not be started; null when it was. */
  readonly startError: string | null;
  /** The last lines, at most `LINES_MAX`. */
  readonly lines: readonly string[];
}

export const LINES_MAX = 200;
export const LINE_CHARACTERS_MAX = 2000;
const KILL_AFTER_MS = 2000;
/** What was killed is looked for again, because it may have forked meanwhile. */
const LOOK_AGAIN_MS = 10;
const LOOKS_MAX = 50;
/** Output is read as fast as it comes up to here, then slower: it must not keep us from our work. */
const FREE_CHARACTERS = 16 * 1024 * 1024;
const REST_MS = 20;
/** Output still in the pipes when the command has ended is waited for so long. */
const DRAIN_MS = 200;
/** The longest delay that a timer of Node takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Resolves when the command itself has ended; what it left running in the background is neither
 * waited for nor killed (unless the time ran out). Never rejects.
 */
export async function runCommand(options: CommandOptions): Promise<CommandOutcome> {
  const { right } = options;
  if (right !== undefined && right.untilMs <= monotonicNowMs()) return RIGHT_ENDED;
  // Before the command exists, so that there is no moment in which it has no guard.
  const isGuarded = options.killGroup === true || right !== undefined;
  const { mark } = options;
  const markText = mark === undefined ? null : `${mark.name}=${mark.value}`;
  const guard = isGuarded ? startGuard(markText) : null;
  const lines = new LineCollector(options.onLine);
  let child: ChildProcess;
  try {
    child = start(options, isGuarded);
  } catch (error) {
    guard?.dismiss();
    return { ...NOT_STARTED, startError: systemErrorText(error) };
  }
  const drained = collect(child, lines);
  const group = new Group(child, markText);
  if (child.pid !== undefined) guard?.watch(child.pid);
  const ofRight = right === undefined ? null : new RightTimer(right, group, guard);
  if (isGuarded) letGo(child);
  let timedOut = false;
  const limit = new Limit(options.timeoutMs, () => {
    timedOut = true;
    group.end();
  });
  const onAbort = (): void => group.end();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();

  const ended = await endOf(child);
  limit.cancel();
  ofRight?.cancel();
  options.signal?.removeEventListener("abort", onAbort);
  await group.finish();
  guard?.dismiss();
  if (ended.startError === null) await Promise.race([drained, delay(DRAIN_MS)]);
  abandonOutput(child);
  return { ...ended, timedOut, lines: lines.finish() };
}

const NOT_STARTED = {
  exitCode: null,
  signal: null,
  timedOut: false,
  startError: null,
  lines: [],
} satisfies CommandOutcome;

const RIGHT_ENDED: CommandOutcome = {
  ...NOT_STARTED,
  startError: "the right to run it had ended before it was started",
};

/** Throws what the system refuses at once, such as arguments that are too long. */
function start(options: CommandOptions, isGuarded: boolean): ChildProcess {
  const [program, ...args] =
    typeof options.command === "string" ? ["/bin/sh", "-c", options.command] : options.command;
  const [starter, words] = isGuarded ? throughStarter(program, args) : [program, args];
  const more = isGuarded ? (["pipe"] as const) : [];
  const child = spawn(starter, words, {
    detached: true,
    env: {
      ...process.env,
      ...options.env,
      ...(options.mark === undefined ? {} : { [options.mark.name]: options.mark.value }),
    },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe", ...more],
  });
  leaveUnraised(child);
  child.stdin?.on("error", () => undefined); // A command need not read its input.
  child.stdin?.end(options.input);
  return child;
}

function endOf(
  child: ChildProcess,
): Promise<Pick<CommandOutcome, "exitCode" | "signal" | "startError">> {
  return new Promise((resolve) => {
    child.on("error", (error) => {
      if (child.pid !== undefined) return; // A signal that could not be sent: the end is to come.
      resolve({ exitCode: null, signal: null, startError: systemErrorText(error) });
    });
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal, startError: null }));
  });
}

class Limit {
  readonly #timer: NodeJS.Timeout | null;

  constructor(limitMs: Ms, onReached: () => void) {
    this.#timer = limitMs > 0 ? setTimeout(onReached, limitMs) : null;
  }

  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

/** TERM to all of it, and KILL when that is ignored. */
class Group {
  readonly #child: ChildProcess;
  readonly #processes: CommandProcesses | null;
  #killer: NodeJS.Timeout | null = null;
  #isEnding = false;

  constructor(child: ChildProcess, mark: string | null) {
    this.#child = child;
    const { pid } = child;
    this.#processes = pid === undefined ? null : new CommandProcesses(pid, mark);
  }

  end(): void {
    if (this.#isEnding) return;
    this.#signal("SIGTERM");
    this.#killer = setTimeout(() => this.#signal("SIGKILL"), KILL_AFTER_MS);
  }

  kill(): void {
    this.#signal("SIGKILL");
  }

  /** The command has ended: what is left of one that had to be ended is killed now. */
  async finish(): Promise<void> {
    if (!this.#isEnding) return;
    if (this.#killer !== null) clearTimeout(this.#killer);
    for (let look = 0; look < LOOKS_MAX && this.#signal("SIGKILL") > 0; look += 1) {
      await delay(LOOK_AGAIN_MS);
    }
  }

  #signal(signal: "SIGTERM" | "SIGKILL"): number {
    this.#isEnding = true;
    // Looked for first: a descendant whose parent has ended is not known as one any more.
    const count = this.#processes?.signal(signal) ?? 0;
    signalGroup(this.#child, signal);
    return count;
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended already.
  }
}

/** Kills the group when its right ends; the guard does the same while this process cannot. */
class RightTimer {
  readonly #group: Group;
  readonly #guard: CommandGuard | null;
  readonly #unwatch: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(right: CommandRight, group: Group, guard: CommandGuard | null) {
    this.#group = group;
    this.#guard = guard;
    this.#unwatch = right.watch((untilMs) => this.#set(untilMs));
    this.#set(right.untilMs);
  }

  cancel(): void {
    this.#unwatch();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #set(untilMs: Ms): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#guard?.allowUntil(untilMs);
    const leftMs = untilMs - monotonicNowMs();
    if (leftMs <= 0) this.#group.kill();
    else if (leftMs < TIMER_MS_MAX) this.#timer = setTimeout(() => this.#group.kill(), leftMs);
  }
}

/** Resolves when both pipes have ended. */
async function collect(child: ChildProcess, lines: LineCollector): Promise<void> {
  await Promise.all([child.stdout, child.stderr].map((pipe) => collectPipe(pipe, lines)));
}

function collectPipe(pipe: Readable | null, lines: LineCollector): Promise<void> {
  if (pipe === null) return Promise.resolve();
  const cutter = new LineCutter((line) => lines.add(line));
  lines.cutters.push(cutter);
  pipe.setEncoding("utf8");
  let characters = 0;
  pipe.on("data", (text: string) => {
    cutter.push(text);
    characters += text.length;
    if (characters < FREE_CHARACTERS) return;
    pipe.pause();
    setTimeout(() => pipe.resume(), REST_MS);
  });
  return new Promise((resolve) => {
    pipe.once("close", resolve);
    pipe.once("error", () => resolve());
  });
}

/**
 * A background process may hold the pipes for ever. They are read on and thrown away, so that it
 * is not killed for writing, and no longer keep our own process alive.
 */
function abandonOutput(child: ChildProcess): void {
  for (const pipe of [child.stdout, child.stderr]) {
    if (pipe === null || pipe.destroyed) continue;
    pipe.removeAllListeners("data");
    pipe.resume();
    (pipe as Socket).unref();
  }
  child.unref();
}

class LineCollector {
  readonly cutters: LineCutter[] = [];
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #lines: string[] = [];
  #isFinished = false;

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  add(line: string): void {
    if (this.#isFinished) return;
    if (this.#lines.length === LINES_MAX) this.#lines.shift();
    this.#lines.push(line);
    this.#onLine?.(line);
  }

  finish(): readonly string[] {
    for (const cutter of this.cutters) cutter.finish();
    this.#isFinished = true;
    return this.#lines;
  }
}

/** Cuts at line ends; of a line that is too long only the beginning is kept. */
class LineCutter {
  readonly #onLine: (line: string) => void;
  #rest = "";
  #isOverlong = false;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(text: string): void {
    const parts = text.split("\n");
    for (const [index, part] of parts.entries()) {
      if (index > 0) this.#end();
      this.#append(part);
    }
  }

  finish(): void {
    if (this.#rest !== "") this.#end();
  }

  #append(part: string): void {
    const room = LINE_CHARACTERS_MAX - this.#rest.length;
    if (part.length > room) this.#isOverlong = true;
    this.#rest += part.slice(0, room);
  }

  #end(): void {
    const line = this.#rest.endsWith("\r") ? this.#rest.slice(0, -1) : this.#rest;
    this.#onLine(this.#isOverlong ? `${line}…` : line);
    this.#rest = "";
    this.#isOverlong = false;
  }
}

function delay(ms: Ms): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
