import { failure, type Failure, type Result } from "../../../base/index.ts";
import type { ClusterView } from "../../../wire/ipc/index.ts";
import { buildReady, READY } from "../../../wire/postgres/index.ts";
import type { Catalog, ClientIdentity, DatabaseMutations, RoutingRules } from "../routing/index.ts";
import type { ReplayClock } from "../replay/index.ts";
import type { ShowAnswer } from "../show/index.ts";
import type { ClassifyBytes } from "../sql/index.ts";
import type { BackendLink, LinkOwner } from "./backend-link.ts";
import { ClientStream } from "./client-stream.ts";
import { Conversation } from "./conversation.ts";
import { LinkClaims } from "./link-claims.ts";
import type { SessionPort } from "./port.ts";
import { ReadConsistency } from "./read-consistency.ts";
import { SecondAttempts } from "./second-attempts.ts";
import { SessionRouting } from "./session-routing.ts";
import { reasonWords } from "./session-state.ts";
import { restoreNames } from "./shared-statements.ts";
import { StatementLog, type StatementLogging } from "./statement-log.ts";
import { MAY } from "./in-flight.ts";
import { isUp, LinkLosses } from "./link-losses.ts";
import { StateCarrier, type FirstState, type KnownStates } from "./state-carrier.ts";

export type SessionActivity = "idle" | "idle in transaction" | "active" | "waiting for a backend";

const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();

/** That wait for the end of a message. */
const NOTICES_MAX = 1000;

export interface SessionOptions {
  readonly port: SessionPort;
  readonly classify: ClassifyBytes;
  readonly rules: RoutingRules;
  /** Of the client's database; null: nothing is looked up. */
  readonly catalog: Catalog | null;
  /** What all sessions write; null: nobody wants to know. */
  readonly mutations: DatabaseMutations | null;
  readonly view: ClusterView;
  readonly loadBalanceNode: number | null;
  readonly client: ClientIdentity;
  /** Connections are shared, one belongs to the session for a transaction; null when not. */
  readonly sharing: FirstState | null;
  readonly known: KnownStates;
  /** 0 <= r < 1. */
  readonly nextRandom: () => number;
  readonly clock: ReplayClock;
  /** Reads see at least what the primary has shown to this session. */
  readonly isConsistent: boolean;
  readonly logging: StatementLogging;
}

/**
 * A logged-in client and its backend connections, from the first statement to the last.
 *
 *     client ── clientBytes ──> cut into messages ──> one destination a Query or batch ──> links
 *     client <── toClient ───── spans of replies <── linkBytes ── hidden ones left out <── links
 *
 * Replies come in the order of the client's messages because only one link at a time (`active`)
 * owes visible ones: whatever must go elsewhere waits until it is drained, and the client is not
 * read meanwhile. An open transaction, an unfinished batch and a COPY stay where they are.
 *
 * Where connections are shared, a link is taken by the first message of a transaction and given
 * back at the ReadyForQuery that ends it, unless the session left something behind in it.
 */
export class Session implements LinkOwner {
  readonly #port: SessionPort;
  readonly #talk: Conversation;
  readonly #routing: SessionRouting;
  readonly #claims: LinkClaims;
  readonly #clock: ReplayClock;
  readonly #stream: ClientStream;
  /** Null where connections are not shared. */
  readonly #carrier: StateCarrier | null;
  /** What the session has made of its connections, shared or not. */
  readonly #memory: StateCarrier;
  readonly #losses: LinkLosses;
  readonly #seconds: SecondAttempts;
  readonly #known: KnownStates;
  readonly #log: StatementLog;
  #isRelaying = false;
  /** They came when the client may have had but a part of a message. */
  readonly #notices: Buffer[] = [];

  constructor(o: SessionOptions) {
    this.#port = o.port;
    const { known, sharing } = o;
    this.#known = known;
    this.#talk = new Conversation(o.port, sharing === null ? null : known.statements);
    this.#talk.goOn = (what) => {
      if (this.#talk.waitsFor === what) this.#resume();
    };
    this.#clock = o.clock;
    if (o.isConsistent) this.#talk.consistency = new ReadConsistency(o.clock, true);
    this.#routing = new SessionRouting(o);
    this.#log = new StatementLog(
      {
        log: (message, detail) => o.port.log(message, detail),
        logSent: (backendId, text) => o.port.logSent(backendId, text),
        tellNotice: (notice) => this.#tellNotice(notice),
      },
      o.logging,
    );
    this.#talk.watcherOf = (backendId) => this.#log.watcherOf(backendId);
    const first = sharing ?? { state: known.states.initial, told: NO_PARAMETERS };
    this.#memory = new StateCarrier(this.#talk, known, first, o.catalog);
    this.#carrier = sharing === null ? null : this.#memory;
    this.#claims = new LinkClaims({
      talk: this.#talk,
      routing: this.#routing,
      carrier: this.#carrier,
      memory: this.#memory,
      catalog: o.catalog,
    });
    this.#stream = new ClientStream({
      talk: this.#talk,
      routing: this.#routing,
      claims: this.#claims,
      carrier: this.#carrier,
      memory: this.#memory,
      classify: o.classify,
      readsText: o.rules.readsText,
      log: this.#log,
      divergent: (link) => {
        this.#leave(link, "a statement that ran on the primary failed on this backend");
      },
    });
    this.#losses = new LinkLosses({
      talk: this.#talk,
      memory: this.#memory,
      stream: this.#stream,
    });
    this.#seconds = new SecondAttempts({
      talk: this.#talk,
      routing: this.#routing,
      claims: this.#claims,
      stream: this.#stream,
      release: (link) => this.#releaseWhenOver(link),
    });
  }

  get links(): readonly BackendLink[] {
    return this.#talk.links.all;
  }

  get loadBalanceNode(): number | null {
    return this.#routing.loadBalanceNode;
  }

  /** Why it keeps a connection that others could use, for SHOW; empty when it does not. */
  get reasonsToKeep(): readonly string[] {
    return reasonWords(this.#talk.reasons);
  }

  /** Nothing of the session is left on this link but what is known of its state. */
  isClean(link: BackendLink): boolean {
    if (link.status !== READY.idle || link.pending.isUnsynced) return false;
    return !link.isKept && this.#carrier?.suspects(link) !== true;
  }

  /** What is left on this link goes away when it is reset, once what we asked there is answered. */
  mayBeReset(link: BackendLink): boolean {
    const { pending } = link;
    if (pending.isUnsynced || !(link.isQuiet || pending.isAsked)) return false;
    return this.#carrier?.mayHaveLoaded(link) !== true;
  }

  /** Nothing runs and no transaction is open. */
  get isIdle(): boolean {
    return this.#talk.status === READY.idle && !this.#talk.isBusy;
  }

  get activity(): SessionActivity {
    const { waitsFor, isBusy, status } = this.#talk;
    if (waitsFor === "opened" || waitsFor === "gate") return "waiting for a backend";
    if (isBusy || waitsFor === "answer") return "active";
    return status === READY.idle ? "idle" : "idle in transaction";
  }

  /** The standby that has said nothing yet to a read that it has; null when there is none. */
  get awaitedStandby(): number | null {
    const { active } = this.#talk;
    return active?.read.isUnseen === true ? active.backendId : this.#claims.opening;
  }

  /** The links that run something of this client now; what we do there ourselves is none of it. */
  busyLinks(): BackendLink[] {
    return this.links.filter((link) => !link.pending.isIdle && !link.pending.isAsked);
  }

  /** What runs there may be in the middle of a commit. */
  mayBeCommitting(link: BackendLink): boolean {
    return (link.mayHaveDone & (MAY.commit | MAY.write)) !== 0;
  }

  /** The rest of a message that began there will never come. */
  isInsideMessageFor(link: BackendLink): boolean {
    return this.#stream.isInsideMessageFor(link);
  }

  /** Its next statement waits for something that `cancelWaiting` need not wait for. */
  get waitsCancelably(): boolean {
    const { waitsFor, isBusy, isSharing } = this.#talk;
    return !isBusy && (waitsFor === "gate" || (isSharing && waitsFor === "opened"));
  }

  /** Fails the statement that waits. A link that was asked for must not come any more. */
  cancelWaiting(): void {
    if (this.#talk.hasEnded || !this.waitsCancelably) return;
    this.#talk.isCanceled = true;
    this.#resume();
  }

  /** What the session starts with. */
  addLink(link: BackendLink): void {
    if (this.#talk.links.size === 0) this.#memory.greeted(link.parameters);
    this.#adopt(link);
  }

  /** Once in a while: a session that is idle has what it left looked for. */
  look(): void {
    const { speaker, status } = this.#talk;
    if (this.#talk.hasEnded || status !== READY.idle || speaker === null) return;
    if (this.#rests(speaker) && this.#memory.suspects(speaker)) this.#memory.probe(speaker);
  }

  // ---- events -----------------------------------------------------------------------------

  /** @param bytes valid during the call, and longer where a port stopped their source. */
  clientBytes(bytes: Buffer): void {
    if (!this.#talk.hasEnded) this.#stream.push(bytes);
  }

  linkBytes(link: BackendLink, bytes: Buffer): void {
    if (this.#talk.hasEnded) return;
    const mayTell = this.#port.mayForward() && !this.#routing.view.awaitsPrimary;
    if ((!mayTell || link.hasWithheld) && this.#withholds(link, bytes)) return;
    this.#isRelaying = true;
    const complaint = link.push(bytes);
    this.#isRelaying = false;
    // What it says may have ended the session, by another link that it proves to be different.
    if (this.#talk.hasEnded) return;
    if (this.#notices.length > 0) this.#flushNotices();
    const why = complaint ?? (link.lastWords === null ? null : wordsOf(link.lastWords));
    if (why !== null) {
      this.#leave(link, why);
    } else if (!this.#seconds.begin(link)) {
      if (this.#carrier === null) this.#lookWhenOver();
      else if (this.#stream.waitsForSupplied(link)) return this.#resumeSupplied(link);
      else this.#releaseWhenOver(link);
      if (!this.#memory.isProbing) this.#talk.goOn("probed");
    }
    this.#resumeWhenDrained();
  }

  /** What was written to the client, or to this link, is through. */
  written(): void {
    if (!this.#talk.isSharing || this.#talk.hasEnded) return;
    for (let i = this.links.length - 1; i >= 0; i -= 1) {
      const link = this.links[i];
      if (link !== undefined) this.#releaseWhenOver(link);
    }
  }

  /** An answer to `SessionPort.openLink`. */
  linkOpened(link: BackendLink): void {
    if (!this.#adopt(link)) {
      this.#talk.waitsFor = "carried";
      return;
    }
    this.#resume();
    // What it was wanted for, to ask the catalogs, another session may have done meanwhile.
    if (this.#carrier !== null && !this.#talk.hasEnded) this.#releaseWhenOver(link);
  }

  linkFailed(backendId: number, why: Failure): void {
    this.#claims.openFailed(backendId, why);
    this.#resume();
  }

  /** The answer to `SessionPort.answerOwn` that was not there at once. */
  ownAnswered(answer: Result<ShowAnswer, Failure>): void {
    if (!this.#talk.hasEnded && this.#stream.ownAnswered(answer)) this.#resume();
  }

  /** An answer to `SessionPort.waitForReplay`. */
  replayWaited(): void {
    if (!this.#talk.hasEnded) this.#talk.goOn("replayed");
  }

  /** The question to the primary that a read of this session waits for; 0 when for none. */
  get replayQuestion(): number {
    return this.#talk.consistency?.question ?? 0;
  }

  /** What the session must see is not known to be there. */
  isBehind(backendId: number): boolean {
    return this.#talk.consistency?.mayReadFrom(backendId) === false;
  }

  /** The position that its reads must have at least, as the client named it; 0 for none. */
  get namedPosition(): number {
    return this.#talk.consistency?.named ?? 0;
  }

  set namedPosition(lsn: number) {
    const talk = this.#talk;
    talk.consistency ??= new ReadConsistency(this.#clock, false);
    talk.consistency.named = lsn;
  }

  /** The backend closed its connection, or may not be used any more. */
  linkLost(link: BackendLink, why: string): void {
    const talk = this.#talk;
    if (talk.hasEnded || !talk.links.has(link)) return;
    if (this.#seconds.leaveLost(link, why)) return;
    const isRepeated = this.#seconds.mayRepeat(link);
    if (!this.#losses.mayGoOn(link, why, isRepeated)) return;
    if (isRepeated) return this.#seconds.moveFromLost(link, why);
    this.#claims.lost(link);
    link.abandon();
    this.#resumeWhenDrained();
  }

  /** It is over: nobody will use what it has prepared. */
  leftStatements(): void {
    this.#talk.statements.releaseAll();
  }

  /** What the client has SET for the session, or RESET. */
  configure(o: { readonly logging: StatementLogging; readonly rules: RoutingRules }): void {
    this.#log.change(o.logging);
    this.#routing.rules = o.rules;
    this.#stream.configure(o.rules.readsText);
    for (const link of this.links) link.watcher = this.#log.watcherOf(link.backendId);
  }

  /** Ends it from our side. */
  shutDown(why: Failure): void {
    this.#talk.end(why);
  }

  viewChanged(view: ClusterView): void {
    const talk = this.#talk;
    if (talk.hasEnded) return;
    const oldPrimary = talk.primary;
    const before = this.#routing.view;
    this.#routing.view = view;
    this.#claims.viewChanged();
    // A copy: those that are given up leave the list.
    for (const link of this.links.toReversed()) {
      const why = this.#losses.whyToLeave(link, view, oldPrimary, before);
      if (why !== null) this.#leave(link, why);
    }
    if (talk.hasEnded) return;
    if (talk.primary === null && view.primaryId !== null && talk.links.size > 0) {
      talk.primary = talk.links.get(view.primaryId) ?? null;
      talk.chooseSpeaker();
    }
    const { opening } = this.#claims;
    if (opening !== null && !isUp(view, opening)) {
      this.#port.giveUpLink();
      this.linkFailed(opening, failure("no-primary", { detail: `backend ${opening} is down` }));
    }
    this.gateChanged();
  }

  /** What the port says of the gate may have changed. */
  gateChanged(): void {
    const talk = this.#talk;
    if (talk.hasEnded) return;
    this.#claims.viewChanged();
    this.#lookAtWithheld();
    const refusal = this.#port.mayForward() ? null : this.#port.forwardRefusal();
    if (refusal !== null && talk.isBusy) {
      // What runs may run on a server that the others have replaced: its success must not be told,
      // and an answer may never come.
      for (const link of this.busyLinks()) this.#leave(link, refusal);
    } else if (talk.waitsFor === "gate") {
      this.#resume();
    }
  }

  /** The shared connection that it waits for was given up: there may be another way. */
  chooseAgain(): void {
    if (!this.#talk.hasEnded && this.#talk.waitsFor === "opened") this.#resume();
  }

  // ---- what links tell --------------------------------------------------------------------

  relayed(bytes: Buffer, start: number, end: number): void {
    // A reply in the middle of a read may have ended the session; the client was told the last word.
    if (!this.#talk.hasEnded) this.#port.toClient(bytes, start, end);
  }

  /** An error may name a statement as only the server knows it. */
  errorTold(frame: Buffer): Buffer {
    return restoreNames(frame, (serverName) => this.#talk.statements.clientName(serverName));
  }

  ready(link: BackendLink, hidden: boolean): void {
    if (hidden) return;
    if (link.isAside) this.#readAside(link);
    else this.#talk.status = link.status;
    if (this.#talk.changesCatalog && link.status === READY.idle) this.#catalogChanged();
    // More may have been sent already, so that it does not rest: a BEGIN, say.
    if (link.status === READY.idle && this.#memory.suspects(link)) this.#memory.rests();
    this.#seconds.answered();
    const { consistency, primary } = this.#talk;
    if (link === primary) {
      const isOver = link.status === READY.idle && link.pending.isIdle;
      if (isOver) this.#routing.settled();
      consistency?.primaryReady(isOver);
    }
  }

  failedWith(link: BackendLink, fields: ReadonlyMap<string, string>): void {
    this.#port.backendFailed(link, fields);
  }

  retries(link: BackendLink): boolean {
    return this.#seconds.retries(link);
  }

  movesRead(link: BackendLink, fields: ReadonlyMap<string, string>): boolean {
    if (!this.#seconds.moves(link, fields)) return false;
    this.failedWith(link, fields);
    return true;
  }

  told(name: string, value: string): void {
    this.#memory.told(name, value);
  }

  /** A read of the open transaction has run on this link: the client is told the transaction's status. */
  #readAside(link: BackendLink): void {
    const talk = this.#talk;
    link.isAside = false;
    if (link.hasFailedAside) {
      link.hasFailedAside = false;
      talk.failTransaction("a_read_of_this_transaction_failed_on_a_standby");
    }
    talk.tellClient(buildReady(talk.status));
  }

  /** A DDL, or one of several on their way, has taken effect. */
  #catalogChanged(): void {
    const talk = this.#talk;
    const { changesFunctions } = talk;
    talk.changesCatalog = talk.isBusy;
    talk.changesFunctions &&= talk.isBusy;
    talk.port.catalogChanged(changesFunctions);
  }

  // ---- helpers ----------------------------------------------------------------------------

  /**
   * Another server may be the primary by now, without this worker knowing: a success that comes now
   * may be worth nothing, so it waits until that is known.
   */
  #withholds(link: BackendLink, bytes: Buffer): boolean {
    const talk = this.#talk;
    if (link !== talk.primary) return false;
    const { readies, isOpen } = link.pending.owed();
    if (readies === 0 && !isOpen) return false;
    link.withhold(bytes);
    this.#port.holdLink(link, true);
    return true;
  }

  /** What was withheld is told, once it is certain that its server was the primary all the time. */
  #lookAtWithheld(): void {
    const link = this.#talk.primary;
    if (link === null || !link.hasWithheld || this.#talk.hasEnded) return;
    const { awaitsPrimary } = this.#routing.view;
    if (this.#port.mayForward() && !awaitsPrimary) {
      this.#port.holdLink(link, false);
      const withheld = link.takeWithheld();
      for (const bytes of withheld) if (link.owner === this) this.linkBytes(link, bytes);
    } else if (awaitsPrimary && !this.#port.awaitsPrimary()) {
      this.#leave(link, "the primary is being replaced");
    }
  }

  /** Closes a link of the session, unless it went with another one or with the session. */
  #leave(link: BackendLink, why: string): void {
    if (this.#talk.hasEnded || !this.#talk.links.has(link)) return;
    this.#port.dropLink(link, why);
    this.linkLost(link, why);
  }

  #adopt(link: BackendLink): boolean {
    link.owner = this;
    if (this.#carrier === null) link.wasReset(this.#known.states.initial);
    return this.#claims.take(link);
  }

  #tellNotice(notice: Buffer): void {
    const isBetween = !this.#isRelaying && this.#talk.active?.isInPassedFrame !== true;
    if (isBetween) this.#talk.tellClient(notice);
    else if (this.#notices.length < NOTICES_MAX) this.#notices.push(notice);
  }

  #flushNotices(): void {
    if (this.#talk.active?.isInPassedFrame === true) return;
    for (const notice of this.#notices.splice(0)) this.#talk.tellClient(notice);
  }

  /** Nothing runs on this link, no transaction is open, and no message has begun. */
  #rests(link: BackendLink): boolean {
    if (!link.isQuiet || link.status !== READY.idle || link.pending.isUnsynced) return false;
    if (this.#stream.isInsideMessageFor(link) || link.saidFatal) return false;
    return this.#talk.links.has(link);
  }

  /** A link of the session's own: what was left there must be known before its server is gone. */
  #lookWhenOver(): void {
    const memory = this.#memory;
    if (!memory.isSuspicious || memory.isProbing) return;
    const { speaker, isBusy } = this.#talk;
    if (speaker === null || isBusy || !memory.suspects(speaker) || !this.#rests(speaker)) return;
    if (memory.isUrgent(speaker)) memory.probe(speaker);
    else memory.rests();
  }

  /** Gives a shared connection back when nothing of this session is left in it. */
  #releaseWhenOver(link: BackendLink): void {
    const talk = this.#talk;
    if (!this.#rests(link)) return;
    if (this.#carrier?.suspects(link) === true) return this.#carrier.probe(link);
    if (link.isKept || !this.#port.mayRelease(link)) return;
    talk.remove(link);
    link.letGo();
    this.#port.releaseLink(link);
  }

  #resumeWhenDrained(): void {
    const { waitsFor, active } = this.#talk;
    if (waitsFor !== "drained" && waitsFor !== "flushed") return;
    const pending = active?.pending;
    const isOver = pending === undefined || pending.count === 0;
    // What is unsynced may keep its answers, unless it was flushed.
    if (isOver || (waitsFor === "flushed" ? pending.isCopyIn : pending.isUnsynced)) this.#resume();
  }

  /** The batch that waits comes first: it is for this connection that something was prepared. */
  #resumeSupplied(link: BackendLink): void {
    this.#resumeWhenDrained();
    if (!this.#talk.hasEnded) this.#releaseWhenOver(link);
  }

  #resume(): void {
    const talk = this.#talk;
    if (talk.hasEnded) return;
    talk.waitsFor = "nothing";
    this.#stream.goOn();
    if (!talk.isWaiting && !talk.hasEnded) this.#port.resumeClient();
  }
}

function wordsOf(fields: ReadonlyMap<string, string>): string {
  return `it said: ${fields.get("M") ?? ""}`;
}
