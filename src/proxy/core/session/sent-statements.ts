import { READY } from "../../../wire/postgres/index.ts";
import type { SqlClass } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import { UNREAD_SQL, type ClientBatch } from "./client-batch.ts";
import type { Conversation } from "./conversation.ts";
import { EverywhereOutcome } from "./everywhere-outcome.ts";
import { MAY, MAY_ANYTHING, mayHaveDone } from "./in-flight.ts";
import type { OwnMessages } from "./own-messages.ts";
import { SENT, type ReplyWatcher } from "./pending-replies.ts";
import type { SessionRouting } from "./session-routing.ts";
import type { StatementLog } from "./statement-log.ts";
import type { StateCarrier } from "./state-carrier.ts";

/** What follows for the session from a statement that is sent to servers. */
export class SentStatements {
  readonly #talk: Conversation;
  readonly #routing: SessionRouting;
  readonly #memory: StateCarrier;
  readonly #log: StatementLog;
  readonly #own: OwnMessages;
  readonly #divergent: (link: BackendLink) => void;

  constructor(o: {
    readonly talk: Conversation;
    readonly routing: SessionRouting;
    readonly memory: StateCarrier;
    readonly log: StatementLog;
    readonly own: OwnMessages;
    /** A statement failed there that did not on the link with the visible reply, or the other way. */
    readonly divergent: (link: BackendLink) => void;
  }) {
    this.#talk = o.talk;
    this.#routing = o.routing;
    this.#memory = o.memory;
    this.#log = o.log;
    this.#own = o.own;
    this.#divergent = o.divergent;
  }

  /** What was routed last is a read outside a transaction: as long as nobody has seen it, it can be repeated. */
  isReadFor(link: BackendLink): boolean {
    const { isRead, isRepeatable, view } = this.#routing;
    const isOutside = this.#talk.status === READY.idle || link.isAside;
    return isOutside && (link.backendId === view.primaryId ? isRepeatable : isRead);
  }

  /**
   * The first link's reply is the client's; those of the others are compared with it.
   *
   * @param first who wants to know the outcome on the first link as well.
   * @param clears it clears the session.
   */
  outcomeOf(
    links: readonly BackendLink[],
    first: ReplyWatcher | null,
    clears: boolean,
  ): EverywhereOutcome | null {
    // Apart, as a function with a closure in it costs an object however it returns.
    return links.length === 1 ? null : this.#outcomeOfAll(links, first, clears);
  }

  #outcomeOfAll(
    links: readonly BackendLink[],
    first: ReplyWatcher | null,
    clears: boolean,
  ): EverywhereOutcome {
    const coversSession = links.length === this.#talk.links.size;
    const cleared = clears && coversSession ? this.#routing.whenCleared : null;
    return new EverywhereOutcome(links, (link) => this.#divergent(link), first, cleared);
  }

  /** What the batch says was sent there. */
  batch(batch: ClientBatch, input: Buffer, end: number, links: readonly BackendLink[]): void {
    this.#log.batch(batch, input, end, links);
    for (let i = 0; i < batch.count; i += 1) {
      const statement = batch.statements[i];
      if (batch.kinds[i] !== SENT.bind) continue;
      if (statement) {
        this.executed(statement.sql, links);
        continue;
      }
      const first = links[0] as BackendLink;
      first.mayHaveDone |= MAY_ANYTHING;
      if (first === this.#talk.primary) this.#talk.consistency?.sentToPrimary(UNREAD_SQL);
    }
    // It may be a COMMIT's.
    if (batch.usesOlderPortal) (links[0] as BackendLink).mayHaveDone |= MAY.commit;
  }

  executed(sql: SqlClass, links: readonly BackendLink[]): void {
    const first = links[0] as BackendLink;
    this.#own.executed(sql);
    for (let i = 0; i < links.length; i += 1) {
      this.#talk.port.statementSent((links[i] as BackendLink).backendId, sql.statistic);
    }
    const { consistency, primary } = this.#talk;
    if (consistency !== null) {
      if (first === primary) consistency.sentToPrimary(sql);
      if (sql.clearsSession) consistency.named = 0;
    }
    if (sql.changesCatalog) this.#talk.changesCatalog = true;
    if (sql.changesFunctions) this.#talk.changesFunctions = true;
    const { isSharing, status } = this.#talk;
    const isInside = status !== READY.idle || (first.mayHaveDone & MAY.begin) !== 0;
    first.mayHaveDone |= mayHaveDone(sql, isInside, this.#routing.mayWrite);
    // Of links that are all the session's own, the primary's knows most.
    this.#memory.ran(sql, isSharing ? first : (primary ?? first));
    this.#routing.executed(sql, links, isSharing || links.length === this.#talk.links.size);
  }
}
