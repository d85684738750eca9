/**
 * Where pgquorum deliberately does not what Pgpool-II 4.3.5 does. Each has its row in
 * docs/compatibility.md. A statement that one of these covers (the first, by rule, script, text,
 * configuration, protocol and the place where Pgpool-II runs it) must run where that says; one that
 * none covers must not differ. So an unexpected difference fails the suite, and so does an expected one
 * that is gone, and one that nothing of the corpus shows.
 */
import { CONFIGURATIONS } from "./configurations.ts";
import type { Protocol } from "./corpus.ts";

/** Of the primary, of the session's standby, of both of them, of none. */
export type Role = "P" | "S" | "P+S" | "none";

export interface Difference {
  readonly name: string;
  /** The first words of its row in docs/compatibility.md. */
  readonly row: string;
  /** Rules of the corpus; undefined: all. */
  readonly rules?: readonly string[];
  /** Titles of scripts; undefined: all, and statements of their own. */
  readonly scripts?: RegExp;
  readonly statements?: RegExp;
  readonly configurations?: readonly string[];
  readonly protocols?: readonly Protocol[];
  /** Only within explicit transactions, or only outside; undefined: both. */
  readonly inTransaction?: boolean;
  readonly pgpool2: Role;
  readonly pgquorum: Role;
  /** It runs in the same place, but fails with pgquorum alone, with this SQLSTATE. */
  readonly fails?: string;
}

const TRANSACTION_CONTROL =
  /^(?:\/\*.*?\*\/ )?(?:begin|start|commit|end|rollback|abort|savepoint|release)\b/i;

/** Where a list says which functions write, the catalogs are not asked. */
const ALL_BUT_LISTS = CONFIGURATIONS.map(({ name }) => name).filter(
  (name) => name !== "writing functions" && name !== "read-only functions",
);

const ALL_BUT_ALWAYS = CONFIGURATIONS.map(({ name }) => name).filter(
  (name) => name !== "write always",
);

const COUNTING_WRITES = CONFIGURATIONS.map(({ name }) => name).filter(
  (name) => name !== "write off",
);

export const DIFFERENCES: readonly Difference[] = [
  {
    name: "VALUES is a read",
    row: "`VALUES`",
    statements: /^values/i,
    pgpool2: "P",
    pgquorum: "S",
  },
  {
    name: "transactions are the primary's",
    row: "BEGIN, COMMIT, ROLLBACK, savepoints",
    statements: TRANSACTION_CONTROL,
    pgpool2: "P+S",
    pgquorum: "P",
  },
  {
    name: "one snapshot for all statements",
    row: "explicit transactions",
    rules: ["Isolation levels", "SET in transactions"],
    scripts: /repeatable read|REPEATABLE READ/,
    statements: /^select/,
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a SAVEPOINT is no write",
    row: "savepoints",
    scripts: /^(?:around a read|one within another|quoted|a savepoint|with a savepoint)$/,
    statements: /^(?:select|@run)/,
    inTransaction: true,
    configurations: COUNTING_WRITES,
    pgpool2: "P",
    pgquorum: "S",
  },
  {
    name: "ROLLBACK TO and a new BEGIN forget no write",
    row: "savepoints",
    scripts:
      /^(?:around a write that is undone|out of an error|of a read that fails|after a write|undone to a savepoint|BEGIN within a transaction that wrote)$/,
    statements: /^select (?:1 |\*)(?!.*u\d+\.1\*\/)/,
    inTransaction: true,
    configurations: COUNTING_WRITES,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a read with a comment is no write",
    row: "reads of a transaction that count as writes",
    scripts: /^a read with a comment$/,
    statements: /^select/,
    inTransaction: true,
    pgpool2: "P",
    pgquorum: "S",
  },
  {
    name: "a read of a transaction that fails on a standby",
    row: "explicit transactions",
    rules: ["Transactions that failed"],
    statements: /^select (?:1\/0|none_here)/,
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P+S",
  },
  {
    name: "a read that fails behind a SAVEPOINT",
    row: "explicit transactions",
    scripts: /^of a read that fails$/,
    statements: /^select 1\/0/,
    pgpool2: "P",
    pgquorum: "P+S",
  },
  {
    name: "SHOW and COPY of a transaction",
    row: "SHOW and COPY TO STDOUT in a transaction",
    statements: /^(?:show|copy)/,
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "several statements in one text may have written",
    row: "several statements in one text",
    scripts:
      /^(?:several statements in one text|BEGIN in a text of several.*|of several in one text)$/,
    statements: /^select/,
    protocols: ["simple"],
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "reads behind a SET of the transaction",
    row: "`SET` inside a transaction, `set_config()`",
    scripts: /^(?:SET transaction_read_only TO on|SET in a transaction)$/,
    statements: /^select/,
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "DDL may have changed anything",
    row: "`disable_load_balance_on_write = dml_adaptive`",
    scripts: /^a definition/,
    statements: /^select/,
    configurations: ["write off", "write dml_adaptive"],
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "cursors and EXECUTE name no table",
    row: "`disable_load_balance_on_write = dml_adaptive`",
    scripts: /^(?:a cursor|PREPARE and EXECUTE of a write)$/,
    statements: /^select/,
    configurations: ["write dml_adaptive"],
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "COPY writes a table",
    row: "`disable_load_balance_on_write = dml_adaptive`",
    scripts: /^COPY$/,
    statements: /^select .* from written/,
    configurations: ["write dml_adaptive"],
    protocols: ["simple"],
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a write that fails counts in later transactions",
    row: "`disable_load_balance_on_write = always`",
    scripts: /^that fails$/,
    statements: /^select/,
    configurations: ["write trans_transaction", "write always"],
    protocols: ["simple"],
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a write outside that fails counts in transactions",
    row: "`disable_load_balance_on_write = always`",
    scripts: /^outside a transaction, that fails$/,
    statements: /^select/,
    configurations: ["write always"],
    protocols: ["simple"],
    inTransaction: true,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "SET in transactions is the primary's",
    row: "`SET` inside a transaction, `set_config()`",
    statements: /^(?:set|reset|discard)\b/i,
    inTransaction: true,
    pgpool2: "P+S",
    pgquorum: "P",
  },
  {
    name: "LOCK on the primary",
    row: "LOCK in a weak mode",
    statements: /^lock /i,
    pgpool2: "P+S",
    pgquorum: "P",
  },
  {
    name: "what is refused in a failed transaction",
    row: "a failed transaction",
    pgpool2: "none",
    pgquorum: "P",
  },
  {
    name: "SQL-level prepared statements are the primary's",
    row: "DEALLOCATE",
    statements: /^deallocate/i,
    pgpool2: "P+S",
    pgquorum: "P",
  },
  {
    name: "COPY looks at what it reads",
    row: "COPY (…) TO STDOUT, COPY of a table",
    statements: /^copy .*(?:volatile_f|pg_class|unlogged_t|for update|insert into|temp_14)/i,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "names that the catalogs do not know",
    row: "functions",
    statements:
      /^select (?:\* from |nothing from )?(?:\w*none_here|pg_\w+\.none_here|nowhere|none_such_f|none_here\.|"VOLATILE_F"|dblink)(?!.* from t )/,
    configurations: ALL_BUT_LISTS,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "what only the primary answers",
    row: "`txid_current()`",
    statements:
      /pg_backend_pid|txid_current|pg_current_xact_id|pg_listening_channels|show (?:transaction_read_only|in_hot_standby)/,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "views are looked into",
    row: "views, partitions, children",
    statements: /volatile_view|unlogged_view|temp_view/,
    configurations: CONFIGURATIONS.map(({ name }) => name).filter((name) => name !== "temp none"),
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a table beside a temporary one of its name",
    row: "temporary tables",
    scripts: /one of the same name as a table/,
    statements: /public\.t/,
    pgpool2: "P",
    pgquorum: "S",
  },
  {
    name: "temporary tables that check_temp_table does not show Pgpool-II",
    row: "temporary tables",
    rules: ["Temporary tables"],
    statements: /(?:temp_|TEMP_|Temp )/,
    configurations: ["temp trace", "temp none"],
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "DDL drops what was looked up",
    row: "DDL, DO",
    scripts: /that becomes/,
    statements: /fresh_3 \/\*u\d+\.4|fresh_g\(\) \/\*u\d+\.5/,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "several statements in the extended protocol",
    row: "several statements in one text",
    statements: /^select 1; select 2/,
    protocols: ["extended"],
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "SET that is not finished",
    row: "SET that PostgreSQL refuses",
    statements: /^set work_mem \/\*/,
    pgpool2: "P",
    pgquorum: "P+S",
  },
  {
    name: "PostgreSQL's own functions that write need no list",
    row: "functions",
    statements: /nextval|pg_sleep|pg_advisory_lock|lo_get/,
    configurations: ["writing functions"],
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "set_config, DO and CALL keep reads on the primary",
    row: "`SET` inside a transaction, `set_config()`",
    rules: ["Session state"],
    scripts: /^(?:set_config and a read|DO|CALL)$/,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "SET on the primary alone keeps reads there",
    row: "`SET` inside a transaction, `set_config()`",
    scripts:
      /^(?:SET|SET in a transaction|SET within one|BEGIN in a text of several, and SET|a default of serializable.*)$/,
    inTransaction: false,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a table behind a temporary one of its name",
    row: "temporary tables",
    scripts: /^one of the same name as a table$/,
    statements: /from t /,
    configurations: ["temp trace"],
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a named statement goes back to the standby",
    row: "named statements of the extended protocol",
    rules: ["Named statements of the extended protocol", "Reads behind writes"],
    scripts: /behind a write$|^a named statement/,
    statements: /^@run/,
    inTransaction: false,
    configurations: ALL_BUT_ALWAYS,
    pgpool2: "P",
    pgquorum: "S",
  },
  {
    name: "a named statement runs on one server",
    row: "named statements of the extended protocol",
    statements: /^@run/,
    pgpool2: "P+S",
    pgquorum: "S",
  },
  {
    name: "a named statement behind a write",
    row: "named statements of the extended protocol",
    rules: ["A sample of all"],
    statements: /^@run p .*\.4\b/,
    configurations: ["write always"],
    inTransaction: false,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a write counts when it is sent",
    row: "`disable_load_balance_on_write = always`",
    scripts: /^(?:that fails|outside a transaction, that fails|READ ONLY)$/,
    configurations: ["write always"],
    inTransaction: false,
    pgpool2: "S",
    pgquorum: "P",
  },
  {
    name: "a read that fails makes its transaction fail",
    row: "a failed transaction",
    scripts: /^by a read$/,
    statements: /^select 1 /,
    protocols: ["extended"],
    pgpool2: "P",
    pgquorum: "P",
    fails: "25P02",
  },
];
