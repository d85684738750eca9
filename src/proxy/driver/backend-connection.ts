import { randomBytes } from "node:crypto";
import type { PoolSecret } from "../../auth/index.ts";
import { failure, type Failure } from "../../base/index.ts";
import { READY, TERMINATE } from "../../wire/postgres/index.ts";
import { SessionReset } from "../core/pool/index.ts";
import {
  BackendLink,
  BackendLogin,
  type ParameterSets,
  type BackendMethod,
  type LoggedIn,
} from "../core/session/index.ts";
import type { ByteSocket, SocketEvents, SocketIo } from "./byte-socket.ts";
import { sendCancel } from "./cancel.ts";
import { hashElsewhere } from "./scram-hashing.ts";

const READ_BUFFER_BYTES = 32 * 1024;
const CLOSE_WITHIN_MS = 5000;
const RESET_WITHIN_MS = 30_000;
/** To pause for. */
const EVERY_REASON = -1;

export interface BackendTarget {
  readonly backendId: number;
  readonly hostname: string;
  readonly port: number;
}

/** Whoever uses connections at the moment. */
export interface ConnectionUser {
  received(connection: BackendConnection, bytes: Buffer): void;
  drained(connection: BackendConnection): void;
  /** The connection is gone. */
  closed(connection: BackendConnection, why: string): void;
}

export interface OpenListener {
  /** PostgreSQL wants proof; answered by `BackendConnection.proceed`. */
  asked(method: BackendMethod): void;
  opened(): void;
  /** PostgreSQL refused, in its own words. */
  refused(error: Buffer, fields: ReadonlyMap<string, string>): void;
  /** `unreachable`: no connection came about, or it broke. */
  failed(why: Failure, unreachable: boolean): void;
}

/** Kept for whoever wants to see them. */
const logged = new Set<BackendConnection>();

/** A connection to PostgreSQL: opened and logged in once, then used by one session after another. */
export class BackendConnection implements SocketEvents {
  readonly target: BackendTarget;
  /** Of the pool. */
  readonly key: string;
  /** The start-up packet. */
  readonly startUp: ReadonlyMap<string, string>;
  /** As sessions use it; belongs to nobody while the connection is idle. */
  readonly link: BackendLink;
  processId = 0;
  cancelKey: Buffer = Buffer.alloc(4);
  method: BackendMethod = "trust";
  /** The password with which a client opened it, when no file knows it. */
  relayedPassword: PoolSecret | null = null;
  /** Cancel requests under way: one that comes late must not hit the next user. */
  cancelsOpen = 0;
  /** Sessions that had it to themselves, one after another. */
  clientsServed = 0;
  /** How often a session or transaction took it. */
  usedCount = 0;
  /** Wall clock, milliseconds since 1970: of the login, and of the end of the last session. */
  openedAt = 0;
  leftAt: number | null = null;
  /** Of the lane of shared connections that it was opened for. */
  generation = 0;
  readonly #socket: ByteSocket;
  #login: BackendLogin | null;
  #listener: OpenListener | null;
  #user: ConnectionUser | null = null;
  #timer: NodeJS.Timeout | null = null;
  #gone: (() => void) | null;
  #isResetting = false;
  #isClosed = false;

  constructor(o: {
    readonly io: SocketIo;
    readonly target: BackendTarget;
    readonly key: string;
    readonly sets: ParameterSets;
    readonly parameters: ReadonlyMap<string, string>;
    readonly connectTimeoutMs: number;
    readonly listener: OpenListener;
    /** Told once that the server has it no more either; absent when nobody counts. */
    readonly gone?: (() => void) | null;
  }) {
    this.target = o.target;
    this.key = o.key;
    this.#listener = o.listener;
    this.#gone = o.gone ?? null;
    this.startUp = o.parameters;
    const { backendId } = o.target;
    this.link = new BackendLink({ backendId, sets: o.sets, port: this });
    const login = new BackendLogin({
      user: o.parameters.get("user") ?? "",
      random: randomBytes(18),
      listener: {
        send: (bytes) => this.#socket.write(bytes),
        asked: (method) => o.listener.asked(method),
        loggedIn: (result) => this.#loggedIn(result),
        refused: (bytes, fields) => {
          this.#drop();
          o.listener.refused(bytes, fields);
        },
        failed: (why) => this.#fail(why, false),
        hash: hashElsewhere,
      },
    });
    this.#login = login;
    this.#socket = o.io.connect(o.target, READ_BUFFER_BYTES, this);
    this.#timer = this.#startTimer(o.connectTimeoutMs, "timed out");
  }

  /** Those of this process that are logged in. */
  static get all(): Iterable<BackendConnection> {
    return logged;
  }

  get user(): string {
    return this.startUp.get("user") ?? "";
  }

  get database(): string {
    return this.startUp.get("database") ?? this.user;
  }

  /** The server's values. */
  get parameters(): ReadonlyMap<string, string> {
    return this.link.parameters;
  }

  get isBlocked(): boolean {
    return this.#socket.isBlocked;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Nothing runs there, and no transaction is open. */
  get isResting(): boolean {
    const { link } = this;
    if (this.#login !== null || this.#isResetting) return false;
    return link.isQuiet && link.status === READY.idle && !link.pending.isUnsynced;
  }

  isUsedBy(user: ConnectionUser): boolean {
    return this.#user === user;
  }

  proceed(secret: PoolSecret | null): void {
    this.#login?.proceed(secret);
  }

  /** @param user null while nobody uses it: bytes that come then are dropped. */
  use(user: ConnectionUser | null): void {
    this.#user = user;
  }

  send(bytes: Buffer, start: number, end: number): void {
    this.#socket.write(bytes, start, end);
  }

  pause(reason: number): void {
    this.#socket.pause(reason);
  }

  resume(reason: number): void {
    this.#socket.resume(reason);
  }

  /** Makes it like new; false: it had to be closed. */
  reset(o: {
    readonly queries: readonly string[];
    readonly status: number;
    readonly done: (isClean: boolean) => void;
  }): void {
    const timer = setTimeout(() => finish(false), RESET_WITHIN_MS);
    this.#isResetting = true;
    let isOver = false;
    const finish = (isClean: boolean): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#user = null;
      this.#isResetting = false;
      if (isClean) this.link.status = READY.idle;
      o.done(isClean && !this.#isClosed);
    };
    const { queries, status } = o;
    const learn = (name: string, value: string): void => this.link.learn(name, value);
    const reset = new SessionReset({ queries, status, learn, done: finish });
    this.use({
      received: (_, bytes) => reset.push(bytes),
      drained: () => undefined,
      closed: () => finish(false),
    });
    const bytes = reset.start();
    if (bytes.length > 0) this.#socket.write(bytes);
  }

  /** Says Terminate: what was sent before is still executed. */
  close(): void {
    if (this.#isClosed) return;
    if (this.#login === null) this.#socket.write(TERMINATE);
    this.#drop();
  }

  /**
   * Nobody wants the answer to what runs there any more. The connection is closed once that has
   * ended; `done` follows.
   *
   * @param cancelAfterMs it is canceled when it takes longer; 0: never.
   */
  letRun(cancelAfterMs: number, done: () => void): void {
    if (this.#isClosed) return done();
    this.#socket.write(TERMINATE);
    this.use({ received: () => undefined, drained: () => undefined, closed: done });
    if (cancelAfterMs === 0) return;
    const giveUp = (): void => {
      if (this.#isClosed) return;
      this.#drop();
      done();
    };
    const cancel = (): void => {
      sendCancel(this, () => undefined);
      this.#timer = setTimeout(giveUp, CLOSE_WITHIN_MS);
    };
    this.#timer = setTimeout(cancel, cancelAfterMs);
  }

  // ---- socket events ----------------------------------------------------------------------

  connected(): void {
    // A server that hangs is connected by its kernel all the same: its first word counts.
    this.#login?.start(this.startUp);
  }

  received(bytes: Buffer): void {
    if (this.#login !== null) {
      this.#clearTimer();
      this.#login.push(bytes);
    } else this.#user?.received(this, bytes);
  }

  drained(): void {
    this.#user?.drained(this);
  }

  closed(cause: Error | null): void {
    this.#tellGone();
    if (this.#isClosed) return this.#clearTimer();
    const why = cause === null ? "it closed the connection" : cause.message;
    if (this.#listener !== null) return this.#fail(this.#unreachable(why), true);
    logged.delete(this);
    this.#isClosed = true;
    this.#clearTimer();
    const user = this.#user;
    this.#user = null;
    user?.closed(this, `backend ${this.target.backendId} (${where(this.target)}): ${why}`);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #loggedIn(result: LoggedIn): void {
    const listener = this.#listener;
    this.#login = null;
    this.#listener = null;
    this.link.learnAll(result.parameters);
    this.processId = result.processId;
    this.cancelKey = result.cancelKey;
    this.method = result.method;
    this.openedAt = Date.now();
    logged.add(this);
    listener?.opened();
  }

  #fail(why: Failure, unreachable: boolean): void {
    const listener = this.#listener;
    this.#listener = null;
    this.#drop();
    listener?.failed(why, unreachable);
  }

  #drop(): void {
    logged.delete(this);
    const wasIn = this.#login === null && !this.#isClosed;
    this.#isClosed = true;
    this.#login = null;
    this.#listener = null;
    this.#user = null;
    this.#clearTimer();
    if (wasIn && this.#gone !== null) return this.#awaitEnd();
    this.#socket.end(CLOSE_WITHIN_MS);
    this.#tellGone();
  }

  /** It was told to terminate. Until the server closes it, it counts there as well. */
  #awaitEnd(): void {
    this.#socket.resume(EVERY_REASON);
    this.#timer = setTimeout(() => {
      this.#socket.destroy();
      this.#tellGone();
    }, CLOSE_WITHIN_MS);
  }

  #tellGone(): void {
    const gone = this.#gone;
    this.#gone = null;
    gone?.();
  }

  #unreachable(why: string): Failure {
    return failure("backend-lost", {
      message: `could not connect to backend ${this.target.backendId} (${where(this.target)})`,
      detail: why,
      hint: "Is the server running there, and does it accept connections from this node?",
    });
  }

  #startTimer(timeoutMs: number, why: string): NodeJS.Timeout | null {
    if (timeoutMs === 0) return null;
    return setTimeout(() => this.#fail(this.#unreachable(why), true), timeoutMs);
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

export function where(target: { readonly hostname: string; readonly port: number }): string {
  return `${target.hostname}:${target.port}`;
}
