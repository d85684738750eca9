/**
 * Classes that the first words tell: transaction control, SET and SHOW, cursors, INSERT, UPDATE
 * and DELETE. They are the better half of what clients send, and need no grammar.
 */
import { LEAVES, type SqlClass, type SqlKind } from "./class.ts";
import {
  LEAVES_NOTHING,
  LEAVES_UNKNOWN,
  leftByWords,
  parameterName,
  suspectsOf,
  type Suspects,
} from "./leaves.ts";
import { Lexer } from "./lexer.ts";
import { statisticFor } from "./statistic.ts";

/** What the first words and a look over the rest told. */
export interface Skim {
  readonly leadingComment: boolean;
  readonly leadingWhiteSpace: boolean;
  /** Something stands after a semicolon; assumed of a text too long to be looked over. */
  readonly multi: boolean;
  /** Lower case words, identifiers without quotes, symbols; strings without quotes. */
  readonly words: readonly string[];
  /** Words before an opening parenthesis. */
  readonly calls: readonly string[];
  /** A word that can leave something in the session stands somewhere. */
  readonly mayChangeSession: boolean;
  readonly suspects: Suspects;
}

/** No decision by words looks further. */
const WORDS_MAX = 16;
/** So much takes some ten milliseconds, in which a worker does nothing else. */
export const SKIM_CHARS_MAX = 256 * 1024;
const CALLS_MAX = 100;
/** Words before a parenthesis that are none of a function. */
const NO_CALLS = new Set(
  "values in and or not as on using exists any all some over where set select returning".split(" "),
);

export function skim(text: string): Skim {
  const lexer = new Lexer(text);
  lexer.next();
  const { afterComment } = lexer;
  const words: string[] = [];
  const calls = new Set<string>();
  let before: string | null = null;
  let isPastSemicolon = false;
  let multi = false;
  for (; lexer.kind !== "end"; lexer.next()) {
    if (lexer.end > SKIM_CHARS_MAX) multi = true;
    else if (lexer.isSymbol(";")) isPastSemicolon = true;
    else if (isPastSemicolon && words.length > 0) multi = true;
    else if (words.length < WORDS_MAX) words.push(plainValue(lexer));
    if (multi) break;
    if (before !== null && lexer.isSymbol("(") && calls.size < CALLS_MAX) calls.add(before);
    const mayBeName = lexer.kind === "word" || lexer.kind === "quoted-identifier";
    before = mayBeName ? lexer.value : null;
  }
  const isTooLong = text.length > SKIM_CHARS_MAX;
  const suspects = isTooLong ? UNKNOWN_SUSPECTS : suspectsOf(text);
  return {
    leadingComment: afterComment,
    leadingWhiteSpace: /^[ \t-\r]/.test(text),
    multi,
    words,
    calls: [...calls].map(copyOf),
    mayChangeSession: (suspects.leaves | suspects.clears) !== 0,
    suspects,
  };
}

const UNKNOWN_SUSPECTS: Suspects = { leaves: LEAVES.unknown, clears: 0 };

function plainValue(lexer: Lexer): string {
  const copy = copyOf(lexer.value);
  return lexer.kind === "string" ? copy.slice(1, -1).toLowerCase() : copy;
}

/** A slice would keep the whole text in memory for as long as the name lives. */
function copyOf(value: string): string {
  return Buffer.from(value, "utf8").toString("utf8");
}

/** A class in which nothing is known but that it must go to the primary. */
export function lexerClass(seen: Skim, own: Partial<SqlClass> & { kind: SqlKind }): SqlClass {
  return {
    destination: "primary",
    functions: [],
    relations: [],
    cteNames: [],
    name: null,
    createsTemp: [],
    changesCatalog: false,
    changesFunctions: false,
    locksRelations: false,
    readsTransaction: false,
    multi: seen.multi,
    leadingComment: seen.leadingComment,
    leadingWhiteSpace: seen.leadingWhiteSpace,
    changesSession: false,
    clearsSession: false,
    ...LEAVES_NOTHING,
    statistic: statisticFor(own.kind, seen.words[0] ?? ""),
    decidedBy: "lexer",
    ...own,
  };
}

/** A class of which nothing is known but its kind: it may leave anything. */
export function unreadClass(seen: Skim, kind: "write" | "unparsable"): SqlClass {
  const changesSession = seen.mayChangeSession || seen.multi;
  const all = { changesSession, changesCatalog: true, changesFunctions: true };
  return lexerClass(seen, { kind, ...all, ...LEAVES_UNKNOWN });
}

/** Null when the grammar has to decide. Only for a single statement. */
export function classifyByWords(seen: Skim): SqlClass | null {
  const byForm = classOfForm(seen);
  return byForm === null ? null : { ...byForm, ...leftByWords(seen) };
}

function classOfForm(seen: Skim): SqlClass | null {
  const { words } = seen;
  if (words.length === 0) return lexerClass(seen, { kind: "empty", destination: "either" });
  const [first = "", second = ""] = words;
  const plain = (kind: SqlKind, name: string | null = null): SqlClass =>
    lexerClass(seen, { kind, name });
  switch (first) {
    case "begin":
    case "start":
      return plain("begin", levelOf(words));
    case "commit":
    case "end":
      return words.includes("prepared") ? plain("two-phase") : plain("commit", chainOf(words));
    case "rollback":
    case "abort":
      return rollbackClass(seen);
    case "savepoint":
      return plain("savepoint", second);
    case "release":
      return plain("savepoint", words.at(-1) ?? null);
    case "prepare":
      if (second === "transaction") return plain("two-phase");
      // The grammar knows what it leaves when it is executed.
      if (seen.mayChangeSession) return null;
      return lexerClass(seen, { kind: "prepare", name: second, functions: callsOf(seen) });
    case "execute":
      return plain("execute", second);
    case "deallocate":
      return plain("deallocate", nameUnlessAll(second === "prepare" ? words[2] : second));
    case "declare":
      return plain("cursor", second);
    case "fetch":
    case "move":
      return plain("cursor", words.at(-1) ?? null);
    case "close":
      return plain("cursor", nameUnlessAll(second));
    case "listen":
    case "unlisten":
    case "notify":
      return plain("listen", second === "*" ? null : second);
    case "discard":
      return lexerClass(seen, {
        kind: "discard",
        destination: "both",
        clearsSession: second === "all",
      });
    case "set":
    case "reset":
      return setClass(seen);
    case "show":
      return showClass(seen);
    case "pgpool":
      return plain("pgpool", words[2] ?? null);
    case "insert":
    case "update":
    case "delete":
      return seen.mayChangeSession ? null : writeClass(seen);
    default:
      return null;
  }
}

/** The isolation level that BEGIN asks for. */
function levelOf(words: readonly string[]): string | null {
  const at = words.indexOf("level");
  if (at < 0) return null;
  const [first = "", second = ""] = words.slice(at + 1);
  if (first === "serializable") return first;
  // PostgreSQL has no other way to read uncommitted.
  return first === "read" ? "read committed" : `${first} ${second}`;
}

/** COMMIT and ROLLBACK with AND CHAIN: another transaction begins. */
function chainOf(words: readonly string[]): string | null {
  return words.at(-1) === "chain" && words.at(-2) === "and" ? "chain" : null;
}

function nameUnlessAll(name: string | undefined): string | null {
  return name === undefined || name === "all" ? null : name;
}

function rollbackClass(seen: Skim): SqlClass {
  if (seen.words.includes("prepared")) return lexerClass(seen, { kind: "two-phase" });
  if (!seen.words.includes("to")) {
    return lexerClass(seen, { kind: "rollback", name: chainOf(seen.words) });
  }
  return lexerClass(seen, { kind: "savepoint", name: seen.words.at(-1) ?? null });
}

/**
 * SET and RESET go to every backend of the session, except what a standby cannot do.
 * Source: the manual of Pgpool-II, "Load Balancing".
 */
function setClass(seen: Skim): SqlClass {
  const isReset = seen.words[0] === "reset";
  const scope = seen.words[1];
  const isScoped =
    !isReset &&
    (scope === "local" || scope === "session") &&
    seen.words[2] !== "characteristics" &&
    seen.words[2] !== "authorization";
  const words = seen.words.slice(isScoped ? 2 : 1);
  const isLocal = isScoped && scope === "local";
  const both = { kind: "set", destination: "both", changesSession: !isLocal } as const;
  const [name = "", second] = words;

  if (name === "constraints") return lexerClass(seen, { kind: "set" });
  if (name === "transaction" || (name === "session" && second === "characteristics")) {
    const isSerializable = words.includes("serializable");
    const isWritable = words.includes("write");
    const isReadOnly = name === "transaction" && words.includes("only") && !words.includes("level");
    return lexerClass(seen, {
      ...both,
      name: isReadOnly ? "transaction_read_only" : null,
      destination: isSerializable || isWritable ? "primary" : "both",
      // To be allowed to write means nothing on a standby: its reads need not follow.
      changesSession: name === "session" && (isSerializable || !isWritable),
    });
  }
  const value = words[2];
  if (name === "transaction_read_only" && !isReset && OFF.has(value ?? "")) {
    return lexerClass(seen, { kind: "set", name });
  }
  const isIsolation = name === "transaction_isolation" || name === "default_transaction_isolation";
  if (isIsolation && value === "serializable") {
    return lexerClass(seen, { ...both, name, destination: "primary" });
  }
  const parameter = parameterName(words);
  if (isOurs(seen, parameter)) return lexerClass(seen, { kind: "pgpool", name: parameter });
  return lexerClass(seen, { ...both, name: parameter });
}

/** A parameter that the proxy has, and no server. */
function isOurs(seen: Skim, parameter: string | null): boolean {
  return parameter?.startsWith("pgquorum.") === true && !seen.multi;
}

const OFF = new Set(["off", "of", "f", "fa", "fal", "fals", "false", "n", "no", "0"]);

/** Answered by the proxy itself; spelled as users type them, without quotes. */
export const SHOW_POOL_NAMES: ReadonlySet<string> = new Set([
  "pool_status",
  "pool_nodes",
  "pool_processes",
  "pool_pools",
  "pool_clients",
  "pool_queues",
  "pool_version",
  "pool_cache",
  "pool_health_check_stats",
  "pool_backend_stats",
]);

/** Asked by clients that look for the primary: a standby's answer would mislead them. */
const SHOWN_BY_PRIMARY = new Set(["transaction_read_only", "in_hot_standby"]);

function showClass(seen: Skim): SqlClass {
  const name = parameterName(seen.words.slice(1));
  const isPool = seen.words.length === 2 && name !== null && SHOW_POOL_NAMES.has(name);
  if (isPool) return lexerClass(seen, { kind: "show-pool", destination: "either", name });
  if (isOurs(seen, name)) return lexerClass(seen, { kind: "pgpool", name });
  const isOfPrimary = name !== null && SHOWN_BY_PRIMARY.has(name);
  return lexerClass(seen, {
    kind: "show",
    destination: isOfPrimary ? "primary" : "either",
    name,
  });
}

function callsOf(seen: Skim): string[] {
  return seen.calls.filter((word) => !NO_CALLS.has(word));
}

/** `insert into s.t`, `update only t`, `delete from t`. */
function writeClass(seen: Skim): SqlClass {
  const words = seen.words.filter((word, i) => i > 2 || !["into", "from", "only"].includes(word));
  const [, first, dot, second] = words;
  const relation = dot === "." ? `${first}.${second}` : first;
  const name = dot === "." ? second : first;
  const functions = callsOf(seen).filter((word) => word !== name);
  const relations = relation === undefined ? [] : [relation];
  return lexerClass(seen, { kind: "write", functions, relations });
}
