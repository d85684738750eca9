import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { assert } from "../../../../src/base/index.ts";
import {
  consensus,
  leaseUntilMs,
  lifetimeFence,
  nftFence,
  NO_FENCE,
  NOTHING_DURABLE,
  startState,
  timingFor,
  type Action,
  type Durable,
  type Event,
  type Fence,
  type State,
  type Timing,
} from "../../../../src/watchdog/core/consensus/index.ts";
import type { ConsensusMessage } from "../../../../src/wire/watchdog/index.ts";

/**
 * A whole cluster in one thread: the production core of each node, a network that loses, delays,
 * repeats and cuts, nodes that crash, freeze, stop cleanly and come back, clocks that differ in rate
 * by up to 1e-3. Virtual time; every run follows from its seed.
 */
const TIMING = timingFor(600);
const FENCES = [nftFence(TIMING), lifetimeFence(1)];

interface Node {
  id: number;
  state: State | null;
  durable: Durable;
  frozenUntilMs: number;
  secret: string;
  boots: number;
  /** Its monotonic clock: `sinceMs + rate * now`. */
  clock: { sinceMs: number; rate: number };
  /** The kernel opens for a renewal until then. */
  permitUntilMs: number;
  /** The kernel answers for the VIP until then. */
  vipUntilMs: number;
  /** What an action begins and the world finishes later, unless the node died meanwhile. */
  later: { atMs: number; boots: number; run: () => void }[];
  committed: Map<number, string>;
}

interface Flight {
  atMs: number;
  from: number;
  to: number;
  message: ConsensusMessage;
}

class World {
  readonly nodes: Node[];
  readonly leadersByTerm = new Map<number, number>();
  readonly committed = new Map<number, string>();
  nowMs = 0;
  flights: Flight[] = [];
  cut = new Set<string>();
  lossShare = 0;
  delayMaxMs = 5;
  /** Messages that arrive a second time, much later: what an old connection still held. */
  repeatedShare = 0;
  takeovers = 0;
  proposals = 0;
  #seed: number;
  readonly seed: number;
  readonly #timing: Timing;
  readonly #fence: Fence;

  constructor(seed: number, count: number, timing: Timing, fence: Fence) {
    this.seed = seed;
    this.#timing = timing;
    this.#fence = fence;
    this.#seed = seed;
    this.nodes = Array.from({ length: count }, (_, id): Node => ({
      id,
      state: null,
      durable: NOTHING_DURABLE,
      frozenUntilMs: 0,
      secret: `secret-${id}-0`,
      boots: 0,
      clock: { sinceMs: this.random() * 1e6, rate: 1 + (this.random() - 0.5) * 1e-3 },
      permitUntilMs: 0,
      vipUntilMs: 0,
      later: [],
      committed: new Map(),
    }));
    for (const node of this.nodes) this.boot(node);
  }

  random(): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
    return this.#seed / 4294967296;
  }

  clockOf(node: Node): number {
    return node.clock.sinceMs + node.clock.rate * this.nowMs;
  }

  boot(node: Node): void {
    node.boots++;
    node.secret = `secret-${node.id}-${node.boots}`;
    node.permitUntilMs = 0; // A starting node removes what its last run left.
    node.vipUntilMs = 0;
    node.state = startState(
      {
        selfId: node.id,
        nodeIds: this.nodes.map((n) => n.id),
        timing: this.#timing,
        fence: this.#fence,
        halfVotes: false,
        mute: null,
        durable: node.durable,
        ownReleaseHash: hashOf(node.secret),
        seed: this.seed * 31 + node.id + node.boots * 977,
      },
      this.clockOf(node),
    );
  }

  /** SIGKILL; the guardian, when it lives, closes the address and shows the secret. */
  crash(node: Node, hasGuardian: boolean): void {
    const held = node.vipUntilMs > this.nowMs;
    node.state = null;
    if (!hasGuardian) return;
    node.vipUntilMs = 0;
    if (held) this.showSecret(node, node.secret);
  }

  /** As the process does it: the address, the proof, the goodbye. */
  stop(node: Node): void {
    if (node.state === null || node.frozenUntilMs > this.nowMs) return;
    this.deliver(node, { type: "transfer-requested", to: null });
    this.later(node, 50, () => {
      this.deliver(node, { type: "stop-requested" });
      this.later(node, 10, () => (node.state = null));
    });
  }

  /** The datagram closes at once; reading back and the proof come after. */
  giveUpVip(node: Node): void {
    const shown = node.secret;
    if (this.#fence.level === "nft") node.vipUntilMs = 0;
    node.permitUntilMs = 0;
    this.later(node, 1 + this.random() * 5, () => {
      node.vipUntilMs = 0;
      node.permitUntilMs = 0;
      node.secret = `secret-${node.id}-${node.boots}-${this.nowMs}`;
      this.deliver(node, { type: "release-hash-made", hash: hashOf(node.secret) });
      this.showSecret(node, shown);
    });
  }

  armVip(node: Node, id: number): void {
    this.later(node, 3 + this.random() * 20, () => {
      node.permitUntilMs = this.nowMs + (this.#fence.kernelLeaseMs ?? Infinity);
      this.later(node, this.random() * 2, () => this.deliver(node, { type: "vip-armed", id }));
    });
  }

  renewVip(node: Node): void {
    const { kernelLeaseMs } = this.#fence;
    if (node.permitUntilMs <= this.nowMs) return;
    if (node.vipUntilMs <= this.nowMs) this.takeovers++;
    // valid_lft 1 s, late as measured.
    const holdsMs = kernelLeaseMs ?? 1000 + this.random() * 1414;
    node.vipUntilMs = this.nowMs + holdsMs;
    node.permitUntilMs = this.nowMs + (kernelLeaseMs ?? Infinity);
  }

  later(node: Node, delayMs: number, run: () => void): void {
    node.later.push({ atMs: this.nowMs + delayMs, boots: node.boots, run });
  }

  showSecret(node: Node, secret: string): void {
    for (const peer of this.nodes) {
      if (peer !== node) this.send(node.id, peer.id, { type: "released", secret });
    }
  }

  send(from: number, to: number, message: ConsensusMessage): void {
    if (this.cut.has(`${from}>${to}`) || this.random() < this.lossShare) return;
    const atMs = this.nowMs + 0.2 + this.random() * this.delayMaxMs;
    this.flights.push({ atMs, from, to, message });
    if (this.random() >= this.repeatedShare) return;
    this.flights.push({ atMs: atMs + this.random() * 4000, from, to, message });
  }

  deliver(node: Node, event: Event): void {
    if (node.state === null) return;
    const before = node.state;
    const { state, actions } = consensus.step(before, event, this.clockOf(node));
    node.state = state;
    if (before.leading === null && state.leading !== null) {
      const { term } = state.durable;
      const other = this.leadersByTerm.get(term);
      expect(other ?? node.id, `seed ${this.seed}: two leaders in term ${term}`).toBe(node.id);
      this.leadersByTerm.set(term, node.id);
    }
    for (const action of actions) this.perform(node, action);
  }

  perform(node: Node, action: Action): void {
    if (action.type === "persist") node.durable = action.durable;
    if (action.type === "arm-vip") this.armVip(node, action.id);
    if (action.type === "renew-vip") this.renewVip(node);
    if (action.type === "close-vip") this.giveUpVip(node);
    if (action.type === "send") this.send(node.id, action.to, action.message);
    if (action.type === "commit") {
      const text = JSON.stringify(action.entry.value);
      const known = this.committed.get(action.entry.index);
      expect(known ?? text, `seed ${this.seed}: entry ${action.entry.index} changed`).toBe(text);
      this.committed.set(action.entry.index, text);
    }
  }

  advance(): void {
    this.nowMs += 1;
    const due = this.flights.filter((f) => f.atMs <= this.nowMs);
    this.flights = this.flights.filter((f) => f.atMs > this.nowMs);
    for (const flight of due) {
      const node = this.nodes[flight.to];
      if (node === undefined || node.state === null) continue;
      if (node.frozenUntilMs > this.nowMs) {
        this.flights.push({ ...flight, atMs: node.frozenUntilMs });
        continue;
      }
      this.deliver(node, { type: "message", from: flight.from, message: flight.message });
    }
    for (const node of this.nodes) {
      if (node.state === null || node.frozenUntilMs > this.nowMs) continue;
      const done = node.later.filter((work) => work.atMs <= this.nowMs);
      node.later = node.later.filter((work) => work.atMs > this.nowMs);
      for (const work of done) if (work.boots === node.boots) work.run();
      if (node.state === null) continue;
      const wakeMs = consensus.wakeAtMs(node.state);
      if (wakeMs !== null && wakeMs <= this.clockOf(node)) this.deliver(node, { type: "tick" });
    }
    this.check();
  }

  check(): void {
    const open = this.nodes.filter((n) => n.vipUntilMs > this.nowMs).map((n) => n.id);
    assert(open.length < 2, `seed ${this.seed}, ${this.nowMs} ms: VIP open on ${open.join()}`);
    const leased = this.nodes.filter(
      (n) => n.state !== null && (leaseUntilMs(n.state) ?? 0) > this.clockOf(n),
    );
    assert(leased.length < 2, `seed ${this.seed}, ${this.nowMs} ms: two leases`);
  }

  disturb(): void {
    const node = this.nodes[Math.floor(this.random() * this.nodes.length)];
    if (node === undefined) return;
    const dice = this.random();
    if (dice < 0.15) this.crash(node, this.random() < 0.7);
    else if (dice < 0.2) this.stop(node);
    else if (dice < 0.45) this.nodes.filter((n) => n.state === null).forEach((n) => this.boot(n));
    else if (dice < 0.6) node.frozenUntilMs = this.nowMs + this.random() * 4000;
    else if (dice < 0.65) this.lossShare = this.random() * 0.5;
    else if (dice < 0.7) this.repeatedShare = this.random() * 0.1;
    else if (dice < 0.8) this.delayMaxMs = 1 + this.random() * 300;
    else if (dice < 0.9) this.cutSome(node);
    else this.heal();
  }

  cutSome(node: Node): void {
    for (const peer of this.nodes) {
      if (peer === node) continue;
      if (this.random() < 0.8) this.cut.add(`${node.id}>${peer.id}`);
      if (this.random() < 0.8) this.cut.add(`${peer.id}>${node.id}`);
    }
  }

  heal(): void {
    this.cut.clear();
    this.lossShare = 0;
    this.repeatedShare = 0;
    this.delayMaxMs = 5;
  }

  propose(): void {
    const leader = this.nodes.find((n) => n.state?.leading && n.frozenUntilMs <= this.nowMs);
    if (leader?.state == null) return;
    this.proposals++;
    const afterIndex = leader.state.durable.entry.index;
    this.deliver(leader, { type: "proposed", id: 1, afterIndex, value: `v${this.nowMs}` });
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret, "utf8").digest("hex");
}

interface Wrong {
  readonly timing?: Partial<Timing>;
  readonly fence?: Partial<Fence>;
}

function runSchedule(seed: number, count: number, lengthMs: number, wrong: Wrong = {}): World {
  const fence = { ...(FENCES[seed % 2] ?? NO_FENCE), ...wrong.fence };
  const world = new World(seed, count, { ...TIMING, ...wrong.timing }, fence);
  for (let ms = 0; ms < lengthMs; ms++) {
    world.advance();
    if (ms > 1500 && world.random() < 1 / 250) world.disturb();
    if (world.random() < 1 / 200) world.propose();
  }
  world.heal();
  for (const node of world.nodes) {
    node.frozenUntilMs = 0;
    if (node.state === null) world.boot(node);
  }
  // Liveness: one leader, holding the VIP, soon after everything works again.
  for (let ms = 0; ms < 6000; ms++) world.advance();
  const holders = world.nodes.filter((n) => n.vipUntilMs > world.nowMs);
  expect(holders.length, `seed ${seed}: no holder after healing`).toBe(1);
  return world;
}

describe("consensus under random faults", () => {
  it("never opens the VIP twice, never has two leaders in a term, never changes a commit", () => {
    let takeovers = 0;
    let commits = 0;
    const counts = [3, 5, 3, 4, 3, 2];
    for (let seed = 1; seed <= 48; seed++) {
      const world = runSchedule(seed, counts[seed % counts.length] ?? 3, 12_000);
      takeovers += world.takeovers;
      commits += world.committed.size;
    }
    expect(takeovers).toBeGreaterThan(80);
    expect(commits).toBeGreaterThan(200);
  }, 30_000);

  it.each([
    ["a new leader does not wait for the kernel of the old one", { fence: { closeBoundMs: 0 } }],
    ["a lease outlives the promises it stands on", { timing: { leaseMs: 1200 } }],
  ])("finds the planted mistake: %s", (_mistake, wrong) => {
    expect(() => {
      for (let seed = 1; seed <= 60; seed++) runSchedule(seed, 3, 12_000, wrong);
    }).toThrow(/VIP open on|two leases/);
  });
});
