import type { PoolSecret } from "../../auth/index.ts";
import { failure } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { ConnectionKind } from "../../wire/ipc/index.ts";
import {
  idleLifeMs,
  isInRoom,
  LaneWait,
  poolKey,
  SharedPool,
  type Claim,
  type ConnectionClaims,
  type Lane,
  type SharedPoolPort,
  type SharedPoolSizes,
} from "../core/pool/index.ts";
import type {
  BackendMethod,
  KnownStates,
  ParameterSet,
  SessionState,
} from "../core/session/index.ts";
import { LEAVES } from "../core/sql/index.ts";
import {
  BackendConnection,
  type BackendTarget,
  type ConnectionUser,
} from "./backend-connection.ts";
import type { Acquired } from "./backend-pool.ts";
import type { SocketIo } from "./byte-socket.ts";
import { awaitLastAnswers } from "./last-answers.ts";

export type SharedLane = Lane<BackendConnection, Seeker>;
export type SharedWait = LaneWait<BackendConnection, Seeker>;

/** Who wants a connection, with what it takes to open one. */
export interface Seeker {
  /** Asked when a connection is opened; null: the backend is gone. */
  target(backendId: number): BackendTarget | null;
  readonly startUp: ReadonlyMap<string, string>;
  /** As `Acquisition.prove`. May be asked when it waits no more; then it need not answer. */
  prove(method: BackendMethod, proceed: (secret: PoolSecret | null) => void): void;
  granted(connection: BackendConnection): void;
  /** It may wait on, or `leave` and ask for a connection to another backend. */
  paused(backendId: number): void;
  /** Another backend may be what it waits for. */
  askAgain(): void;
  /** It waits no more. */
  notGranted(backendId: number, result: Exclude<Acquired, { kind: "connection" }>): void;
}

export interface SharedSettings {
  readonly connectTimeoutMs: number;
  /** 0 for ever. */
  readonly queueTimeoutMs: number;
}

/** pool_size is the node's: each worker has its share of it, and at least one. */
export function sharedSizes(config: Config, workers: number): SharedPoolSizes {
  return { laneMax: Math.ceil(config.pool_size / workers), lifeTimeMs: idleLifeMs(config) };
}

export function sharedSettings(config: Config): SharedSettings {
  return { connectTimeoutMs: config.connect_timeout, queueTimeoutMs: config.queue_timeout };
}

/** What a login is answered with when such a connection was seen before. */
export interface Welcome {
  readonly parameters: ParameterSet;
  readonly method: BackendMethod;
}

/** Whatever `reset_query_list` says: to sessions that take turns it must be as it was at first. */
const RESET_QUERIES = ["ABORT", "DISCARD ALL"];

/** Kept for so many kinds of connections. */
const WELCOMES_MAX = 1000;

/**
 * The connections of this worker that sessions share, a transaction each. Also the one who uses
 * them while they are idle.
 */
export class SharedConnections
  implements SharedPoolPort<BackendConnection, Seeker>, ConnectionUser
{
  readonly #io: SocketIo;
  #settings: SharedSettings;
  readonly #known: KnownStates;
  readonly #pool: SharedPool<BackendConnection, Seeker>;
  readonly #lanes = new Map<BackendConnection, SharedLane>();
  /** By the lane's key, then by what the client asked for. */
  readonly #welcomes = new Map<string, Map<SessionState, Welcome>>();
  #welcomeCount = 0;
  readonly #claims: ConnectionClaims;
  /** What is to be opened when it is our turn, by lane. */
  readonly #claimed = new Map<SharedLane, { readonly claim: Claim; readonly wait: SharedWait }[]>();
  readonly #unreachable: (backendId: number, message: string) => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    io: SocketIo,
    sizes: SharedPoolSizes,
    settings: SharedSettings,
    known: KnownStates,
    claims: ConnectionClaims,
    unreachable: (backendId: number, message: string) => void,
  ) {
    this.#io = io;
    this.#settings = settings;
    this.#known = known;
    this.#claims = claims;
    this.#unreachable = unreachable;
    this.#pool = new SharedPool(sizes, this);
  }

  change(settings: SharedSettings): void {
    this.#settings = settings;
  }

  get lanes(): Iterable<SharedLane> {
    return this.#pool.lanes;
  }

  /** Whoever keeps the lane says `leaveLane` in the end. */
  enterLane(backendId: number, startUp: ReadonlyMap<string, string>): SharedLane {
    const user = startUp.get("user") ?? "";
    const database = startUp.get("database") ?? user;
    const key = `${backendId}\0${poolKey(startUp)}`;
    return this.#pool.enterLane({ backendId, user, database, key });
  }

  leaveLane(lane: SharedLane): void {
    this.#pool.leaveLane(lane);
  }

  welcome(lane: SharedLane, asked: SessionState): Welcome | null {
    return this.#welcomes.get(lane.of.key)?.get(asked) ?? null;
  }

  learnWelcome(lane: SharedLane, asked: SessionState, welcome: Welcome): void {
    if (this.#welcomeCount >= WELCOMES_MAX) this.#forgetWelcomes();
    const { key } = lane.of;
    const ofLane = this.#welcomes.get(key) ?? new Map<SessionState, Welcome>();
    if (!ofLane.has(asked)) this.#welcomeCount += 1;
    this.#welcomes.set(key, ofLane.set(asked, welcome));
  }

  /** What servers say to new connections may be different now. */
  #forgetWelcomes(): void {
    this.#welcomes.clear();
    this.#welcomeCount = 0;
  }

  /** An idle connection, or null. */
  take(lane: SharedLane, user: ConnectionUser): BackendConnection | null {
    const connection = this.#pool.take(lane);
    if (connection !== null) connection.use(user);
    return connection;
  }

  /** Until the seeker is told, or `leave`. */
  wait(lane: SharedLane, wait: SharedWait): void {
    this.#pool.wait(lane, wait, monotonicNowMs());
    if (this.#timer === null) this.#watchQueues();
  }

  leave(wait: SharedWait): void {
    this.#pool.leave(wait);
  }

  /** A session is done with it: nothing is owed and no transaction is open. */
  release(connection: BackendConnection): void {
    const lane = this.#lanes.get(connection);
    if (lane === undefined || connection.generation !== lane.generation) {
      return this.discard(connection);
    }
    connection.use(this);
    // A cancel request that is still on its way must not hit whoever comes next.
    if (connection.cancelsOpen === 0) this.#pool.give(lane, connection);
  }

  /** A session that kept it, or was in a transaction, has ended: it is made like new for others. */
  recycle(connection: BackendConnection): void {
    const { link } = connection;
    if (!link.isQuiet) {
      return awaitLastAnswers(connection, {
        answered: () => this.recycle(connection),
        broken: () => this.discard(connection),
      });
    }
    const lane = this.#lanes.get(connection);
    const isTainted = (link.keepsForGood & LEAVES.process) !== 0;
    if (lane === undefined || lane.isPaused || isTainted) return this.discard(connection);
    connection.reset({
      queries: RESET_QUERIES,
      status: link.status,
      done: (isClean) => {
        if (!isClean) return this.discard(connection);
        link.wasReset(this.#known.states.initial);
        this.release(connection);
      },
    });
  }

  /** The last cancel request of a connection is through. */
  cancelled(connection: BackendConnection): void {
    const lane = this.#lanes.get(connection);
    if (lane !== undefined && connection.isUsedBy(this)) this.#pool.give(lane, connection);
  }

  /** Closes a connection that was in use. */
  discard(connection: BackendConnection): void {
    const lane = this.#lanes.get(connection);
    this.#lanes.delete(connection);
    connection.use(null);
    connection.close();
    if (lane !== undefined) this.#pool.closed(lane);
  }

  /** What runs there is of no use any more: see `BackendConnection.letRun`. */
  abandon(connection: BackendConnection, cancelAfterMs: number): void {
    const lane = this.#lanes.get(connection);
    this.#lanes.delete(connection);
    connection.letRun(cancelAfterMs, () => {
      if (lane !== undefined) this.#pool.closed(lane);
    });
  }

  expire(): void {
    this.#pool.expire(monotonicNowMs());
  }

  /** Lets transactions on this backend end and none begin; who wants one waits, or asks elsewhere. */
  pauseBackend(backendId: number): void {
    this.#pool.pause(backendId);
    const waiting = this.#pool.waitingFor(backendId);
    for (const { owner } of waiting) owner.paused(backendId);
  }

  resumeBackend(backendId: number): void {
    this.#pool.resume(backendId);
  }

  /** Who waits for this backend asks again which one it needs. */
  leaveBackend(backendId: number): void {
    for (const { owner } of this.#pool.waitingFor(backendId)) owner.askAgain();
  }

  /** Connections to this backend on which something runs, or that are being opened or left. */
  countRunning(backendId: number): number {
    let count = this.#pool.count(backendId);
    for (const { target, isResting } of this.#lanes.keys()) {
      if (target.backendId === backendId && isResting) count -= 1;
    }
    return count;
  }

  /** Asked again and again while something is used up and waited for. */
  lookAtScarcity(nowMs: number): void {
    this.#pool.isScarce = this.#claims.isScarce;
    this.#pool.lookAtClock(nowMs);
  }

  /** Closes one that is idle since then and counts against this bound. @returns false: none is. */
  giveUpIdle(room: string, idleSinceMs: number): boolean {
    return this.#pool.giveUpIdle((of) => isInRoom(of, room), idleSinceMs);
  }

  dropBackend(backendId: number): void {
    this.#pool.dropBackend(backendId);
    this.#forgetWelcomes();
  }

  closeIdle(): void {
    this.#pool.dropAll();
  }

  // ---- the pool's port --------------------------------------------------------------------

  /** Where connections are bounded, it is opened when it is this worker's turn. */
  open(lane: SharedLane, wait: SharedWait): void {
    if (!this.#claims.isCapped) return this.#open(lane, wait, null);
    const { backendId, database, user } = lane.of;
    const kind = { backendId, database, user };
    const ofLane = this.#claimed.get(lane) ?? [];
    this.#claimed.set(lane, ofLane);
    const claim: Claim = {
      kind,
      sinceMs: monotonicNowMs(),
      granted: () => {
        ofLane.splice(ofLane.indexOf(claimed), 1);
        if (ofLane.length === 0) this.#claimed.delete(lane);
        this.#open(lane, wait, kind);
      },
    };
    const claimed = { claim, wait };
    ofLane.push(claimed);
    this.#claims.claim(claim);
  }

  surplus(lane: SharedLane): void {
    const ofLane = this.#claimed.get(lane);
    const last = ofLane?.pop();
    if (last === undefined) return;
    if (ofLane?.length === 0) this.#claimed.delete(lane);
    this.#claims.giveUp(last.claim);
    this.#pool.openFailed(lane, last.wait);
  }

  isOwed({ of }: SharedLane, isAwaited: boolean): boolean {
    return this.#claims.isOwed(of, isAwaited);
  }

  /** @param kind null: it counts against no bound. */
  #open(lane: SharedLane, wait: SharedWait, kind: ConnectionKind | null): void {
    const { backendId } = lane.of;
    const gone = kind === null ? null : (): void => this.#claims.closed(kind);
    const seeker = wait.owner;
    const target = seeker.target(backendId);
    if (target === null) {
      const detail = `backend ${backendId} is not in use any more`;
      const result = { kind: "failed" as const, failure: failure("no-primary", { detail }) };
      gone?.();
      setImmediate(() => this.#openFailed(lane, wait, { ...result, unreachable: false }));
      return;
    }
    const connection: BackendConnection = new BackendConnection({
      io: this.#io,
      target,
      key: lane.of.key,
      sets: this.#known.sets,
      parameters: seeker.startUp,
      connectTimeoutMs: this.#settings.connectTimeoutMs,
      listener: {
        asked: (method) => seeker.prove(method, (secret) => connection.proceed(secret)),
        opened: () => this.#opened(lane, wait, connection),
        refused: (error, fields) => {
          const sqlstate = fields.get("C") ?? "";
          this.#openFailed(lane, wait, { kind: "refused", error, sqlstate });
        },
        failed: (why, unreachable) => {
          if (unreachable) this.#unreachable(backendId, `${why.message}: ${why.detail ?? ""}`);
          this.#openFailed(lane, wait, { kind: "failed", failure: why, unreachable });
        },
      },
      gone,
    });
    connection.generation = lane.generation;
  }

  close(connection: BackendConnection): void {
    this.#lanes.delete(connection);
    connection.use(null);
    connection.close();
  }

  granted(wait: SharedWait, connection: BackendConnection): void {
    wait.owner.granted(connection);
  }

  // ---- the idle connections' user ---------------------------------------------------------

  received(connection: BackendConnection, bytes: Buffer): void {
    const isBroken = connection.link.push(bytes) !== null;
    if (isBroken || connection.link.lastWords !== null) this.#lost(connection);
  }

  drained(): void {
    // Nothing waits for it.
  }

  closed(connection: BackendConnection): void {
    this.#lost(connection);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #opened(lane: SharedLane, wait: SharedWait, connection: BackendConnection): void {
    connection.link.state = this.#known.states.initial;
    this.#lanes.set(connection, lane);
    connection.use(this);
    this.#pool.opened(lane, wait, connection);
  }

  #openFailed(
    lane: SharedLane,
    wait: SharedWait,
    result: Exclude<Acquired, { kind: "connection" }>,
  ): void {
    // It may have got another connection meanwhile, and even wait for the next one.
    const isWaiting = wait.lane === lane && wait.opens === lane;
    if (isWaiting) this.#pool.leave(wait);
    this.#pool.openFailed(lane, wait);
    if (isWaiting) wait.owner.notGranted(lane.of.backendId, result);
  }

  /** An idle connection broke. */
  #lost(connection: BackendConnection): void {
    const lane = this.#lanes.get(connection);
    this.#lanes.delete(connection);
    connection.use(null);
    connection.close();
    if (lane === undefined) return;
    if (connection.cancelsOpen > 0) this.#pool.closed(lane);
    else this.#pool.remove(lane, connection);
  }

  #watchQueues(): void {
    const { queueTimeoutMs } = this.#settings;
    const oldestMs = this.#pool.oldestSinceMs;
    this.#timer = null;
    if (queueTimeoutMs === 0 || oldestMs === null) return;
    const inMs = Math.max(10, oldestMs + queueTimeoutMs - monotonicNowMs());
    this.#timer = setTimeout(() => this.#refuseLate(), inMs);
  }

  #refuseLate(): void {
    const { queueTimeoutMs } = this.#settings;
    const late = this.#pool.waitingSince(monotonicNowMs() - queueTimeoutMs);
    for (const wait of late) {
      const backendId = wait.lane?.of.backendId ?? 0;
      const code = wait.lane?.isPaused === true ? "backend-paused" : "no-server-connection";
      if (!this.#pool.leave(wait)) continue;
      const detail = `It waited for ${queueTimeoutMs} ms.`;
      const why = failure(code, { detail });
      wait.owner.notGranted(backendId, { kind: "failed", failure: why, unreachable: false });
    }
    this.#watchQueues();
  }
}
