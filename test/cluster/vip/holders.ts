/**
 * Who held the address when, from what was seen on the switch. Pure.
 *
 * A *run* is an unbroken row of frames with the address as their source that came from one port.
 * From one run to the next the address has moved, and the time between them is the *gap*. If the
 * first port speaks again so soon that the address cannot have come back in good order, two hosts
 * held it at once: an *overlap*.
 */
export interface Sighting {
  /** Milliseconds of the machine's monotonic clock, with their fraction. */
  readonly atMs: number;
  /** The port of the switch, which has the name of its host. */
  readonly port: string;
  /** For people: what kind of frame it was. */
  readonly what: string;
}

export interface Run {
  readonly port: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly framesCount: number;
  /** The first of its frames. */
  readonly what: string;
}

export interface Change {
  readonly from: string;
  readonly to: string;
  /** The first frame of the new holder. */
  readonly atMs: number;
  readonly gapMs: number;
}

export interface Overlap {
  /** Spoke before, and again after, the others. */
  readonly holder: string;
  readonly others: readonly string[];
  /** The first frame of the others. */
  readonly what: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Every host is asked every 10 ms and the holder every millisecond. To go and come back in good
 * order takes two releases, two elections and two take-overs.
 */
const THERE_AND_BACK_MS = 100;
const RUNS_MAX = 100_000;

/** Mutable: sightings in the order of their time go in, runs come out. */
export class HolderLog {
  #runs: Run[] = [];

  push({ atMs, port, what }: Sighting): void {
    const last = this.#runs.at(-1);
    if (last?.port === port) {
      const run = {
        ...last,
        lastMs: Math.max(atMs, last.lastMs),
        framesCount: last.framesCount + 1,
      };
      this.#runs[this.#runs.length - 1] = run;
      return;
    }
    if (this.#runs.length < RUNS_MAX) {
      this.#runs.push({ port, firstMs: atMs, lastMs: atMs, framesCount: 1, what });
    }
  }

  get runs(): readonly Run[] {
    return this.#runs;
  }

  /** The present run stays: it may go on, and whatever comes next is measured against it. */
  forget(): void {
    this.#runs = this.#runs.slice(-1);
  }
}

/** Each span in which one port spoke amid the frames of another; spans that touch are one. */
export function overlapsOf(runs: readonly Run[]): Overlap[] {
  const overlaps: Overlap[] = [];
  const lastOf = new Map<string, number>();
  for (const [index, run] of runs.entries()) {
    const before = lastOf.get(run.port);
    lastOf.set(run.port, index);
    const earlier = before === undefined ? undefined : runs[before];
    if (before === undefined || earlier === undefined) continue;
    if (run.firstMs - earlier.lastMs >= THERE_AND_BACK_MS) continue;
    const between = runs.slice(before + 1, index);
    addOverlap(overlaps, {
      holder: run.port,
      others: [...new Set(between.map((each) => each.port))].sort(),
      what: between[0]?.what ?? "",
      fromMs: between[0]?.firstMs ?? run.firstMs,
      toMs: between.at(-1)?.lastMs ?? run.firstMs,
    });
  }
  return overlaps;
}

/** In a true overlap the ports take turns, so each is found in the midst of the other. */
function addOverlap(overlaps: Overlap[], found: Overlap): void {
  const last = overlaps.at(-1);
  if (last === undefined || found.fromMs - last.toMs >= THERE_AND_BACK_MS) {
    overlaps.push(found);
    return;
  }
  const others = [...new Set([...last.others, ...found.others, found.holder])];
  overlaps[overlaps.length - 1] = {
    ...last,
    others: others.filter((port) => port !== last.holder).sort(),
    toMs: Math.max(last.toMs, found.toMs),
  };
}

/** The moves of the address. None is counted into, within or out of an overlap: nobody let go. */
export function changesOf(runs: readonly Run[]): Change[] {
  const overlaps = overlapsOf(runs);
  const isAmid = (atMs: number): boolean =>
    overlaps.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs);
  return runs.slice(1).flatMap((run, index) => {
    const before = runs[index];
    if (before === undefined || isAmid(before.lastMs) || isAmid(run.firstMs)) return [];
    const gapMs = run.firstMs - before.lastMs;
    return [{ from: before.port, to: run.port, atMs: run.firstMs, gapMs }];
  });
}

/** The longest time without any of the moments between two others. Moments are ascending. */
export function longestDarkness(
  momentsMs: readonly number[],
  fromMs: number,
  untilMs: number,
): number {
  let longestMs = 0;
  let lastMs = fromMs;
  for (const atMs of momentsMs) {
    if (atMs <= fromMs) continue;
    if (atMs >= untilMs) break;
    longestMs = Math.max(longestMs, atMs - lastMs);
    lastMs = atMs;
  }
  return Math.max(longestMs, untilMs - lastMs);
}
