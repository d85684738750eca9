import { READY } from "../../../wire/postgres/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { ClientStream } from "./client-stream.ts";
import type { Conversation } from "./conversation.ts";
import type { LinkClaims } from "./link-claims.ts";
import type { SessionRouting } from "./session-routing.ts";
import { isStandbysFault } from "./unseen-read.ts";

/** A table may change again while a statement is prepared anew. */
const RETRIES_MAX = 3;

/**
 * What failed by no fault of the client's, who has seen nothing of it yet, and is sent once more:
 *
 *     a batch whose prepared statement was outdated    to the same server, prepared anew
 *     a read that a standby refused, or was lost with  to another server
 *     a read that was lost with the primary            to another that reads may go to, or its next
 *
 * The server has said all that it will before anything is sent again.
 */
export class SecondAttempts {
  readonly #talk: Conversation;
  readonly #routing: SessionRouting;
  readonly #claims: LinkClaims;
  readonly #stream: ClientStream;
  readonly #release: (link: BackendLink) => void;
  /** Where a batch that failed is sent again. */
  #retries: BackendLink | null = null;
  /** How often in a row. */
  #retryCount = 0;
  /** A standby where a read failed; it is sent to another when this one has said all. */
  #movesFrom: BackendLink | null = null;
  /** Reads go elsewhere until this one is answered. */
  #avoidsForOne = false;

  constructor(o: {
    readonly talk: Conversation;
    readonly routing: SessionRouting;
    readonly claims: LinkClaims;
    readonly stream: ClientStream;
    /** Gives a shared connection back when nothing of the session is left in it. */
    readonly release: (link: BackendLink) => void;
  }) {
    this.#talk = o.talk;
    this.#routing = o.routing;
    this.#claims = o.claims;
    this.#stream = o.stream;
    this.#release = o.release;
  }

  /** What was prepared there is outdated: the table looks different now. It is prepared anew. */
  retries(link: BackendLink): boolean {
    for (const shared of link.copy.statements) link.known.doubt(shared);
    if (this.#retryCount >= RETRIES_MAX) return false;
    this.#retryCount += 1;
    this.#retries = link;
    this.#hold();
    return true;
  }

  /** The read that failed there is one for another server. */
  moves(link: BackendLink, fields: ReadonlyMap<string, string>): boolean {
    if (!this.#mayMove(link)) return false;
    this.#movesFrom = link;
    if (isStandbysFault(fields)) {
      const why = `${fields.get("C") ?? ""} ${fields.get("M") ?? ""}`;
      this.#talk.port.readMoved(link.backendId, why);
    }
    this.#hold();
    return true;
  }

  /** @returns true when this link has said all, and what failed there is sent again. */
  begin(link: BackendLink): boolean {
    if ((this.#retries !== link && this.#movesFrom !== link) || !link.isQuiet) return false;
    if (this.#retries === link) {
      this.#retries = null;
      this.#stream.again(link.copy.bytes);
    } else {
      this.#movesFrom = null;
      this.#moveRead(link);
    }
    this.#talk.goOn("carried");
    return true;
  }

  /** What was under way has been answered. */
  answered(): void {
    this.#retryCount = 0;
    if (!this.#avoidsForOne) return;
    this.#avoidsForOne = false;
    this.#routing.avoidsNone();
  }

  /** @returns true when that link is lost, but what was under way there goes to another server. */
  leaveLost(link: BackendLink, why: string): boolean {
    if (this.#movesFrom === link || (link.read.mayMove && this.#mayMove(link))) {
      this.moveFromLost(link, why);
      return true;
    }
    if (this.#retries !== link) return false;
    this.#retries = null;
    const { bytes } = link.copy;
    this.#claims.lost(link);
    link.abandon();
    this.#stream.again(bytes);
    this.#talk.goOn("carried");
    return true;
  }

  /** The read that ran on this server, which is gone, can run again, also on that server. */
  mayRepeat(link: BackendLink): boolean {
    const talk = this.#talk;
    if (!link.read.mayMove || link.isAside) return false;
    if (talk.status !== READY.idle || link.status !== READY.idle) return false;
    return link !== talk.batchLink && !this.#stream.isInsideMessageFor(link);
  }

  moveFromLost(link: BackendLink, why: string): void {
    const talk = this.#talk;
    const read = link.read.take();
    if (this.#movesFrom === link) this.#movesFrom = null;
    else talk.port.readMoved(link.backendId, why);
    const isPrimarys = link === talk.primary;
    if (link.isAside) this.#routing.staysInTransaction();
    this.#claims.lost(link);
    link.abandon();
    if (!isPrimarys) this.#routing.avoid(link.backendId);
    else if (this.#routing.avoidForRead(link.backendId)) this.#avoidsForOne = true;
    this.#stream.again(read);
    if (talk.waitsFor !== "gate") talk.goOn(talk.waitsFor);
  }

  // ---- helpers ----------------------------------------------------------------------------

  /** Nothing else of the client's is begun before. */
  #hold(): void {
    if (!this.#talk.isWaiting) this.#talk.wait("carried");
  }

  /** The read that runs on this standby can be sent to another server instead. */
  #mayMove(link: BackendLink): boolean {
    const talk = this.#talk;
    if (talk.hasEnded || link === talk.primary) return false;
    if (link.isAside) return talk.primary !== null;
    if (talk.status !== READY.idle) return false;
    if (link === talk.batchLink || this.#stream.isInsideMessageFor(link)) return false;
    const isBound = talk.isSharing ? link.isKept : talk.primary === null;
    return !isBound && this.#routing.hasOther(link.backendId);
  }

  #moveRead(link: BackendLink): void {
    if (link.isAside) this.#routing.staysInTransaction();
    else {
      this.#routing.avoid(link.backendId);
      this.#avoidsForOne = true;
    }
    link.isAside = false;
    const read = link.read.take();
    if (this.#talk.isSharing) this.#release(link);
    this.#stream.again(read);
  }
}
