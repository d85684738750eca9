/**
 * A whole cluster in one thread: hosts, network, PostgreSQL and clients, moved by one queue of
 * events in virtual time. Every run follows from its seed.
 */
import type { Ms } from "../../src/base/index.ts";
import type { ConsensusMessage } from "../../src/wire/watchdog/index.ts";
import { decodePeerMessage, encodeFrame } from "../../src/wire/watchdog/index.ts";
import { Clients } from "./model/clients.ts";
import type { AnyStep } from "./model/failover-step.ts";
import { Host } from "./model/host.ts";
import { Network } from "./model/network.ts";
import { Postgres } from "./model/postgres.ts";
import type { Clockwork } from "./model/process.ts";
import type { Planted } from "./planted.ts";
import { profileFor, type Profile } from "./profile.ts";
import { BrokenPromise, Promises, type Judge } from "./promises/index.ts";
import { EventQueue } from "./queue.ts";
import { Random } from "./random.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly nodeCount: number;
  readonly planted: Planted;
  readonly trace: ((line: string) => void) | null;
}

export interface Stats {
  events: number;
  coreSteps: number;
  conductorSteps: number;
  elections: number;
  takeOvers: number;
  commands: number;
  writes: number;
}

const BACKEND_COUNT = 3;
/** One cluster in so many sends its messages through the wire format. */
const WIRE_EVERY = 16;

export class World implements Clockwork, Judge {
  readonly seed: number;
  readonly nodeCount: number;
  readonly planted: Planted;
  readonly profile: Profile;
  readonly random: Random;
  readonly network: Network;
  readonly postgres: Postgres;
  readonly clients: Clients;
  readonly hosts: readonly Host[];
  readonly promises: Promises;
  readonly stats: Stats = {
    events: 0,
    coreSteps: 0,
    conductorSteps: 0,
    elections: 0,
    takeOvers: 0,
    commands: 0,
    writes: 0,
  };
  readonly trace: ((line: string) => void) | null;
  /** After the healing nothing stays away for longer. */
  absenceMsMax: Ms = Infinity;
  /** Told of every step of a failover of the primary, and whose it is. */
  atFailoverStep: ((step: AnyStep, host: Host) => void) | null = null;
  /** Told of the host that runs the next failover command; once. */
  atNextCommand: ((host: Host) => void) | null = null;
  readonly #queue = new EventQueue();
  #nowMs: Ms = 0;

  constructor({ seed, nodeCount, planted, trace }: WorldOptions) {
    this.seed = seed;
    this.nodeCount = nodeCount;
    this.planted = planted;
    this.trace = trace === null ? null : (line) => trace(`${this.#nowMs.toFixed(3)} ${line}`);
    this.random = new Random(seed);
    this.profile = profileFor(this.random.fork(1), planted);
    this.network = new Network(this.random.fork(2), this);
    this.postgres = new Postgres(BACKEND_COUNT, this, this.random.fork(3));
    this.promises = new Promises(this, () => this.hosts);
    this.hosts = Array.from(
      { length: nodeCount },
      (_, id) => new Host(this, id, this.random.fork(100 + id)),
    );
    this.clients = new Clients(this);
    for (const host of this.hosts) this.after(this.random.between(0, 50), () => host.start());
  }

  get nowMs(): Ms {
    return this.#nowMs;
  }

  after(delayMs: Ms, run: () => void): void {
    this.#queue.put(this.#nowMs + delayMs, run);
  }

  /** Lets time pass. @returns whether `isReached` held before the time was over. */
  runUntil(untilMs: Ms, isReached: () => boolean = () => false): boolean {
    for (;;) {
      if (isReached()) return true;
      const nextAtMs = this.#queue.nextAtMs;
      if (nextAtMs === null || nextAtMs > untilMs) break;
      const entry = this.#queue.take();
      if (entry === null) break;
      this.#nowMs = entry.atMs;
      this.stats.events += 1;
      entry.run();
    }
    this.#nowMs = untilMs;
    return false;
  }

  broken(promise: string, detail: string): never {
    throw new BrokenPromise(promise, detail, this.#nowMs);
  }

  onCommand(host: Host): void {
    this.stats.commands += 1;
    const tell = this.atNextCommand;
    this.atNextCommand = null;
    tell?.(host);
  }

  onTakeOver(host: Host): void {
    this.stats.takeOvers += 1;
    this.trace?.(`${host.id} holds the VIP`);
  }

  onWire(message: ConsensusMessage): ConsensusMessage {
    if (this.seed % WIRE_EVERY !== 0) return message;
    const decoded = decodePeerMessage(encodeFrame(message));
    if (!decoded.ok) return this.broken("messages survive the wire", decoded.error);
    const { value } = decoded;
    if (value.type === "failover-vote" || value.type === "failover-verdict") return message;
    if (value.type === "settings") return message;
    return value;
  }
}
