/** Delays of the backends as replication_delay_source_cmd tells them, where it is set. */
import type { Ms } from "../../base/index.ts";
import { runCommand, type CommandOutcome, type Log } from "../../os/index.ts";
import { parseToldDelays } from "../core/replication-delay/index.ts";

export interface DelayCommandOptions {
  /** Empty: there is none. */
  readonly command: string;
  readonly timeoutMs: Ms;
  /** Of the backends, ascending. */
  readonly ids: readonly number[];
}

/**
 * Runs the command, one at a time, and keeps what it told last. What is wrong with it is logged
 * once, until it is something else.
 */
export class DelayCommand {
  readonly #log: Log;
  readonly #stopped = new AbortController();
  #told: ReadonlyMap<number, Ms> | null = null;
  #isRunning = false;
  #complaint: string | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** By backend id; null: there is no command, or it failed, and what we measure ourselves counts. */
  get told(): ReadonlyMap<number, Ms> | null {
    return this.#told;
  }

  /** Resolves when `told` is new; at once while an earlier one runs. */
  async run({ command, timeoutMs, ids }: DelayCommandOptions): Promise<void> {
    if (this.#isRunning || this.#stopped.signal.aborted) return;
    if (command === "") {
      this.#told = null;
      return;
    }
    this.#isRunning = true;
    const { signal } = this.#stopped;
    const outcome = await runCommand({ command, timeoutMs, signal, killGroup: true });
    this.#isRunning = false;
    const failure = failureOf(outcome, timeoutMs);
    const parsed = failure === null ? parseToldDelays(outcome.lines, ids) : null;
    this.#told = parsed?.ok === true ? parsed.value : null;
    this.#complain(failure ?? (parsed?.ok === false ? parsed.error : null));
  }

  stop(): void {
    this.#stopped.abort();
  }

  #complain(complaint: string | null): void {
    if (complaint === this.#complaint || this.#stopped.signal.aborted) return;
    this.#complaint = complaint;
    if (complaint === null) {
      this.#log.write("log", "replication_delay_source_cmd tells the delays again");
      return;
    }
    this.#log.write("warning", "replication_delay_source_cmd did not tell the delays", {
      detail: complaint,
      hint: "It prints for each backend, in the order of their numbers, its delay in milliseconds, or -1. Meanwhile our own measure counts.",
    });
  }
}

function failureOf(outcome: CommandOutcome, timeoutMs: Ms): string | null {
  if (outcome.startError !== null) return outcome.startError;
  if (outcome.timedOut) return `it did not end within ${timeoutMs / 1000} s`;
  if (outcome.exitCode === 0) return null;
  const how = outcome.signal ?? `exit status ${outcome.exitCode}`;
  const last = outcome.lines.at(-1);
  return last === undefined
    ? `it ended with ${how}`
    : `it ended with ${how}: ${last.slice(0, 200)}`;
}
