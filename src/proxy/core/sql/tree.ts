/**
 * The class of a text from PostgreSQL's parse tree. The walk goes by the shape of nodes (whatever
 * has a `funcname` calls a function, whatever has a `relname` names a relation) so that a new
 * kind of node hides nothing; and without recursion, so that no text can exhaust the stack.
 */
import type { SqlClass, SqlKind } from "./class.ts";
import { TreeLeavings } from "./leaves.ts";
import { statisticFor, statisticOfNode } from "./statistic.ts";
import { lexerClass, type Skim } from "./words.ts";

type Node = Readonly<Record<string, unknown>>;

/** @param tree what the parser returned: `{ stmts: [{ stmt: { SelectStmt: ... } }] }`. */
export function classifyTree(tree: unknown, seen: Skim): SqlClass {
  const statements = list(child(tree, "stmts")).map((raw) => child(raw, "stmt"));
  const found = survey(statements);
  for (const statement of statements) {
    if (isNode(statement)) found.leavings.noteStatement(statement, seen.suspects);
  }
  const base = lexerClass(seen, {
    kind: "write",
    functions: [...found.functions],
    relations: [...found.relations],
    cteNames: [...found.cteNames],
    createsTemp: [...found.createsTemp],
    changesSession: found.changesSession,
    changesCatalog: statements.some(changesCatalog),
    changesFunctions: statements.some(changesFunctions),
    readsTransaction: found.readsTransaction,
    locksRelations: statements.some(
      (each) => isNode(each) && LOCKING.has(Object.keys(each)[0] ?? ""),
    ),
    ...found.leavings.result(),
    decidedBy: "parser",
  });
  const [only] = statements;
  if (only === undefined) return { ...base, kind: "empty", destination: "either" };
  // Part of the text may write, and all of it must go one way.
  const ofNode = isNode(only) ? statisticOfNode(Object.keys(only)[0] ?? "") : null;
  const statistic = ofNode ?? base.statistic;
  if (statements.length > 1) return { ...base, multi: true, statistic };
  const { kind, destination } = formOf(only, found);
  const name = child(child(only, "PrepareStmt"), "name");
  return {
    ...base,
    multi: false,
    kind,
    destination,
    statistic: ofNode ?? statisticFor(kind, seen.words[0] ?? ""),
    name: typeof name === "string" ? name : null,
  };
}

function formOf(
  statement: unknown,
  found: Findings,
): { kind: SqlKind; destination: SqlClass["destination"] } {
  if (isNode(statement) && "SelectStmt" in statement) {
    return found.modifies
      ? { kind: "write", destination: "primary" }
      : { kind: "read", destination: "either" };
  }
  const copy = child(statement, "CopyStmt");
  if (isNode(copy)) {
    const isFile = "filename" in copy || copy["is_program"] === true;
    if (isFile) return { kind: "write", destination: "primary" };
    if (copy["is_from"] === true) return { kind: "copy-in", destination: "primary" };
    return { kind: "copy-out", destination: found.modifies ? "primary" : "either" };
  }
  if (child(statement, "PrepareStmt") !== undefined) {
    return { kind: "prepare", destination: "primary" };
  }
  const explain = child(statement, "ExplainStmt");
  const isRun = list(child(explain, "options")).some((option) => {
    return child(child(option, "DefElem"), "defname") === "analyze";
  });
  // EXPLAIN ANALYZE of a write writes.
  const isExplain = explain !== undefined && !(isRun && found.modifies);
  return { kind: isExplain ? "explain" : "write", destination: "primary" };
}

/** Statements that leave the catalogs as they are; whatever is new counts as DDL. */
const NO_DDL = new Set(
  `SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt CopyStmt ExplainStmt PrepareStmt ExecuteStmt
  DeallocateStmt DeclareCursorStmt FetchStmt ClosePortalStmt TransactionStmt VariableSetStmt
  VariableShowStmt DiscardStmt LockStmt ListenStmt UnlistenStmt NotifyStmt VacuumStmt CheckPointStmt
  TruncateStmt CallStmt LoadStmt ClusterStmt ReindexStmt ConstraintsSetStmt RefreshMatViewStmt
  CommentStmt GrantStmt GrantRoleStmt`.split(/\s+/),
);

function changesCatalog(statement: unknown): boolean {
  if (!isNode(statement)) return true;
  const [type = ""] = Object.keys(statement);
  if (type === "SelectStmt") return child(child(statement, type), "intoClause") !== undefined;
  return !NO_DDL.has(type);
}

/** DDL that makes no function and no trigger. */
const TABLES_ONLY = new Set(
  "SelectStmt CreateStmt CreateTableAsStmt IndexStmt ViewStmt CreateSeqStmt".split(" "),
);
/** What is dropped can only be missed. */
const DROPPED_ONLY = new Set(["OBJECT_TABLE", "OBJECT_INDEX", "OBJECT_VIEW", "OBJECT_SEQUENCE"]);

function changesFunctions(statement: unknown): boolean {
  if (!changesCatalog(statement)) return false;
  if (!isNode(statement)) return true;
  const [type = ""] = Object.keys(statement);
  const body = statement[type];
  if (!isNode(body)) return true;
  if (type === "DropStmt") return !DROPPED_ONLY.has(String(body["removeType"]));
  // A partition gets the triggers of its table.
  return !TABLES_ONLY.has(type) || child(body, "partbound") !== undefined;
}

/** The rest of those that do is DDL. */
const LOCKING = new Set([
  "TruncateStmt",
  "LockStmt",
  "ClusterStmt",
  "ReindexStmt",
  "RefreshMatViewStmt",
]);

interface Findings {
  readonly functions: Set<string>;
  readonly relations: Set<string>;
  readonly cteNames: Set<string>;
  readonly createsTemp: Set<string>;
  /** Locks rows, makes a table, or has a data-modifying CTE. */
  modifies: boolean;
  changesSession: boolean;
  readsTransaction: boolean;
  readonly leavings: TreeLeavings;
}

/** Nodes that write when they stand within a SELECT or COPY. */
const MODIFYING = ["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

function survey(roots: readonly unknown[]): Findings {
  const found: Findings = {
    functions: new Set(),
    relations: new Set(),
    cteNames: new Set(),
    createsTemp: new Set(),
    modifies: false,
    changesSession: false,
    readsTransaction: false,
    leavings: new TreeLeavings(),
  };
  const open: unknown[] = [...roots];
  while (open.length > 0) {
    const value = open.pop();
    if (Array.isArray(value)) open.push(...(value as unknown[]));
    else if (isNode(value)) {
      noteNode(value, found);
      for (const key in value) {
        const inner = value[key];
        if (typeof inner === "object" && inner !== null) open.push(inner);
      }
    }
  }
  return found;
}

function noteNode(node: Node, found: Findings): void {
  found.leavings.noteNode(node);
  if (typeof node["relname"] === "string") noteRelation(node, node["relname"], found);
  if (typeof node["ctename"] === "string") found.cteNames.add(node["ctename"]);
  if (Array.isArray(node["funcname"])) noteFunction(node, found);
  if ("lockingClause" in node || "intoClause" in node) found.modifies = true;
  if (MODIFYING.some((key) => key in node)) found.modifies = true;
  const value = child(node["SQLValueFunction"], "op");
  if (typeof value === "string" && /DATE|TIME/.test(value)) found.readsTransaction = true;
  const set = node["VariableSetStmt"];
  if (isNode(set) && set["is_local"] !== true) found.changesSession = true;
  // Code of any kind: it may set a parameter or make a temporary table.
  if ("DoStmt" in node || "CallStmt" in node || "LoadStmt" in node) found.changesSession = true;
  // The renamed relation may be a temporary one, so its new name counts as one, too.
  const rename = node["RenameStmt"];
  if (isNode(rename) && RELATION_KINDS.has(rename["renameType"])) {
    if (typeof rename["newname"] === "string") found.createsTemp.add(rename["newname"]);
  }
  const drop = node["DropStmt"];
  if (isNode(drop) && RELATION_KINDS.has(drop["removeType"])) {
    for (const object of list(drop["objects"])) {
      found.relations.add(names(child(child(object, "List"), "items")).join("."));
    }
  }
}

const RELATION_KINDS = new Set<unknown>([
  "OBJECT_TABLE",
  "OBJECT_VIEW",
  "OBJECT_MATVIEW",
  "OBJECT_FOREIGN_TABLE",
]);

function noteRelation(node: Node, name: string, found: Findings): void {
  const schema = node["schemaname"];
  found.relations.add(typeof schema === "string" ? `${schema}.${name}` : name);
  // Only the statements that make something say "t"; a later use of the name does not.
  if (node["relpersistence"] === "t" || schema === "pg_temp") found.createsTemp.add(name);
}

function noteFunction(node: Node, found: Findings): void {
  const parts = names(node["funcname"]);
  found.functions.add(parts.join("."));
  found.leavings.noteFunction(parts);
  if (OF_TRANSACTION.has(parts.at(-1) ?? "")) found.readsTransaction = true;
  if (parts.at(-1) !== "set_config") return;
  const [parameter, , local] = list(node["args"]).map((argument) => child(argument, "A_Const"));
  if (child(child(local, "boolval"), "boolval") === true) return;
  found.changesSession = true;
  const name = child(child(parameter, "sval"), "sval");
  found.leavings.noteSetConfig(typeof name === "string" ? name : null);
}

/** The time of the transaction; of age() when it has one argument. */
const OF_TRANSACTION = new Set(["now", "transaction_timestamp", "age"]);

function names(value: unknown): string[] {
  return list(value).flatMap((item) => {
    const text = child(child(item, "String"), "sval");
    return typeof text === "string" ? text : [];
  });
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function child(value: unknown, key: string): unknown {
  return isNode(value) ? value[key] : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
