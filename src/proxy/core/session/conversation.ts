import { assert, type Failure } from "../../../base/index.ts";
import { FLUSH, READY } from "../../../wire/postgres/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { HiddenReply } from "./hidden-questions.ts";
import { LinkSet } from "./link-set.ts";
import type { SessionPort } from "./port.ts";
import { PreparedStatements } from "./prepared-statements.ts";
import type { ReadConsistency } from "./read-consistency.ts";
import type { SharedStatements } from "./shared-statements.ts";

/** What the client's next message waits for. */
export type Waiting =
  | "nothing"
  | "drained"
  | "flushed"
  | "opened"
  | "carried"
  | "probed"
  | "known"
  | "replayed"
  | "gate"
  | "answer";

/** While it waits for one of ours, a client is read until it has said so much. */
const HELD_WHILE_READING_BYTES_MAX = 64 * 1024;

/** Waited for without the client having to be silent, where connections are shared. */
const OURS = new Set<Waiting>(["opened", "carried", "probed", "known", "replayed"]);

/** Something that the client had begun, and that is gone. */
export interface Cut {
  /** What the client is told at its next message; null when it knows. */
  untold: Failure | null;
  /** A transaction: it counts as failed until the client ends it. */
  readonly isTransaction: boolean;
}

/** What the parts of a session share: its links, its place in the protocol, how it waits and ends. */
export class Conversation {
  readonly port: SessionPort;
  /** Connections belong to the session for a transaction, not for its life. */
  readonly isSharing: boolean;
  readonly links = new LinkSet();
  readonly statements: PreparedStatements;
  /** Goes on with the client's messages when they wait for this; set by the session. */
  goOn: (what: Waiting) => void = () => undefined;
  /** Who hears of each frame of a server; set by the session. */
  watcherOf: (backendId: number) => BackendLink["watcher"] = () => null;
  primary: BackendLink | null = null;
  /** The link that visible replies come from. */
  active: BackendLink | null = null;
  /** Where the messages up to the next Sync must go. */
  batchLink: BackendLink | null = null;
  /** A Query or FunctionCall came last: its reply, unless it is skipped, ends the batch as well. */
  batchEndsWithReady = false;
  waitsFor: Waiting = "nothing";
  /** The statement that waits is not to run any more. */
  isCanceled = false;
  /** Of the transaction, as the client was told last. */
  status: number = READY.idle;
  /** The transaction, or unfinished batch, that was lost with its server; null when none was. */
  cut: Cut | null = null;
  /** DDL was sent, and what it changes is not in effect yet, as far as is known. */
  changesCatalog = false;
  /** And may have made a function or a trigger. */
  changesFunctions = false;
  /** What reads on standbys must see; null: whatever is there. */
  consistency: ReadConsistency | null = null;
  hasEnded = false;

  constructor(port: SessionPort, shared: SharedStatements | null) {
    this.port = port;
    this.isSharing = shared !== null;
    this.statements = new PreparedStatements(shared);
  }

  /** There may be a server that does not know all statements of the session. */
  get mayLack(): boolean {
    return this.isSharing || this.links.size > 1;
  }

  get isWaiting(): boolean {
    return this.waitsFor !== "nothing";
  }

  get isBusy(): boolean {
    return this.active !== null && !this.active.pending.isIdle;
  }

  /** Also while it is not known: what is under way on the primary may be a BEGIN. */
  get isInTransaction(): boolean {
    if (this.status !== READY.idle) return true;
    const { active } = this;
    return active !== null && active === this.primary && !active.pending.isAskedOnly;
  }

  /** The open transaction has answered all that was sent to it. */
  get isSettled(): boolean {
    return this.status === READY.inTransaction && !this.isBusy;
  }

  /** A read of the open transaction runs on another link than the transaction. */
  get isReadingAside(): boolean {
    return this.active?.isAside === true && !this.active.pending.isIdle;
  }

  /** The link that stands for the session's state. */
  get speaker(): BackendLink | null {
    for (const link of this.links.all) if (link.isKept) return link;
    return this.primary ?? this.links.all[0] ?? null;
  }

  /** Sharing: why it keeps links all the same, in bits of LEAVES. */
  get reasons(): number {
    let reasons = 0;
    for (const link of this.links.all) reasons |= link.keeps | link.keepsForGood;
    return reasons;
  }

  add(link: BackendLink, isPrimary: boolean): void {
    this.links.add(link);
    link.watcher = this.watcherOf(link.backendId);
    if (isPrimary) this.primary = link;
    this.chooseSpeaker();
  }

  /** The link is no longer the session's. */
  remove(link: BackendLink): void {
    this.links.remove(link);
    this.statements.forgetBackend(link.bit);
    if (this.primary === link) this.primary = null;
    if (this.active === link) this.active = null;
    if (this.batchLink === link) this.batchLink = null;
    if (this.links.size > 0) this.chooseSpeaker();
  }

  chooseSpeaker(): void {
    const { speaker } = this;
    assert(speaker !== null, "somebody speaks for the session");
    for (const link of this.links.all) link.speaksForSession = link === speaker;
  }

  /** Closes a link that cannot be used any more. */
  drop(link: BackendLink, why: string): void {
    this.port.dropLink(link, why);
    if (this.links.has(link)) this.remove(link);
  }

  tellClient(bytes: Buffer): void {
    if (!this.hasEnded) this.port.toClient(bytes, 0, bytes.length);
  }

  wait(what: Waiting): "wait" {
    this.waitsFor = what;
    // Who waits for a shared connection is read on, so that it is seen to leave.
    const isOurs = OURS.has(what);
    if (!isOurs || !this.isSharing) this.port.pauseClient();
    return "wait";
  }

  /**
   * Something of the open transaction has failed elsewhere: now it fails on the primary too, where
   * nothing is under way.
   *
   * @param why a name, for whoever reads the server's log.
   */
  failTransaction(why: string): void {
    this.status = READY.failed;
    const { primary } = this;
    if (primary === null) return;
    this.ask(primary, [`SELECT 1 / 0 AS ${why}`], () => undefined);
  }

  /**
   * Single statements that the client does not see. A simple query takes the client's unnamed statement
   * along, which is prepared once more when it is needed; but not one that could not be told then
   * that it means what it did.
   */
  ask(link: BackendLink, statements: readonly string[], done: (reply: HiddenReply) => void): void {
    const unnamed = this.statements.get("");
    const isSpared =
      unnamed !== undefined &&
      unnamed.columnsFrom !== "text" &&
      (unnamed.backends & link.bit) !== 0;
    if (isSpared) return link.askApart(statements, done);
    this.statements.unnamedLost(link.bit);
    link.ask(statements, done);
  }

  /**
   * Waits until it is known how all that was sent there has ended, also of an unfinished batch: a
   * Flush has the server say it. A COPY that waits for data of the client is not waited for.
   */
  waitFlushed(link: BackendLink): "wait" {
    link.send(FLUSH);
    return this.wait("flushed");
  }

  /** So many bytes lie here while it waits. */
  held(lengthBytes: number): void {
    if (this.isWaiting && lengthBytes > HELD_WHILE_READING_BYTES_MAX) this.port.pauseClient();
  }

  end(why: Failure | null): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    // An error in the middle of a row would be read as data: then the client just sees the end.
    this.port.end(this.active?.isInPassedFrame === true ? null : why);
  }
}
