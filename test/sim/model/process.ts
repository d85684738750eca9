import type { Ms } from "../../../src/base/index.ts";

/** What a process needs of the world around it. */
export interface Clockwork {
  readonly nowMs: Ms;
  after(delayMs: Ms, run: () => void): void;
}

/** One incarnation of an operating-system process: it runs, is stopped for a while, or is dead. */
export class Process {
  readonly #clockwork: Clockwork;
  readonly #waiting: (() => void)[] = [];
  #pausedUntilMs: Ms = 0;
  #isDead = false;

  constructor(clockwork: Clockwork) {
    this.#clockwork = clockwork;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get isPaused(): boolean {
    return this.#clockwork.nowMs < this.#pausedUntilMs;
  }

  get canRun(): boolean {
    return !this.#isDead && !this.isPaused;
  }

  /** Now, or in order after the pause; never when the process is dead by then. */
  run(task: () => void): void {
    if (this.#isDead) return;
    if (this.isPaused || this.#waiting.length > 0) this.#waiting.push(task);
    else task();
  }

  /** SIGSTOP; a second one only makes it longer. */
  pause(lengthMs: Ms): void {
    const untilMs = this.#clockwork.nowMs + lengthMs;
    if (this.#isDead || untilMs <= this.#pausedUntilMs) return;
    this.#pausedUntilMs = untilMs;
    this.#clockwork.after(lengthMs, () => this.#drain());
  }

  /** SIGCONT. */
  resume(): void {
    if (!this.isPaused) return;
    this.#pausedUntilMs = this.#clockwork.nowMs;
    this.#drain();
  }

  kill(): void {
    this.#isDead = true;
    this.#waiting.length = 0;
  }

  #drain(): void {
    while (this.canRun) {
      const task = this.#waiting.shift();
      if (task === undefined) return;
      task();
    }
  }
}
