import type { PoolSecret } from "../../auth/index.ts";
import { failure, type Failure } from "../../base/index.ts";
import type { BackendView } from "../../wire/ipc/index.ts";
import { chooseLoadBalanceNode } from "../core/routing/index.ts";
import type { BackendMethod, FirstState, StartedClient } from "../core/session/index.ts";
import { awaitLastAnswers } from "./last-answers.ts";
import type { BackendConnection } from "./backend-connection.ts";
import { type Acquired } from "./backend-pool.ts";
import type { ClientSession, LinkSource } from "./client-session.ts";
import type { Settings, WorkerContext } from "./worker-context.ts";

type NoConnection = Exclude<Acquired, { kind: "connection" }>;

/** For longer a session does not wait for a standby: the primary can do its work. */
const STANDBY_WAIT_MS = 1000;

/** What a session starts with. */
export interface SessionStart {
  /** The first one speaks for the session. */
  readonly connections: readonly BackendConnection[];
  readonly loadBalanceNode: number | null;
  /** What the client is told of the server. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Of a session whose connections are shared; null when they are not. */
  readonly first: FirstState | null;
}

/** What an opener needs of the client's connection. */
export interface OpenerHost {
  /** What is known of the user, for the backends. */
  secret(): PoolSecret | null;
  /** As `Acquisition.prove`. */
  prove(method: BackendMethod, proceed: (secret: PoolSecret | null) => void): void;
  /** Whether backend connections may be taken from the pool and left to it. Asked when it matters. */
  mayReuse(): boolean;
  /** The client cannot be served; it is told so. */
  refuse(why: Failure): void;
  /** A backend refused in its own words, which are for the client. */
  refusedBy(backendId: number, result: NoConnection): void;
  /** It waits for a server, and does not any more; so long it is not slow. */
  waits(isWaiting: boolean): void;
  log(level: "log" | "warning", message: string, detail?: string): void;
  /** The session may start. */
  opened(start: SessionStart): void;
}

/**
 * Opens the backend connections of one client: the primary (or who stands in for it), which answers
 * the login, and later, when a statement is to go there, those that its session asks for.
 */
export class SessionOpener implements LinkSource {
  readonly #context: WorkerContext;
  readonly #settings: Settings;
  readonly #client: StartedClient;
  readonly #host: OpenerHost;
  #giveUp: (() => void)[] = [];
  /** How many the session has asked for, or given up: nobody wants the answer to an older one. */
  #asked = 0;
  #giveUpAsked: (() => void) | null = null;
  #opened: BackendConnection[] = [];
  #isOver = false;

  constructor(o: {
    readonly context: WorkerContext;
    readonly settings: Settings;
    readonly client: StartedClient;
    readonly host: OpenerHost;
  }) {
    this.#context = o.context;
    this.#settings = o.settings;
    this.#client = o.client;
    this.#host = o.host;
  }

  /** Opens what the session starts with. */
  start(): void {
    const view = this.#context.view();
    const usable = view.backends.filter((one) => one.state === "up" || one.state === "waiting");
    const { rules } = this.#settings;
    const preferences = rules.preferencesOf(this.#client);
    const lbNode = chooseLoadBalanceNode(view, rules.config, Math.random(), preferences);
    const find = (id: number | null): BackendView | undefined =>
      usable.find((one) => one.id === id);
    const first = find(view.primaryId) ?? find(lbNode) ?? usable[0];
    if (first === undefined) return this.#host.refuse(failure("all-backends-down"));
    const { isReplication } = this.#client;
    if (isReplication && first.id !== view.primaryId) {
      return this.#host.refuse(failure("no-primary", { severity: "FATAL" }));
    }
    if (this.#context.pauses.of(first.id) !== null) return this.#startLater(first.id);
    const { queue_timeout: waitMs } = this.#context.settings().config;
    const giveUp = this.#acquire(first, waitMs, (result) => {
      if (result.kind !== "connection") return this.#notOpened(first.id, result);
      this.#opened.push(result.connection);
      this.#begin(isReplication ? null : lbNode);
    });
    this.#giveUp.push(giveUp);
  }

  /** A primary that takes no connections is waited for, as by the statements of sessions. */
  #notOpened(backendId: number, result: NoConnection): void {
    const { primary } = this.#context;
    if (!primary.refused(backendId, result)) return this.#host.refusedBy(backendId, result);
    this.#host.waits(true);
    const giveUp = primary.wait(() => {
      this.#giveUp = [];
      this.#host.waits(false);
      this.start();
    });
    this.#giveUp.push(giveUp);
  }

  #startLater(backendId: number): void {
    const { pauses } = this.#context;
    const why = pauses.of(backendId);
    if (why !== null && why !== "wait") return this.#host.refuse(why);
    this.#host.waits(true);
    const giveUp = pauses.wait(backendId, (refusal) => {
      this.#giveUp = [];
      this.#host.waits(false);
      if (refusal === null) this.start();
      else this.#host.refuse(refusal);
    });
    this.#giveUp.push(giveUp);
  }

  /** One more connection for the running session. A standby that cannot be had is done without. */
  open(backendId: number, session: ClientSession): null {
    const { backends, primaryId } = this.#context.view();
    const backend = this.#client.isReplication
      ? undefined
      : backends.find((one) => one.id === backendId);
    this.giveUp();
    const asked = this.#asked;
    const tell = (result: Acquired): void => {
      if (asked !== this.#asked) return this.#discard(result);
      if (result.kind === "connection") return session.opened(result.connection);
      if (backendId !== primaryId) this.#withoutBackend(backendId, result);
      session.notOpened(backendId, result);
    };
    // Never during the call: the session is in the middle of something.
    if (backend !== undefined) {
      const { queue_timeout: queueMs } = this.#context.settings().config;
      const isStandby = backendId !== primaryId;
      const waitMs =
        isStandby && (queueMs === 0 || queueMs > STANDBY_WAIT_MS) ? STANDBY_WAIT_MS : queueMs;
      const done = (result: Acquired): void => void setImmediate(tell, result);
      this.#giveUpAsked = this.#acquire(backend, waitMs, done);
    } else {
      const why = failure("no-primary");
      setImmediate(tell, { kind: "failed", failure: why, unreachable: false });
    }
    return null;
  }

  release(connection: BackendConnection, isOrderly: boolean): void {
    this.#release(connection, isOrderly && this.#host.mayReuse());
  }

  /** What we asked there ourselves may not be answered yet. */
  recycle(connection: BackendConnection): void {
    const mayReuse = this.#host.mayReuse();
    if (connection.link.isQuiet) return this.#release(connection, mayReuse);
    awaitLastAnswers(connection, {
      answered: () => this.#release(connection, mayReuse),
      broken: () => this.#release(connection, false),
    });
  }

  #release(connection: BackendConnection, mayReuse: boolean): void {
    const { pool, pauses } = this.#context;
    // To be used again it would have to be reset, and nothing begins on a paused backend.
    const isPaused = pauses.of(connection.target.backendId) !== null;
    if (!mayReuse || isPaused) return pool.discard(connection);
    pool.release(connection, { mayReuse, status: connection.link.status });
  }

  abandon(connection: BackendConnection): void {
    const { pool, settings } = this.#context;
    pool.abandon(connection, settings().config.client_check_interval);
  }

  giveUp(): void {
    this.#asked += 1;
    this.#giveUpAsked?.();
    this.#giveUpAsked = null;
  }

  cancelled(): void {
    // The pool looks at what is open before it keeps a connection.
  }

  /** The client is gone: what is open already goes to the pool, the rest is given up. */
  leave(): void {
    this.#isOver = true;
    for (const giveUp of this.#giveUp) giveUp();
    this.#giveUpAsked?.();
    const mayReuse = this.#opened.length > 0 && this.#host.mayReuse();
    for (const connection of this.#opened) {
      this.#context.pool.release(connection, { mayReuse, status: null });
    }
    this.#opened = [];
  }

  #begin(lbNode: number | null): void {
    const [speaker] = this.#opened;
    if (speaker === undefined || speaker.isClosed) {
      return this.#host.refuse(failure("backend-lost"));
    }
    this.#giveUp = [];
    const opened = this.#opened.filter((connection) => !connection.isClosed);
    this.#opened = [];
    this.#host.opened({
      connections: opened,
      loadBalanceNode: lbNode,
      parameters: speaker.parameters,
      first: null,
    });
  }

  /** @returns gives it up, unless it is done. */
  #acquire(backend: BackendView, waitMs: number, done: (result: Acquired) => void): () => void {
    const client = this.#client;
    const other = this.#settings.users.get(client.user)?.backend;
    const parameters = new Map(client.parameters);
    if (other) parameters.set("user", other.user);
    let isOpen = true;
    const giveUp = this.#context.pool.acquire({
      target: { backendId: backend.id, hostname: backend.hostname, port: backend.port },
      parameters,
      mayReuse: this.#host.mayReuse(),
      waitMs,
      waits: (isWaiting) => this.#host.waits(isWaiting),
      prove: (method, _cached, proceed) => this.#host.prove(method, proceed),
      done: (result) => {
        isOpen = false;
        if (result.kind === "failed" && result.unreachable) {
          const message = `${result.failure.message}: ${result.failure.detail ?? ""}`;
          const what = { backendId: backend.id, cause: "connect" as const, message };
          this.#context.tell({ type: "backend-error", ...what });
        }
        if (this.#isOver) return this.#discard(result);
        done(result);
      },
    });
    return () => {
      if (isOpen) giveUp();
    };
  }

  #discard(result: Acquired): void {
    if (result.kind === "connection") this.#context.pool.discard(result.connection);
  }

  #withoutBackend(backendId: number, result: NoConnection): void {
    const why =
      result.kind === "failed"
        ? `${result.failure.message} ${result.failure.detail ?? ""}`
        : `it refused the login with SQLSTATE ${result.sqlstate}`;
    this.#host.log("warning", `session goes on without backend ${backendId}`, why);
  }
}
