import {
  BACKEND,
  FrameWalker,
  READY,
  readErrorFields,
  readParameterStatus,
  TAKE,
  type FrameSink,
  type Take,
} from "../../../wire/postgres/index.ts";
import { PendingReplies, type ReplyWatcher, type Sent } from "./pending-replies.ts";

/** Where the bytes for one backend go. */
export interface LinkPort {
  /** Views of a read buffer: the port stops their source when it cannot write them at once. */
  send(bytes: Buffer, start: number, end: number): void;
}

/** What a link tells its session. */
export interface LinkOwner {
  relayed(bytes: Buffer, start: number, end: number): void;
  /** ReadyForQuery; `hidden` when it answered something that the client did not ask. */
  ready(link: BackendLink, hidden: boolean): void;
  failedWith(link: BackendLink, fields: ReadonlyMap<string, string>): void;
}

/** Whoever a link belongs to while no session uses it: nobody hears what the server says then. */
export const NOBODY: LinkOwner = {
  relayed: () => undefined,
  ready: () => undefined,
  failedWith: () => undefined,
};

/**
 * One backend connection as sessions use it: what is owed, and what passes to the client. It lives
 * as long as the connection, and is the next session's when the last one has let go.
 */
export class BackendLink implements FrameSink {
  readonly backendId: number;
  /** This link in the sets of `PreparedStatement.backends`, given by its session. */
  bit = 0;
  readonly pending = new PendingReplies();
  /** The server's values, kept up to date for whoever uses the connection next. */
  parameters: Map<string, string>;
  /** Its notices, parameters and notifications are the session's. */
  speaksForSession = false;
  /** Of the last ReadyForQuery. */
  status: number = READY.idle;
  /** An unnamed statement was made there, and no Query was sent since. */
  mayHaveUnnamed = false;
  /** The server said that it closes the connection, and the client was told. */
  saidFatal = false;
  owner: LinkOwner = NOBODY;
  readonly #port: LinkPort;
  readonly #walker = new FrameWalker(this);

  constructor(o: {
    readonly backendId: number;
    readonly parameters: Map<string, string>;
    readonly port: LinkPort;
  }) {
    this.backendId = o.backendId;
    this.parameters = o.parameters;
    this.#port = o.port;
  }

  /** No session uses it any more. */
  letGo(): void {
    this.owner = NOBODY;
    this.speaksForSession = false;
  }

  /** Nothing is owed in either direction and no frame is half read. */
  get isQuiet(): boolean {
    return this.pending.isIdle && this.#walker.isBetweenFrames;
  }

  /** The client has the beginning of a message: nothing but its rest may follow. */
  get isInPassedFrame(): boolean {
    return this.#walker.isInPassedFrame;
  }

  send(bytes: Buffer, start = 0, end = bytes.length): void {
    if (end > start) this.#port.send(bytes, start, end);
  }

  /** Notes a message; its bytes go by `send`. */
  note(kind: Sent, flags = 0, watcher: ReplyWatcher | null = null): boolean {
    return this.pending.sent(kind, flags, watcher);
  }

  /** @returns null, or why the bytes cannot be the protocol. */
  push(bytes: Buffer): string | null {
    return this.#walker.push(bytes);
  }

  frameBegan(type: number): Take {
    switch (type) {
      case BACKEND.dataRow:
      case BACKEND.copyData:
        return this.pending.isHidden ? TAKE.swallow : TAKE.pass;
      case BACKEND.ready:
        return this.pending.isHidden ? TAKE.swallow : TAKE.passAndTell;
      case BACKEND.error:
      case BACKEND.parameterStatus:
        return TAKE.hold;
      case BACKEND.notice:
      case BACKEND.notification:
        return this.#isOurs() ? TAKE.swallow : TAKE.pass;
      default:
        return this.pending.replied(type) ? TAKE.swallow : TAKE.pass;
    }
  }

  frameEnded(type: number, lastByte: number): void {
    if (type === BACKEND.error) this.pending.replied(type); // Too long to be held.
    if (type !== BACKEND.ready) return;
    this.status = lastByte;
    this.owner.ready(this, this.pending.replied(type));
  }

  frameHeld(type: number, frame: Buffer): void {
    if (type === BACKEND.parameterStatus) {
      const parameter = readParameterStatus(frame);
      if (parameter !== null) this.parameters.set(parameter.name, parameter.value);
      if (this.speaksForSession) this.owner.relayed(frame, 0, frame.length);
      return;
    }
    const isStray = this.pending.count === 0 && !this.speaksForSession;
    const hidden = this.pending.replied(type) || isStray;
    const fields = readErrorFields(frame);
    const severity = fields.get("V");
    if (!hidden) {
      if (severity === "FATAL" || severity === "PANIC") this.saidFatal = true;
      this.owner.relayed(frame, 0, frame.length);
    }
    this.owner.failedWith(this, fields);
  }

  passed(input: Buffer, start: number, end: number): void {
    this.owner.relayed(input, start, end);
  }

  #isOurs(): boolean {
    return this.pending.isHidden || (this.pending.count === 0 && !this.speaksForSession);
  }
}
