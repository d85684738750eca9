import type { Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { ClusterView } from "../../wire/ipc/index.ts";
import { ForwardingGate, type HoldLimits } from "../core/routing/index.ts";

/** A gate with its clock. */
export class TimedGate {
  readonly #gate: ForwardingGate;
  readonly #onChange: () => void;
  readonly #originMs = originOfPerformanceMs();
  #timer: NodeJS.Timeout | null = null;

  /** @param onChange what is held may go on, or is refused from now on. */
  constructor(limits: HoldLimits, onChange: () => void) {
    this.#gate = new ForwardingGate(limits, this.#nowMs());
    this.#onChange = onChange;
    this.#setTimer();
  }

  get isOpen(): boolean {
    return this.#gate.isOpenForEver || this.#gate.isOpen(this.#nowMs());
  }

  get refusal(): string | null {
    return this.#gate.refusal(this.#nowMs());
  }

  get awaitsPrimary(): boolean {
    return !this.#gate.hasPrimary && this.#gate.awaitsPrimary(this.#nowMs());
  }

  change(limits: HoldLimits): void {
    this.#gate.change(limits);
    this.#setTimer();
  }

  /** The primary takes no connections, or does again. */
  primaryHeard(answers: boolean): void {
    const had = this.#gate.hasPrimary;
    this.#gate.primaryHeard(answers, this.#nowMs());
    this.#setTimer();
    if (!had && this.#gate.hasPrimary) this.#onChange();
  }

  leaseTaken(untilMs: Ms): void {
    const wasOpen = this.isOpen;
    this.#gate.leaseTaken(untilMs);
    this.#setTimer();
    if (!wasOpen && this.isOpen) this.#onChange();
  }

  /** The caller tells everybody of the view, and so of what it changes here. */
  viewTaken(view: ClusterView): void {
    this.#gate.viewTaken(view, this.#nowMs());
    this.#setTimer();
  }

  #nowMs(): Ms {
    return this.#originMs + performance.now();
  }

  #setTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const nowMs = this.#nowMs();
    const wakeAtMs = this.#gate.wakeAtMs(nowMs);
    this.#timer = wakeAtMs === null ? null : setTimeout(() => this.#wake(), wakeAtMs - nowMs + 1);
  }

  #wake(): void {
    this.#timer = null;
    this.#setTimer();
    this.#onChange();
  }
}

/**
 * CLOCK_MONOTONIC at the origin of `performance.now()`, which reads the same clock and, unlike
 * `process.hrtime()`, allocates nothing. Read in this order, a pause in between lets a lease end
 * too early rather than too late.
 */
function originOfPerformanceMs(): Ms {
  const beforeMs = performance.now();
  return monotonicNowMs() - beforeMs;
}
