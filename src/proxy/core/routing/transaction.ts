import { readRelationships, type Config, type Relationship } from "../../../config/index.ts";
import { LEAVES, type SqlClass } from "../sql/index.ts";

/**
 * Why the reads of an open transaction stay on the primary:
 *
 *     begun       by something else than a BEGIN of its own, or nobody knows yet
 *     isolation   it has one snapshot for all its statements, which a standby does not have
 *     wrote       as disable_load_balance_on_write says
 *     session     it has a setting, or something else, that the primary alone has
 *     standby     a read of it could not be had from a standby
 */
export type Hold = "begun" | "isolation" | "wrote" | "session" | "standby";

export type OnWrite = Config["disable_load_balance_on_write"];

/** What a transaction has, or may have, of its own; its reads must not leave it then. */
const OF_SESSION = LEAVES.settings | LEAVES.role | LEAVES.temporary | LEAVES.unknown;
/** Written to by name; a later read of another table need not see it. */
const NAMED_WRITES: ReadonlySet<string> = new Set(["write", "copy-in", "read", "copy-out"]);

/**
 * What a session's explicit transaction has done, as far as its reads depend on it. A read that
 * goes to a standby runs there for itself: PostgreSQL gives each statement of READ COMMITTED a
 * snapshot of its own anyway.
 *
 * Source: Pgpool-II manual, disable_load_balance_on_write. Different: transactions of other
 * isolation levels stay on the primary as a whole.
 */
export class TransactionMemory {
  /** Lower case names without schema whose reads stay: for dml_adaptive what was written. */
  readonly written = new Set<string>();
  /** The same, of all that was written and may not be known to other sessions: for dml_adaptive_global. */
  readonly untold = new Set<string>();
  readonly #onWrite: OnWrite;
  readonly #relationships: readonly Relationship[];
  #hold: Hold | null = "begun";
  /** An earlier transaction wrote. */
  #wroteBefore = false;
  /** Null while nobody knows. */
  #level: string | null = null;
  #defaultLevel: string | null = null;

  constructor(onWrite: OnWrite, relationships: string) {
    this.#onWrite = onWrite;
    this.#relationships = this.#isAdaptive ? readRelationships(relationships).relationships : [];
  }

  /** Null: its reads need not stay. Counts while a transaction is open. */
  get hold(): Hold | null {
    if (this.#hold !== null) return this.#hold;
    return this.#level === READ_COMMITTED ? null : "isolation";
  }

  /** Whether `hold` depends on an isolation level that nobody has asked for. */
  get asksLevel(): boolean {
    return this.#hold === null && this.#level === null;
  }

  /** The levels of this transaction, and of those to come. */
  learnLevels(level: string, defaultLevel: string): void {
    this.#level = level;
    this.#defaultLevel = defaultLevel;
  }

  /** Its reads stay from now on. */
  stay(why: Hold): void {
    this.#hold = why;
  }

  /**
   * A statement that is no plain read was sent.
   *
   * @param mayWrite as the judge says.
   * @param inTransaction one was open before.
   */
  executed(sql: SqlClass, mayWrite: boolean, inTransaction: boolean): void {
    if (this.#changesDefault(sql)) this.#defaultLevel = null;
    const { kind } = sql;
    if (kind === "begin") {
      if (this.#hold === "begun" || !inTransaction) this.#begin(sql);
    } else if (kind === "commit" || kind === "rollback" || kind === "two-phase") {
      if (sql.name === "chain" && inTransaction && kind !== "two-phase") this.#beginNext();
      else this.#hold = "begun";
      this.written.clear();
    } else if (kind === "set") {
      const isReadOnly = sql.name === "transaction_read_only" && sql.destination === "both";
      if (!isReadOnly) this.stay("session");
      this.#noteWrite(inTransaction);
    } else if (mayWrite) this.#wrote(sql, inTransaction);
  }

  #begin(sql: SqlClass): void {
    this.written.clear();
    this.#level = sql.name ?? this.#defaultLevel;
    this.#hold = this.#holdFromStart;
  }

  /** By AND CHAIN: of the level of the one before, which that may have set itself. */
  #beginNext(): void {
    this.#level = null;
    this.#hold = this.#holdFromStart;
  }

  get #holdFromStart(): Hold | null {
    return this.#onWrite === "trans_transaction" && this.#wroteBefore ? "wrote" : null;
  }

  #wrote(sql: SqlClass, inTransaction: boolean): void {
    this.#noteWrite(inTransaction);
    const setsLocally = sql.functions.some((name) => withoutSchema(name) === "set_config");
    const isBlurred = sql.multi || sql.changesCatalog || sql.changesSession || setsLocally;
    if (isBlurred || (sql.leaves & OF_SESSION) !== 0) return this.stay("session");
    if (this.#onWrite === "off") {
      // A standby has the lock as well, and a read there would wait for its own transaction.
      if (sql.locksRelations)
        for (const name of sql.relations) this.written.add(withoutSchema(name));
      return;
    }
    if (!this.#isAdaptive || !NAMED_WRITES.has(sql.kind)) return this.stay("wrote");
    if (sql.kind === "write" && sql.relations.length === 0) return this.stay("wrote");
    if (sql.kind === "write" || sql.kind === "copy-in") {
      for (const relation of sql.relations) this.#note(withoutSchema(relation), false);
    }
    for (const name of sql.functions) this.#note(withoutSchema(name), true);
  }

  #noteWrite(inTransaction: boolean): void {
    this.#wroteBefore ||= inTransaction;
  }

  #note(name: string, isFunction: boolean): void {
    if (!isFunction) this.#add(name);
    for (const related of this.#relationships) {
      if (related.object === name && related.isFunction === isFunction) {
        this.#add(withoutSchema(related.dependent));
      }
    }
  }

  #add(name: string): void {
    this.written.add(name);
    if (this.#onWrite === "dml_adaptive_global") this.untold.add(name);
  }

  #changesDefault(sql: SqlClass): boolean {
    if (((sql.leaves | sql.clears) & (LEAVES.settings | LEAVES.unknown)) === 0) return false;
    return sql.settingNames?.includes("default_transaction_isolation") !== false;
  }

  get #isAdaptive(): boolean {
    return this.#onWrite === "dml_adaptive" || this.#onWrite === "dml_adaptive_global";
  }
}

const READ_COMMITTED = "read committed";

export function withoutSchema(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1).toLowerCase();
}
