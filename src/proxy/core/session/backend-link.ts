import {
  BACKEND,
  buildError,
  buildMessage,
  buildNamedRun,
  buildQuery,
  buildReady,
  FrameWalker,
  FRONTEND,
  HELD_BYTES_MAX,
  READY,
  readErrorFields,
  readParameterStatus,
  TAKE,
  type FrameSink,
  type Take,
} from "../../../wire/postgres/index.ts";
import { failure } from "../../../base/index.ts";
import { LEAVES } from "../sql/index.ts";
import { HiddenQuestions, type HiddenReply } from "./hidden-questions.ts";
import { KnownStatements } from "./known-statements.ts";
import { BatchCopy } from "./batch-copy.ts";
import { asOutdated, isOfNobody, isOutdated } from "./outdated-plan.ts";
import type { ParameterSet, ParameterSets } from "./parameter-set.ts";
import { HIDDEN, PendingReplies, SENT, type ReplyWatcher, type Sent } from "./pending-replies.ts";
import type { SessionState } from "./session-state.ts";
import { isStandbysFault, UnseenRead } from "./unseen-read.ts";

/** Other reasons matter only to statements that go to the primary anyhow. */
const TYING = ~(LEAVES.listening | LEAVES.advisoryLocks | LEAVES.cursors);

/** Where the bytes for one backend go. */
export interface LinkPort {
  /** Views of a read buffer: the port stops their source when it cannot write them at once. */
  send(bytes: Buffer, start: number, end: number): void;
  /** Some of it is still in use. */
  readonly isBlocked: boolean;
}

/** What a link tells its session. */
export interface LinkOwner {
  relayed(bytes: Buffer, start: number, end: number): void;
  /** ReadyForQuery; `hidden` when it answered something that the client did not ask. */
  ready(link: BackendLink, hidden: boolean): void;
  failedWith(link: BackendLink, fields: ReadonlyMap<string, string>): void;
  /** The ErrorResponse as the client shall see it. */
  errorTold(frame: Buffer): Buffer;
  /**
   * The batch of `link.copy` failed because a prepared statement is outdated.
   *
   * @returns whether it is sent again, so that the client does not see this.
   */
  retries(link: BackendLink): boolean;
  /**
   * The read of `link.read` failed because of this server.
   *
   * @returns whether it is sent to another, so that the client does not see this.
   */
  movesRead(link: BackendLink, fields: ReadonlyMap<string, string>): boolean;
  /** The client saw this ParameterStatus. */
  told(name: string, value: string): void;
}

/** The routine that PostgreSQL names when a wait for a synchronous standby ends before its time. */
const SYNC_WAIT = "SyncRepWaitForLSN";

const COPY_FAIL = buildMessage(FRONTEND.copyFail, Buffer.from("a commit was not replicated\0"));

/**
 * SQLSTATEs with which a server ends a connection that could go on at another one: it is stopped, has
 * crashed, the database is dropped; and the limits for idle sessions and transactions.
 */
const GOODBYES: ReadonlySet<string> = new Set([
  "57P01",
  "57P02",
  "57P03",
  "57P04",
  "57P05",
  "25P03",
  "25P04",
]);

const QUERY_CANCELED = "57014";

/** Whoever a link belongs to while no session uses it: nobody hears what the server says then. */
export const NOBODY: LinkOwner = {
  relayed: () => undefined,
  ready: () => undefined,
  failedWith: () => undefined,
  errorTold: (frame) => frame,
  told: () => undefined,
  retries: () => false,
  movesRead: () => false,
};

/** Our name for what we ask ourselves. */
const ASKED = "pgquorum/ask";

const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();

/**
 * One backend connection as sessions use it: what is owed, and what passes to the client. It lives
 * as long as the connection, and is the next session's when the last one has let go.
 */
export class BackendLink implements FrameSink {
  readonly backendId: number;
  /** This link in the sets of `PreparedStatement.backends`, given by its session. */
  bit = 0;
  readonly pending = new PendingReplies();
  /** Statements that sessions share, as far as this connection has them. */
  readonly known = new KnownStatements();
  readonly copy = new BatchCopy();
  readonly read = new UnseenRead();
  /** What the server says of itself, kept up to date for whoever uses the connection next. */
  parameters: ParameterSet;
  /** What sessions have made of the connection; null when nobody keeps track of it. */
  state: SessionState | null = null;
  /** Why its session keeps it, in bits of LEAVES: as the last probe found, and for as long as it lives. */
  keeps = 0;
  keepsForGood = 0;
  /** Its notices, parameters and notifications are the session's. */
  speaksForSession = false;
  /** Of the last ReadyForQuery. */
  status: number = READY.idle;
  /** An unnamed statement was made there, and no Query was sent since. */
  mayHaveUnnamed = false;
  /** Another session made it, if there is one: nobody has sent a batch since. */
  isUnnamedForeign = false;
  /** It runs a read of a transaction that is open on another link; the status is that one's. */
  isAside = false;
  /** Such a read failed, and the client has seen it. */
  hasFailedAside = false;
  /** The server said that it closes the connection, and the client was told. */
  saidFatal = false;
  /** It said so for reasons that are none of the client's doing: what follows is the session's to say. */
  lastWords: ReadonlyMap<string, string> | null = null;
  /**
   * A transaction was committed without the standby that it had to wait for: the success is not
   * passed on, nor what follows it up to ReadyForQuery.
   */
  isUnreplicated = false;
  /** The client has heard it, for the reply that comes. */
  isToldUnreplicated = false;
  /** Why client and server do not agree any more on what was answered. */
  #confusion: string | null = null;
  /** What is under way may have done, in bits of MAY. */
  mayHaveDone = 0;
  owner: LinkOwner = NOBODY;
  /** Told of each frame that begins, when that is logged. */
  watcher: ((type: number) => void) | null = null;
  /** At most what was on its way when the port stopped reading. */
  readonly #withheld: Buffer[] = [];
  hasWithheld = false;
  readonly #port: LinkPort;
  readonly #sets: ParameterSets;
  readonly #walker = new FrameWalker(this);
  /** A ParameterDescription that the client gets when no retry can take it back any more. */
  #early: Buffer | null = null;
  readonly #questions = new HiddenQuestions();

  constructor(o: {
    readonly backendId: number;
    /** Those that the worker knows. */
    readonly sets: ParameterSets;
    readonly port: LinkPort;
  }) {
    this.backendId = o.backendId;
    this.#sets = o.sets;
    this.parameters = o.sets.of(NO_PARAMETERS);
    this.#port = o.port;
  }

  /** Its session does not let go of it. */
  get isKept(): boolean {
    return (this.keeps | this.keepsForGood) !== 0;
  }

  /** What keeps it may matter to any statement: none may run elsewhere. */
  get tiesSession(): boolean {
    return ((this.keeps | this.keepsForGood) & TYING) !== 0;
  }

  /** No session uses it any more. */
  letGo(): void {
    this.takeWithheld();
    this.owner = NOBODY;
    this.watcher = null;
    this.speaksForSession = false;
    this.isUnnamedForeign = true;
    this.keeps = 0;
  }

  /** Nothing that any session has made is there any more, by ABORT and DISCARD ALL. */
  wasReset(state: SessionState): void {
    this.state = state;
    this.status = READY.idle;
    this.keeps = 0;
    this.keepsForGood = 0;
    this.mayHaveUnnamed = false;
    this.known.clear(this.known.changes);
  }

  /** Nothing is owed in either direction and no frame is half read. */
  get isQuiet(): boolean {
    return this.pending.isIdle && this.#walker.isBetweenFrames;
  }

  /** The client has the beginning of a message: nothing but its rest may follow. */
  get isInPassedFrame(): boolean {
    return this.#walker.isInPassedFrame;
  }

  get isBlocked(): boolean {
    return this.#port.isBlocked;
  }

  send(bytes: Buffer, start = 0, end = bytes.length): void {
    if (end > start) this.#port.send(bytes, start, end);
  }

  /** Notes a message; its bytes go by `send`. */
  note(kind: Sent, flags = 0, watcher: ReplyWatcher | null = null): boolean {
    if (kind >= SENT.query) this.copy.forget();
    return this.pending.sent(kind, flags, watcher);
  }

  /** The server said so when the connection was opened. */
  learnAll(parameters: ReadonlyMap<string, string>): void {
    this.parameters = this.#sets.of(parameters);
  }

  learn(name: string, value: string): void {
    this.parameters = this.#sets.with(this.parameters, name, value);
  }

  /** A simple query each; `done` is called when the last ReadyForQuery is here. */
  ask(queries: readonly string[], done: (reply: HiddenReply) => void): void {
    this.#noteAsked(queries.length, done);
    this.send(Buffer.concat(queries.map(buildQuery)));
    this.mayHaveUnnamed = false;
  }

  /** Single statements by the extended protocol: the unnamed statement stays. */
  askApart(statements: readonly string[], done: (reply: HiddenReply) => void): void {
    this.#noteAsked(statements.length, done);
    this.send(Buffer.concat(statements.map((text) => buildNamedRun(ASKED, [text]))));
  }

  /** The same in one transaction. */
  askTogether(statements: readonly string[], done: (reply: HiddenReply) => void): void {
    this.#noteAsked(1, done);
    this.send(buildNamedRun(ASKED, statements));
  }

  #noteAsked(count: number, done: (reply: HiddenReply) => void): void {
    this.#questions.ask(count, done);
    for (let i = 0; i < count; i += 1) this.note(SENT.ask, HIDDEN);
  }

  /** What was held back of replies; their rest will not come. */
  giveAll(): void {
    this.#giveEarly();
    this.#giveHeld();
  }

  /** Bytes that may not be acted on yet; see `Session.linkBytes`. */
  withhold(bytes: Buffer): void {
    this.#withheld.push(Buffer.from(bytes));
    this.hasWithheld = true;
  }

  takeWithheld(): Buffer[] {
    this.hasWithheld = false;
    return this.#withheld.splice(0);
  }

  /** The connection is gone: whoever waits for something learns that it will not come. */
  abandon(): void {
    this.pending.abandon();
    this.#questions.abandon();
  }

  /** @returns null, or why the bytes cannot be the protocol. */
  push(bytes: Buffer): string | null {
    return this.#walker.push(bytes) ?? this.#confusion;
  }

  frameBegan(type: number, lengthBytes: number): Take {
    if (this.watcher !== null && !this.pending.isInjected) this.watcher(type);
    if (this.isUnreplicated) return this.#takeUnreplicated(type);
    switch (type) {
      case BACKEND.dataRow:
        if (!this.pending.isHidden) return TAKE.pass;
        if (!this.pending.isAsked) return TAKE.swallow;
        return this.#questions.mayHold(lengthBytes) ? TAKE.hold : TAKE.swallow;
      case BACKEND.copyData:
        return this.pending.isHidden ? TAKE.swallow : TAKE.pass;
      case BACKEND.ready:
        return this.pending.isHidden || this.isAside ? TAKE.swallow : TAKE.passAndTell;
      case BACKEND.error:
        if (lengthBytes > HELD_BYTES_MAX) this.#giveEarly();
        return TAKE.hold;
      case BACKEND.parameterStatus:
        return TAKE.hold;
      case BACKEND.notice:
        return this.#isOurs() ? TAKE.swallow : TAKE.show;
      case BACKEND.notification:
        // It is the answer to nothing, and may come in the middle of what the client must not see.
        return this.speaksForSession ? TAKE.pass : TAKE.swallow;
      case BACKEND.parameterDescription:
      case BACKEND.rowDescription:
      case BACKEND.noData:
        return this.#takeDescription(type, lengthBytes);
      case BACKEND.commandComplete:
        if (this.pending.isLearningTag) return TAKE.show;
        return this.pending.replied(type) ? TAKE.swallow : TAKE.pass;
      default:
        return this.pending.replied(type) ? TAKE.swallow : TAKE.pass;
    }
  }

  frameEnded(type: number, lastByte: number): void {
    if (type === BACKEND.error) {
      // Too long to be held.
      this.hasFailedAside ||= this.isAside;
      this.pending.replied(type);
    }
    if (type !== BACKEND.ready) return;
    this.status = lastByte;
    const isAsked = this.pending.isAsked;
    const hidden = this.pending.replied(type);
    if (this.isUnreplicated) return this.#readyUnreplicated(lastByte);
    if (isAsked) this.#questions.answered();
    else if (!hidden && this.read.isUnseen) this.read.forget();
    // What is hidden was sent to another server: its reply begins anew.
    if (!hidden && this.isAside && this.read.hasCare) this.#giveHeld();
    this.owner.ready(this, hidden);
  }

  frameHeld(type: number, frame: Buffer): void {
    if (type === BACKEND.dataRow) return this.#questions.row(frame);
    if (type === BACKEND.parameterStatus) return this.#parameterStatus(frame);
    if (type === BACKEND.notice) {
      this.#noticed(frame);
      return this.passed(frame, 0, frame.length);
    }
    if (type !== BACKEND.error) return this.#described(type, frame);
    const { isAsked } = this.pending;
    const isUnanswered = this.#mayRetry;
    const wasMadeToFail = this.pending.isOutdated;
    const isStray = this.pending.count === 0 && !this.speaksForSession;
    const fields = readErrorFields(frame);
    const severity = fields.get("V");
    const isEnd = severity === "FATAL" || severity === "PANIC";
    const mayMove = this.read.mayMove && !this.pending.isHidden && !isStray;
    if (mayMove && (isStandbysFault(fields) || this.#isMeantFor(fields))) {
      if (this.owner.movesRead(this, fields)) {
        this.pending.replied(type);
        this.#early = null;
        return this.pending.hideHead();
      }
    }
    if (isEnd && GOODBYES.has(fields.get("C") ?? "")) {
      this.lastWords = fields;
      return this.owner.failedWith(this, fields);
    }
    const hidden = this.pending.replied(type) || isStray;
    if (isUnanswered && !hidden && isOutdated(fields) && this.owner.retries(this)) {
      this.#early = null;
      return this.pending.hideHead();
    }
    this.#giveEarly();
    if (!hidden) {
      if (this.read.hasCare) this.#giveHeld();
      this.hasFailedAside ||= this.isAside;
      if (isEnd) this.saidFatal = true;
      const isOurs = wasMadeToFail && isOfNobody(fields);
      const told = this.owner.errorTold(isOurs ? asOutdated(fields) : frame);
      this.owner.relayed(told, 0, told.length);
    }
    if (isAsked) this.#questions.failed(fields);
    this.owner.failedWith(this, fields);
  }

  passed(input: Buffer, start: number, end: number): void {
    if (this.read.hasCare) {
      if (this.read.holds(input, start, end)) return;
      this.#giveHeld();
    }
    this.owner.relayed(input, start, end);
  }

  /** The transaction itself shall have the error, unless somebody wanted it. */
  #isMeantFor(fields: ReadonlyMap<string, string>): boolean {
    return this.isAside && fields.get("C") !== QUERY_CANCELED;
  }

  #takeDescription(type: number, lengthBytes: number): Take {
    const isTypes = type === BACKEND.parameterDescription;
    if (!isTypes && this.#early !== null) this.#giveEarly();
    const { isLearning, isOurs } = this.pending;
    const mayRetry = isTypes && this.#mayRetry;
    if (lengthBytes <= HELD_BYTES_MAX && (isLearning || mayRetry)) {
      return isOurs || mayRetry ? TAKE.hold : TAKE.show;
    }
    return this.pending.replied(type) ? TAKE.swallow : TAKE.pass;
  }

  /** A description, or a CommandComplete, that the client sees. */
  frameShown(type: number, frame: Buffer): void {
    if (type === BACKEND.notice) return this.#noticed(frame);
    this.pending.described(frame);
    this.pending.replied(type);
  }

  /** Of whatever language: the routine's name is the same in all. */
  #noticed(frame: Buffer): void {
    if (frame.includes(SYNC_WAIT)) this.isUnreplicated = true;
  }

  #takeUnreplicated(type: number): Take {
    if (type === BACKEND.notification) return this.speaksForSession ? TAKE.pass : TAKE.swallow;
    if (type === BACKEND.parameterStatus) return TAKE.hold;
    if (!this.isToldUnreplicated) {
      this.isToldUnreplicated = true;
      this.#walker.flush();
      const told = buildError(failure("not-replicated"));
      this.owner.relayed(told, 0, told.length);
    }
    if (type === BACKEND.copyIn) this.#refuseData();
    else if (type !== BACKEND.ready && type !== BACKEND.error) this.pending.replied(type);
    return TAKE.swallow;
  }

  /** The client believes that nothing ran behind the error, and sends no data. */
  #refuseData(): void {
    const { behindCopy } = this.pending;
    if (behindCopy === "more") {
      // The COPY has read messages that the client wants answers to.
      this.#confusion = "a COPY began behind a commit that was not replicated";
      return;
    }
    this.pending.replied(BACKEND.copyIn);
    if (behindCopy === "its-end") return;
    this.note(SENT.copyEnd);
    this.send(COPY_FAIL);
  }

  #readyUnreplicated(status: number): void {
    this.isUnreplicated = false;
    this.isToldUnreplicated = false;
    const ready = buildReady(status);
    this.owner.relayed(ready, 0, ready.length);
    this.owner.ready(this, false);
  }

  #described(type: number, frame: Buffer): void {
    if (this.pending.isLearning || this.pending.isLearningTag) this.pending.described(frame);
    const mayRetry = this.#mayRetry;
    if (this.pending.replied(type)) return;
    // Behind the types of the parameters, the server may find its plan outdated.
    if (mayRetry && type === BACKEND.parameterDescription) this.#early = Buffer.from(frame);
    else this.passed(frame, 0, frame.length);
  }

  /** What is unanswered may have to be sent again. */
  get #mayRetry(): boolean {
    return this.copy.isUnanswered(this.pending.count);
  }

  #giveEarly(): void {
    const early = this.#early;
    this.#early = null;
    if (early !== null) this.passed(early, 0, early.length);
  }

  /** The client has waited for the beginning of this reply long enough. */
  #giveHeld(): void {
    this.read.forget();
    const held = this.read.release();
    if (held !== null) this.owner.relayed(held, 0, held.length);
  }

  /** What hidden work changes is told by whoever asked for it. */
  #parameterStatus(frame: Buffer): void {
    const parameter = readParameterStatus(frame);
    if (parameter === null) return;
    this.learn(parameter.name, parameter.value);
    if (!this.speaksForSession || this.pending.isAsked) return;
    if (this.read.hasCare) this.#giveHeld();
    this.owner.relayed(frame, 0, frame.length);
    this.owner.told(parameter.name, parameter.value);
  }

  #isOurs(): boolean {
    return this.pending.isOurs || (this.pending.count === 0 && !this.speaksForSession);
  }
}
