import { describe, expect, test } from "vitest";
import { Admission, type AdmissionTerms } from "../../../../../src/proxy/core/admission/index.ts";
import type { PlacesFromWorker, PlacesToWorker } from "../../../../../src/wire/ipc/index.ts";

const TERMS: AdmissionTerms = { mayWait: true, queueMax: 3, placesMax: 10, queueTimeoutMs: 1000 };

/** A door, and what came of it in words. */
class Story {
  readonly door: Admission<string>;
  #lines: string[] = [];
  nowMs = 0;

  constructor(placesCount: number) {
    this.door = new Admission<string>(
      {
        tell: (message) => this.#lines.push(words(message)),
        admitted: (client) => this.#lines.push(`${client} admitted`),
        refused: (client, waitedMs) =>
          this.#lines.push(`${client} refused${waitedMs === null ? "" : ` after ${waitedMs} ms`}`),
      },
      placesCount,
    );
  }

  #since(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  enter(client: string, terms: Partial<AdmissionTerms> = {}): string[] {
    return [this.door.enter(client, { ...TERMS, ...terms }, this.nowMs), ...this.#since()];
  }

  leave(client: string): string[] {
    this.door.leave(client, this.nowMs);
    return this.#since();
  }

  told(message: PlacesToWorker): string[] {
    this.door.take(message, this.nowMs);
    return this.#since();
  }

  expire(nowMs: number): string[] {
    this.nowMs = nowMs;
    this.door.expire(nowMs);
    return this.#since();
  }
}

function words(message: PlacesFromWorker): string {
  switch (message.type) {
    case "place-wanted":
      return `wants ${message.ticket}`;
    case "place-unwanted":
      return `wants no more ${message.ticket}`;
    case "places-returned":
      return `returns ${message.count} in ${message.round}`;
  }
}

const governed = (count: number): Story => {
  const story = new Story(1);
  story.told({ type: "places", count, round: null });
  return story;
};

const granted = (...tickets: number[]): PlacesToWorker => ({
  type: "places-granted",
  tickets,
  spareCount: 0,
});

describe("the door of a worker on its own", () => {
  test("serves its share, lets the next wait, and serves them in the order of their coming", () => {
    const story = new Story(2);
    expect(story.enter("a")).toEqual(["entered"]);
    expect(story.enter("b")).toEqual(["entered"]);
    expect(story.enter("c")).toEqual(["waits", "wants 1"]);
    expect(story.enter("d")).toEqual(["waits", "wants 2"]);
    expect(story.door.counts).toMatchObject({ clients: 2, waiting: 2 });
    story.nowMs = 20;
    expect(story.leave("a")).toEqual(["wants no more 1", "c admitted"]);
    expect(story.leave("c")).toEqual(["wants no more 2", "d admitted"]);
    expect(story.door.counts).toMatchObject({ clients: 2, waiting: 0, waited: 2 });
  });

  test("forgets a client that went away while it waited", () => {
    const story = new Story(1);
    story.enter("a");
    story.enter("b");
    story.enter("c");
    expect(story.leave("b")).toEqual(["wants no more 1"]);
    expect(story.door.isWaiting("b")).toBe(false);
    expect(story.leave("a")).toEqual(["wants no more 2", "c admitted"]);
  });

  test("refuses whom the queue does not hold, and at once those that may not wait", () => {
    const story = new Story(1);
    story.enter("a");
    for (const client of ["b", "c", "d"]) expect(story.enter(client)[0]).toBe("waits");
    expect(story.enter("e")).toEqual(["refused"]);
    expect(story.enter("f", { mayWait: false })).toEqual(["refused"]);
    expect(story.door.counts.refused).toBe(2);
  });

  test("refuses those whose time is over, each at its own, and says how long they waited", () => {
    const story = new Story(1);
    story.enter("a");
    story.enter("b");
    story.nowMs = 400;
    story.enter("c");
    expect(story.door.wakeAtMs).toBe(1000);
    expect(story.expire(999)).toEqual([]);
    expect(story.expire(1000)).toEqual(["wants no more 1", "b refused after 1000 ms"]);
    expect(story.door.wakeAtMs).toBe(1400);
    expect(story.leave("a")).toEqual(["wants no more 2", "c admitted"]);
    expect(story.door.counts).toMatchObject({ timedOut: 1, longestWaitMs: 1000 });
  });

  test("lets wait for ever with a timeout of 0", () => {
    const story = new Story(1);
    story.enter("a");
    story.enter("b", { queueTimeoutMs: 0 });
    expect(story.door.wakeAtMs).toBeNull();
  });
});

describe("the door of a worker with a supervisor", () => {
  test("has no word to say while places are left", () => {
    const story = governed(2);
    expect(story.enter("a")).toEqual(["entered"]);
    expect(story.leave("a")).toEqual([]);
    expect(story.enter("b")).toEqual(["entered"]);
    expect(story.enter("c")).toEqual(["entered"]);
  });

  test("admits the client whose ticket was granted, and keeps what was lent beyond", () => {
    const story = governed(0);
    story.enter("a");
    expect(story.told({ type: "places-granted", tickets: [1], spareCount: 1 })).toEqual([
      "a admitted",
    ]);
    expect(story.enter("b")).toEqual(["entered"]);
  });

  test("gives the place of a client that left meanwhile to the next one here", () => {
    const story = governed(0);
    story.enter("a");
    story.enter("b");
    story.leave("a");
    expect(story.told(granted(1))).toEqual(["wants no more 2", "b admitted"]);
  });

  test("returns what is unused when places are scarce, and what becomes free while they are", () => {
    const story = governed(3);
    story.enter("a");
    expect(story.told({ type: "places-scarce", round: 7 })).toEqual(["returns 2 in 7"]);
    expect(story.leave("a")).toEqual(["returns 1 in 7"]);
    expect(story.told({ type: "places-scarce", round: 8 })).toEqual(["returns 0 in 8"]);
    expect(story.told({ type: "places-scarce", round: null })).toEqual([]);
    expect(story.enter("b")).toEqual(["waits", "wants 1"]);
  });

  test("passes on a place that came too late while others wait longer elsewhere", () => {
    const story = governed(0);
    story.enter("a");
    story.told({ type: "places-scarce", round: 1 });
    story.enter("b");
    story.leave("a");
    expect(story.told(granted(1))).toEqual(["returns 1 in 1"]);
  });

  test("asks for those that may not wait as well, and believes silence for a second", () => {
    const story = governed(0);
    expect(story.enter("a", { mayWait: false })).toEqual(["waits", "wants 1"]);
    expect(story.enter("b", { mayWait: false })).toEqual(["waits", "wants 2"]);
    expect(story.told({ type: "places-refused", tickets: [1] })).toEqual(["a refused"]);
    expect(story.expire(1000)).toEqual(["wants no more 2", "b refused after 1000 ms"]);
  });

  test("does not take those for waiting for whom another worker has a place", () => {
    const story = governed(0);
    const fates = Array.from({ length: 14 }, (_, i) => story.enter(`c${i}`)[0]);
    expect(fates.filter((fate) => fate === "waits")).toHaveLength(TERMS.queueMax + TERMS.placesMax);
  });
});
