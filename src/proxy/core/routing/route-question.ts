import type { ClusterView, RouteItem, RouteQuestion } from "../../../wire/ipc/index.ts";
import type { SqlClass } from "../sql/index.ts";
import { chooseLoadBalanceNode } from "./balance.ts";
import type { Catalog } from "./catalog.ts";
import { besidesUnseen, explainRoute } from "./explanation.ts";
import { route } from "./route.ts";
import type { RoutingRules } from "./rules.ts";
import type { DatabaseMutations } from "./table-mutations.ts";

/**
 * Where a statement would go in a new session of such a client.
 *
 * @param o.randomUnit 0 <= r < 1: chooses the node for reads, as at the start of a session.
 */
export function answerRouteQuestion(
  question: RouteQuestion,
  sql: SqlClass,
  o: {
    readonly rules: RoutingRules;
    readonly catalog: Catalog;
    readonly mutations: DatabaseMutations | null;
    readonly view: ClusterView;
    readonly randomUnit: number;
    /** read_consistency = session. */
    readonly isConsistent: boolean;
  },
): readonly RouteItem[] {
  const { rules, view, randomUnit } = o;
  const preferences = rules.preferencesOf(question);
  const context = {
    rules,
    judge: rules.judgeFor(o.catalog),
    view,
    preferences,
    text: question.sql,
    loadBalanceNode: chooseLoadBalanceNode(view, rules.config, randomUnit, preferences),
    randomUnit,
    inTransaction: question.inTransaction,
    // As in one of READ COMMITTED, the default of servers.
    hold: question.afterWrite ? rules.holdAfterWrite : null,
    written: new Set<string>(),
    mutations: o.mutations,
    writeSeen: question.afterWrite,
    pinned: false,
    tempRelations: new Set<string>(),
  };
  const unseen = question.inTransaction ? "transaction" : "session";
  const chosen = besidesUnseen(route(sql, context), view, () =>
    o.isConsistent && question.afterWrite ? unseen : null,
  );
  return explainRoute(sql, chosen, context);
}
