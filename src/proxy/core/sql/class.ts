/** What a statement is, as far as the proxy must know. */

/**
 * - `read`: SELECT, VALUES, TABLE, WITH ... SELECT that neither locks rows, nor makes a table, nor
 *   has a data-modifying CTE. It may still call a function that writes: see `functions`.
 * - `write`: everything that is none of the others, and every text of several statements.
 * - `begin` (also START TRANSACTION), `commit` (also END), `rollback` (also ABORT),
 *   `savepoint` (also RELEASE and ROLLBACK TO), `two-phase` (PREPARE TRANSACTION and its kin).
 * - `set`: SET and RESET of a parameter. `show`: SHOW of PostgreSQL's. `discard`: DISCARD.
 * - `show-pool`: SHOW POOL_*, answered by us; `name` is the lower case name.
 * - `pgpool`: PGPOOL SHOW, SET or RESET, and those of `pgquorum.*`, answered by us.
 * - `listen`: LISTEN, UNLISTEN, NOTIFY. `cursor`: DECLARE, FETCH, MOVE, CLOSE.
 * - `prepare`, `execute`, `deallocate`: prepared statements made in SQL.
 * - `explain`: EXPLAIN, with or without ANALYZE.
 * - `copy-in`: COPY FROM STDIN. `copy-out`: COPY TO STDOUT. (Files and programs: `write`.)
 * - `empty`: nothing but white space, comments and semicolons.
 * - `unparsable`: the grammar refuses it; PostgreSQL shall say why.
 */
export type SqlKind =
  | "read"
  | "write"
  | "begin"
  | "commit"
  | "rollback"
  | "savepoint"
  | "two-phase"
  | "set"
  | "show"
  | "show-pool"
  | "pgpool"
  | "discard"
  | "listen"
  | "cursor"
  | "prepare"
  | "execute"
  | "deallocate"
  | "explain"
  | "copy-in"
  | "copy-out"
  | "empty"
  | "unparsable";

/**
 * What a statement may leave behind in its session, bit by bit. A server connection that is to
 * serve another session must be looked at first when one of these is suspected.
 */
export const LEAVES = {
  /** Parameters, by SET, RESET or set_config; `settingNames` says which. */
  settings: 1 << 0,
  /** SET ROLE, SET SESSION AUTHORIZATION and their RESET; `settingNames` names them as well. */
  role: 1 << 1,
  /** LISTEN. */
  listening: 1 << 2,
  /** Temporary tables, and whatever else is made in pg_temp. */
  temporary: 1 << 3,
  /** Advisory locks of the session, not of the transaction. */
  advisoryLocks: 1 << 4,
  /** Cursors WITH HOLD. */
  cursors: 1 << 5,
  /** PREPARE. Also set in `clears` when a prepared statement is deallocated, or all of them. */
  prepared: 1 << 6,
  /** EXECUTE: what the `leavesWhenExecuted` of the PREPARE says, or the class of the Parse. */
  executes: 1 << 7,
  /** LOAD, temporary replication slots: for as long as the server process lives. */
  process: 1 << 8,
  /** DO, CALL, and what was not read: any of these, and any of `clears`. */
  unknown: 1 << 9,
} as const;

/** One object may answer for many texts: it is shared, and must not be changed. */
export interface SqlClass {
  readonly kind: SqlKind;
  /**
   * Where the statement may go by its form alone. `either`: any backend, if its functions and
   * relations allow it. `both`: to every backend of the session, to keep their states equal.
   */
  readonly destination: "either" | "primary" | "both";
  /** Functions called anywhere, as PostgreSQL folds the names: `lower`, `s.f`. */
  readonly functions: readonly string[];
  /** Relations named anywhere: `t`, `s.t`. A name of a CTE may stand for a relation elsewhere. */
  readonly relations: readonly string[];
  readonly cteNames: readonly string[];
  /**
   * The pool_* name of SHOW POOL_*, the parameter of SET, SHOW and RESET, the name of a prepared
   * statement, cursor, savepoint or channel, the isolation level of BEGIN, `chain` of COMMIT and
   * ROLLBACK with AND CHAIN. Null when there is none (or for ALL).
   */
  readonly name: string | null;
  /** Temporary tables, views and sequences that the statement makes, without a schema. */
  readonly createsTemp: readonly string[];
  /** May change what the catalogs say of functions and relations: DDL, DO, what was not read. */
  readonly changesCatalog: boolean;
  /** Of those, that there may be other functions or triggers after it. */
  readonly changesFunctions: boolean;
  /** Locks whole relations against reads, also on standbys: TRUNCATE, LOCK ... */
  readonly locksRelations: boolean;
  /** The time of its transaction is a part of its result: now(), CURRENT_DATE. */
  readonly readsTransaction: boolean;
  /** More than one statement in the text. */
  readonly multi: boolean;
  /** The text starts with a comment, after white space if any. */
  readonly leadingComment: boolean;
  readonly leadingWhiteSpace: boolean;
  /**
   * Leaves something in the session that later reads may depend on: a SET that is not LOCAL,
   * set_config for the session. On one backend only it must tie later reads to that backend.
   */
  readonly changesSession: boolean;
  /** DISCARD ALL: what `changesSession` left is gone. */
  readonly clearsSession: boolean;
  /** Bits of LEAVES; mostly 0. A text of several statements has those of all. */
  readonly leaves: number;
  /** Bits of LEAVES that may be gone after it: CLOSE, UNLISTEN, DROP, DEALLOCATE, DISCARD ... */
  readonly clears: number;
  /** Of a PREPARE: bits of LEAVES that an EXECUTE of the statement leaves or clears. */
  readonly leavesWhenExecuted: number;
  /**
   * The parameters behind `settings` and `role`, also when executed, in lower case: `timezone`, `app.user`. Null when
   * they are not known, for all of them, and when one goes back to a value of before (RESET, SET TO
   * DEFAULT); empty when there are none.
   */
  readonly settingNames: readonly string[] | null;
  /**
   * Those of the parameters that are set whose names have a dot, also where `settingNames` is null:
   * PostgreSQL lists them nowhere.
   */
  readonly customSettings: readonly string[];
  /** As what it is counted: one of STATISTIC, up to `other`. */
  readonly statistic: number;
  /**
   * `lexer`: decided from the first words; `functions` may then name too much and `relations` names at
   * most the written table, which is enough as such a statement never goes to a standby.
   */
  readonly decidedBy: "lexer" | "parser";
}
