import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Admission } from "../../../../src/proxy/core/admission/index.ts";
import {
  clientPlaces,
  newClientPlaces,
  type ClientPlacesEvent,
  type ClientPlacesState,
} from "../../../../src/supervisor/core/client-places.ts";
import type { PlacesFromWorker, PlacesToWorker } from "../../../../src/wire/ipc/index.ts";

class Story {
  state: ClientPlacesState;

  constructor(own: Partial<Parameters<typeof newClientPlaces>[0]> = {}) {
    const usual = { placesCount: 4, workersCount: 2, mayWait: true, queueMax: 2 };
    this.state = newClientPlaces({ ...usual, ...own });
  }

  on(...events: readonly ClientPlacesEvent[]): readonly string[] {
    return events.flatMap((event) => {
      const { state, actions } = clientPlaces.step(this.state, event, 0);
      this.state = state;
      return actions.map(({ id, message }) => `${id}: ${words(message)}`);
    });
  }
}

function words(message: PlacesToWorker): string {
  switch (message.type) {
    case "places":
      return `has ${message.count}${message.round === null ? "" : ", scarce"}`;
    case "places-granted": {
      const spare = message.spareCount === 0 ? "" : ` and ${message.spareCount}`;
      return `granted ${message.tickets.join(" ")}${spare}`;
    }
    case "places-refused":
      return `refused ${message.tickets.join(" ")}`;
    case "places-scarce":
      return message.round === null ? "plenty" : `scarce ${message.round}`;
  }
}

const joined = (id: number): ClientPlacesEvent => ({ type: "worker-joined", id });
const told = (id: number, message: PlacesFromWorker): ClientPlacesEvent => ({
  type: "told",
  id,
  message,
});
const wanted = (id: number, ticket: number, sinceMs: number): ClientPlacesEvent =>
  told(id, { type: "place-wanted", ticket, sinceMs });
const returned = (id: number, count: number, round: number): ClientPlacesEvent =>
  told(id, { type: "places-returned", count, round });

describe("the places of a node", () => {
  test("are shared evenly at first", () => {
    expect(new Story().on(joined(1), joined(2))).toEqual(["1: has 2", "2: has 2"]);
    expect(new Story({ placesCount: 3 }).on(joined(1), joined(2))).toEqual([
      "1: has 2",
      "2: has 1",
    ]);
  });

  test("that one worker does not use go to another one that asks", () => {
    const story = new Story();
    story.on(joined(1), joined(2));
    expect(story.on(wanted(1, 1, 5))).toEqual(["1: scarce 1", "2: scarce 1"]);
    expect(story.on(returned(1, 0, 1))).toEqual([]);
    expect(story.on(returned(2, 2, 1))).toEqual(["1: granted 1", "1: plenty", "2: plenty"]);
    expect(story.on(wanted(2, 1, 6))).toEqual(["2: granted 1"]);
  });

  test("go to who waits longest, whichever worker it came to and whoever asked first", () => {
    const story = new Story();
    story.on(joined(1), joined(2), wanted(2, 1, 20), wanted(1, 1, 10), wanted(1, 2, 30));
    expect(story.on(returned(2, 1, 1))).toEqual(["1: granted 1"]);
    expect(story.on(returned(1, 1, 1))).toEqual(["2: granted 1"]);
    expect(story.on(told(1, { type: "place-unwanted", ticket: 2 }))).toEqual([
      "1: plenty",
      "2: plenty",
    ]);
  });

  test("of a worker that died are free again, and its clients wait no more", () => {
    const story = new Story();
    story.on(joined(1), joined(2), wanted(1, 1, 1), wanted(2, 1, 2));
    expect(story.on({ type: "worker-left", id: 1 })).toEqual(["2: granted 1", "2: plenty"]);
    expect(story.state.freeCount).toBe(1);
    expect(story.on(returned(1, 2, 1))).toEqual([]);
    expect(story.on(joined(1))).toEqual(["1: has 1"]);
  });

  test("are none for a worker that comes while others wait", () => {
    const story = new Story();
    story.on(joined(1), joined(2), wanted(2, 1, 2), returned(1, 0, 1), returned(2, 0, 1));
    story.on(wanted(2, 2, 3), wanted(2, 3, 4));
    expect(story.on({ type: "worker-left", id: 1 })).toEqual(["2: granted 1 2", "2: plenty"]);
    story.on(wanted(2, 4, 5), wanted(2, 5, 6));
    expect(story.on(joined(1))).toEqual(["1: has 0, scarce"]);
  });

  test("are refused to those beyond the queue only when it is sure that none is unused", () => {
    const story = new Story();
    story.on(joined(1), joined(2));
    for (let i = 1; i <= 3; i += 1) story.on(wanted(1, i, i));
    expect(story.on(returned(1, 0, 1))).toEqual([]);
    expect(story.on(returned(2, 0, 1))).toEqual(["1: refused 3"]);
    expect(story.on(wanted(2, 1, 9))).toEqual(["2: refused 1"]);
    expect(story.on({ type: "configured", queueMax: 1 })).toEqual(["1: refused 2"]);
  });

  test("are refused to whoever finds none when nobody may wait", () => {
    const story = new Story({ mayWait: false });
    story.on(joined(1), joined(2), wanted(1, 1, 1), returned(1, 0, 1));
    expect(story.on(returned(2, 1, 1))).toEqual(["1: granted 1", "1: plenty", "2: plenty"]);
    story.on(wanted(1, 2, 2), returned(2, 0, 2));
    expect(story.on(returned(1, 0, 2))).toEqual(["1: refused 2", "1: plenty", "2: plenty"]);
  });
});

// ---- both halves together -------------------------------------------------------------------

/** Workers and their supervisor, with a channel each way that delivers in order and at any time. */
class Node {
  state: ClientPlacesState;
  readonly doors = new Map<number, Admission<number>>();
  readonly toWorker = new Map<number, PlacesToWorker[]>();
  readonly toSupervisor = new Map<number, PlacesFromWorker[]>();
  readonly inside = new Map<number, Set<number>>();
  readonly waiting = new Map<number, Set<number>>();
  readonly refused: number[] = [];
  #clients = 0;
  nowMs = 0;

  readonly workersCount: number;

  constructor(placesCount: number, workersCount: number) {
    this.workersCount = workersCount;
    this.state = newClientPlaces({ placesCount, workersCount, mayWait: true, queueMax: 1000 });
    for (let id = 1; id <= workersCount; id += 1) this.start(id);
  }

  start(id: number): void {
    this.inside.set(id, new Set());
    this.waiting.set(id, new Set());
    this.toWorker.set(id, []);
    this.toSupervisor.set(id, []);
    this.doors.set(
      id,
      new Admission<number>(
        {
          tell: (message) => this.toSupervisor.get(id)?.push(message),
          admitted: (client) => {
            this.waiting.get(id)?.delete(client);
            this.inside.get(id)?.add(client);
          },
          refused: (client) => this.refused.push(client),
        },
        0,
      ),
    );
    this.step({ type: "worker-joined", id });
    this.deliverTo(id); // It serves nobody before.
  }

  step(event: ClientPlacesEvent): void {
    const { state, actions } = clientPlaces.step(this.state, event, this.nowMs);
    this.state = state;
    for (const { id, message } of actions) this.toWorker.get(id)?.push(message);
  }

  deliverTo(id: number): void {
    const message = this.toWorker.get(id)?.shift();
    if (message !== undefined) this.doors.get(id)?.take(message, this.nowMs);
  }

  deliverFrom(id: number): void {
    const message = this.toSupervisor.get(id)?.shift();
    if (message !== undefined) this.step({ type: "told", id, message });
  }

  enter(id: number): void {
    this.#clients += 1;
    const terms = { mayWait: true, queueMax: 1000, placesMax: 0, queueTimeoutMs: 0 };
    const entry = this.doors.get(id)?.enter(this.#clients, terms, this.nowMs);
    (entry === "entered" ? this.inside : this.waiting).get(id)?.add(this.#clients);
  }

  leave(from: ReadonlyMap<number, Set<number>>, id: number): void {
    const [client] = from.get(id) ?? [];
    if (client === undefined) return;
    from.get(id)?.delete(client);
    this.doors.get(id)?.leave(client, this.nowMs);
  }

  die(id: number): void {
    this.step({ type: "worker-left", id });
    this.start(id);
  }

  get insideCount(): number {
    return count(this.inside);
  }

  settle(): void {
    for (let round = 0; round < 300; round += 1) {
      for (let id = 1; id <= this.workersCount; id += 1) {
        this.deliverFrom(id);
        this.deliverTo(id);
      }
    }
  }
}

function count(sets: ReadonlyMap<number, ReadonlySet<number>>): number {
  return [...sets.values()].reduce((sum, set) => sum + set.size, 0);
}

const MOVES = ["enter", "enter", "leave", "give-up", "to", "from", "to", "from", "die"] as const;

test("whatever happens, no client is too many, none waits beside a free place, and they come in in turn", () => {
  const moves = fc.array(fc.tuple(fc.constantFrom(...MOVES), fc.integer({ min: 1, max: 3 })), {
    maxLength: 200,
    size: "max",
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), moves, (placesCount, story) => {
      const node = new Node(placesCount, 3);
      for (const [move, id] of story) {
        node.nowMs += 1;
        if (move === "enter") node.enter(id);
        if (move === "leave") node.leave(node.inside, id);
        if (move === "give-up") node.leave(node.waiting, id);
        if (move === "to") node.deliverTo(id);
        if (move === "from") node.deliverFrom(id);
        if (move === "die") node.die(id);
        expect(node.insideCount).toBeLessThanOrEqual(placesCount);
      }
      node.settle();
      const waiting = [...node.waiting.values()]
        .flatMap((set) => [...set])
        .toSorted((a, b) => a - b);
      expect(node.insideCount === placesCount || waiting.length === 0).toBe(true);
      // Nothing is under way any more: whoever leaves now makes room for who has waited longest.
      for (const next of waiting) {
        const id = [1, 2, 3].find((one) => (node.inside.get(one)?.size ?? 0) > 0) ?? 1;
        node.leave(node.inside, id);
        node.settle();
        expect([...node.inside.values()].some((set) => set.has(next))).toBe(true);
      }
      expect(node.refused).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
