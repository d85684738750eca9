import type { Catalog } from "../routing/index.ts";
import { READY } from "../../../wire/postgres/index.ts";
import type { BackendLink } from "./backend-link.ts";
import { LINK_LOST, type HiddenReply } from "./hidden-questions.ts";
import {
  CATALOG_NAMES_MAX,
  catalogQuery,
  LEVELS_QUERY,
  readCatalogAnswer,
  readLevels,
} from "./catalog-query.ts";
import type { Conversation } from "./conversation.ts";
import type { OpenQuestion, SessionRouting } from "./session-routing.ts";

/** After so many that failed in a row, the session asks no more. */
const FAILURES_MAX = 3;

/** So that a question that fails leaves the client's transaction as it was. */
const GUARD = "SAVEPOINT pgquorum_look_up";
const UNGUARD = "RELEASE SAVEPOINT pgquorum_look_up";
const GO_BACK = "ROLLBACK TO SAVEPOINT pgquorum_look_up";

/**
 * Asks the primary, by a session's own connection, what a statement's names mean, before the
 * statement is routed. Each statement asks once: what is not known then counts as unknown, and
 * such a statement goes to the primary.
 */
export class CatalogLookUp {
  readonly #talk: Conversation;
  readonly #routing: SessionRouting;
  readonly #catalog: Catalog | null;
  #failures = 0;
  /** The statement that comes next has had its answer. */
  #isAnswered = false;

  constructor(talk: Conversation, routing: SessionRouting, catalog: Catalog | null) {
    this.#talk = talk;
    this.#routing = routing;
    this.#catalog = catalog;
  }

  /** The statement that comes next should have this asked. */
  mayAsk({ names, asksLevel }: OpenQuestion): boolean {
    const length = names.relations.length + names.functions.length;
    if (this.#isAnswered || length > CATALOG_NAMES_MAX) return false;
    return (length > 0 || asksLevel) && this.#failures < FAILURES_MAX;
  }

  /** The statement was routed: another one comes next. */
  routed(): void {
    this.#isAnswered = false;
  }

  /** Nothing runs on this link, the primary's. `Conversation.goOn` follows. */
  ask(link: BackendLink, { names, asksLevel }: OpenQuestion): void {
    const drops = this.#catalog?.drops ?? 0;
    const isInside = link.status !== READY.idle;
    const pieces = [catalogQuery(names), asksLevel ? LEVELS_QUERY : ""].filter(
      (each) => each !== "",
    );
    const query = pieces.join(" UNION ALL ");
    this.#talk.ask(link, isInside ? [GUARD, query, UNGUARD] : [query], (reply) => {
      if (reply.error === LINK_LOST) return this.over();
      if (reply.error === null && !reply.isCut) {
        this.#failures = 0;
        this.#catalog?.learn(names, readCatalogAnswer(names, reply.rows), drops);
        const levels = readLevels(reply.rows);
        if (levels !== null) this.#routing.learnLevels(...levels);
        this.over();
      } else this.#failed(link, isInside ? reply : null);
    });
  }

  /** It was answered, or never will be. */
  over(): void {
    this.#isAnswered = true;
    this.#talk.goOn("known");
  }

  /** @param inside the transaction in which it failed. */
  #failed(link: BackendLink, inside: HiddenReply | null): void {
    this.#failures += 1;
    if (inside === null || inside.error === null) return this.over();
    this.#talk.ask(link, [GO_BACK, UNGUARD], () => this.over());
  }
}
