import { failure, type Failure, type Result } from "../../base/index.ts";
import { changedForSession, type Config } from "../../config/index.ts";
import { compileRules } from "../core/routing/index.ts";
import {
  STATISTIC,
  STATISTICS_COUNT,
  type ClientRow,
  type ClientState,
  type ClusterView,
} from "../../wire/ipc/index.ts";
import { buildError, readLastWords } from "../../wire/postgres/index.ts";
import {
  loggingOf,
  Session,
  type BackendLink,
  type FirstState,
  type SessionPort,
  type StartedClient,
} from "../core/session/index.ts";
import type { OwnCommand, ShowAnswer } from "../core/show/index.ts";
import type { LogDetails } from "../../os/index.ts";
import type { BackendConnection, ConnectionUser } from "./backend-connection.ts";
import type { Acquired } from "./backend-pool.ts";
import type { ReplayWaiter } from "./replay-watch.ts";
import { OwnAnswers } from "./own-answers.ts";
import { sendCancel } from "./cancel.ts";
import type { ByteSocket } from "./byte-socket.ts";
import type { WorkerContext } from "./worker-context.ts";

const CLIENT_CLOSE_WITHIN_MS = 5000;

/** Why a socket is not read: one bit each. */
export const PAUSE = { sessionWaits: 1, otherSideIsSlow: 2, login: 4, unconfirmed: 8 } as const;

const ERROR_STATISTICS: Readonly<Record<string, number | undefined>> = {
  FATAL: STATISTIC.fatal,
  PANIC: STATISTIC.panic,
};

export interface ClientSessionOptions {
  readonly context: WorkerContext;
  readonly socket: ByteSocket;
  readonly client: StartedClient;
  readonly loadBalanceNode: number | null;
  /** Of a session whose connections are shared; null when they are not. */
  readonly first: FirstState | null;
  /** The first one speaks for the session. */
  readonly connections: readonly BackendConnection[];
  readonly nextRandom: () => number;
  /** Where further connections come from. */
  readonly links: LinkSource;
  readonly ended: () => void;
}

/** Where a session gets connections from, and who has them back. */
export interface LinkSource {
  /** One that is there at once, or null: `session.opened` or `session.notOpened` follows. */
  open(backendId: number, session: ClientSession): BackendConnection | null;
  /** @param isOrderly it owes nothing, and may serve somebody else. */
  release(connection: BackendConnection, isOrderly: boolean): void;
  /** Of a shared one: the session has left something in it that a reset takes away. */
  recycle(connection: BackendConnection): void;
  /** The client is gone, and something runs there for it. */
  abandon(connection: BackendConnection): void;
  /** Nobody waits any more for what `open` did not have at once. */
  giveUp(): void;
  /** A cancel request has been dealt with. */
  cancelled(connection: BackendConnection): void;
}

/** A session with its sockets: whatever one side cannot take at once stops the other side. */
export class ClientSession implements SessionPort, ConnectionUser, ReplayWaiter {
  readonly #o: ClientSessionOptions;
  readonly #session: Session;
  readonly #connections: BackendConnection[] = [];
  readonly #answers: OwnAnswers;
  /** Where its lines of the log are to be otherwise than those of others. */
  #ownIdleLimit: number | null = null;
  #logOptions: LogDetails["own"] = undefined;
  /** Connections that said goodbye themselves: their closing is no news. */
  #announced: WeakSet<BackendConnection> | null = null;
  /** A connection was asked for that is not there yet. */
  #awaitsLink = false;
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
      client: o.client,
      catalog: o.context.catalogs.of(o.client.database),
      mutations: o.context.mutations.wantedBy(rules, o.client.database),
      sharing: o.first,
      known: o.context.known,
      nextRandom: o.nextRandom,
      clock: o.context.replay.clock,
      isConsistent: config.read_consistency === "session",
      logging: loggingOf(config),
    });
    this.#answers = new OwnAnswers({
      context: o.context,
      session: this.#session,
      configured: (own, file) => this.#configure(own, file),
    });
    for (const connection of o.connections) {
      this.#use(connection);
      this.#session.addLink(connection.link);
    }
  }

  // ---- events -----------------------------------------------------------------------------

  clientBytes(bytes: Buffer): void {
    this.#session.clientBytes(bytes);
    for (const connection of this.#connections) {
      if (connection.isBlocked) this.#o.socket.pause(PAUSE.otherSideIsSlow);
    }
  }

  clientDrained(): void {
    for (const connection of this.#connections) connection.resume(PAUSE.otherSideIsSlow);
    this.#session.written();
  }

  /** The client is gone without a word. */
  clientClosed(): void {
    if (this.#isOver) return;
    for (const link of this.#session.busyLinks()) {
      const connection = this.#connectionOf(link);
      // The rest of a message will never come: the server has to see the end.
      if (connection === undefined || this.#session.isInsideMessageFor(link)) continue;
      this.#forget(connection);
      link.letGo();
      connection.resume(PAUSE.otherSideIsSlow);
      this.#o.links.abandon(connection);
    }
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

  /** Once a second. */
  look(): void {
    this.#session.look();
  }

  get state(): ClientState {
    return this.#session.activity;
  }

  /** The standby that has said nothing yet to a read of this session; null when there is none. */
  get awaitedStandby(): number | null {
    return this.#session.awaitedStandby;
  }

  /** Why it keeps its connections between transactions; "" when it does not. */
  get keeps(): string {
    return this.#session.reasonsToKeep.join(", ");
  }

  /** PGPOOL SET client_idle_limit, in seconds; null: it was not set. */
  get ownIdleLimit(): number | null {
    return this.#ownIdleLimit;
  }

  get loadBalanceNode(): number | null {
    return this.#session.loadBalanceNode;
  }

  get backends(): ClientRow["backends"] {
    return this.#connections.map(({ target, processId }) => ({
      id: target.backendId,
      processId,
    }));
  }

  /** Cancels what runs now. `done` is called when every backend has been told. */
  cancel(done: () => void): void {
    const busy = this.#session.busyLinks();
    let open = busy.length;
    if (open === 0) {
      if (this.#session.waitsCancelably) {
        this.giveUpLink();
        this.#session.cancelWaiting();
      }
      return done();
    }
    for (const link of busy) {
      const connection = this.#connectionOf(link);
      if (connection === undefined) continue;
      connection.cancelsOpen += 1;
      this.#sendCancel(connection, () => {
        connection.cancelsOpen -= 1;
        if (connection.cancelsOpen === 0) this.#o.links.cancelled(connection);
        open -= 1;
        if (open === 0) done();
      });
    }
  }

  /** Held back from a commit that waits for its standby: all that could be canceled is that wait. */
  #sendCancel(connection: BackendConnection, over: () => void): void {
    const { context } = this.#o;
    const { backends } = context.view();
    const { backendId } = connection.target;
    const backend = backends.find(({ id }) => id === backendId);
    if (backend === undefined || !this.#session.mayBeCommitting(connection.link)) {
      return sendCancel(connection, over);
    }
    context.syncWaits.ask(backend, connection.processId, (isWaiting) => {
      if (isWaiting) over();
      else sendCancel(connection, over);
    });
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

  openLink(backendId: number): BackendLink | null {
    const connection = this.#o.links.open(backendId, this);
    this.#awaitsLink = connection === null;
    if (connection === null) return null;
    this.#use(connection);
    connection.link.owner = this.#session;
    return connection.link;
  }

  giveUpLink(): void {
    this.#awaitsLink = false;
    this.#o.links.giveUp();
  }

  /** The answer to `LinkSource.open` that came later. */
  opened(connection: BackendConnection): void {
    if (this.#isOver || !this.#awaitsLink) return this.#o.links.release(connection, false);
    this.#awaitsLink = false;
    if (connection.isClosed) {
      const { backendId } = connection.target;
      return this.#session.linkFailed(backendId, failure("backend-lost", { severity: "ERROR" }));
    }
    this.#use(connection);
    this.#session.linkOpened(connection.link);
  }

  notOpened(backendId: number, result: Exclude<Acquired, { kind: "connection" }>): void {
    if (!this.#awaitsLink) return;
    this.#awaitsLink = false;
    this.#o.context.primary.refused(backendId, result);
    const why =
      result.kind === "failed" ? result.failure : failure("no-primary", { detail: "refused" });
    this.#session.linkFailed(backendId, { ...why, severity: "ERROR" });
  }

  /** What it waited for at `LinkSource.open` was given up. */
  chooseAgain(): void {
    this.#session.chooseAgain();
  }

  releaseLink(link: BackendLink): void {
    const connection = this.#connectionOf(link);
    if (connection === undefined) return;
    this.#forget(connection);
    this.#o.links.release(connection, true);
  }

  mayRelease(link: BackendLink): boolean {
    return !this.#o.socket.isBlocked && this.#connectionOf(link)?.isBlocked === false;
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

  pauseOf(backendId: number): "wait" | Failure | null {
    return this.#o.context.pauses.of(backendId);
  }

  holdLink(link: BackendLink, isHeld: boolean): void {
    const connection = this.#connectionOf(link);
    if (isHeld) connection?.pause(PAUSE.unconfirmed);
    else connection?.resume(PAUSE.unconfirmed);
  }

  dropLink(link: BackendLink, why: string): void {
    const connection = this.#connectionOf(link);
    if (connection === undefined) return;
    this.#forget(connection);
    this.#o.links.release(connection, false);
    this.#log("log", `session goes on without backend ${link.backendId}`, why);
    this.#resumeClientIfWritable();
  }

  terminated(): void {
    this.#finish(true);
    const { socket } = this.#o;
    // Whoever said Terminate sends nothing more that a reset could cost it an answer for.
    if (socket.isBlocked) socket.end(CLIENT_CLOSE_WITHIN_MS);
    else socket.destroy();
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

  columnsOf(command: OwnCommand): readonly string[] | null {
    return this.#answers.columnsOf(command);
  }

  answerOwn(command: OwnCommand): Result<ShowAnswer, Failure> | null {
    return this.#answers.answer(command);
  }

  /** What the client has SET holds for its session; all else as the files say. */
  #configure(config: Config, file: Config): void {
    this.#logOptions = logOptionsOf(config, file);
    const { client_idle_limit: idleLimit } = config;
    this.#ownIdleLimit = idleLimit === file.client_idle_limit ? null : idleLimit;
    const isOwn = changedForSession(config, file).length > 0;
    const rules = isOwn ? compileRules(config) : this.#o.context.settings().rules;
    this.#session.configure({ logging: loggingOf(config), rules });
  }

  catalogChanged(functions: boolean): void {
    this.#o.context.catalogChanged(this.#o.client.database, functions);
  }

  statementSent(backendId: number, statistic: number): void {
    const { statistics } = this.#o.context;
    const place = backendId * STATISTICS_COUNT + statistic;
    // Without holes: it goes to the supervisor as it is.
    while (statistics.length <= place) statistics.push(0);
    statistics[place] = (statistics[place] as number) + 1;
  }

  waitForReplay(backendId: number): boolean {
    return this.#o.context.replay.mayWait(this, backendId);
  }

  get replayQuestion(): number {
    return this.#session.replayQuestion;
  }

  isBehind(backendId: number): boolean {
    return this.#session.isBehind(backendId);
  }

  waited(): void {
    if (!this.#isOver) this.#session.replayWaited();
  }

  readMoved(backendId: number, why: string): void {
    const message = `a read failed on backend ${backendId} and is sent to another server`;
    this.#log("warning", message, why);
  }

  log(message: string, detail?: string): void {
    this.#log("log", message, detail);
  }

  logSent(backendId: number, text: string): void {
    const connection = this.#connections.find((one) => one.target.backendId === backendId);
    const pid = connection?.processId ?? 0;
    this.#log("log", `DB node id: ${backendId} backend pid: ${pid} statement: ${text}`);
  }

  backendFailed(link: BackendLink, fields: ReadonlyMap<string, string>): void {
    const { backendId } = link;
    const severity = fields.get("V");
    this.statementSent(backendId, ERROR_STATISTICS[severity ?? ""] ?? STATISTIC.error);
    if (severity !== "FATAL" && severity !== "PANIC") return;
    const connection = this.#connectionOf(link);
    if (connection !== undefined) (this.#announced ??= new WeakSet()).add(connection);
    const lastWords = readLastWords(fields.get("C"), fields.get("R"));
    if (lastWords === null) return;
    const message = fields.get("M") ?? "";
    const cause = lastWords === "announced" ? "shutdown" : "io";
    this.#o.context.tell({ type: "backend-error", backendId, cause, message });
  }

  // ---- what connections tell --------------------------------------------------------------

  received(connection: BackendConnection, bytes: Buffer): void {
    this.#session.linkBytes(connection.link, bytes);
    if (this.#o.socket.isBlocked && connection.isUsedBy(this)) {
      connection.pause(PAUSE.otherSideIsSlow);
    }
  }

  drained(): void {
    this.#resumeClientIfWritable();
    this.#session.written();
  }

  closed(connection: BackendConnection, why: string): void {
    const { backendId } = connection.target;
    this.#forget(connection);
    this.#o.links.release(connection, false);
    if (this.#announced?.has(connection) !== true) {
      this.#o.context.tell({ type: "backend-error", backendId, cause: "io", message: why });
    }
    this.#session.linkLost(connection.link, why);
    this.#resumeClientIfWritable();
  }

  // ---- helpers ----------------------------------------------------------------------------

  #use(connection: BackendConnection): void {
    this.#connections.push(connection);
    connection.usedCount += 1;
    connection.use(this);
  }

  #forget(connection: BackendConnection): void {
    const at = this.#connections.indexOf(connection);
    const last = this.#connections.pop();
    if (last !== undefined && last !== connection && at >= 0) this.#connections[at] = last;
  }

  #connectionOf(link: BackendLink): BackendConnection | undefined {
    for (const connection of this.#connections) if (connection.link === link) return connection;
    return undefined;
  }

  #resumeClientIfWritable(): void {
    for (const connection of this.#connections) if (connection.isBlocked) return;
    this.#o.socket.resume(PAUSE.otherSideIsSlow);
  }

  /** Lets go of the backend connections; those that owe nothing may serve the next client. */
  #finish(isOrderly: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#answers.end();
    this.#o.context.replay.leave(this);
    // What is still being written to the client lies in a connection's read buffer.
    const isWritten = !this.#o.socket.isBlocked;
    for (const connection of this.#connections) {
      const { link } = connection;
      const isSharing = this.#o.first !== null;
      const isClean = (!isSharing || this.#session.isClean(link)) && link.isQuiet;
      const mayBeReset = !isClean && this.#session.mayBeReset(link);
      link.letGo();
      connection.leftAt = Date.now();
      connection.resume(PAUSE.otherSideIsSlow);
      if (mayBeReset && isOrderly && isWritten) this.#o.links.recycle(connection);
      else this.#o.links.release(connection, isOrderly && isWritten && isClean);
    }
    this.#connections.length = 0;
    this.#session.leftStatements();
    this.#o.ended();
  }

  #log(level: "log" | "warning" | "fatal", message: string, detail?: string): void {
    const { applicationName: application, user, database } = this.#o.client;
    this.#o.context.log.write(level, message, {
      own: this.#logOptions,
      ...(detail === undefined ? {} : { detail }),
      client: { application, user, database },
    });
  }
}

function logOptionsOf(config: Config, file: Config): LogDetails["own"] {
  const { log_min_messages: minLevel, log_error_verbosity: errorVerbosity } = config;
  const isSame = minLevel === file.log_min_messages && errorVerbosity === file.log_error_verbosity;
  return isSame ? undefined : { minLevel, errorVerbosity };
}
