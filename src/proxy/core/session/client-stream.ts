import { assert, failure, type Failure, type Result } from "../../../base/index.ts";
import { buildReady, FRONTEND, HEADER_BYTES, READY } from "../../../wire/postgres/index.ts";
import type { ShowAnswer } from "../show/index.ts";
import type { ClassifyBytes } from "../sql/index.ts";
import { ApartFromBatch } from "./apart-from-batch.ts";
import type { BackendLink } from "./backend-link.ts";
import { BatchForwarder } from "./batch-forwarder.ts";
import {
  BATCH_BYTES_MAX,
  batchKind,
  ClientBatch,
  headerComplaint,
  touchesPrepared,
  UNREAD_SQL,
} from "./client-batch.ts";
import type { Conversation } from "./conversation.ts";
import { HeldInput } from "./held-input.ts";
import type { LinkClaims } from "./link-claims.ts";
import { OwnMessages } from "./own-messages.ts";
import { HIDDEN, SENT } from "./pending-replies.ts";
import { SentStatements } from "./sent-statements.ts";
import type { SessionRouting } from "./session-routing.ts";
import type { StatementLog } from "./statement-log.ts";
import type { StateCarrier } from "./state-carrier.ts";

const TYPE_OF_END = { sync: FRONTEND.sync, flush: FRONTEND.flush } as const;

export interface ClientStreamOptions {
  readonly talk: Conversation;
  readonly routing: SessionRouting;
  readonly claims: LinkClaims;
  /** Null where connections are not shared. */
  readonly carrier: StateCarrier | null;
  readonly memory: StateCarrier;
  readonly classify: ClassifyBytes;
  /** The texts of statements decide where they go. */
  readonly readsText: boolean;
  readonly log: StatementLog;
  /** A statement failed there that did not on the link with the visible reply, or the other way. */
  readonly divergent: (link: BackendLink) => void;
}

/**
 * The client's side of a session: cuts its bytes into messages, has each Query and each batch given
 * its links, and forwards it there in as few writes as it came in.
 */
export class ClientStream {
  readonly #o: ClientStreamOptions;
  readonly #talk: Conversation;
  readonly #claims: LinkClaims;
  readonly #batch: ClientBatch;
  readonly #forwarder: BatchForwarder;
  readonly #held = new HeldInput();
  /** One for all batches. */
  readonly #how = { at: 0, end: 0, flags: 0, continues: false, isAlone: true };
  /** The rest of a message whose beginning was handled already; no link: it is dropped. */
  #bodyBytes = 0;
  #bodyLink: BackendLink | null = null;
  /** A batch failed here: the server that the client believes in skips to Sync. */
  #discards = false;
  readonly #own: OwnMessages;
  readonly #sent: SentStatements;
  readonly #apart: ApartFromBatch;

  constructor(o: ClientStreamOptions) {
    this.#o = o;
    this.#talk = o.talk;
    this.#claims = o.claims;
    const { statements, links } = o.talk;
    const { talk, routing, claims, classify, memory, log, divergent } = o;
    const batch = new ClientBatch(statements, classify, o.readsText || log.isOn);
    this.#batch = batch;
    const discard = (): void => {
      this.#discards = true;
    };
    // Named one by one: spread, each session would make an object of a shape of its own.
    this.#own = new OwnMessages({ talk, routing, claims, batch, classify, log, discard });
    this.#sent = new SentStatements({ talk, routing, memory, log, own: this.#own, divergent });
    this.#forwarder = new BatchForwarder({ batch, statements, links, carrier: o.carrier });
    this.#apart = new ApartFromBatch(o.talk, batch, this.#forwarder);
  }

  /** The rest of a message that began there is still to come. */
  isInsideMessageFor(link: BackendLink): boolean {
    return this.#bodyBytes > 0 && this.#bodyLink === link;
  }

  /** A batch waits for what is prepared on this link: on another one it would be lacking again. */
  waitsForSupplied(link: BackendLink): boolean {
    return this.#apart.isWaitedFor(link);
  }

  /** @param bytes valid during the call, and longer where a port stopped their source. */
  push(bytes: Buffer): void {
    this.#take(this.#held.join(bytes));
  }

  /** What is logged, or decides by the text, has changed. */
  configure(readsText: boolean): void {
    this.#batch.readsText = readsText || this.#o.log.isOn;
  }

  /** The server that got the beginning of a message is gone. */
  dropRest(link: BackendLink): void {
    if (this.#bodyLink === link) this.#bodyLink = null;
  }

  /** What the client sends up to its next Sync is of no use any more. */
  discardToSync(): void {
    this.#discards = true;
  }

  /** Takes a batch again that had been sent already, before all else. */
  again(batch: Buffer): void {
    this.#held.unshift(batch);
  }

  /** What the client waited for has come. */
  goOn(): void {
    this.#take(this.#held.join(null));
  }

  /** The answer to a statement of ours that waits for it. @returns false when none does. */
  ownAnswered(answer: Result<ShowAnswer, Failure>): boolean {
    return this.#own.answered(answer);
  }

  #take(input: Buffer): void {
    const used = this.#talk.isWaiting ? 0 : this.#scan(input);
    this.#held.keep(input, this.#talk.hasEnded ? input.length : used);
    this.#talk.held(this.#held.lengthBytes);
  }

  /** @returns how many bytes were dealt with. */
  #scan(input: Buffer): number {
    const end = input.length;
    let at = 0;
    while (at < end && !this.#talk.isWaiting && !this.#talk.hasEnded) {
      if (this.#bodyBytes > 0) {
        if (this.#bodyLink !== null && this.#claims.shut(this.#bodyLink) !== null) break;
        const stop = Math.min(end, at + this.#bodyBytes);
        this.#bodyLink?.send(input, at, stop);
        this.#bodyBytes -= stop - at;
        at = stop;
        continue;
      }
      if (end - at < HEADER_BYTES) break;
      const next = this.#scanMessage(input, at, end);
      if (next === at) break;
      at = next;
    }
    return at;
  }

  /** @returns where to go on; `at` when more bytes, or another event, must come first. */
  #scanMessage(input: Buffer, at: number, end: number): number {
    const type = input[at] as number;
    const lengthBytes = input.readUInt32BE(at + 1);
    const complaint = headerComplaint(type, lengthBytes);
    if (complaint !== null) {
      this.#talk.end(failure("protocol-violation", { message: complaint }));
      return at;
    }
    const stop = at + 1 + lengthBytes;
    if (type === FRONTEND.terminate) {
      this.#o.log.plain(type);
      this.#talk.hasEnded = true;
      this.#talk.port.terminated();
      return end;
    }
    if (this.#discards) return this.#discard(type, stop, end);
    if (this.#talk.batchEndsWithReady && this.#talk.batchLink?.pending.isIdle === true) {
      this.#talk.batchLink = null;
    }
    // A batch is unfinished there, maybe because a COPY ate its Sync, or all but Sync is ignored.
    const pending = this.#talk.active?.pending;
    if (pending?.isUnsynced === true || pending?.isSkipping === true) {
      this.#talk.batchLink ??= this.#talk.active;
    }
    switch (type) {
      case FRONTEND.query:
        return this.#scanQuery(input, at, stop, end);
      case FRONTEND.functionCall:
        return this.#scanFunctionCall(input, at, stop, end);
      case FRONTEND.copyData:
      case FRONTEND.copyDone:
      case FRONTEND.copyFail:
        return this.#scanCopy(input, at, end);
      default:
        return this.#scanBatch(input, at, end);
    }
  }

  #discard(type: number, stop: number, end: number): number {
    if (type === FRONTEND.sync) {
      this.#discards = false;
      this.#own.synced();
    }
    return this.#stream(null, stop, end);
  }

  /** Leaves the rest of a message to `#scan`. */
  #stream(link: BackendLink | null, stop: number, end: number): number {
    if (stop <= end) return stop;
    this.#bodyBytes = stop - end;
    this.#bodyLink = link;
    return end;
  }

  #scanQuery(input: Buffer, at: number, stop: number, end: number): number {
    const isWhole = stop <= end;
    if (!isWhole && end - at < BATCH_BYTES_MAX) return at;
    const from = at + HEADER_BYTES;
    const sql = isWhole ? this.#o.classify(input, from, stop - 1) : UNREAD_SQL;
    const text = isWhole && this.#batch.readsText ? input.toString("utf8", from, stop - 1) : "";
    if (isWhole && this.#talk.batchLink === null && this.#own.isOwn(sql)) {
      return this.#own.scanQuery(sql, input, at, stop);
    }
    if (this.#talk.batchLink === null && this.#talk.isBusy && touchesPrepared(sql)) {
      // It may name statements of which it is not known yet whether they will be there.
      this.#talk.wait("drained");
      return at;
    }
    const unfinished = this.#talk.batchLink;
    if (unfinished !== null && unfinished.pending.isUndecided) {
      // Whether it is skipped decides what it does to the names of statements.
      this.#talk.waitFlushed(unfinished);
      return at;
    }
    if (unfinished !== null && this.#apart.endTraceless(unfinished)) return at;
    const links = this.#claims.forStatement(sql, text);
    if (links === "failed") return this.#stream(null, stop, end);
    if (links === "wait") return at;
    this.#o.log.query(text);
    this.#own.queried();
    if (unfinished?.pending.isSkipping === true) {
      unfinished.send(input, at, Math.min(stop, end));
      return this.#stream(unfinished, stop, end);
    }
    const { sql: prepared } = this.#forwarder;
    const first = links[0] as BackendLink;
    const isAlone = this.#talk.batchLink === null;
    const hasFailed = this.#talk.status === READY.failed && touchesPrepared(sql);
    const failedText = hasFailed ? input.toString("latin1", from, Math.min(end, stop - 1)) : null;
    const query = isAlone
      ? prepared.prepareForQuery(sql, first, failedText)
      : prepared.passQuery(sql, first, failedText);
    const mayMove = isWhole && isAlone && this.#sent.isReadFor(first) && first.pending.isIdle;
    for (const link of links) link.mayHaveUnnamed = false;
    this.#talk.statements.forgetUnnamed();
    const outcome = this.#sent.outcomeOf(links, query.watcher, sql.clearsSession);
    for (let i = 0; i < links.length; i += 1) {
      const link = links[i] as BackendLink;
      this.#o.log.sent(link.backendId, text);
      const watcher = outcome?.watcher(i) ?? query.watcher;
      if (!link.note(SENT.query, i === 0 ? 0 : HIDDEN, watcher)) this.#runaway();
      if (query.replacement === null) link.send(input, at, Math.min(stop, end));
      else link.send(query.replacement);
    }
    if (mayMove) first.read.keep(input, at, stop, false);
    else if (first.read.isUnseen) first.read.forget();
    this.#sent.executed(sql, links);
    this.#talk.batchEndsWithReady = true;
    return this.#stream(links[0] as BackendLink, stop, end);
  }

  #scanFunctionCall(input: Buffer, at: number, stop: number, end: number): number {
    const links = this.#claims.forStatement(UNREAD_SQL, "");
    if (links === "failed") return this.#stream(null, stop, end);
    if (links === "wait") return at;
    this.#o.log.plain(FRONTEND.functionCall);
    const link = links[0] as BackendLink;
    if (!link.note(SENT.functionCall)) this.#runaway();
    link.send(input, at, Math.min(stop, end));
    this.#sent.executed(UNREAD_SQL, links);
    this.#talk.batchEndsWithReady = true;
    return this.#stream(link, stop, end);
  }

  /** Data runs through in one write as far as it is there. Left-over data is dropped. */
  #scanCopy(input: Buffer, at: number, end: number): number {
    const active = this.#talk.active;
    const link = active !== null && !active.pending.isIdle ? active : null;
    if (link !== null && this.#claims.shut(link) !== null) return at;
    let pos = at;
    while (end - pos >= HEADER_BYTES) {
      const type = input[pos] as number;
      const isData = type === FRONTEND.copyData;
      if (!isData && type !== FRONTEND.copyDone && type !== FRONTEND.copyFail) break;
      const lengthBytes = input.readUInt32BE(pos + 1);
      // The caller names the complaint when it comes to this message.
      if (pos > at && headerComplaint(type, lengthBytes) !== null) break;
      this.#o.log.plain(type);
      if (!isData) link?.note(SENT.copyEnd);
      pos = this.#stream(link, pos + 1 + lengthBytes, end);
    }
    link?.send(input, at, pos);
    return pos;
  }

  #scanBatch(input: Buffer, at: number, end: number): number {
    if (!this.#talk.isBusy) this.#talk.statements.settle();
    const batch = this.#batch;
    batch.clear();
    let pos = at;
    let endsWith: "sync" | "flush" | "other" | "nothing" = "nothing";
    while (endsWith === "nothing" && end - pos >= HEADER_BYTES) {
      const type = input[pos] as number;
      const stop = pos + 1 + input.readUInt32BE(pos + 1);
      const kind = batchKind(type);
      const isEnd = type === FRONTEND.sync || type === FRONTEND.flush;
      if ((!isEnd && kind === 0) || headerComplaint(type, stop - pos - 1) !== null) {
        endsWith = "other";
        break;
      }
      if (stop > end) break;
      if (kind === 0) endsWith = type === FRONTEND.sync ? "sync" : "flush";
      else if (this.#own.isForUs(kind, input, pos, stop)) {
        if (batch.count === 0) return this.#own.scanMessage(kind, input, at, stop);
        endsWith = "other";
        break;
      }
      pos = stop;
    }
    const isOurs = this.#own.isOpen && batch.count === 0 && this.#talk.batchLink === null;
    if (isOurs && (endsWith === "sync" || endsWith === "flush")) {
      // No server has seen anything of this batch.
      if (endsWith === "sync") this.#own.synced();
      return pos;
    }
    if (endsWith !== "nothing") return this.#sendBatch(input, at, pos, endsWith);
    const isFull = end - at >= BATCH_BYTES_MAX;
    if (this.#talk.batchLink === null && !isFull) return at;
    if (pos > at) return this.#sendBatch(input, at, pos, "other");
    return isFull ? this.#sendGiant(input, at, end) : at;
  }

  /** A message too long to be held: its beginning says all that must be known. */
  #sendGiant(input: Buffer, at: number, end: number): number {
    const kind = batchKind(input[at] as number);
    assert(kind !== 0, "only a message of a batch can be a giant");
    this.#batch.note(kind, input, at, end, false);
    const stop = at + 1 + input.readUInt32BE(at + 1);
    const sent = this.#sendBatch(input, at, end, "other");
    if (sent === at) return at;
    return this.#stream(this.#discards ? null : this.#talk.batchLink, stop, end);
  }

  #sendBatch(input: Buffer, at: number, end: number, endsWith: "sync" | "flush" | "other"): number {
    if (endsWith === "flush" && this.#batch.count === 0 && this.#talk.batchLink === null) {
      // Nothing is unfinished: it may only hurry what runs already.
      if (this.#talk.isBusy) this.#talk.active?.send(input, at, end);
      return end;
    }
    const continues = this.#talk.batchLink !== null;
    const isSynced = endsWith === "sync";
    const links = this.#claims.forBatch(this.#batch, isSynced);
    if (links === "wait") return at;
    if (links === "failed") {
      if (isSynced) this.#talk.tellClient(buildReady(this.#talk.status));
      else this.#discards = true;
      return end;
    }
    const first = links[0] as BackendLink;
    // Whether a transaction has failed decides how to prepare what the server lacks.
    const { pending } = first;
    const mayBeAborted = continues ? pending.reachesBack : !pending.isIdle;
    if (mayBeAborted && this.#talk.mayLack && this.#forwarder.lacksSome(first, continues)) {
      if (continues) this.#talk.waitFlushed(first);
      else this.#talk.wait("drained");
      return at;
    }
    if (this.#batch.describesStatement && this.#apart.supplyDescribed(first, continues, isSynced)) {
      return at;
    }
    this.#own.forwarded();
    this.#talk.batchLink = isSynced ? null : (links[0] as BackendLink);
    this.#talk.batchEndsWithReady = false;
    const clears = links.length > 1 && this.#batch.clearsSession;
    const outcome = this.#sent.outcomeOf(links, null, clears);
    const isFirst = this.#o.carrier !== null && !continues && !this.#talk.isInTransaction;
    for (let i = 0; i < links.length; i += 1) {
      const flags = i === 0 ? 0 : HIDDEN;
      const link = links[i] as BackendLink;
      const how = this.#how;
      how.at = at;
      how.end = end;
      how.flags = flags;
      how.continues = continues;
      how.isAlone = links.length === 1;
      const wasIdle = link.pending.isIdle;
      const isForwarded = this.#forwarder.forward(link, input, how);
      if (this.#forwarder.stoppedAt !== -1) return this.#sentPartly(input, link, links);
      const isSent =
        isForwarded && (!isSynced || link.note(SENT.sync, flags, outcome?.watcher(i) ?? null));
      if (!isSent) this.#runaway();
      if (isFirst && wasIdle && isSynced) {
        link.copy.keep(this.#batch, input, at, end, link.pending.count);
      } else link.copy.forget();
      if (wasIdle && isSynced && this.#sent.isReadFor(link)) {
        link.read.keep(input, at, end, this.#batch.changesNames);
      } else if (link.read.isUnseen) link.read.forget();
    }
    this.#apart.sent(continues, isSynced);
    this.#sent.batch(this.#batch, input, end, links);
    if (endsWith !== "other") this.#o.log.plain(TYPE_OF_END[endsWith]);
    return end;
  }

  /** The rest of the batch waits until the server has said what one of its statements is. */
  #sentPartly(input: Buffer, link: BackendLink, links: readonly BackendLink[]): number {
    link.copy.forget();
    this.#apart.sentPartly();
    this.#talk.batchLink = link;
    this.#batch.count = this.#forwarder.stoppedAt;
    this.#sent.batch(this.#batch, input, input.length, links);
    this.#talk.waitFlushed(link);
    return this.#batch.starts[this.#batch.count] as number;
  }

  #runaway(): void {
    const message = "too many messages without an answer";
    this.#talk.end(failure("protocol-violation", { sqlstate: "54000", message }));
  }
}
