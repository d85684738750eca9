/**
 * The links between the hosts. A direction may be cut on its own. Without faults messages of one
 * direction keep their order, as on a TCP connection; with them they are lost, late, doubled, in
 * another order, or come again long after.
 */
import type { Ms } from "../../../src/base/index.ts";
import type { Random } from "../random.ts";
import type { Clockwork } from "./process.ts";

interface Recorded {
  readonly from: number;
  readonly to: number;
  readonly deliver: () => void;
}

const RECORDED_MAX = 128;

export class Network {
  readonly #random: Random;
  readonly #clockwork: Clockwork;
  readonly #cuts = new Map<number, number>();
  readonly #lastAtMs = new Map<number, Ms>();
  readonly #recorded: Recorded[] = [];
  #era = 0;
  lossShare = 0;
  delayMaxMs: Ms = 0;
  doubledShare = 0;
  /** Messages overtake each other. */
  isUnordered = false;

  constructor(random: Random, clockwork: Clockwork) {
    this.#random = random;
    this.#clockwork = clockwork;
  }

  /** Grows when all is healed: cuts of before are over then. */
  get era(): number {
    return this.#era;
  }

  cut(from: number, to: number): void {
    const key = keyOf(from, to);
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
  }

  join(from: number, to: number): void {
    const key = keyOf(from, to);
    const count = (this.#cuts.get(key) ?? 0) - 1;
    if (count > 0) this.#cuts.set(key, count);
    else this.#cuts.delete(key);
  }

  /** However often it was cut. */
  restore(from: number, to: number): void {
    this.#cuts.delete(keyOf(from, to));
  }

  isCut(from: number, to: number): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(keyOf(from, to));
  }

  send(from: number, to: number, deliver: () => void): void {
    this.#recorded.push({ from, to, deliver });
    if (this.#recorded.length > RECORDED_MAX) this.#recorded.shift();
    if (this.isCut(from, to) || this.#random.next() < this.lossShare) return;
    const key = keyOf(from, to);
    let atMs = this.#clockwork.nowMs + 0.05 + this.#random.next() * (0.5 + this.delayMaxMs);
    if (!this.isUnordered) atMs = Math.max(atMs, this.#lastAtMs.get(key) ?? 0);
    this.#lastAtMs.set(key, atMs);
    this.#put(atMs, from, to, deliver);
    if (this.doubledShare === 0 || this.#random.next() >= this.doubledShare) return;
    this.#put(atMs + this.#random.next() * 4000, from, to, deliver);
  }

  /** Messages of some time ago arrive once more. */
  replay(count: number): void {
    for (let done = 0; done < count && this.#recorded.length > 0; done++) {
      const { from, to, deliver } = this.#random.pick(this.#recorded);
      this.#put(this.#clockwork.nowMs + this.#random.next() * 500, from, to, deliver);
    }
  }

  /** What was sent to one host lately reaches it again after a while. */
  replayTo(hostId: number, afterMs: Ms, spreadMs: Ms): void {
    for (const { from, to, deliver } of this.#recorded) {
      if (to !== hostId) continue;
      this.#put(
        this.#clockwork.nowMs + afterMs + this.#random.next() * spreadMs,
        from,
        to,
        deliver,
      );
    }
  }

  /** All works again, and what was under way is lost with its connections. */
  heal(): void {
    this.#cuts.clear();
    this.#lastAtMs.clear();
    this.#recorded.length = 0;
    this.#era += 1;
    this.lossShare = 0;
    this.delayMaxMs = 0;
    this.doubledShare = 0;
    this.isUnordered = false;
  }

  #put(atMs: Ms, from: number, to: number, deliver: () => void): void {
    const era = this.#era;
    this.#clockwork.after(atMs - this.#clockwork.nowMs, () => {
      if (era === this.#era && !this.isCut(from, to)) deliver();
    });
  }
}

function keyOf(from: number, to: number): number {
  return from * 64 + to;
}
