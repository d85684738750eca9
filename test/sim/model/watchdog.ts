/**
 * The watchdog process around the production core: the loop of `os/core-runner.ts` in virtual
 * time. It may be stopped between any two actions; while a write to the disk is under way, what
 * comes in waits.
 */
import type { Ms } from "../../../src/base/index.ts";
import {
  confirmedUntilMs,
  consensus,
  leaseUntilMs,
  mayHoldVipUntilMs,
  NOTHING_DURABLE,
  startState,
  votersOf,
  type Action,
  type Durable,
  type Event,
  type State,
} from "../../../src/watchdog/core/consensus/index.ts";
import {
  countVote,
  startVotes,
  type VotesState,
} from "../../../src/watchdog/core/failover/index.ts";
import {
  followLives,
  membersWanted,
  type NodeLife,
} from "../../../src/watchdog/core/membership.ts";
import type { ClusterRequest } from "../../../src/wire/ipc/index.ts";
import type { ConsensusMessage } from "../../../src/wire/watchdog/index.ts";
import { leadsNow, stepCore, type StepFunction } from "../core.ts";
import type { Host } from "./host.ts";
import { Holder } from "./holder.ts";
import { Process } from "./process.ts";

const INBOX_MAX = 20_000;
const STEER_EVERY_MS = 250;

/** What happens right before or right after an action of a kind; once. */
export interface Trap {
  readonly isFor: (action: Action) => boolean;
  readonly before: (() => void) | null;
  readonly after: ((action: Action) => void) | null;
}

export class Watchdog {
  readonly process: Process;
  readonly holder: Holder;
  readonly bootNumber: number;
  readonly #host: Host;
  readonly #step: StepFunction;
  readonly #durable: Durable;
  #state: State | null = null;
  #inbox: Event[] = [];
  #failure: Event | null = null;
  #actions: Action[] = [];
  #cutWrite: (() => void) | null = null;
  #isPumping = false;
  #timerAtMs: Ms | null = null;
  #wasTick = false;
  #leads = false;
  #confirmedUntilMs: Ms = 0;
  #votes: VotesState;
  #isStopping = false;
  #lives: readonly NodeLife[] = [];
  /** The process is stopped for `ms` before its `count`-th next action. */
  #stall: { count: number; readonly ms: Ms } | null = null;
  #trap: Trap | null = null;
  #wasPaused = false;
  /** Its next write is its last act. */
  diesInWrite = false;

  constructor(host: Host, bootNumber: number, durable: Durable | null) {
    this.#host = host;
    this.bootNumber = bootNumber;
    this.process = new Process(host.world);
    this.#durable = durable ?? NOTHING_DURABLE;
    this.#step = host.world.planted.step?.(stepCore) ?? stepCore;
    this.holder = new Holder(host, this);
    this.#votes = startVotes({
      requiresConsensus: true,
      countsRepetitions: false,
      halfVotes: false,
      expiryMs: 15_000,
    });
  }

  get state(): State | null {
    return this.#state;
  }

  get leads(): boolean {
    return this.#leads && this.#state !== null && this.#state.leading !== null;
  }

  open(): void {
    const { world, id, localMs, isMute } = this.#host;
    const { timing, fence } = world.profile;
    const started = startState(
      {
        selfId: id,
        nodeIds: world.hosts.map((host) => host.id),
        timing,
        fence,
        halfVotes: false,
        durable: this.#durable,
        mute: isMute ? "its state file is damaged" : null,
        ownReleaseHash: this.holder.hash,
        seed: Math.imul(world.seed, 31) + id + this.bootNumber * 977,
      },
      localMs,
    );
    this.#state = world.planted.startState?.(started) ?? started;
    this.#host.supervisor?.tell((supervisor) => supervisor.onWatchdogReady());
    this.#pump();
    this.#steerLater();
  }

  mayHoldNow(): boolean {
    const untilMs = this.#state === null ? null : mayHoldVipUntilMs(this.#state);
    return untilMs !== null && this.#host.localMs < untilMs;
  }

  stallBefore(actionCount: number, ms: Ms): void {
    this.#stall = { count: actionCount, ms };
  }

  /** The next action of that kind finds the trap; a later trap takes the place of this one. */
  setTrap(trap: Trap): void {
    this.#trap = trap;
  }

  forgetStalls(): void {
    this.#stall = null;
    this.#trap = null;
    this.diesInWrite = false;
  }

  deliver(event: Event): void {
    if (this.process.isDead || this.#inbox.length >= INBOX_MAX) return;
    this.#inbox.push(event);
    this.#pump();
  }

  onMessage(from: number, message: ConsensusMessage): void {
    this.process.run(() => this.deliver({ type: "message", from, message }));
  }

  onSecret(secret: string): void {
    this.process.run(() => this.deliver({ type: "release-proven", secret }));
  }

  /** Our supervisor wants a failover: the leader counts. */
  castVote(request: ClusterRequest): void {
    const { world, id } = this.#host;
    const leaderId = this.#state?.leaderId ?? null;
    if (leaderId === null) return;
    if (leaderId === id) return this.onVote(id, request);
    world.network.send(id, leaderId, () => {
      const leader = world.hosts[leaderId]?.watchdog;
      leader?.process.run(() => leader.onVote(id, request));
    });
  }

  onVote(from: number, request: ClusterRequest): void {
    if (!this.leads || this.#state === null) return;
    const vote = { from, request, members: votersOf(this.#state) };
    const counted = countVote(this.#votes, vote, this.#host.localMs);
    this.#votes = counted.state;
    if (counted.verdict !== "granted") return;
    this.#host.supervisor?.tell((supervisor) => supervisor.onGranted(request, counted.votes));
  }

  /** Every process of this node routes by the state of this index. */
  onApplied(index: number): void {
    this.deliver({ type: "applied", index });
  }

  /** The leader's rules for absent nodes say who shall vote. */
  #steer(removesAfterMs: Ms): void {
    const { world, localMs } = this.#host;
    const peers = world.hosts
      .filter((host) => host !== this.#host)
      .map((host) => {
        const life = host.isReachableFrom(this.#host) ? ("alive" as const) : ("lost" as const);
        return { id: host.id, life };
      });
    this.#lives = followLives(this.#lives, peers, localMs);
    const state = this.#state;
    if (state?.leading != null) {
      const policy = { removesShutDown: false, lostMs: removesAfterMs, noShowMs: null };
      const voters = votersOf(state);
      const memberIds = membersWanted(policy, voters, this.#lives, localMs);
      if (memberIds !== voters) this.deliver({ type: "members-wanted", memberIds });
    }
    this.#steerLater();
  }

  #steerLater(): void {
    const { removesAfterMs } = this.#host.world.profile;
    if (removesAfterMs === null) return;
    this.#host.after(STEER_EVERY_MS, () => this.process.run(() => this.#steer(removesAfterMs)));
  }

  handOver(): void {
    this.process.run(() => this.deliver({ type: "transfer-requested", to: null }));
  }

  /** The address, the proof, the goodbye, the end. */
  stop(): void {
    this.process.run(() => {
      if (this.#isStopping) return;
      this.#isStopping = true;
      this.holder.close(() => {
        this.deliver({ type: "stop-requested" });
        this.#host.after(5, () => this.process.run(() => this.die()));
      });
    });
  }

  die(): void {
    if (this.process.isDead) return;
    this.process.kill();
    this.#cutWrite?.();
    this.#cutWrite = null;
    this.#host.world.promises.oneLease.onEnd(this.#host);
    this.#host.onWatchdogDead();
  }

  #pump(): void {
    if (this.#isPumping || this.#state === null) return;
    this.#isPumping = true;
    while (this.process.canRun && this.#cutWrite === null) {
      if (this.#wasPaused) this.#onWaking();
      const action = this.#actions[0];
      if (action !== undefined) {
        if (this.#stallsNow()) break;
        const trap = this.#trap?.isFor(action) === true ? this.#trap : null;
        if (trap !== null) {
          this.#trap = null;
          trap.before?.();
          if (!this.process.canRun) {
            this.#trap = { ...trap, before: null };
            break;
          }
        }
        this.#actions.shift();
        this.#perform(action);
        trap?.after?.(action);
        continue;
      }
      const event = this.#nextEvent();
      if (event === null) break;
      this.#take(event);
    }
    this.#isPumping = false;
    if (this.process.isDead) return;
    if (this.process.isPaused) {
      this.#wasPaused = true;
      this.process.run(() => this.#pump());
    } else if (this.#cutWrite === null) {
      this.#setTimer();
    }
  }

  #onWaking(): void {
    this.#wasPaused = false;
    if (this.#host.world.planted.renewsOnWaking === true) this.holder.renewOnWaking();
  }

  #stallsNow(): boolean {
    const stall = this.#stall;
    if (stall === null) return false;
    stall.count -= 1;
    if (stall.count > 0) return false;
    this.#stall = null;
    this.process.pause(stall.ms);
    return true;
  }

  /** A tick that is due goes before what waits. */
  #nextEvent(): Event | null {
    const current = this.#state;
    if (current === null) return null;
    const failure = this.#failure;
    this.#failure = null;
    // Before all that came in meanwhile, which would be judged by a state that was not stored.
    if (failure !== null) return failure;
    const waiting = this.#inbox[0];
    if (!this.#wasTick && waiting !== undefined && waiting !== TICK) {
      const dueMs = consensus.wakeAtMs(current);
      if (dueMs !== null && dueMs <= this.#host.localMs) {
        this.#wasTick = true;
        return TICK;
      }
    }
    this.#wasTick = waiting === TICK;
    return this.#inbox.shift() ?? null;
  }

  #take(event: Event): void {
    const before = this.#state;
    if (before === null) return;
    const { world, localMs } = this.#host;
    world.stats.coreSteps += 1;
    world.trace?.(`${this.#host.id} ${describe(event)}`);
    const { state, actions } = this.#step(before, event, localMs);
    this.#state = state;
    this.#actions = [...(world.planted.order?.(actions) ?? actions)];
    this.#observe(before, state);
  }

  #observe(before: State, after: State): void {
    const { world, localMs, id, rate, supervisor } = this.#host;
    const { promises } = world;
    if (before.leading === null && after.leading !== null) {
      world.trace?.(`${id} leads term ${after.durable.term}`);
      promises.oneLeader.onElected(id, after.durable.term);
      world.stats.elections += 1;
    }
    if (before.durable.entry !== after.durable.entry) {
      promises.commitsStay.onEntry(before.durable.entry, after.durable.entry);
    }
    const endMs = leaseUntilMs(after);
    promises.oneLease.onLease(this.#host, endMs === null ? 0 : (endMs - localMs) / rate);
    const untilMs = confirmedUntilMs(after);
    if (untilMs !== this.#confirmedUntilMs) {
      this.#confirmedUntilMs = untilMs;
      supervisor?.tell((told) => told.onConfirmed(untilMs));
    }
    const leads = leadsNow(after, localMs);
    if (leads === this.#leads) return;
    this.#leads = leads;
    supervisor?.tell((told) => told.onLeadership(leads));
  }

  #perform(action: Action): void {
    const { world, id, disk } = this.#host;
    switch (action.type) {
      case "persist": {
        const durable = world.planted.stored?.(action.durable) ?? action.durable;
        this.#cutWrite = disk.write(durable, (isWritten) => {
          this.#cutWrite = null;
          if (isWritten) world.promises.oneVote.onStored(id, durable);
          this.process.run(() => this.#onWritten(isWritten));
        });
        if (this.diesInWrite) this.#host.killWatchdog(this.#host.random.magnitude(1, 2000), false);
        return;
      }
      case "send": {
        const peer = world.hosts[action.to];
        if (peer === undefined) return;
        const message = world.onWire(action.message);
        world.promises.oneVote.onSent(id, message, action.to);
        world.network.send(id, action.to, () => peer.watchdog?.onMessage(id, message));
        return;
      }
      case "commit":
        world.promises.onCommit(id, action.entry);
        this.#host.supervisor?.tell((supervisor) => supervisor.onCommitted(action.entry));
        return;
      case "refuse-proposal":
        this.#host.supervisor?.tell((supervisor) => supervisor.onRefused(action.id));
        return;
      case "arm-vip":
        return this.holder.arm(action.id);
      case "renew-vip":
        return this.holder.renew();
      case "close-vip":
        return this.holder.close();
      case "settled":
        this.#host.supervisor?.tell((supervisor) => supervisor.onSettled(action.index));
        return;
    }
  }

  /** What comes after a failed write in its step is not done: it stood on that write. */
  #onWritten(isWritten: boolean): void {
    if (!isWritten) {
      this.#host.world.trace?.(`${this.#host.id} cannot write`);
      this.#host.isMute = true;
      this.#actions = [];
      this.#failure = { type: "disk-failed", reason: "no space left on device" };
    }
    this.#pump();
  }

  #setTimer(): void {
    const current = this.#state;
    const wakeMs = current === null ? null : consensus.wakeAtMs(current);
    if (wakeMs === null) return;
    const { world, rate, localMs, random, slowTimersMs } = this.#host;
    const delayMs = Math.max(1, Math.ceil(wakeMs - localMs)) / rate;
    const lateMs = random.next() * (0.3 + slowTimersMs);
    const atMs = world.nowMs + delayMs + lateMs;
    if (this.#timerAtMs !== null && this.#timerAtMs <= atMs) return;
    this.#timerAtMs = atMs;
    world.after(atMs - world.nowMs, () => {
      if (this.#timerAtMs !== atMs) return;
      this.#timerAtMs = null;
      this.process.run(() => this.#onTimer());
    });
  }

  #onTimer(): void {
    const current = this.#state;
    const wakeMs = current === null ? null : consensus.wakeAtMs(current);
    if (wakeMs !== null && wakeMs <= this.#host.localMs) this.deliver(TICK);
    else this.#pump();
  }
}

const TICK: Event = { type: "tick" };

function describe(event: Event): string {
  if (event.type !== "message") return event.type;
  const { from, message } = event;
  return "term" in message
    ? `${message.type} of ${message.term} from ${from}`
    : `${message.type} from ${from}`;
}
