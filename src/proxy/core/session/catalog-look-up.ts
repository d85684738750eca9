import type { Catalog, CatalogNames } from "../routing/index.ts";
import type { BackendLink } from "./backend-link.ts";
import { CATALOG_NAMES_MAX, catalogQuery, readCatalogAnswer } from "./catalog-query.ts";
import type { Conversation } from "./conversation.ts";

/** After so many that failed in a row, the session asks no more. */
const FAILURES_MAX = 3;

/**
 * Asks the primary, by a session's own connection, what a statement's names mean, before the
 * statement is routed. Each statement asks once: what is not known then counts as unknown, and
 * such a statement goes to the primary.
 */
export class CatalogLookUp {
  readonly #talk: Conversation;
  readonly #catalog: Catalog | null;
  #failures = 0;
  /** The statement that comes next has had its answer. */
  #isAnswered = false;

  constructor(talk: Conversation, catalog: Catalog | null) {
    this.#talk = talk;
    this.#catalog = catalog;
  }

  /** The statement that comes next should have these looked up. */
  mayAsk(names: CatalogNames): boolean {
    const length = names.relations.length + names.functions.length;
    if (this.#isAnswered || length === 0 || length > CATALOG_NAMES_MAX) return false;
    return this.#failures < FAILURES_MAX;
  }

  /** The statement was routed: another one comes next. */
  routed(): void {
    this.#isAnswered = false;
  }

  /** Nothing runs on this link, and no transaction is open. `Conversation.goOn` follows. */
  ask(link: BackendLink, names: CatalogNames): void {
    const catalog = this.#catalog;
    if (catalog === null) return;
    const { drops } = catalog;
    this.#talk.statements.unnamedLost(link.bit);
    link.ask([catalogQuery(names)], ({ rows, error, isCut }) => {
      if (error === null && !isCut) {
        this.#failures = 0;
        catalog.learn(names, readCatalogAnswer(names, rows), drops);
      } else this.#failures += 1;
      this.over();
    });
  }

  /** It was answered, or never will be. */
  over(): void {
    this.#isAnswered = true;
    this.#talk.goOn("known");
  }
}
