import { failure, type Failure, type Result } from "../../base/index.ts";
import type { ClusterView } from "../../wire/ipc/index.ts";
import { buildError } from "../../wire/postgres/index.ts";
import {
  Session,
  type BackendLink,
  type LinkPort,
  type SessionPort,
  type StartedClient,
} from "../core/session/index.ts";
import { answerShow, type ShowAnswer } from "../core/show/index.ts";
import type { BackendConnection } from "./backend-connection.ts";
import type { Acquired } from "./backend-pool.ts";
import { sendCancel } from "./cancel.ts";
import { formatLocalTime } from "./local-time.ts";
import type { StreamSocket } from "./stream-socket.ts";
import type { WorkerContext } from "./worker-context.ts";

const CLIENT_CLOSE_WITHIN_MS = 5000;

/** Why a socket is not read: one bit each. */
const PAUSE = { sessionWaits: 1, otherSideIsSlow: 2 } as const;

/** Announced by PostgreSQL when an administrator ends it, or it ends itself after a crash. */
const SHUTDOWN_STATES = new Set(["57P01", "57P02"]);

export interface ClientSessionOptions {
  readonly context: WorkerContext;
  readonly socket: StreamSocket;
  readonly client: StartedClient;
  readonly loadBalanceNode: number | null;
  /** The first one speaks for the session. */
  readonly connections: readonly BackendConnection[];
  /** The client may leave its connections to the pool. */
  readonly mayReuse: boolean;
  readonly nextRandom: () => number;
  /** Opens one more connection for the same user and database. */
  readonly acquire: (backendId: number, done: (result: Acquired) => void) => void;
  readonly ended: () => void;
}

/** A session with its sockets: whatever one side cannot take at once stops the other side. */
export class ClientSession implements SessionPort {
  readonly #o: ClientSessionOptions;
  readonly #session: Session;
  readonly #connections = new Map<number, BackendConnection>();
  /** Backends that said goodbye themselves: their closing is no news. */
  readonly #announced = new Set<number>();
  #isOver = false;

  constructor(o: ClientSessionOptions) {
    this.#o = o;
    const { config, rules } = o.context.settings();
    this.#session = new Session({
      port: this,
      classify: o.context.classify,
      rules,
      view: o.context.view(),
      loadBalanceNode: o.loadBalanceNode,
      nextRandom: o.nextRandom,
      logsStatements: config.log_statement,
      logsPerNode: config.log_per_node_statement,
    });
    for (const connection of o.connections) this.#addLink(connection);
  }

  // ---- events -----------------------------------------------------------------------------

  received(bytes: Buffer): void {
    this.#session.clientBytes(bytes);
    for (const connection of this.#connections.values()) {
      if (connection.isBlocked) this.#o.socket.pause(PAUSE.otherSideIsSlow);
    }
  }

  drained(): void {
    for (const connection of this.#connections.values()) connection.resume(PAUSE.otherSideIsSlow);
  }

  /** The client is gone without a word. */
  clientClosed(): void {
    this.#finish(false);
  }

  viewChanged(view: ClusterView): void {
    this.#session.viewChanged(view);
  }

  gateChanged(): void {
    this.#session.gateChanged();
  }

  /** Ends it from our side. */
  shutDown(why: Failure): void {
    this.#session.shutDown(why);
  }

  get isIdle(): boolean {
    return this.#session.isIdle;
  }

  /** Cancels what runs now. `done` is called when every backend has been told. */
  cancel(done: () => void): void {
    const busy = this.#session.busyLinks();
    let open = busy.length;
    if (open === 0) return done();
    for (const link of busy) {
      const connection = this.#connections.get(link.backendId);
      if (connection === undefined) continue;
      connection.cancelsOpen += 1;
      sendCancel(connection, () => {
        connection.cancelsOpen -= 1;
        open -= 1;
        if (open === 0) done();
      });
    }
  }

  // ---- the session's port -----------------------------------------------------------------

  toClient(bytes: Buffer, start: number, end: number): void {
    this.#o.socket.write(bytes, start, end);
  }

  pauseClient(): void {
    this.#o.socket.pause(PAUSE.sessionWaits);
  }

  resumeClient(): void {
    this.#o.socket.resume(PAUSE.sessionWaits);
  }

  openLink(backendId: number): void {
    this.#o.acquire(backendId, (result) => {
      if (result.kind !== "connection") {
        const why =
          result.kind === "failed" ? result.failure : failure("no-primary", { detail: "refused" });
        this.#session.linkFailed({ ...why, severity: "ERROR" });
        return;
      }
      if (this.#isOver) return this.#o.context.pool.discard(result.connection);
      const { connection } = result;
      this.#connections.set(backendId, connection);
      const link = this.#session.linkOpened(
        backendId,
        connection.parameters,
        this.#linkPort(connection),
      );
      this.#use(connection, link);
    });
  }

  mayForward(): boolean {
    return this.#o.context.gate.isOpen;
  }

  forwardRefusal(): string | null {
    return this.#o.context.gate.refusal;
  }

  awaitsPrimary(): boolean {
    return this.#o.context.gate.awaitsPrimary;
  }

  dropLink(backendId: number, why: string): void {
    const connection = this.#connections.get(backendId);
    if (connection === undefined) return;
    this.#connections.delete(backendId);
    this.#o.context.pool.discard(connection);
    this.#log("log", `session goes on without backend ${backendId}`, why);
    this.#resumeClientIfWritable();
  }

  terminated(): void {
    this.#finish(true);
    this.#o.socket.end(CLIENT_CLOSE_WITHIN_MS);
  }

  end(why: Failure | null): void {
    if (this.#isOver) return;
    if (why !== null) {
      this.#o.socket.write(buildError(why));
      this.#log("fatal", why.message, why.detail);
    }
    this.#finish(false);
    this.#o.socket.end(CLIENT_CLOSE_WITHIN_MS);
  }

  answerShow(command: string): Result<ShowAnswer, Failure> {
    const { context } = this.#o;
    return answerShow(command, {
      view: context.view(),
      loadBalanceNode: this.#session.loadBalanceNode,
      version: context.version(),
      poolStatus: command === "pool_status" ? context.poolStatus() : [],
      formatTime: formatLocalTime,
    });
  }

  readSent(backendId: number): void {
    const counts = this.#o.context.selectCounts;
    while (counts.length <= backendId) counts.push(0);
    counts[backendId] = (counts[backendId] ?? 0) + 1;
  }

  logStatement(backendId: number | null, text: string): void {
    if (backendId === null) return this.#log("log", `statement: ${text}`);
    const pid = this.#connections.get(backendId)?.processId ?? 0;
    this.#log("log", `DB node id: ${backendId} backend pid: ${pid} statement: ${text}`);
  }

  backendFailed(backendId: number, fields: ReadonlyMap<string, string>): void {
    const severity = fields.get("V");
    if (severity !== "FATAL" && severity !== "PANIC") return;
    this.#announced.add(backendId);
    if (!SHUTDOWN_STATES.has(fields.get("C") ?? "")) return;
    const message = fields.get("M") ?? "";
    this.#o.context.tell({ type: "backend-error", backendId, cause: "shutdown", message });
  }

  // ---- helpers ----------------------------------------------------------------------------

  #addLink(connection: BackendConnection): void {
    const { backendId } = connection.target;
    this.#connections.set(backendId, connection);
    const port = this.#linkPort(connection);
    this.#use(connection, this.#session.addLink(backendId, connection.parameters, port));
  }

  #linkPort(connection: BackendConnection): LinkPort {
    return connection;
  }

  #use(connection: BackendConnection, link: BackendLink): void {
    const session = this.#session;
    const { socket } = this.#o;
    connection.use({
      received: (bytes) => {
        session.linkBytes(link, bytes);
        if (socket.isBlocked) connection.pause(PAUSE.otherSideIsSlow);
      },
      drained: () => this.#resumeClientIfWritable(),
      closed: (why) => this.#backendClosed(connection, why),
    });
  }

  #backendClosed(connection: BackendConnection, why: string): void {
    const { backendId } = connection.target;
    this.#o.context.pool.discard(connection);
    this.#connections.delete(backendId);
    if (!this.#announced.has(backendId)) {
      this.#o.context.tell({ type: "backend-error", backendId, cause: "io", message: why });
    }
    this.#session.linkLost(backendId, why);
    this.#resumeClientIfWritable();
  }

  #resumeClientIfWritable(): void {
    for (const connection of this.#connections.values()) if (connection.isBlocked) return;
    this.#o.socket.resume(PAUSE.otherSideIsSlow);
  }

  /** Lets go of the backend connections; those that owe nothing may serve the next client. */
  #finish(isOrderly: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { pool } = this.#o.context;
    for (const [backendId, connection] of this.#connections) {
      const link = this.#session.links.get(backendId);
      connection.resume(PAUSE.otherSideIsSlow);
      if (!isOrderly || link === undefined || !link.isQuiet) pool.discard(connection);
      else pool.release(connection, { mayReuse: this.#o.mayReuse, status: link.status });
    }
    this.#connections.clear();
    this.#o.ended();
  }

  #log(level: "log" | "fatal", message: string, detail?: string): void {
    const { applicationName: application, user, database } = this.#o.client;
    this.#o.context.log.write(level, message, {
      ...(detail === undefined ? {} : { detail }),
      client: { application, user, database },
    });
  }
}
