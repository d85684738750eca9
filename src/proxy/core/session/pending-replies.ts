import { BACKEND } from "../../../wire/postgres/index.ts";
import { WatcherQueue, type ReplyWatcher } from "./watcher-queue.ts";

export type { ReplyWatcher };

/** What was sent to a backend and has not been answered to its end. */
export const SENT = {
  parse: 1,
  bind: 2,
  describe: 3,
  execute: 4,
  close: 5,
  sync: 6,
  query: 7,
  functionCall: 8,
  /** CopyDone or CopyFail sent before the server's CopyInResponse was seen; never answered. */
  copyEnd: 9,
  /** A simple query of ours whose reply is gathered: see `BackendLink.ask`. */
  ask: 10,
} as const;
export type Sent = (typeof SENT)[keyof typeof SENT];

/** The whole reply is for us, not for the client. */
export const HIDDEN = 0x80;
/** We put it in on the client's behalf: success is hidden, an error is the client's. */
export const INJECTED = 0x40;
/** Somebody waits for the outcome. */
const WATCHED = 0x20;
/** A Bind that is made to fail, as its statement is not any more what the client prepared. */
export const OUTDATED = 0x10;
/** A Describe or an Execute whose watcher wants to see the answer. */
export const LEARNS = 0x10;
const KIND = 0x0f;

export interface Owed {
  /** So many ReadyForQuery. */
  readonly readies: number;
  /** Behind those something of a batch that has no Sync yet. */
  readonly isOpen: boolean;
  /** The client was told that this batch has failed. */
  readonly isTold: boolean;
  /** All that a Sync ends has been answered, but not the Sync. */
  readonly isSyncNext: boolean;
}

/** A client that has more unanswered messages than this is a runaway: the session ends. */
export const PENDING_MAX = 1 << 24;

/**
 * Matches a backend's replies with what was sent, one byte a message, by the server's own rules:
 * an error in an extended batch skips everything up to the next Sync; a COPY FROM STDIN eats the
 * Syncs that are already on their way. So ReadyForQuery is counted right however the client pipelines.
 *
 * Source: PostgreSQL manual, "Message Flow"; behaviour of exec_* and CopyGetData in PostgreSQL 15.
 */
export class PendingReplies {
  #ring = new Uint8Array(64);
  #first = 0;
  #count = 0;
  /** Of those, queries of ours. */
  #asks = 0;
  readonly #watchers = new WatcherQueue();
  /** An error was answered while no Sync was on its way: the server ignores all but Sync. */
  #skips = false;
  #copyIn = false;
  /** See `hasCopied`. */
  #hasCopied = false;
  /** Messages of a batch were sent, and nothing behind them makes the server say ReadyForQuery. */
  #isUnsynced = false;

  get count(): number {
    return this.#count;
  }

  /** The server reads CopyData now. */
  get isCopyIn(): boolean {
    return this.#copyIn;
  }

  /** A COPY read what was sent, perhaps also a Sync, and no ReadyForQuery has come since. */
  get hasCopied(): boolean {
    return this.#hasCopied;
  }

  /** It is not known whether the server will skip what is sent next. */
  get isUndecided(): boolean {
    return this.#count > 0 && !this.#copyIn;
  }

  /** Something of before the unfinished batch is among what is not answered. */
  get reachesBack(): boolean {
    for (let i = 0; i < this.#count; i += 1) {
      const kind = this.#at(i) & KIND;
      if (kind >= SENT.sync && kind !== SENT.copyEnd) return true;
    }
    return false;
  }

  /** The server ignores everything but Sync. */
  get isSkipping(): boolean {
    return this.#skips;
  }

  /** Without one more Sync or Query the server may keep its replies to itself. */
  get isUnsynced(): boolean {
    return this.#isUnsynced;
  }

  /** Nothing is owed in either direction. */
  get isIdle(): boolean {
    return this.#count === 0 && !this.#copyIn && !this.#skips;
  }

  /** All that is owed are answers to queries of ours. */
  get isAskedOnly(): boolean {
    return this.#count === this.#asks && !this.#copyIn && !this.#skips;
  }

  /** The reply that is coming now is hidden from the client. */
  get isHidden(): boolean {
    return this.#count > 0 && (this.#head() & HIDDEN) !== 0;
  }

  /** The reply that is coming now answers something that we put in, or asked. */
  get isInjected(): boolean {
    return this.#count > 0 && ((this.#head() & INJECTED) !== 0 || this.isAsked);
  }

  /** The client shall not see the reply that is coming now, unless it is an error of its own. */
  get isOurs(): boolean {
    return this.#count > 0 && (this.#head() & (HIDDEN | INJECTED)) !== 0;
  }

  /** The reply that is coming now answers a query of ours. */
  get isAsked(): boolean {
    return this.#count > 0 && (this.#head() & KIND) === SENT.ask;
  }

  /** The reply that is coming now is that of a Bind that was made to fail. */
  get isOutdated(): boolean {
    return this.#count > 0 && (this.#head() & (KIND | OUTDATED)) === (SENT.bind | OUTDATED);
  }

  /** A description that is coming now is wanted by the watcher of what it answers. */
  get isLearning(): boolean {
    return this.#count > 0 && (this.#head() & (KIND | LEARNS)) === (SENT.describe | LEARNS);
  }

  /** So is a CommandComplete. */
  get isLearningTag(): boolean {
    return this.#count > 0 && (this.#head() & (KIND | LEARNS)) === (SENT.execute | LEARNS);
  }

  /** While `isLearning` or `isLearningTag`. */
  described(frame: Buffer): void {
    this.#watchers.first?.described?.(frame);
  }

  /** The client shall not see what is answered next either. */
  hideHead(): void {
    this.#ring[this.#first] = this.#head() | HIDDEN;
  }

  /** Of a COPY that answers what is at the head: what its client has sent behind it. */
  get behindCopy(): "nothing" | "its-end" | "more" {
    if (this.#count > 1) return (this.#at(1) & KIND) === SENT.copyEnd ? "its-end" : "more";
    // An unfinished batch may have its Sync in the next bytes.
    return (this.#head() & KIND) === SENT.query ? "nothing" : "more";
  }

  /** What the client waits for here, if the server says nothing any more. */
  owed(): Owed {
    let readies = 0;
    let isOpen = this.#skips;
    let first = 0;
    for (let i = 0; i < this.#count; i += 1) {
      const entry = this.#at(i);
      const kind = entry & KIND;
      if ((entry & HIDDEN) !== 0 || kind === SENT.ask || kind === SENT.copyEnd) continue;
      if (first === 0) first = kind;
      isOpen = kind <= SENT.close;
      if (!isOpen) readies += 1;
    }
    return { readies, isOpen, isTold: this.#skips, isSyncNext: first === SENT.sync };
  }

  /** The server will answer nothing any more: whoever waits for it learns that it was skipped. */
  abandon(): void {
    while (this.#count > 0) this.#dropOne("skipped");
    this.#skips = false;
    this.#copyIn = false;
    this.#hasCopied = false;
    this.#isUnsynced = false;
  }

  /** @returns false when the bound is reached. */
  sent(kind: Sent, flags = 0, watcher: ReplyWatcher | null = null): boolean {
    if (kind === SENT.sync) {
      if (this.#copyIn) return true; // CopyGetData ignores Sync.
      this.#skips = false;
    } else if (kind === SENT.copyEnd) {
      if (this.#copyIn) {
        this.#copyIn = false;
        return true;
      }
      if (this.#count === 0) return true;
    } else if (this.#skips) {
      watcher?.failed(true);
      return true;
    } else if (this.#copyIn) {
      // Read by the COPY, which it ends with an error.
      this.#copyIn = false;
      watcher?.failed(true);
      return true;
    }
    if (this.#count >= PENDING_MAX) return false;
    if (kind !== SENT.copyEnd) this.#isUnsynced = kind <= SENT.close;
    if (watcher !== null) this.#watchers.push(watcher);
    if (kind === SENT.ask) this.#asks += 1;
    this.#append(kind | flags | (watcher === null ? 0 : WATCHED));
    return true;
  }

  /**
   * A reply of this type came (for ReadyForQuery and ErrorResponse: has come whole).
   *
   * @returns whether the client shall not see it. Notices and parameters are not for here.
   */
  replied(type: number): boolean {
    if (this.#count === 0) return false;
    const head = this.#head();
    const kind = head & KIND;
    const hidden = (head & HIDDEN) !== 0;
    switch (type) {
      case BACKEND.ready:
        this.#copyIn = false;
        this.#hasCopied = false;
        this.#dropThroughReady();
        return hidden;
      case BACKEND.error:
        this.#copyIn = false;
        if (kind <= SENT.close) this.#skipToSync();
        else if (this.#count > 0 && (this.#head() & WATCHED) !== 0)
          this.#watchers.first?.failed(false);
        return hidden;
      case BACKEND.parseComplete:
        if (kind === SENT.parse) this.#drop();
        return hidden || (head & INJECTED) !== 0;
      case BACKEND.bindComplete:
        if (kind === SENT.bind) this.#drop();
        return hidden;
      case BACKEND.closeComplete:
        if (kind === SENT.close) this.#drop();
        return hidden || (head & INJECTED) !== 0;
      case BACKEND.parameterDescription:
        return hidden || (head & INJECTED) !== 0;
      case BACKEND.rowDescription:
      case BACKEND.noData:
        if (kind === SENT.describe) this.#drop();
        return hidden || (kind === SENT.describe && (head & INJECTED) !== 0);
      case BACKEND.commandComplete:
      case BACKEND.emptyQuery:
      case BACKEND.portalSuspended:
        if (kind === SENT.execute) this.#drop();
        return hidden;
      case BACKEND.copyIn:
      case BACKEND.copyBoth:
        this.#enterCopyIn();
        return hidden;
      default:
        return hidden;
    }
  }

  #head(): number {
    return this.#ring[this.#first] as number;
  }

  #append(entry: number): void {
    const size = this.#ring.length;
    if (this.#count === size) {
      const grown = new Uint8Array(size * 2);
      for (let i = 0; i < size; i += 1) grown[i] = this.#at(i);
      this.#ring = grown;
      this.#first = 0;
    }
    this.#ring[(this.#first + this.#count) & (this.#ring.length - 1)] = entry;
    this.#count += 1;
  }

  #at(index: number): number {
    return this.#ring[(this.#first + index) & (this.#ring.length - 1)] as number;
  }

  #drop(): void {
    this.#dropOne("answered");
    while (this.#count > 0 && (this.#head() & KIND) === SENT.copyEnd) this.#dropOne("answered");
  }

  #dropOne(how: "answered" | "failed" | "skipped"): void {
    const entry = this.#head();
    this.#first = (this.#first + 1) & (this.#ring.length - 1);
    this.#count -= 1;
    if ((entry & KIND) === SENT.ask) this.#asks -= 1;
    if ((entry & WATCHED) === 0) return;
    const watcher = this.#watchers.shift();
    if (how === "answered") watcher?.ended();
    else watcher?.failed(how === "skipped");
  }

  /** Up to and with the message that this ReadyForQuery ends; normally just the head. */
  #dropThroughReady(): void {
    while (this.#count > 0) {
      const kind = this.#head() & KIND;
      const endsHere =
        kind === SENT.sync ||
        kind === SENT.query ||
        kind === SENT.functionCall ||
        kind === SENT.ask;
      this.#drop();
      if (endsHere) return;
    }
  }

  #skipToSync(): void {
    this.#dropOne("failed");
    while (this.#count > 0 && (this.#head() & KIND) !== SENT.sync) this.#dropOne("skipped");
    this.#skips = this.#count === 0;
    // A Sync that is watched stands for the batch before it.
    if (this.#count > 0 && (this.#head() & WATCHED) !== 0) this.#watchers.first?.failed(false);
  }

  /** The messages behind the COPY that are on their way are read by the COPY itself. */
  #enterCopyIn(): void {
    const isExtended = (this.#head() & KIND) === SENT.execute;
    const headWatchers = (this.#head() & WATCHED) === 0 ? 0 : 1;
    const behind: number[] = [];
    for (let i = 1; i < this.#count; i += 1) behind.push(this.#at(i));
    this.#count = 1;
    this.#copyIn = true;
    this.#hasCopied = true;
    let index = 0;
    for (; index < behind.length && this.#copyIn; index += 1) {
      const entry = behind[index] as number;
      // Sync is ignored; the end of the data, or any other message, ends the COPY.
      if ((entry & KIND) !== SENT.sync) this.#copyIn = false;
      if ((entry & WATCHED) !== 0) this.#watchers.takeFrom(headWatchers)?.failed(true);
    }
    if (isExtended) this.#isUnsynced = true;
    for (; index < behind.length; index += 1) {
      const entry = behind[index] as number;
      if ((entry & KIND) !== SENT.copyEnd) this.#isUnsynced = (entry & KIND) <= SENT.close;
      this.#append(entry);
    }
  }
}
