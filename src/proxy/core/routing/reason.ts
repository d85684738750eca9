import type { SqlKind } from "../sql/index.ts";
import type { Hold } from "./transaction.ts";

/** Of pg_proc; the worst of all functions of the name. `missing`: there is none. */
export type Volatility = "immutable" | "stable" | "volatile" | "missing";

/**
 * Which rule decided where a statement goes, and by what. A value that is made once for each class
 * of statements, or once for all; its text is made when somebody asks.
 */
export type Reason =
  /** Answered by us. */
  | { readonly rule: "here" }
  | { readonly rule: "no-backend" }
  /** It must go to the primary because of that, and there is none. */
  | { readonly rule: "no-primary"; readonly because: Reason }
  | { readonly rule: "transaction"; readonly hold: Hold | "statement" }
  | { readonly rule: "several-statements" }
  | { readonly rule: "kind"; readonly kind: SqlKind }
  | { readonly rule: "comment" }
  | { readonly rule: "white-space" }
  | { readonly rule: "system-catalog"; readonly relation: string }
  | { readonly rule: "temporary-table"; readonly relation: string }
  | { readonly rule: "unlogged-table"; readonly relation: string }
  /** A view of that name calls a function that writes. */
  | { readonly rule: "writing-view"; readonly relation: string }
  /** The catalogs know no relation of that name. */
  | { readonly rule: "missing-relation"; readonly relation: string }
  | {
      readonly rule: "function";
      readonly name: string;
      /** Null when it was not looked up. */
      readonly volatility: Volatility | null;
      readonly decidedBy: FunctionRule;
    }
  | { readonly rule: "query-pattern"; readonly pattern: string }
  /** The catalogs could not be asked about what it names. */
  | { readonly rule: "catalog-unknown" }
  /** Something that it left behind exists on the primary only. */
  | { readonly rule: "pinned" }
  | { readonly rule: "write-seen"; readonly setting: string }
  | { readonly rule: "written-table"; readonly relation: string }
  /** Any session of this node wrote it a moment ago. */
  | { readonly rule: "mutated-table"; readonly relation: string }
  /** This worker started a moment ago, and does not know yet what was written. */
  | { readonly rule: "cold-start" }
  /** The standby that it would go to is not known to have what the read must see. */
  | { readonly rule: "not-replayed"; readonly standbyId: number; readonly unseen: Unseen }
  /** To all backends of the session, so that their states stay equal. */
  | { readonly rule: "session-state" }
  | { readonly rule: "read"; readonly choice: NodeChoice };

/**
 * What a read must see with read_consistency = session: what the open transaction did on the primary,
 * what the session has seen there, or the position that pgquorum.wait_for_lsn names.
 */
export type Unseen = "transaction" | "session" | "position";

/** `builtin`: PostgreSQL's own, about which nothing needs to be looked up. */
export type FunctionRule =
  "read_only_function_list" | "write_function_list" | "pg_proc" | "builtin" | "unknown";

/** How the node of a read was chosen. */
export type NodeChoice =
  | { readonly by: "weight" }
  | { readonly by: "load_balance_mode" }
  | { readonly by: "redirect"; readonly list: string; readonly pattern: string }
  /** The node of the session lags: the primary, or the standby that lags least. */
  | { readonly by: "delay"; readonly laggingId: number }
  /** The node of the session cannot be used. */
  | { readonly by: "replacement" };

/** One clause in lower case, for the log, error details and EXPLAIN ROUTE. */
export function reasonText(reason: Reason): string {
  switch (reason.rule) {
    case "here":
      return "answered here";
    case "no-backend":
      return "no backend is up";
    case "no-primary":
      return `no primary is known, and ${reasonText(reason.because)}`;
    case "transaction":
      return `an explicit transaction is open, and ${HOLDS[reason.hold]}`;
    case "several-statements":
      return "several statements in one text";
    case "kind":
      return `a statement of kind ${reason.kind}`;
    case "comment":
      return "it starts with a comment and allow_sql_comments is off";
    case "white-space":
      return "it starts with white space and ignore_leading_white_space is off";
    case "system-catalog":
      return `the system catalog ${reason.relation} is read`;
    case "temporary-table":
      return `${reason.relation} is a temporary table of this session`;
    case "unlogged-table":
      return `${reason.relation} is or contains an unlogged table, which a standby does not have`;
    case "writing-view":
      return `the view ${reason.relation} calls a function that may write`;
    case "missing-relation":
      return `the catalogs know no relation ${reason.relation}`;
    case "function":
      return functionText(reason);
    case "query-pattern":
      return `it matches "${reason.pattern}" in primary_routing_query_pattern_list`;
    case "catalog-unknown":
      return "the catalogs could not be asked about it";
    case "pinned":
      return "a setting of this session exists on the primary only";
    case "write-seen":
      return `this session wrote and disable_load_balance_on_write is ${reason.setting}`;
    case "written-table":
      return `${reason.relation} was written, or is locked, by this transaction`;
    case "mutated-table":
      return `${reason.relation} was written by a session of this node a moment ago`;
    case "cold-start":
      return "this process started a moment ago, and which tables were written is not known yet";
    case "not-replayed":
      return `node ${reason.standbyId} is not known to have ${UNSEEN[reason.unseen]}`;
    case "session-state":
      return "it changes the state of the session";
    case "read":
      return `a read, ${choiceText(reason.choice)}`;
  }
}

const HOLDS: Readonly<Record<Hold | "statement", string>> = {
  statement: "only plain reads may leave it",
  begun: "it was not begun by a BEGIN of its own that is answered already",
  isolation: "its statements share one snapshot",
  wrote: "it wrote before",
  session: "it has a state that the primary alone has",
  standby: "a standby failed a read of it",
};

const UNSEEN: Readonly<Record<Unseen, string>> = {
  transaction: "what the open transaction has done on the primary, and cannot before it is over",
  session: "what this session has written, or read on the primary",
  position: "the position that pgquorum.wait_for_lsn names",
};

/** What a person can do so that such a statement goes elsewhere; null where nothing is sensible. */
export function remedyText(reason: Reason): string | null {
  switch (reason.rule) {
    case "transaction":
      return "Run it outside of an explicit transaction, or before it writes.";
    case "several-statements":
      return "Send the statements one by one.";
    case "comment":
      return "Set allow_sql_comments = on, or leave the comment out.";
    case "white-space":
      return "Set ignore_leading_white_space = on.";
    case "temporary-table":
      return "Set check_temp_table = none when no session reads its temporary tables.";
    case "unlogged-table":
      return "ALTER TABLE ... SET LOGGED makes standbys have it.";
    case "function":
      return functionRemedy(reason);
    case "query-pattern":
      return "Change primary_routing_query_pattern_list.";
    case "pinned":
      return "DISCARD ALL ends it; SET outside of a transaction goes to all servers.";
    case "mutated-table":
      return "Wait, or lower track_table_mutation_ttl_factor.";
    case "cold-start":
      return "Wait, or lower track_table_mutation_cold_start_duration.";
    case "not-replayed":
      return unseenRemedy(reason.unseen);
    case "write-seen":
    case "written-table":
      return "Set disable_load_balance_on_write to another value.";
    case "read":
      return choiceRemedy(reason.choice);
    case "here":
    case "no-backend":
    case "no-primary":
    case "kind":
    case "system-catalog":
    case "writing-view":
    case "missing-relation":
    case "catalog-unknown":
    case "session-state":
      return null;
  }
}

type FunctionReason = Reason & { readonly rule: "function" };

function functionText({ name, volatility, decidedBy }: FunctionReason): string {
  const known =
    volatility === null ? "" : `, ${volatility === "missing" ? "not there" : volatility}`;
  switch (decidedBy) {
    case "read_only_function_list":
      return `the function ${name}${known} is not on read_only_function_list, so it may write`;
    case "write_function_list":
      return `the function ${name}${known} is on write_function_list`;
    case "pg_proc":
      return volatility === "missing"
        ? `the catalogs know no function ${name}`
        : `the function ${name} may write: it is ${volatility} in pg_proc`;
    case "builtin":
      return `the function ${name}${known} writes, or has its meaning on the primary only`;
    case "unknown":
      return `the function ${name} may write: the catalogs could not be asked`;
  }
}

function functionRemedy({ decidedBy }: FunctionReason): string | null {
  switch (decidedBy) {
    case "read_only_function_list":
      return "Add it to read_only_function_list when it only reads.";
    case "write_function_list":
      return "Take it from write_function_list when it only reads.";
    case "pg_proc":
      return "Declare it STABLE or IMMUTABLE, or use read_only_function_list, when it only reads.";
    case "builtin":
      return null;
    case "unknown":
      return "Add it to read_only_function_list when it only reads.";
  }
}

function unseenRemedy(unseen: Unseen): string {
  switch (unseen) {
    case "transaction":
      return "Read before the transaction writes, or behind it.";
    case "session":
      return "A read waits up to read_consistency_wait for that node, and goes there once it has replayed that; with read_consistency = eventual at once.";
    case "position":
      return "A read waits up to read_consistency_wait for that node; RESET pgquorum.wait_for_lsn ends it.";
  }
}

function choiceText(choice: NodeChoice): string {
  switch (choice.by) {
    case "weight":
      return "for a node chosen by weight";
    case "load_balance_mode":
      return "and load_balance_mode is off";
    case "redirect":
      return `for the node that "${choice.pattern}" in ${choice.list} names`;
    case "delay":
      return `and node ${choice.laggingId} of this session is too far behind`;
    case "replacement":
      return "and the node of this session cannot be used";
  }
}

function choiceRemedy(choice: NodeChoice): string | null {
  switch (choice.by) {
    case "weight":
      return "Change the weights, or use a *_redirect_preference_list.";
    case "load_balance_mode":
      return "Set load_balance_mode = on.";
    case "redirect":
      return `Change ${choice.list}.`;
    case "delay":
      return "Raise delay_threshold or delay_threshold_by_time, whichever is set.";
    case "replacement":
      return null;
  }
}

/** Made once: most statements of a transaction have one of these. */
export const IN_TRANSACTION: Readonly<Record<Hold | "statement", Reason>> = {
  statement: { rule: "transaction", hold: "statement" },
  begun: { rule: "transaction", hold: "begun" },
  isolation: { rule: "transaction", hold: "isolation" },
  wrote: { rule: "transaction", hold: "wrote" },
  session: { rule: "transaction", hold: "session" },
  standby: { rule: "transaction", hold: "standby" },
};

/** Those that say no more than their rule. */
export const REASON = {
  here: { rule: "here" },
  noBackend: { rule: "no-backend" },
  severalStatements: { rule: "several-statements" },
  comment: { rule: "comment" },
  whiteSpace: { rule: "white-space" },
  catalogUnknown: { rule: "catalog-unknown" },
  pinned: { rule: "pinned" },
  coldStart: { rule: "cold-start" },
  writeSeen: { rule: "write-seen", setting: "always" },
  sessionState: { rule: "session-state" },
} as const satisfies Readonly<Record<string, Reason>>;
