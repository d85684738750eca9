/**
 * Where a statement goes:
 *
 *     answered here ......................... nowhere
 *     in a transaction, writes, or unsure ... the primary
 *     SET, RESET, DISCARD ................... primary and the session's read node
 *     everything else ....................... the session's read node
 *
 * Source: Pgpool-II manual, "Condition for Load Balancing". Different: an explicit transaction
 * stays on the primary as a whole; see docs/compatibility.md.
 */
import type { ClusterView } from "../../../wire/ipc/index.ts";
import type { SqlClass } from "../sql/index.ts";
import { chooseLoadBalanceNode, isLagging, isUsable, livePrimary } from "./balance.ts";
import type { RoutingRules } from "./rules.ts";

export interface RoutingContext {
  readonly rules: RoutingRules;
  readonly view: ClusterView;
  /** The statement as sent; read only when primary_routing_query_pattern_list is set. */
  readonly text: string;
  /** The node this session (or, per statement, this read) was given by chooseLoadBalanceNode. */
  readonly loadBalanceNode: number | null;
  /** 0 <= randomUnit < 1, drawn once a session: chooses again when that node cannot be used. */
  readonly randomUnit: number;
  /** In an explicit transaction, failed or not, or in an unsynced extended batch that wrote. */
  readonly inTransaction: boolean;
  /** Any earlier Route of this session had `writes` (for disable_load_balance_on_write). */
  readonly writeSeen: boolean;
  /** The session's state differs between the backends: kept with `nextPinned`. */
  readonly pinned: boolean;
  /** All `createsTemp` so far in this session. */
  readonly tempRelations: ReadonlySet<string>;
}

export interface Route {
  /** Backend ids, the primary first. Empty: nobody can take it now; `reason` says why. */
  readonly targets: readonly number[];
  /** For log, explain-routing and error details. */
  readonly reason: string;
  /** Not known to be a pure read. */
  readonly writes: boolean;
  /** Every backend that this session reads from gets the statement. */
  readonly coversSession: boolean;
}

export function route(sql: SqlClass, context: RoutingContext): Route {
  if (sql.kind === "show-pool" || sql.kind === "pgpool") {
    return { targets: [], reason: "answered here", writes: false, coversSession: true };
  }
  const { rules, view } = context;
  const writes = isWrite(sql, rules);
  const primary = livePrimary(view);
  const readNode = nodeForReads(context, primary);
  const reason = reasonForPrimary(sql, context);
  if (reason !== null) {
    return primary === null
      ? { targets: [], reason: `no primary is known, and ${reason}`, writes, coversSession: false }
      : { targets: [primary], reason, writes, coversSession: readNode === primary };
  }
  if (sql.destination === "both") {
    const targets = sessionNodes(context, primary, readNode);
    return { targets, reason: "it changes the state of the session", writes, coversSession: true };
  }
  return {
    targets: readNode === null ? [] : [readNode],
    reason: readNode === null ? "no backend is up" : "a read",
    writes,
    coversSession: readNode === primary,
  };
}

/**
 * Whether the session's later reads must stay on the primary, because what this statement left
 * behind exists there alone: a SET inside a transaction, a set_config. DISCARD ALL ends it.
 */
export function nextPinned(pinned: boolean, sql: SqlClass, route: Route): boolean {
  if (sql.clearsSession && route.coversSession) return false;
  return pinned || (sql.changesSession && !route.coversSession);
}

function reasonForPrimary(sql: SqlClass, context: RoutingContext): string | null {
  const { rules, tempRelations } = context;
  if (context.inTransaction) return "an explicit transaction is open";
  const reason = rules.reasonForPrimary(sql);
  if (reason !== null || sql.destination === "both") return reason;
  if (context.pinned) return "a setting of this session exists on the primary only";
  if (context.writeSeen && rules.config.disable_load_balance_on_write === "always") {
    return "this session wrote and disable_load_balance_on_write is always";
  }
  const temp = sql.relations.find((name) => tempRelations.has(withoutTempSchema(name)));
  if (temp !== undefined) return `${temp} is a temporary table of this session`;
  return rules.reasonInText(context.text);
}

function withoutTempSchema(relation: string): string {
  return relation.startsWith("pg_temp.") ? relation.slice("pg_temp.".length) : relation;
}

/** The given node while it can be used; else another, chosen the same way each time. */
function nodeForReads(context: RoutingContext, primary: number | null): number | null {
  const { view, loadBalanceNode, randomUnit, rules } = context;
  if (!rules.config.load_balance_mode) return chooseLoadBalanceNode(view, rules.config, randomUnit);
  const given = view.backends.find((backend) => backend.id === loadBalanceNode);
  if (given === undefined || !isUsable(given)) {
    return chooseLoadBalanceNode(view, rules.config, randomUnit);
  }
  if (!isLagging(view, given, rules.config)) return given.id;
  const nearest = rules.config.prefer_lower_delay_standby ? leastDelayed(context) : null;
  return nearest ?? primary ?? given.id;
}

function leastDelayed({ view, rules }: RoutingContext): number | null {
  const standbys = view.backends
    .filter((backend) => backend.id !== view.primaryId && backend.weight > 0 && isUsable(backend))
    .filter((backend) => !isLagging(view, backend, rules.config))
    .sort((left, right) => left.replicationDelayBytes - right.replicationDelayBytes);
  return standbys[0]?.id ?? null;
}

/** The primary first. Without one the read node alone: the session can then still read. */
function sessionNodes(
  { view, rules }: RoutingContext,
  primary: number | null,
  readNode: number | null,
): readonly number[] {
  const { load_balance_mode: balances, statement_level_load_balance: everywhere } = rules.config;
  const readers =
    balances && everywhere
      ? view.backends.filter(isUsable).map((backend) => backend.id)
      : [readNode];
  const others = readers.filter((id) => id !== null && id !== primary);
  return [primary, ...others].filter((id) => id !== null);
}

function isWrite(sql: SqlClass, rules: RoutingRules): boolean {
  switch (sql.kind) {
    case "read":
    case "copy-out":
      return sql.destination !== "either" || rules.writingFunction(sql) !== null;
    case "begin":
    case "commit":
    case "rollback":
    case "savepoint":
    case "show":
    case "show-pool":
    case "pgpool":
    case "empty":
    case "explain":
      return false;
    case "write":
    case "two-phase":
    case "set":
    case "discard":
    case "listen":
    case "cursor":
    case "prepare":
    case "execute":
    case "deallocate":
    case "copy-in":
    case "unparsable":
      return true;
  }
}
