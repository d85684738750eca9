import { readRows } from "../../../wire/postgres/index.ts";
import { LEAVES, Lexer } from "../sql/index.ts";
import {
  bytesOf,
  PREPARED_MAX,
  SETTINGS_MAX,
  STATE_BYTES_MAX,
  type SessionState,
  type SessionStates,
} from "./session-state.ts";
import { isPlainAscii, sqlLiteral } from "./sql-literal.ts";

/** What may have changed since the session's state was known. */
export interface Suspicion {
  /** Bits of LEAVES: left or cleared since, and the reasons that held before. */
  readonly leaves: number;
  /** The settings in question, when all of them are known. */
  readonly names: readonly string[] | null;
  /** Parameters of applications that were set, or that anything unknown may have set. */
  readonly customs?: readonly string[];
}

export interface ProbeOutcome {
  /** What the server connection has now. */
  readonly connection: SessionState;
  /** What the session has: a RESET brings back what its start-up packet said. */
  readonly session: SessionState;
  /** Bits of LEAVES: why the session must keep this connection; see `reasonWords`. */
  readonly reasons: number;
}

/** What may cut a probe short. */
const LIMIT = "statement_timeout";

/** They belong to one transaction, and say nothing between two. */
const OF_TRANSACTION = ["transaction_isolation", "transaction_read_only", "transaction_deferrable"];
const NOT_BY_NAME = new Set(["role", "session_authorization", ...OF_TRANSACTION]);

/** The first column of a row says what it tells. */
const ROW = { setting: "s", prepared: "p", reason: "k" } as const;

/** Reasons and how to find them; each piece is asked for only when it is suspected. */
const FINDINGS: readonly (readonly [number, string])[] = [
  [LEAVES.listening, "SELECT FROM pg_catalog.pg_listening_channels()"],
  [
    LEAVES.temporary,
    // Whatever is in a schema depends on it, and that look-up has an index.
    "SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 2615::pg_catalog.oid" +
      " AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()" +
      " AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid",
  ],
  [
    LEAVES.advisoryLocks,
    // No transaction is open: those of a transaction are gone.
    "SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory'::pg_catalog.text" +
      " AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()",
  ],
  [LEAVES.cursors, "SELECT FROM pg_catalog.pg_cursors WHERE is_holdable"],
  [
    LEAVES.role,
    "SELECT FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a," +
      " pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) session_user" +
      " AND r.oid OPERATOR(pg_catalog.<>) a.usesysid",
  ],
];

/**
 * One query that tells what became of the session, for any user, any search_path and any
 * encoding, on PostgreSQL 10 and later. It runs between two transactions.
 *
 * @param before the state when the suspicion arose.
 * @param except a setting that is not asked for.
 */
export function probeQuery(
  suspicion: Suspicion,
  before: SessionState,
  except: string | null = null,
): string {
  const { leaves } = suspicion;
  const others = except === null ? OF_TRANSACTION : [...OF_TRANSACTION, except];
  const pieces: string[] = [];
  if ((leaves & (LEAVES.settings | LEAVES.unknown)) !== 0) {
    if (isNamed(suspicion)) {
      const names = namedSettings(suspicion.names).filter((name) => name !== except);
      pieces.push(...names.map(oneSetting));
    } else {
      pieces.push(
        `SELECT '${ROW.setting}', ${hex("name")}, ${hex("pg_catalog.current_setting(name)")}` +
          " FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'::pg_catalog.text" +
          ` AND name OPERATOR(pg_catalog.<>) ALL (ARRAY[${others.map(sqlLiteral).join(", ")}]::pg_catalog.text[])`,
        ...customNames(suspicion, before).map(oneSetting),
      );
    }
  }
  if (asksRole(suspicion)) pieces.push(oneSetting("role"));
  if ((leaves & (LEAVES.prepared | LEAVES.unknown)) !== 0) {
    pieces.push(
      `SELECT '${ROW.prepared}', ${hex("name")}, ${hex("statement")}` +
        " FROM pg_catalog.pg_prepared_statements WHERE from_sql",
    );
  }
  for (const [bit, found] of FINDINGS) {
    if ((leaves & (bit | LEAVES.unknown)) === 0) continue;
    pieces.push(`SELECT '${ROW.reason}', '${bit}', NULL WHERE EXISTS (${found})`);
  }
  // Something to run when only the process itself is suspected.
  if (pieces.length === 0) pieces.push(`SELECT '${ROW.reason}', '0', NULL`);
  return pieces.join(" UNION ALL ");
}

/**
 * The same for a session whose own time limit cuts that short: the limit is lifted for the question's
 * transaction. Only where it stands has to be found out within it.
 */
export function patientProbe(suspicion: Suspicion, before: SessionState): readonly string[] {
  return [
    ...(asksLimit(suspicion) ? [oneSetting(LIMIT)] : []),
    `SELECT FROM pg_catalog.set_config(${sqlLiteral(LIMIT)}, '0', true)`,
    probeQuery(suspicion, before, LIMIT),
  ];
}

/**
 * Reads the answer to `probeQuery`, or to `patientProbe`.
 *
 * @param o.rows all its DataRow messages, behind each other.
 * @param o.before as given to `probeQuery`.
 * @param o.base what the session's start-up packet asked for.
 */
export function readProbe(
  states: SessionStates,
  o: {
    readonly rows: Buffer;
    readonly suspicion: Suspicion;
    readonly before: SessionState;
    readonly base: SessionState;
  },
): ProbeOutcome {
  const { suspicion, before, base } = o;
  let reasons = suspicion.leaves & LEAVES.process;
  const settings = keptSettings(suspicion, before);
  const lookedForPrepared = (suspicion.leaves & (LEAVES.prepared | LEAVES.unknown)) !== 0;
  const prepared = new Map(lookedForPrepared ? [] : before.prepared);
  for (const [what, first, second] of readRows(o.rows)) {
    if (what === undefined) continue;
    if (what === ROW.reason) {
      reasons |= Number(first);
      continue;
    }
    const name = unhex(first ?? "");
    const value = unhex(second ?? "");
    if (what === ROW.setting) {
      if (isSet(name, second ?? null, base)) settings.set(name.toLowerCase(), value);
    } else if (mayBeReplayed(name, value)) prepared.set(name, value);
    else reasons |= LEAVES.prepared;
  }
  if (settings.size > SETTINGS_MAX || lengthOf(settings) > STATE_BYTES_MAX) {
    reasons |= LEAVES.settings;
  }
  if (prepared.size > PREPARED_MAX || lengthOf(prepared) > STATE_BYTES_MAX) {
    reasons |= LEAVES.prepared;
  }
  const connection = states.of(settings, prepared);
  return { connection, session: withBase(states, connection, base), reasons };
}

function isNamed(suspicion: Suspicion): suspicion is Suspicion & { names: readonly string[] } {
  return suspicion.names !== null && (suspicion.leaves & LEAVES.unknown) === 0;
}

/** The role has its own way, and those of a transaction say nothing between two. */
function namedSettings(names: readonly string[]): string[] {
  return names.map(bytesOf).filter((name) => !NOT_BY_NAME.has(name));
}

function asksLimit(suspicion: Suspicion): boolean {
  if ((suspicion.leaves & (LEAVES.settings | LEAVES.unknown)) === 0) return false;
  return !isNamed(suspicion) || namedSettings(suspicion.names).includes(LIMIT);
}

function asksRole(suspicion: Suspicion): boolean {
  const { leaves } = suspicion;
  if ((leaves & (LEAVES.role | LEAVES.unknown)) !== 0) return true;
  return (leaves & LEAVES.settings) !== 0 && !isNamed(suspicion);
}

/** Parameters that nobody but the session has defined: no list of the server's shows them. */
function customNames(suspicion: Suspicion, before: SessionState): string[] {
  const suspected = [...(suspicion.names ?? []), ...(suspicion.customs ?? [])].map(bytesOf);
  return [...new Set([...before.settings.keys(), ...suspected])].filter(isCustom);
}

function isCustom(name: string): boolean {
  return name.includes(".");
}

function oneSetting(name: string): string {
  const value = `pg_catalog.current_setting(${sqlLiteral(name)}, true)`;
  return `SELECT '${ROW.setting}', '${Buffer.from(name, "latin1").toString("hex")}', ${hex(value)}`;
}

/** Text as it is in the database, in digits that every encoding has. */
function hex(text: string): string {
  const bytes = `pg_catalog.convert_to((${text})::pg_catalog.text, pg_catalog.getdatabaseencoding())`;
  return `pg_catalog.encode(${bytes}, 'hex')`;
}

function unhex(digits: string): string {
  return Buffer.from(digits, "hex").toString("latin1");
}

/** A custom parameter that was RESET, or SET in a transaction that failed, is empty ever after. */
function isSet(name: string, value: string | null, base: SessionState): boolean {
  if (value === null) return false;
  if (name === "role") return unhex(value) !== "none" || base.settings.has(name);
  return value !== "" || !isCustom(name);
}

/** What the probe does not look at again. */
function keptSettings(suspicion: Suspicion, before: SessionState): Map<string, string> {
  const settings = new Map<string, string>();
  const seesAll =
    (suspicion.leaves & (LEAVES.settings | LEAVES.unknown)) !== 0 && !isNamed(suspicion);
  const seen = new Set(
    (suspicion.leaves & LEAVES.settings) === 0 ? [] : (suspicion.names ?? []).map(bytesOf),
  );
  const seesRole = asksRole(suspicion);
  for (const [name, value] of before.settings) {
    const isSeen = name === "role" ? seesRole : seesAll || seen.has(name);
    if (!isSeen) settings.set(name, value);
  }
  return settings;
}

/**
 * The server keeps the whole text that the PREPARE came in: with other statements around it, it
 * cannot be said again. What is not ASCII means other letters in another client_encoding.
 */
function mayBeReplayed(name: string, text: string): boolean {
  if (!isPlainAscii(name) || !isPlainAscii(text)) return false;
  const lexer = new Lexer(text);
  lexer.next();
  if (!lexer.isWord("prepare")) return false;
  for (let isPastEnd = false; lexer.kind !== "end"; lexer.next()) {
    if (isPastEnd && !lexer.isSymbol(";")) return false;
    isPastEnd ||= lexer.isSymbol(";");
  }
  return true;
}

function withBase(
  states: SessionStates,
  connection: SessionState,
  base: SessionState,
): SessionState {
  let settings: Map<string, string> | null = null;
  for (const [name, value] of base.settings) {
    if (connection.settings.has(name)) continue;
    settings ??= new Map(connection.settings);
    settings.set(name, value);
  }
  return settings === null ? connection : states.of(settings, connection.prepared);
}

function lengthOf(map: ReadonlyMap<string, string>): number {
  let length = 0;
  for (const [name, value] of map) length += name.length + value.length;
  return length;
}
