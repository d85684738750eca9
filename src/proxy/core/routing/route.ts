/**
 * Where a statement goes:
 *
 *     answered here ......................... nowhere
 *     writes, or unsure ..................... the primary
 *     in a transaction that holds its reads . the primary
 *     SET, RESET, DISCARD ................... primary and the session's read node
 *     everything else ....................... the session's read node
 *
 * Source: Pgpool-II manual, "Condition for Load Balancing". Different: BEGIN goes to the primary
 * alone, and a read of a transaction that leaves it runs for itself; see docs/compatibility.md.
 */
import type { ClusterView } from "../../../wire/ipc/index.ts";
import type { SqlClass } from "../sql/index.ts";
import {
  chooseLoadBalanceNode,
  delayOf,
  followed,
  isLagging,
  isUsable,
  livePrimary,
  type Preference,
} from "./balance.ts";
import type { Judge } from "./judge.ts";
import { IN_TRANSACTION, REASON, type NodeChoice, type Reason } from "./reason.ts";
import type { RoutingRules } from "./rules.ts";
import type { DatabaseMutations } from "./table-mutations.ts";
import { withoutSchema, type Hold } from "./transaction.ts";

export interface RoutingContext {
  readonly rules: RoutingRules;
  /** Of these rules, for the client's database. */
  readonly judge: Judge;
  readonly view: ClusterView;
  /** What the redirect lists say of the client, the strongest first. */
  readonly preferences: readonly Preference[];
  /** The statement as sent; read only when primary_routing_query_pattern_list is set. */
  readonly text: string;
  /** The node this session (or, per statement, this read) was given by chooseLoadBalanceNode. */
  readonly loadBalanceNode: number | null;
  /** 0 <= randomUnit < 1, drawn once a session: chooses again when that node cannot be used. */
  readonly randomUnit: number;
  /** In an explicit transaction, failed or not, or in an unsynced extended batch that wrote. */
  readonly inTransaction: boolean;
  /** In one: why its reads stay on the primary; null: they need not. */
  readonly hold: Hold | null;
  /** Lower case names without schema that this transaction has written, where that counts. */
  readonly written: ReadonlySet<string>;
  /** What any session of this node has written; null: that does not count. */
  readonly mutations: DatabaseMutations | null;
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
  /** The rule that decided; `reasonText` makes words of it, for log, EXPLAIN ROUTE and errors. */
  readonly reason: Reason;
  /** Not known to be a pure read. */
  readonly writes: boolean;
  /** Every backend that this session reads from gets the statement. */
  readonly coversSession: boolean;
}

export function route(sql: SqlClass, context: RoutingContext): Route {
  const nodes = nodesOf(context);
  const course = courseOf(sql, context, nodes);
  const writes = course !== "here" && context.judge.mayWrite(sql);
  const coversRead = nodes.read === nodes.primary;
  const reason = reasonForPrimary(sql, context);
  switch (course) {
    case "here":
      return { targets: [], reason: REASON.here, writes, coversSession: true };
    case "nowhere": {
      const why: Reason =
        reason === null ? REASON.noBackend : { rule: "no-primary", because: reason };
      return { targets: [], reason: why, writes, coversSession: false };
    }
    case "primary": {
      const targets = nodes.primary === null ? [] : [nodes.primary];
      return { targets, reason: reason ?? REASON.noBackend, writes, coversSession: coversRead };
    }
    case "both": {
      const why = REASON.sessionState;
      return { targets: nodes.session, reason: why, writes, coversSession: true };
    }
    case "read": {
      const targets = nodes.read === null ? [] : [nodes.read];
      const why: Reason = { rule: "read", choice: choiceOf(context, nodes.read) };
      return { targets, reason: why, writes, coversSession: coversRead };
    }
  }
}

/** What stays the same for all statements of a session while its context does not change. */
export interface SessionNodes {
  readonly primary: number | null;
  readonly read: number | null;
  /** Those that know the session's state, the primary first. */
  readonly session: readonly number[];
}

/** To be asked again when the view, the load balance node or the rules of the context change. */
export function nodesOf(context: RoutingContext): SessionNodes {
  const primary = livePrimary(context.view);
  const read = nodeForReads(context, primary);
  return { primary, read, session: sessionNodes(context, primary, read) };
}

/** `here`: it is answered by us. `nowhere`: who should take it is not there; `route` says why. */
export type Course = "here" | "nowhere" | "primary" | "both" | "read";

/** The same decision as that of `route`, without an object for it: most statements need no more. */
export function courseOf(sql: SqlClass, context: RoutingContext, nodes: SessionNodes): Course {
  if (sql.kind === "show-pool" || sql.kind === "pgpool") return "here";
  const reason = reasonForPrimary(sql, context);
  if (reason !== null && nodes.primary !== null) return "primary";
  // Without a primary nobody can be asked, and a standby may well have the answer.
  if (reason !== null && reason !== REASON.catalogUnknown) return "nowhere";
  if (sql.destination === "both") return nodes.session.length === 0 ? "nowhere" : "both";
  return nodes.read === null ? "nowhere" : "read";
}

/**
 * Whether the session's later reads must stay on the primary, because what this statement left
 * behind exists there alone: a SET inside a transaction, a set_config. DISCARD ALL ends it.
 */
export function nextPinned(pinned: boolean, sql: SqlClass, route: Route): boolean {
  if (sql.clearsSession && route.coversSession) return false;
  return pinned || (sql.changesSession && !route.coversSession);
}

function reasonForPrimary(sql: SqlClass, context: RoutingContext): Reason | null {
  const { rules, judge, tempRelations } = context;
  if (context.inTransaction) {
    const isPlain = sql.kind === "read" && !sql.readsTransaction;
    const hold = isPlain ? context.hold : "statement";
    if (hold !== null) return IN_TRANSACTION[hold];
  }
  const reason = judge.reasonForPrimary(sql);
  if (reason !== null || sql.destination === "both") return reason;
  if (context.pinned) return REASON.pinned;
  if (context.writeSeen && rules.config.disable_load_balance_on_write === "always") {
    return REASON.writeSeen;
  }
  if (tempRelations.size > 0 && rules.config.check_temp_table !== "none") {
    const temp = sql.relations.find((name) => tempRelations.has(withoutTempSchema(name)));
    if (temp !== undefined) return { rule: "temporary-table", relation: temp };
  }
  if (context.inTransaction && context.written.size > 0) {
    const written = sql.relations.find((name) => context.written.has(withoutSchema(name)));
    if (written !== undefined) return { rule: "written-table", relation: written };
  }
  return reasonInMutations(sql, context.mutations) ?? rules.reasonInText(context.text);
}

function reasonInMutations(sql: SqlClass, mutations: DatabaseMutations | null): Reason | null {
  if (mutations === null) return null;
  if (mutations.isCold) return REASON.coldStart;
  if (mutations.isEmpty) return null;
  const mutated = sql.relations.find((name) => mutations.has(withoutSchema(name)));
  return mutated === undefined ? null : { rule: "mutated-table", relation: mutated };
}

/** How the node of reads came to be that one. */
function choiceOf(context: RoutingContext, read: number | null): NodeChoice {
  const { view, rules, preferences, loadBalanceNode } = context;
  if (!rules.config.load_balance_mode) return { by: "load_balance_mode" };
  if (loadBalanceNode !== null && read !== loadBalanceNode) {
    const given = view.backends.find((backend) => backend.id === loadBalanceNode);
    const isUp = given !== undefined && isUsable(given);
    return isUp ? { by: "delay", laggingId: given.id } : { by: "replacement" };
  }
  const preference = followed(view, preferences);
  if (preference === null) return { by: "weight" };
  return { by: "redirect", list: preference.list, pattern: preference.pattern };
}

function withoutTempSchema(relation: string): string {
  return relation.startsWith("pg_temp.") ? relation.slice("pg_temp.".length) : relation;
}

/** The given node while it can be used; else another, chosen the same way each time. */
function nodeForReads(context: RoutingContext, primary: number | null): number | null {
  const { view, loadBalanceNode, randomUnit, rules, preferences } = context;
  const { config } = rules;
  if (!config.load_balance_mode) return chooseLoadBalanceNode(view, config, randomUnit);
  const given = view.backends.find((backend) => backend.id === loadBalanceNode);
  if (given === undefined || !isUsable(given)) {
    return chooseLoadBalanceNode(view, config, randomUnit, preferences);
  }
  if (!isLagging(view, given, config)) return given.id;
  const nearest = config.prefer_lower_delay_standby ? leastDelayed(context) : null;
  return nearest ?? primary ?? given.id;
}

function leastDelayed({ view, rules: { config } }: RoutingContext): number | null {
  const standbys = view.backends
    .filter((backend) => backend.id !== view.primaryId && backend.weight > 0 && isUsable(backend))
    .filter((backend) => !isLagging(view, backend, config))
    .sort((left, right) => delayOf(left, config) - delayOf(right, config));
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
