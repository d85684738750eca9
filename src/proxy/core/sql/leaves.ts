/**
 * What a statement may leave behind in its session, told from the first words or from the parse
 * tree. Only a suspicion: the statement may fail, be rolled back or be undone by a later one. What
 * functions of users do inside is not known here: see `session/leaving-functions.ts`.
 */
import { LEAVES, type SqlClass } from "./class.ts";
import type { Skim } from "./words.ts";

export type Leavings = Pick<
  SqlClass,
  "leaves" | "clears" | "leavesWhenExecuted" | "settingNames" | "customSettings"
>;

export const LEAVES_NOTHING: Leavings = {
  leaves: 0,
  clears: 0,
  leavesWhenExecuted: 0,
  settingNames: [],
  customSettings: [],
};

export const LEAVES_UNKNOWN: Leavings = {
  leaves: LEAVES.unknown,
  clears: 0,
  leavesWhenExecuted: LEAVES.unknown,
  settingNames: null,
  customSettings: [],
};

const EVERYTHING = Object.values(LEAVES).reduce((all, bit) => all | bit, 0);
/** What DISCARD ALL takes away. */
const DISCARDED = EVERYTHING & ~(LEAVES.process | LEAVES.unknown | LEAVES.executes);

/** The bits that words anywhere in the text, maybe in a string, may stand for. */
export interface Suspects {
  readonly leaves: number;
  readonly clears: number;
}

const NO_SUSPECTS: Suspects = { leaves: 0, clears: 0 };

// Identifiers with Unicode escapes may spell anything.
const SUSPICIOUS =
  /\b(?:set_config|temp|temporary|pg_temp\w*|pg_(?:try_)?advisory_(?:un)?lock\w*|pg_\w+_slot)\b|u&"/gi;

export function suspectsOf(text: string): Suspects {
  const words = text.match(SUSPICIOUS);
  if (words === null) return NO_SUSPECTS;
  let leaves = 0;
  let clears = 0;
  for (const word of words) {
    const name = word.toLowerCase();
    if (name === 'u&"') return { leaves: EVERYTHING, clears: EVERYTHING };
    if (/^(?:temp|temporary|pg_temp.*)$/.test(name)) leaves |= LEAVES.temporary;
    leaves |= leftByFunction(name);
    clears |= clearedByFunction(name);
  }
  return { leaves, clears };
}

/** @param name without schema. A set_config counts, as if it were not local. */
function leftByFunction(name: string): number {
  switch (name) {
    case "set_config":
      return LEAVES.settings;
    case "pg_advisory_lock":
    case "pg_advisory_lock_shared":
    case "pg_try_advisory_lock":
    case "pg_try_advisory_lock_shared":
      return LEAVES.advisoryLocks;
    case "pg_create_physical_replication_slot":
    case "pg_create_logical_replication_slot":
    case "pg_copy_physical_replication_slot":
    case "pg_copy_logical_replication_slot":
      return LEAVES.process; // It may be a temporary one.
    default:
      return 0;
  }
}

function clearedByFunction(name: string): number {
  return name.startsWith("pg_advisory_unlock") ? LEAVES.advisoryLocks : 0;
}

/** Of a single statement that `classifyByWords` knows. */
export function leftByWords(seen: Skim): Leavings {
  const { words, suspects } = seen;
  const [first = "", second = ""] = words;
  const only = (leaves: number, clears = 0): Leavings => ({
    ...LEAVES_NOTHING,
    leaves: leaves | suspects.leaves,
    clears: clears | suspects.clears,
    settingNames: (suspects.leaves & LEAVES.settings) === 0 ? [] : null,
  });
  switch (first) {
    case "listen":
      return only(LEAVES.listening);
    case "unlisten":
      return only(0, LEAVES.listening);
    case "declare":
      return only(
        words.some((word, i) => word === "with" && words[i + 1] === "hold") ? LEAVES.cursors : 0,
      );
    case "close":
      return only(0, LEAVES.cursors);
    case "prepare":
      return second === "transaction" ? LEAVES_NOTHING : only(LEAVES.prepared);
    case "execute":
      return only(LEAVES.executes);
    case "deallocate":
      return only(0, LEAVES.prepared);
    case "discard":
      return leftByDiscard(second);
    case "set":
    case "reset":
      return leftBySet(words);
    case "insert":
    case "update":
    case "delete":
      return only(0);
    default:
      return LEAVES_NOTHING; // Nothing but the state of the transaction.
  }
}

function leftByDiscard(what: string): Leavings {
  if (what === "all") {
    return { ...LEAVES_NOTHING, leaves: LEAVES.settings, clears: DISCARDED, settingNames: null };
  }
  const clears = what.startsWith("temp") ? LEAVES.temporary : 0;
  return { ...LEAVES_NOTHING, clears };
}

const OF_CHARACTERISTICS = [
  "default_transaction_isolation",
  "default_transaction_read_only",
  "default_transaction_deferrable",
];

function leftBySet(words: readonly string[]): Leavings {
  const [verb, scope, third] = words;
  const isPlain = third === "characteristics" || third === "authorization";
  const isScoped = verb === "set" && (scope === "local" || scope === "session") && !isPlain;
  if (isScoped && scope === "local") return LEAVES_NOTHING;
  const rest = words.slice(isScoped ? 2 : 1);
  if (rest[0] === "session" && rest[1] === "characteristics") {
    return leftBySetting(OF_CHARACTERISTICS);
  }
  const name = parameterName(rest);
  const goesBack = verb === "reset" || rest.includes("default") || isLocalZone(rest);
  return leftByOne(name, goesBack);
}

/** SET TIME ZONE LOCAL is as SET TIME ZONE DEFAULT. */
function isLocalZone([first, , value]: readonly string[]): boolean {
  return first === "time" && value === "local";
}

/** @param goesBack to what it was before it was set in this session, which nobody knows by its name. */
function leftByOne(name: string | null, goesBack: boolean): Leavings {
  const left = leftBySetting(name === null ? null : [name]);
  return goesBack && (left.leaves & LEAVES.settings) !== 0 ? leftBySetting(null) : left;
}

/** @param names null for all of them. */
function leftBySetting(names: readonly string[] | null): Leavings {
  const lasting = names?.map((name) => name.toLowerCase()).filter((name) => !PASSING.has(name));
  if (lasting?.length === 0) return LEAVES_NOTHING;
  const isRole = lasting?.some((name) => ROLES.has(name)) === true;
  return {
    ...LEAVES_NOTHING,
    leaves: isRole ? LEAVES.role : LEAVES.settings,
    settingNames: lasting ?? null,
    customSettings: lasting?.filter((name) => name.includes(".")) ?? [],
  };
}

/** They hold until the end of the transaction however they are set. */
const PASSING = new Set([
  "transaction",
  "constraints",
  "transaction_isolation",
  "transaction_read_only",
  "transaction_deferrable",
]);

const ROLES = new Set(["role", "session_authorization"]);

/** @param words what follows SET, RESET or SHOW, without LOCAL or SESSION. Null for ALL. */
export function parameterName(words: readonly string[]): string | null {
  const [name = "", second = ""] = words;
  if (name === "all") return null;
  if (name === "time" && second === "zone") return "timezone";
  if (name === "names") return "client_encoding";
  if (name === "schema") return "search_path";
  if (name === "session" && second === "authorization") return "session_authorization";
  if (name === "transaction" && second === "isolation") return "transaction_isolation";
  let whole = name;
  for (let i = 1; words[i] === "." && i + 1 < words.length; i += 2) whole += `.${words[i + 1]}`;
  return whole;
}

type Node = Readonly<Record<string, unknown>>;

const CURSOR_OPT_HOLD = 0x20;

/** Adds up what the nodes of a parse tree leave; each node is given to it once. */
export class TreeLeavings {
  #leaves = 0;
  #clears = 0;
  #whenExecuted = 0;
  #prepares = false;
  #names: Set<string> | null = new Set();
  readonly #custom = new Set<string>();

  /** @param node one of the statements of the text, such as `{ SelectStmt: ... }`. */
  noteStatement(node: Node, suspects: Suspects): void {
    const [type = ""] = Object.keys(node);
    const body = node[type];
    if (!isNode(body)) return;
    switch (type) {
      case "SelectStmt":
      case "InsertStmt":
      case "UpdateStmt":
      case "DeleteStmt":
      case "MergeStmt":
      case "CopyStmt":
        return;
      case "VariableSetStmt":
        return this.#noteSet(body);
      case "DiscardStmt": {
        const what = body["target"] === "DISCARD_ALL" ? "all" : "temp";
        return this.#add(leftByDiscard(what));
      }
      case "PrepareStmt":
        this.#leaves |= LEAVES.prepared;
        this.#prepares = true;
        return;
      case "DoStmt":
      case "CallStmt":
        return this.#add(LEAVES_UNKNOWN);
      case "DropStmt":
        this.#clears |= LEAVES.temporary;
        return;
      case "ExplainStmt":
        // With ANALYZE it runs.
        if (isNode(body["query"])) this.noteStatement(body["query"], suspects);
        return;
      default:
        this.#leaves |= (BITS_LEFT[type] ?? 0) | (suspects.leaves & LEAVES.temporary);
        this.#clears |= BITS_CLEARED[type] ?? 0;
        if (type === "DeclareCursorStmt" && (Number(body["options"]) & CURSOR_OPT_HOLD) !== 0) {
          this.#leaves |= LEAVES.cursors;
        }
    }
  }

  /** @param node anywhere in the tree. */
  noteNode(node: Node): void {
    if ("ExecuteStmt" in node) this.#leaves |= LEAVES.executes;
    const into = node["intoClause"];
    const target = isNode(into) ? into["rel"] : undefined;
    if (isNode(target) && isTemporary(target)) this.#leaves |= LEAVES.temporary;
  }

  /** @param parts of its name. */
  noteFunction(parts: readonly string[]): void {
    if (parts.length > 1 && parts[0] !== "pg_catalog") return;
    const name = parts.at(-1) ?? "";
    if (name === "set_config") return; // See `noteSetConfig`.
    this.#leaves |= leftByFunction(name);
    this.#clears |= clearedByFunction(name);
  }

  /** A set_config that is not surely local. @param name null when it is not a plain literal. */
  noteSetConfig(name: string | null): void {
    this.#add(leftBySetting(name === null ? null : [name]));
  }

  result(): Leavings {
    // Of a text with a PREPARE, which statement what belongs to is not looked at.
    const left = this.#prepares ? (this.#leaves | this.#clears) & ~LEAVES.prepared : 0;
    return {
      leaves: this.#leaves,
      clears: this.#clears,
      leavesWhenExecuted: this.#whenExecuted | left,
      settingNames: this.#names === null ? null : [...this.#names],
      customSettings: [...this.#custom],
    };
  }

  #noteSet(set: Node): void {
    if (set["is_local"] === true) return;
    const name = set["name"];
    if (name === "TRANSACTION" || name === "TRANSACTION SNAPSHOT") return;
    if (name === "SESSION CHARACTERISTICS") return this.#add(leftBySetting(OF_CHARACTERISTICS));
    const goesBack = set["kind"] !== "VAR_SET_VALUE";
    this.#add(leftByOne(typeof name === "string" ? name : null, goesBack));
  }

  #add(own: Leavings): void {
    this.#leaves |= own.leaves;
    this.#clears |= own.clears;
    this.#whenExecuted |= own.leavesWhenExecuted;
    for (const name of own.customSettings) this.#custom.add(name);
    if (own.settingNames === null) this.#names = null;
    else for (const name of own.settingNames) this.#names?.add(name);
  }
}

const BITS_LEFT: Readonly<Record<string, number>> = {
  ListenStmt: LEAVES.listening,
  LoadStmt: LEAVES.process,
};

const BITS_CLEARED: Readonly<Record<string, number>> = {
  UnlistenStmt: LEAVES.listening,
  ClosePortalStmt: LEAVES.cursors,
  DeallocateStmt: LEAVES.prepared,
};

function isTemporary(relation: Node): boolean {
  const schema = relation["schemaname"];
  return (
    relation["relpersistence"] === "t" ||
    (typeof schema === "string" && schema.startsWith("pg_temp"))
  );
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
