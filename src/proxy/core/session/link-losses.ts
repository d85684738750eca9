import { failure, type Failure } from "../../../base/index.ts";
import type { ClusterView } from "../../../wire/ipc/index.ts";
import { buildError, buildReady, READY } from "../../../wire/postgres/index.ts";
import { LEAVES } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { ClientStream } from "./client-stream.ts";
import type { Conversation } from "./conversation.ts";
import { MAY } from "./in-flight.ts";
import type { Owed } from "./pending-replies.ts";
import { reasonWords } from "./session-state.ts";
import type { StateCarrier } from "./state-carrier.ts";

/**
 * What becomes of a session that has lost the connection to a server, because that has crashed,
 * was stopped, or is not the primary any more. Between two transactions the session goes on, and
 * what it had made of the connection is made of the next one. What was under way gets one error:
 *
 *     08006 (or the server's own words)   it has changed nothing: it did not end, or is rolled back
 *     08007                               it may have been committed
 */
export class LinkLosses {
  readonly #talk: Conversation;
  readonly #memory: StateCarrier;
  readonly #stream: ClientStream;

  constructor(o: {
    readonly talk: Conversation;
    readonly memory: StateCarrier;
    readonly stream: ClientStream;
  }) {
    this.#talk = o.talk;
    this.#memory = o.memory;
    this.#stream = o.stream;
  }

  /** Why a link is of no use in this view; null when it is. */
  whyToLeave(
    link: BackendLink,
    view: ClusterView,
    oldPrimary: BackendLink | null,
    before: ClusterView,
  ): string | null {
    const { backendId } = link;
    if (!isUp(view, backendId)) return `backend ${backendId} is down`;
    const { primaryId } = view;
    if (primaryId === null) return null;
    if (link === oldPrimary && primaryId !== backendId) {
      return `the primary is now backend ${primaryId}; it was ${backendId}`;
    }
    // It may have been replaced, and be the primary again.
    if (link.hasWithheld && view.primaryEpoch !== before.primaryEpoch)
      return "a failover has come between";
    // As a standby it was not told of what was PREPAREd.
    const isPromoted = !this.#talk.isSharing && link !== oldPrimary && primaryId === backendId;
    const lacks = isPromoted && link.isQuiet && this.#memory.hasPrepared;
    return lacks ? `backend ${backendId} has become the primary` : null;
  }

  /**
   * The client is told what it has to know of what was under way there; an open transaction is
   * marked as lost. The link is still the session's.
   *
   * @param isRepeated what was under way is a read that runs again elsewhere.
   * @returns false when the session ended with the link.
   */
  mayGoOn(link: BackendLink, why: string, isRepeated: boolean): boolean {
    const talk = this.#talk;
    // The client has heard it, or has the beginning of a message whose rest will not come.
    if (link.saidFatal || link.isInPassedFrame) {
      talk.end(null);
      return false;
    }
    const isOpen = link.status !== READY.idle && !link.isAside;
    const owed = link.pending.owed();
    const isUnderWay = owed.readies > 0 || owed.isOpen || this.#hasOpenBatch(link);
    const isSuspicious = this.#memory.isSuspicious;
    const isHolder = talk.isSharing || link === talk.speaker;
    const gone = isHolder ? this.#goneWith(link) : 0;
    const isTold = (isUnderWay || isOpen) && !isRepeated;
    const outcome = isTold ? outcomeOf(link, owed, why) : null;
    if (gone !== 0) {
      const what = `${why}. With it are gone: ${reasonWords(gone).join(", ")}.`;
      const ended = failure("state-lost", { detail: what });
      talk.end(outcome === null ? ended : { ...outcome, severity: "FATAL", detail: what });
      return false;
    }
    if (outcome === null) return true;
    link.giveAll();
    if (link.isAside) this.#tellAside(outcome);
    else this.#tell(link, owed, outcome);
    talk.consistency?.primaryReady(true);
    // What was SET in the meantime is undone on the new primary.
    if (!talk.isSharing && isSuspicious && isOpen) this.#dropOthers(link);
    return !talk.hasEnded;
  }

  /** Of which all may have been answered so far. */
  #hasOpenBatch(link: BackendLink): boolean {
    const { batchLink, batchEndsWithReady } = this.#talk;
    return link === batchLink && !(batchEndsWithReady && link.pending.isIdle);
  }

  #tell(link: BackendLink, owed: Owed, outcome: Failure): void {
    const talk = this.#talk;
    const isOpen = link.status !== READY.idle;
    const begins = isOpen || (link.mayHaveDone & MAY.begin) !== 0;
    const isOnlyEnd = owed.readies === 1 && !owed.isOpen && (link.mayHaveDone & MAY.end) !== 0;
    const isTransaction = begins && !isOnlyEnd;
    this.#stream.dropRest(link);
    const isSilent = owed.readies === 0 && (!owed.isOpen || link.pending.count === 0);
    if (isSilent && !owed.isTold) {
      const isKnown = link.status === READY.failed && !this.#hasOpenBatch(link);
      talk.cut = { untold: isKnown ? null : outcome, isTransaction };
      return;
    }
    talk.status = isTransaction ? READY.failed : READY.idle;
    if (isTransaction) talk.cut = { untold: null, isTransaction };
    const error = buildError(outcome);
    // What comes first may have been told already, but for its end.
    let isTold = link.isToldUnreplicated;
    for (let i = 0; i < owed.readies; i += 1) {
      if (!isTold) talk.tellClient(error);
      isTold = false;
      talk.tellClient(buildReady(talk.status));
    }
    if (!owed.isOpen) return;
    if (!owed.isTold && !isTold) talk.tellClient(error);
    this.#stream.discardToSync();
  }

  /** A read of a transaction that is open elsewhere. */
  #tellAside(outcome: Failure): void {
    const talk = this.#talk;
    talk.tellClient(buildError(outcome));
    talk.failTransaction("a_read_of_this_transaction_lost_its_standby");
    talk.tellClient(buildReady(talk.status));
  }

  #dropOthers(link: BackendLink): void {
    const talk = this.#talk;
    for (const other of talk.links.all.toReversed()) {
      if (other === link) continue;
      talk.drop(other, "it has heard of a transaction that was lost");
      other.abandon();
    }
  }

  /** What cannot be had again, in bits of LEAVES. */
  #goneWith(link: BackendLink): number {
    const gone = this.#memory.lost(link);
    const isSayable = this.#talk.isSharing || this.#talk.statements.mayBeSaidAgain;
    return isSayable ? gone : gone | LEAVES.prepared;
  }
}

/** What can be said truthfully of what was under way on a link that is lost. */
function outcomeOf(link: BackendLink, owed: Owed, detail: string): Failure {
  const { lastWords, mayHaveDone, status } = link;
  if (link.isUnreplicated) return failure("not-replicated", { detail });
  const mayBeWritten = (mayHaveDone & MAY.write) !== 0 && owed.readies > 0;
  // What was told to be committed may have begun the next transaction, AND CHAIN.
  const isUnderWay = owed.readies > 0 || owed.isOpen;
  const mayBeCommitted = mayBeWritten || (isUnderWay && (mayHaveDone & MAY.commit) !== 0);
  // A server that ends a connection with words has undone what ran; but not what it had committed.
  const isBeforeEnd = lastWords !== null && !owed.isSyncNext;
  if (mayBeCommitted && !isBeforeEnd) return failure("outcome-unknown", { detail });
  if (lastWords !== null) return inWords(lastWords);
  const isInside = status !== READY.idle || (mayHaveDone & MAY.begin) !== 0;
  return failure(isInside && !link.isAside ? "transaction-lost" : "statement-lost", { detail });
}

/** As the server said it. */
function inWords(fields: ReadonlyMap<string, string>): Failure {
  const message = fields.get("M") ?? "";
  return { severity: "ERROR", sqlstate: fields.get("C") ?? "57P01", message };
}

export function isUp(view: ClusterView, backendId: number): boolean {
  const state = view.backends.find((backend) => backend.id === backendId)?.state;
  return state === "up" || state === "waiting";
}
