import { assert, failure, type Failure, type Result } from "../../../base/index.ts";
import type { ClusterView } from "../../../wire/ipc/index.ts";
import {
  buildError,
  buildReady,
  FRONTEND,
  HEADER_BYTES,
  READY,
} from "../../../wire/postgres/index.ts";
import type { RoutingRules } from "../routing/index.ts";
import type { SqlClass } from "../sql/index.ts";
import { BackendLink, type LinkOwner, type LinkPort } from "./backend-link.ts";
import { BatchForwarder } from "./batch-forwarder.ts";
import { EverywhereOutcome } from "./everywhere-outcome.ts";
import {
  BATCH_BYTES_MAX,
  batchKind,
  ClientBatch,
  headerComplaint,
  UNREAD_SQL,
} from "./client-batch.ts";
import { HeldInput } from "./held-input.ts";
import { HIDDEN, SENT } from "./pending-replies.ts";
import type { SessionPort } from "./port.ts";
import { buildLocalAnswer } from "./local-answers.ts";
import type { ShowAnswer } from "../show/index.ts";
import { PreparedStatements } from "./prepared-statements.ts";
import { SessionRouting, type Destination } from "./session-routing.ts";

/** Between two batches, a client with more unanswered messages than this has to wait. */
const PIPELINE_MAX = 1 << 16;
/** Bits in `PreparedStatement.backends`. */
const LINKS_MAX = 31;

export interface SessionOptions {
  readonly port: SessionPort;
  readonly classify: (text: string) => SqlClass;
  readonly rules: RoutingRules;
  readonly view: ClusterView;
  readonly loadBalanceNode: number | null;
  /** 0 <= r < 1. */
  readonly nextRandom: () => number;
  readonly logsStatements: boolean;
  readonly logsPerNode: boolean;
}

/**
 * A logged-in client and its backend connections, from the first statement to the last.
 *
 *     client ── clientBytes ──> cut into messages ──> one destination a Query or batch ──> links
 *     client <── toClient ───── spans of replies <── linkBytes ── hidden ones left out <── links
 *
 * Replies come in the order of the client's messages because only one link at a time (`#active`)
 * owes visible ones: whatever must go elsewhere waits until it is drained, and the client is not
 * read meanwhile. An open transaction, an unfinished batch and a COPY stay where they are.
 */
export class Session implements LinkOwner {
  readonly #port: SessionPort;
  readonly #o: SessionOptions;
  readonly #routing: SessionRouting;
  readonly #statements = new PreparedStatements();
  readonly #batch: ClientBatch;
  readonly #forwarder: BatchForwarder;
  readonly #links = new Map<number, BackendLink>();
  readonly #held = new HeldInput();
  #primary: BackendLink | null = null;
  /** The link that visible replies come from. */
  #active: BackendLink | null = null;
  /** Where the messages up to the next Sync must go. */
  #batchLink: BackendLink | null = null;
  /** A Query or FunctionCall came last: its reply, unless it is skipped, ends the batch as well. */
  #batchEndsWithReady = false;
  /** The rest of a message whose beginning was handled already; no link: it is dropped. */
  #bodyBytes = 0;
  #bodyLink: BackendLink | null = null;
  /** A batch failed here: the server that the client believes in skips to Sync. */
  #discards = false;
  #waitsFor: "nothing" | "drained" | "opened" | "gate" = "nothing";
  #openFailure: Failure | null = null;
  /** Something was said that a backend opened later would not know. */
  #isTouched = false;
  #status: number = READY.idle;
  #ended = false;
  #nextBit = 0;

  constructor(o: SessionOptions) {
    this.#o = o;
    this.#port = o.port;
    this.#routing = new SessionRouting(o);
    const statements = this.#statements;
    const batch = new ClientBatch(statements, o.classify);
    this.#batch = batch;
    this.#forwarder = new BatchForwarder({ batch, statements, links: this.#links });
  }

  get links(): ReadonlyMap<number, BackendLink> {
    return this.#links;
  }

  get loadBalanceNode(): number | null {
    return this.#routing.loadBalanceNode;
  }

  /** Nothing runs and no transaction is open. */
  get isIdle(): boolean {
    return this.#status === READY.idle && !this.#isBusy();
  }

  /** The links that run something of this client now. */
  busyLinks(): BackendLink[] {
    return [...this.#links.values()].filter((link) => !link.pending.isIdle);
  }

  addLink(backendId: number, parameters: Map<string, string>, port: LinkPort): BackendLink {
    assert(!this.#links.has(backendId), `backend ${backendId} is linked twice`);
    assert(this.#nextBit < LINKS_MAX, "too many links in one session");
    const bit = 1 << this.#nextBit;
    this.#nextBit += 1;
    const link = new BackendLink({ backendId, bit, parameters, port, owner: this });
    this.#links.set(backendId, link);
    if (backendId === this.#routing.view.primaryId) this.#primary = link;
    this.#chooseSpeaker();
    return link;
  }

  // ---- events -----------------------------------------------------------------------------

  /** @param bytes valid during the call, and longer where a port stopped their source. */
  clientBytes(bytes: Buffer): void {
    if (this.#ended) return;
    this.#take(this.#held.join(bytes));
  }

  linkBytes(link: BackendLink, bytes: Buffer): void {
    if (this.#ended) return;
    const complaint = link.push(bytes);
    if (complaint !== null) {
      this.#port.dropLink(link.backendId, complaint);
      this.linkLost(link.backendId, complaint);
    }
    this.#resumeWhenDrained();
  }

  /** An answer to `SessionPort.openLink`. */
  linkOpened(backendId: number, parameters: Map<string, string>, port: LinkPort): BackendLink {
    const link = this.addLink(backendId, parameters, port);
    this.#resume();
    return link;
  }

  linkFailed(why: Failure): void {
    this.#openFailure = why;
    this.#resume();
  }

  /** The backend closed its connection, or may not be used any more. */
  linkLost(backendId: number, why: string): void {
    const link = this.#links.get(backendId);
    if (link === undefined || this.#ended) return;
    this.#links.delete(backendId);
    this.#statements.forgetBackend(link.bit);
    this.#routing.forgetBackend(backendId);
    const isBusy = link === this.#active && !link.pending.isIdle;
    if (link === this.#primary || isBusy || link === this.#batchLink || this.#links.size === 0) {
      this.#end(link.saidFatal ? null : failure("backend-lost", { detail: why }));
      return;
    }
    if (this.#active === link) this.#active = null;
    this.#chooseSpeaker();
    this.#resumeWhenDrained();
  }

  /** Ends it from our side. */
  shutDown(why: Failure): void {
    this.#end(why);
  }

  viewChanged(view: ClusterView): void {
    if (this.#ended) return;
    const oldPrimary = this.#primary;
    this.#routing.view = view;
    if (oldPrimary !== null && view.primaryId !== null && view.primaryId !== oldPrimary.backendId) {
      const detail = `The primary is now backend ${view.primaryId}; it was ${oldPrimary.backendId}.`;
      this.#end(failure("shutting-down", { detail, hint: "Connect again." }));
      return;
    }
    for (const backendId of this.#links.keys()) {
      const backend = view.backends.find((one) => one.id === backendId);
      if (backend?.state === "up" || backend?.state === "waiting") continue;
      const why = `backend ${backendId} is down`;
      this.#port.dropLink(backendId, why);
      this.linkLost(backendId, why);
    }
    if (this.#primary === null && view.primaryId !== null) {
      this.#primary = this.#links.get(view.primaryId) ?? null;
      this.#chooseSpeaker();
    }
    this.gateChanged();
  }

  /** What the port says of the gate may have changed. */
  gateChanged(): void {
    if (this.#ended) return;
    const refusal = this.#port.mayForward() ? null : this.#port.forwardRefusal();
    if (refusal !== null && this.#isBusy()) {
      // What runs may run on a server that the others have replaced: its success must not be told,
      // and an answer may never come.
      this.#end(failure("backend-lost", { detail: refusal }));
    } else if (this.#waitsFor === "gate") {
      this.#resume();
    }
  }

  // ---- what links tell --------------------------------------------------------------------

  relayed(bytes: Buffer, start: number, end: number): void {
    this.#port.toClient(bytes, start, end);
  }

  ready(link: BackendLink, hidden: boolean): void {
    if (!hidden) this.#status = link.status;
  }

  failedWith(link: BackendLink, fields: ReadonlyMap<string, string>): void {
    this.#port.backendFailed(link.backendId, fields);
  }

  // ---- the client's stream ----------------------------------------------------------------

  #take(input: Buffer): void {
    const used = this.#waitsFor === "nothing" ? this.#scan(input) : 0;
    this.#held.keep(input, this.#ended ? input.length : used);
  }

  /** @returns how many bytes were dealt with. */
  #scan(input: Buffer): number {
    const end = input.length;
    let at = 0;
    while (at < end && this.#waitsFor === "nothing" && !this.#ended) {
      if (this.#bodyBytes > 0) {
        if (this.#bodyLink !== null && this.#shut(this.#bodyLink) !== null) break;
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
      this.#end(failure("protocol-violation", { message: complaint }));
      return at;
    }
    const stop = at + 1 + lengthBytes;
    if (type === FRONTEND.terminate) {
      this.#ended = true;
      this.#port.terminated();
      return end;
    }
    if (this.#discards) return this.#discard(type, stop, end);
    if (this.#batchEndsWithReady && this.#batchLink?.pending.isIdle === true) {
      this.#batchLink = null;
    }
    // A batch is unfinished there, maybe because a COPY ate its Sync, or all but Sync is ignored.
    const pending = this.#active?.pending;
    if (pending?.isUnsynced === true || pending?.isSkipping === true) {
      this.#batchLink ??= this.#active;
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
      this.#tellClient(buildReady(this.#status));
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
    const text = isWhole ? input.toString("utf8", at + HEADER_BYTES, stop - 1) : "";
    const sql = isWhole ? this.#o.classify(text) : UNREAD_SQL;
    const isOurs = sql.kind === "show-pool" || sql.kind === "pgpool";
    if (isOurs && this.#batchLink === null) {
      return this.#answerHere(sql) ? stop : at;
    }
    const links = this.#claimFor(sql, text);
    if (links === "failed") return this.#stream(null, stop, end);
    if (links === "wait") return at;
    this.#logStatement(text);
    // Behind an unfinished batch it may be skipped, and then nothing is forgotten.
    if (this.#batchLink === null) {
      this.#forwarder.prepareForSql(sql, links[0] as BackendLink);
      for (const link of links) link.mayHaveUnnamed = false;
    }
    this.#statements.forgetUnnamed();
    const outcome = this.#outcomeOf(links, true);
    for (let i = 0; i < links.length; i += 1) {
      const link = links[i] as BackendLink;
      if (this.#o.logsPerNode) this.#port.logStatement(link.backendId, text);
      const watcher = outcome?.watcher(i) ?? this.#statements.queryWatcher;
      if (!link.note(SENT.query, i === 0 ? 0 : HIDDEN, watcher)) this.#runaway();
      link.send(input, at, Math.min(stop, end));
    }
    this.#executed(sql, links);
    this.#batchEndsWithReady = true;
    return this.#stream(links[0] as BackendLink, stop, end);
  }

  #scanFunctionCall(input: Buffer, at: number, stop: number, end: number): number {
    const links = this.#claimFor(UNREAD_SQL, "");
    if (links === "failed") return this.#stream(null, stop, end);
    if (links === "wait") return at;
    const link = links[0] as BackendLink;
    if (!link.note(SENT.functionCall)) this.#runaway();
    link.send(input, at, Math.min(stop, end));
    this.#executed(UNREAD_SQL, links);
    this.#batchEndsWithReady = true;
    return this.#stream(link, stop, end);
  }

  /** Data runs through in one write as far as it is there. Left-over data is dropped. */
  #scanCopy(input: Buffer, at: number, end: number): number {
    const active = this.#active;
    const link = active !== null && !active.pending.isIdle ? active : null;
    if (link !== null && this.#shut(link) !== null) return at;
    let pos = at;
    while (end - pos >= HEADER_BYTES) {
      const type = input[pos] as number;
      const isData = type === FRONTEND.copyData;
      if (!isData && type !== FRONTEND.copyDone && type !== FRONTEND.copyFail) break;
      const lengthBytes = input.readUInt32BE(pos + 1);
      // The caller names the complaint when it comes to this message.
      if (pos > at && headerComplaint(type, lengthBytes) !== null) break;
      if (!isData) link?.note(SENT.copyEnd);
      pos = this.#stream(link, pos + 1 + lengthBytes, end);
    }
    link?.send(input, at, pos);
    return pos;
  }

  #scanBatch(input: Buffer, at: number, end: number): number {
    if (!this.#isBusy()) this.#statements.settle();
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
      else batch.note(kind, input, pos, stop, true);
      pos = stop;
    }
    if (endsWith !== "nothing") return this.#sendBatch(input, at, pos, endsWith);
    const isFull = end - at >= BATCH_BYTES_MAX;
    if (this.#batchLink === null && !isFull) return at;
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
    return this.#stream(this.#discards ? null : this.#batchLink, stop, end);
  }

  #sendBatch(input: Buffer, at: number, end: number, endsWith: "sync" | "flush" | "other"): number {
    if (endsWith === "flush" && this.#batch.count === 0 && this.#batchLink === null) {
      // Nothing is unfinished: it may only hurry what runs already.
      if (this.#isBusy()) this.#active?.send(input, at, end);
      return end;
    }
    const continues = this.#batchLink !== null;
    const links = this.#claimForBatch(endsWith === "sync");
    if (links === "wait") return at;
    if (links === "failed") {
      if (endsWith === "sync") this.#tellClient(buildReady(this.#status));
      else this.#discards = true;
      return end;
    }
    this.#batchLink = endsWith === "sync" ? null : (links[0] as BackendLink);
    this.#batchEndsWithReady = false;
    this.#logBatch(links);
    const outcome = this.#outcomeOf(links, false);
    for (let i = 0; i < links.length; i += 1) {
      const flags = i === 0 ? 0 : HIDDEN;
      const hasFailed = this.#status === READY.failed;
      const link = links[i] as BackendLink;
      const isSent =
        this.#forwarder.forward(link, input, { at, end, flags, continues, hasFailed }) &&
        (endsWith !== "sync" || link.note(SENT.sync, flags, outcome?.watcher(i) ?? null));
      if (!isSent) this.#runaway();
    }
    for (let i = 0; i < this.#batch.count; i += 1) {
      const statement = this.#batch.statements[i];
      if (this.#batch.kinds[i] === SENT.bind && statement) this.#executed(statement.sql, links);
    }
    return end;
  }

  // ---- choosing and claiming links --------------------------------------------------------

  #claimFor(sql: SqlClass, text: string): BackendLink[] | "wait" | "failed" {
    const shut = this.#shut(this.#batchLink);
    if (shut === null && this.#batchLink !== null) {
      this.#routing.notRouted();
      return [this.#batchLink];
    }
    const links =
      shut ?? this.#claim(this.#routing.ofStatement(sql, text, this.#isInTransaction()));
    if (links === "failed") this.#tellClient(buildReady(this.#status));
    return links;
  }

  #claimForBatch(endsWithSync: boolean): BackendLink[] | "wait" | "failed" {
    const shut = this.#shut(this.#batchLink);
    if (shut !== null) return shut;
    if (this.#batchLink !== null) {
      this.#routing.notRouted();
      return [this.#batchLink];
    }
    // A lone Sync belongs to what runs already.
    const active = this.#active;
    if (this.#batch.count === 0 && active !== null && !active.pending.isIdle) return [active];
    // If the Parse of an unnamed statement is skipped, a Bind after the next Sync means the one
    // before it, which may live elsewhere. Inside a batch the Bind would be skipped as well.
    const mayMeanOlder = !endsWithSync || this.#batch.usesOlderUnnamed;
    if (mayMeanOlder && this.#isBusy() && this.#statements.isUnsettled) {
      return this.#wait("drained");
    }
    return this.#claim(this.#routing.ofBatch(this.#batch, endsWithSync, this.#isInTransaction()));
  }

  /** Links that may be written to now, the one with the visible reply first. */
  #claim(to: Destination | null): BackendLink[] | "wait" | "failed" {
    if (to === null) return this.#claimLinks([this.#speaker()]);
    switch (to.kind) {
      case "nowhere":
        return this.#port.awaitsPrimary() ? this.#wait("gate") : this.#failStatement(to.failure);
      case "backend": {
        const link = this.#links.get(to.backendId);
        if (link !== undefined) return this.#claimLinks([link]);
        if (to.backendId === this.#routing.view.primaryId) return this.#claimPrimary();
        return this.#primary === null ? this.#claimPrimary() : this.#claimLinks([this.#primary]);
      }
      case "all": {
        const links = to.backendIds.flatMap((id) => this.#links.get(id) ?? []);
        // A session without a primary speaks to what it has.
        return this.#claimLinks(links.length > 0 ? links : [this.#speaker()]);
      }
    }
  }

  #claimLinks(links: BackendLink[]): BackendLink[] | "wait" {
    const first = links[0] as BackendLink;
    const active = this.#active;
    const mustDrain = active !== null && active !== first && active.pending.count > 0;
    if (mustDrain || first.pending.count > PIPELINE_MAX) {
      return this.#wait("drained");
    }
    this.#active = first;
    return links;
  }

  #claimPrimary(): "wait" | "failed" {
    const { primaryId } = this.#routing.view;
    const why = this.#openFailure;
    this.#openFailure = null;
    if (why !== null) return this.#failStatement(why);
    if (primaryId === null && !this.#isTouched && this.#port.awaitsPrimary()) {
      return this.#wait("gate");
    }
    if (primaryId === null || this.#isTouched) {
      return this.#failStatement(failure("no-primary", { hint: "Connect again." }));
    }
    this.#wait("opened");
    this.#port.openLink(primaryId);
    return "wait";
  }

  /**
   * Null when the client's bytes may be forwarded now; else they wait, or the statement has failed.
   *
   * @param link where they belong, because their beginning is there already; null when they are
   *   still to be routed.
   */
  #shut(link: BackendLink | null): "wait" | "failed" | null {
    if (!this.#port.mayForward()) {
      const refusal = this.#port.forwardRefusal();
      if (refusal === null) return this.#wait("gate");
      const hint = "Another node may hold the majority; try again.";
      return this.#failStatement(failure("no-primary", { message: refusal, hint }));
    }
    // It may be replaced at any moment; what is to be routed finds that out by itself.
    const isReplaced = link !== null && link === this.#primary && this.#routing.view.awaitsPrimary;
    if (!isReplaced) return null;
    if (this.#port.awaitsPrimary()) return this.#wait("gate");
    this.#end(failure("backend-lost", { detail: "The primary is being replaced." }));
    return "wait";
  }

  /**
   * The statement cannot run. Inside a transaction its work so far would be lost unseen, so
   * then the session ends.
   */
  #failStatement(why: Failure): "wait" | "failed" {
    if (this.#isBusy()) return this.#wait("drained");
    if (this.#status !== READY.idle) this.#end({ ...why, severity: "FATAL" });
    else this.#tellClient(buildError(why));
    return "failed";
  }

  #isBusy(): boolean {
    return this.#active !== null && !this.#active.pending.isIdle;
  }

  /** Also while it is not known: what is under way on the primary may be a BEGIN. */
  #isInTransaction(): boolean {
    if (this.#status !== READY.idle) return true;
    return this.#active !== null && this.#active === this.#primary && this.#isBusy();
  }

  #speaker(): BackendLink {
    const [first] = this.#links.values();
    const speaker = this.#primary ?? first;
    assert(speaker !== undefined, "a session that runs has a link");
    return speaker;
  }

  #chooseSpeaker(): void {
    const speaker = this.#speaker();
    for (const link of this.#links.values()) link.speaksForSession = link === speaker;
  }

  // ---- sending ----------------------------------------------------------------------------

  /** The first link's reply is the client's; those of the others are compared with it. */
  #outcomeOf(links: readonly BackendLink[], isQuery: boolean): EverywhereOutcome | null {
    if (links.length === 1) return null;
    const firstEnded = (): void => {
      if (isQuery) this.#statements.queryWatcher.ended();
    };
    return new EverywhereOutcome(links, (link) => this.#dropDivergent(link), firstEnded);
  }

  #dropDivergent(link: BackendLink): void {
    const why = "a statement that ran on the primary failed on this backend";
    this.#port.dropLink(link.backendId, why);
    this.linkLost(link.backendId, why);
  }

  #executed(sql: SqlClass, links: readonly BackendLink[]): void {
    const first = links[0] as BackendLink;
    if (sql.kind === "read") this.#port.readSent(first.backendId);
    if (this.#primary === null && (sql.destination === "both" || sql.changesSession)) {
      this.#isTouched = true;
    }
    const targets = links.map((link) => link.backendId);
    this.#routing.executed(sql, targets, links.length === this.#links.size);
  }

  #answerHere(sql: SqlClass): boolean {
    if (this.#isBusy()) {
      this.#wait("drained");
      return false;
    }
    const answer = (): Result<ShowAnswer, Failure> => this.#port.answerShow(sql.name ?? "");
    this.#tellClient(buildLocalAnswer(sql, this.#status, answer));
    return true;
  }

  #tellClient(bytes: Buffer): void {
    if (this.#ended) return;
    this.#port.toClient(bytes, 0, bytes.length);
  }

  #logStatement(text: string): void {
    if (this.#o.logsStatements) this.#port.logStatement(null, text);
  }

  #logBatch(links: readonly BackendLink[]): void {
    if (!this.#o.logsStatements && !this.#o.logsPerNode) return;
    for (let i = 0; i < this.#batch.count; i += 1) {
      const statement = this.#batch.statements[i];
      const kind = this.#batch.kinds[i];
      if (!statement || (kind !== SENT.parse && kind !== SENT.bind)) continue;
      const text = `${kind === SENT.parse ? "Parse" : "Bind"}: ${statement.text}`;
      if (kind === SENT.bind) this.#logStatement(statement.text);
      if (!this.#o.logsPerNode) continue;
      for (const link of links) this.#port.logStatement(link.backendId, text);
    }
  }

  // ---- waiting and ending -----------------------------------------------------------------

  #wait(what: "drained" | "opened" | "gate"): "wait" {
    this.#waitsFor = what;
    this.#port.pauseClient();
    return "wait";
  }

  #resumeWhenDrained(): void {
    if (this.#waitsFor !== "drained") return;
    const pending = this.#active?.pending;
    if (pending === undefined || pending.count === 0 || pending.isUnsynced) this.#resume();
  }

  #resume(): void {
    if (this.#ended) return;
    this.#waitsFor = "nothing";
    this.#take(this.#held.join(null));
    if (!this.#isWaiting() && !this.#ended) this.#port.resumeClient();
  }

  #isWaiting(): boolean {
    return this.#waitsFor !== "nothing";
  }

  #runaway(): void {
    const message = "too many messages without an answer";
    this.#end(failure("protocol-violation", { sqlstate: "54000", message }));
  }

  #end(why: Failure | null): void {
    if (this.#ended) return;
    this.#ended = true;
    // An error in the middle of a row would be read as data: then the client just sees the end.
    this.#port.end(this.#active?.isInPassedFrame === true ? null : why);
  }
}
