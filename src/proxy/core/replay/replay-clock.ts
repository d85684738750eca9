import type { Ms } from "../../../base/index.ts";

/** The primary's positions that are remembered: what is older counts as the oldest of these. */
const POSITIONS_MAX = 256;
const UNKNOWN = -1;

/** A question to the primary was begun as the `asked`th, and answered with this position. */
interface Position {
  asked: number;
  readonly lsn: number;
  readonly askedAtMs: Ms;
}

interface Standby {
  /** It has replayed at least so much; UNKNOWN when that is not known any more. */
  lsn: number;
  answeredAtMs: Ms;
  /** How far behind it was at that moment, at least. */
  lagMs: Ms;
  /** It follows the primary's timeline: positions can be compared. */
  isOnTimeline: boolean;
}

/**
 * What a worker knows of how far the standbys have come. A position of the primary is asked for with
 * a question that begins after a client has seen what the primary did: it lies behind that. So
 *
 *     client: INSERT ... done ──> it needs question 8       SELECT: may standby 1 answer?
 *     primary:        question 8 ──────────> 0/5A00            │
 *     standby 1:                  has replayed 0/5A10 ─────────┘ yes
 *
 * one answer of the primary serves all sessions that wait, and what a standby has replayed it keeps.
 * Positions on different timelines say nothing about each other: after a failover a standby counts
 * for nothing until it has shown that it follows the new primary's timeline.
 *
 * A stream: mutable, told of everything in its order.
 */
export class ReplayClock {
  /** Questions to the primary that were begun. */
  #begun = 0;
  #positions: Position[] = [];
  #timeline: number | null = null;
  readonly #standbys = new Map<number, Standby>();

  /** The first question to the primary that knows all that was done up to now. */
  get next(): number {
    return this.#begun + 1;
  }

  /** The primary has said nothing yet: nobody can be compared with it. */
  get isBlind(): boolean {
    return this.#timeline === null;
  }

  /** The primary is asked now. @returns to be given to `primaryAnswered`. */
  primaryAsked(): number {
    this.#begun += 1;
    return this.#begun;
  }

  /** @param askedAtMs when the question was begun. */
  primaryAnswered(asked: number, lsn: number, timeline: number, askedAtMs: Ms): void {
    if (timeline !== this.#timeline) {
      this.primaryLost();
      this.#timeline = timeline;
    }
    const last = this.#positions.at(-1);
    if (last?.lsn === lsn) {
      last.asked = asked;
      return;
    }
    this.#positions.push({ asked, lsn, askedAtMs });
    if (this.#positions.length > POSITIONS_MAX) this.#positions.shift();
  }

  /** Another one takes its place, or nobody: what was known is of another history. */
  primaryLost(): void {
    this.#positions = [];
    this.#timeline = null;
    this.#standbys.clear();
  }

  /** The position that the answer to this question, or a later one, gave; null: none is there yet. */
  positionOf(asked: number): number | null {
    for (const position of this.#positions) if (position.asked >= asked) return position.lsn;
    return null;
  }

  /**
   * @param timelines on which the standby is, in its own words; null: it was not asked again.
   * @param lsn null: it has replayed nothing that it knows of.
   */
  standbyAnswered(
    backendId: number,
    lsn: number | null,
    timelines: readonly number[] | null,
    nowMs: Ms,
  ): void {
    const isOnTimeline =
      timelines === null
        ? this.#standbys.get(backendId)?.isOnTimeline === true
        : this.#timeline !== null && Math.max(...timelines, UNKNOWN) === this.#timeline;
    const missing = this.#positions.find((position) => position.lsn > (lsn ?? UNKNOWN));
    const lagMs = missing === undefined ? 0 : nowMs - missing.askedAtMs;
    const known = { lsn: lsn ?? UNKNOWN, answeredAtMs: nowMs, lagMs, isOnTimeline };
    this.#standbys.set(backendId, known);
  }

  standbyLost(backendId: number): void {
    this.#standbys.delete(backendId);
  }

  /** It is not known yet whether positions of this standby can be compared with the primary's. */
  mustProve(backendId: number): boolean {
    return this.#standbys.get(backendId)?.isOnTimeline !== true;
  }

  /** How much of the primary's history the standby has for certain; negative when nothing is. */
  replayed(backendId: number): number {
    const standby = this.#standbys.get(backendId);
    return standby?.isOnTimeline === true ? standby.lsn : UNKNOWN;
  }

  /** How far behind it was when it was asked last, at least; 0 when that is too long ago to matter. */
  lagMs(backendId: number, nowMs: Ms, freshMs: Ms): Ms {
    const standby = this.#standbys.get(backendId);
    if (standby === undefined || nowMs - standby.answeredAtMs > freshMs) return 0;
    return standby.isOnTimeline ? standby.lagMs : 0;
  }

  /** What was heard longer ago than this is not believed any more: another server may be there. */
  forgetOlder(nowMs: Ms, olderMs: Ms): void {
    for (const [id, standby] of this.#standbys) {
      if (nowMs - standby.answeredAtMs > olderMs) this.#standbys.delete(id);
    }
  }
}
