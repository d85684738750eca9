import type { PoolSecret } from "../../auth/index.ts";
import { failure, type Failure } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { ConnectionKind } from "../../wire/ipc/index.ts";
import {
  isInRoom,
  isPooledDatabase,
  Pool,
  poolKey,
  type Claim,
  type ConnectionClaims,
} from "../core/pool/index.ts";
import type { BackendMethod, ParameterSets } from "../core/session/index.ts";
import {
  BackendConnection,
  type BackendTarget,
  type ConnectionUser,
} from "./backend-connection.ts";
import type { SocketIo } from "./byte-socket.ts";

export interface PoolSettings {
  readonly sets: ParameterSets;
  readonly io: SocketIo;
  /** For each backend. */
  readonly connectionsMax: number;
  readonly lifeTimeMs: number;
  /** A connection that has served so many is not kept; 0 for no such bound. */
  readonly clientsMax: number;
  readonly isCaching: boolean;
  readonly connectTimeoutMs: number;
  readonly resetQueries: readonly string[];
  readonly claims: ConnectionClaims;
}

export interface Acquisition {
  readonly target: BackendTarget;
  readonly parameters: ReadonlyMap<string, string>;
  readonly mayReuse: boolean;
  /** How long it may take until one may be opened, where they are bounded; 0 for ever. */
  readonly waitMs: number;
  /** It waits for that, and does not any more. */
  waits(isWaiting: boolean): void;
  /**
   * Has the client prove itself by this method; `proceed` then gets the secret for the backend.
   * A client that fails is told so by the one who asks, and `proceed` is not called.
   */
  prove(
    method: BackendMethod,
    cached: BackendConnection | null,
    proceed: (secret: PoolSecret | null) => void,
  ): void;
  /** Called once, maybe before `acquire` returns; not after the acquisition was given up. */
  done(result: Acquired): void;
}

export type Acquired =
  | { readonly kind: "connection"; readonly connection: BackendConnection }
  /** PostgreSQL's own words, for the client. */
  | { readonly kind: "refused"; readonly error: Buffer; readonly sqlstate: string }
  | { readonly kind: "failed"; readonly failure: Failure; readonly unreachable: boolean };

export interface KindCounts {
  readonly kind: ConnectionKind;
  used: number;
  idle: number;
  readonly waiting: Claim[];
}

const CAPS_HINT =
  "Let clients disconnect when they are done, or raise max_backend_connections, max_db_connections or max_user_connections.";

/** The backend connections of this worker, in use and idle. */
export class BackendPool {
  #settings: PoolSettings;
  readonly #pool: Pool<BackendConnection>;
  /** In use, and counted by the pool. */
  readonly #used = new Set<BackendConnection>();
  /** Who wants to open one, where they are bounded. */
  readonly #waiting = new Set<Claim>();

  constructor(settings: PoolSettings) {
    this.#settings = settings;
    this.#pool = new Pool(settings);
  }

  /** What a reload may change; the sizes stay. */
  change(settings: Pick<PoolSettings, "connectTimeoutMs" | "resetQueries">): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /** @returns gives the acquisition up: what was reached so far is closed. */
  acquire(o: Acquisition): () => void {
    const key = poolKey(o.parameters);
    const cached = o.mayReuse ? this.#pool.take(o.target.backendId, key) : null;
    if (cached === null) {
      return this.#settings.claims.isCapped ? this.#openInTurn(o, key) : this.#open(o, key, null);
    }
    this.#used.add(cached);
    cached.use(this.#onlyClosing(() => this.#uncount(cached)));
    let inner: (() => void) | null = null;
    // A cached connection opens no door: whoever gets it proves what its first user proved.
    const take = (): void => {
      if (cached.isClosed) inner = this.acquire(o);
      else o.done({ kind: "connection", connection: cached });
    };
    if (cached.method === "trust") take();
    else o.prove(cached.method, cached, take);
    return () => {
      if (inner === null) this.release(cached, { mayReuse: true, status: null });
      else inner();
    };
  }

  /**
   * Gives back what a session used.
   *
   * @param o.status of its last ReadyForQuery; null when nothing was sent to it.
   */
  release(
    connection: BackendConnection,
    o: { readonly mayReuse: boolean; readonly status: number | null },
  ): void {
    const { isCaching, clientsMax } = this.#settings;
    connection.clientsServed += 1;
    const isWorn = clientsMax > 0 && connection.clientsServed >= clientsMax;
    if (connection.isClosed || !o.mayReuse || !isCaching || isWorn) {
      return this.discard(connection);
    }
    if (o.status === null) return this.#keep(connection);
    connection.reset({
      queries: this.#settings.resetQueries,
      status: o.status,
      done: (isClean) => {
        if (isClean && connection.cancelsOpen === 0) this.#keep(connection);
        else this.discard(connection);
      },
    });
  }

  /** Closes a connection that was used, if it is still open. */
  discard(connection: BackendConnection): void {
    this.#uncount(connection);
    connection.use(null);
    connection.close();
  }

  /** For each backend, idle and used together. */
  get connectionsMax(): number {
    return this.#pool.connectionsMax;
  }

  resize(connectionsMax: number): void {
    if (connectionsMax === this.#pool.connectionsMax) return;
    closeAll(this.#pool.resize(connectionsMax));
  }

  /** What runs there is of no use any more: see `BackendConnection.letRun`. */
  abandon(connection: BackendConnection, cancelAfterMs: number): void {
    connection.letRun(cancelAfterMs, () => this.#uncount(connection));
  }

  /** Connections to this backend, used by somebody, on which something runs. */
  countRunning(backendId: number): number {
    let count = 0;
    for (const { target, isResting } of this.#used) {
      if (target.backendId === backendId && !isResting) count += 1;
    }
    return count;
  }

  /** Closes one that is idle since then and counts against this bound. @returns false: none is. */
  giveUpIdle(room: string, idleSinceMs: number): boolean {
    const isMeant = (one: BackendConnection): boolean =>
      isInRoom(kindOf(one.target.backendId, one.startUp), room);
    const connection = this.#pool.giveUp(isMeant, idleSinceMs);
    connection?.close();
    return connection !== null;
  }

  /** By kind: used, idle, and who waits for one to be opened. */
  get kinds(): readonly KindCounts[] {
    const counts = new Map<string, KindCounts>();
    const of = (kind: ConnectionKind): KindCounts => {
      const key = JSON.stringify(kind);
      const found = counts.get(key) ?? { kind, used: 0, idle: 0, waiting: [] };
      counts.set(key, found);
      return found;
    };
    const kindOfConnection = ({ target, startUp }: BackendConnection): ConnectionKind =>
      kindOf(target.backendId, startUp);
    for (const connection of this.#used) of(kindOfConnection(connection)).used += 1;
    for (const connection of this.#pool.idle) of(kindOfConnection(connection)).idle += 1;
    for (const claim of this.#waiting) of(claim.kind).waiting.push(claim);
    return [...counts.values()];
  }

  expire(): void {
    closeAll(this.#pool.expire(monotonicNowMs()));
  }

  dropBackend(backendId: number): void {
    closeAll(this.#pool.dropBackend(backendId));
  }

  closeIdle(): void {
    closeAll(this.#pool.dropAll());
  }

  #keep(connection: BackendConnection): void {
    const { claims } = this.#settings;
    const { backendId: id } = connection.target;
    const isOwed = claims.isScarce && claims.isOwed(kindOf(id, connection.startUp), false);
    if (isOwed) return this.discard(connection);
    if (!this.#used.delete(connection)) return;
    connection.use(this.#onlyClosing(() => this.#pool.remove(connection)));
    const { backendId } = connection.target;
    closeAll(this.#pool.give(connection, backendId, connection.key, monotonicNowMs()));
  }

  /** Opens when the bounds of the node leave room for it. */
  #openInTurn(o: Acquisition, key: string): () => void {
    const { claims } = this.#settings;
    let discard: (() => void) | null = null;
    let timer: NodeJS.Timeout | null = null;
    const isOver = (): void => {
      if (timer !== null) clearTimeout(timer);
      this.#waiting.delete(claim);
    };
    const claim: Claim = {
      kind: kindOf(o.target.backendId, o.parameters),
      sinceMs: monotonicNowMs(),
      granted: () => {
        isOver();
        o.waits(false);
        discard = this.#open(o, key, claim.kind);
      },
    };
    const refuse = (): void => {
      claims.giveUp(claim);
      isOver();
      o.waits(false);
      const detail = `It waited for ${o.waitMs} ms.`;
      const why = failure("no-server-connection", { detail, hint: CAPS_HINT });
      o.done({ kind: "failed", failure: why, unreachable: false });
    };
    if (o.waitMs > 0) timer = setTimeout(refuse, o.waitMs);
    this.#waiting.add(claim);
    o.waits(true);
    claims.claim(claim);
    return () => {
      if (discard !== null) return discard();
      isOver();
      claims.giveUp(claim);
    };
  }

  /** @param kind null: it counts against no bound. */
  #open(o: Acquisition, key: string, kind: ConnectionKind | null): () => void {
    const { backendId } = o.target;
    const { claims } = this.#settings;
    closeAll(this.#pool.opened(backendId));
    const connection: BackendConnection = new BackendConnection({
      io: this.#settings.io,
      target: o.target,
      key,
      sets: this.#settings.sets,
      parameters: o.parameters,
      connectTimeoutMs: this.#settings.connectTimeoutMs,
      listener: {
        asked: (method) => o.prove(method, null, (secret) => connection.proceed(secret)),
        opened: () => {
          connection.use(this.#onlyClosing(() => this.#uncount(connection)));
          o.done({ kind: "connection", connection });
        },
        refused: (error, fields) => {
          this.#uncount(connection);
          o.done({ kind: "refused", error, sqlstate: fields.get("C") ?? "" });
        },
        failed: (why, unreachable) => {
          this.#uncount(connection);
          o.done({ kind: "failed", failure: why, unreachable });
        },
      },
      gone: kind === null ? null : () => claims.closed(kind),
    });
    this.#used.add(connection);
    return () => this.discard(connection);
  }

  #uncount(connection: BackendConnection): void {
    if (this.#used.delete(connection)) this.#pool.closed(connection.target.backendId);
  }

  /** Nobody uses it: what the server says is only kept track of. */
  #onlyClosing(closed: () => void): ConnectionUser {
    return {
      received: (connection, bytes) => {
        const isBroken = connection.link.push(bytes) !== null;
        if (!isBroken && connection.link.lastWords === null) return;
        closed();
        connection.close();
      },
      drained: () => undefined,
      closed,
    };
  }
}

/** A connection that stays open would stand in the way of CREATE DATABASE. */
export function isShareable(database: string): boolean {
  return database !== "template0" && database !== "template1";
}

export function isReusable(database: string): boolean {
  return isPooledDatabase(database);
}

function kindOf(backendId: number, startUp: ReadonlyMap<string, string>): ConnectionKind {
  const user = startUp.get("user") ?? "";
  return { backendId, user, database: startUp.get("database") ?? user };
}

function closeAll(connections: readonly BackendConnection[]): void {
  for (const connection of connections) connection.close();
}
