import { roleOf, type ClusterView, type RouteItem } from "../../../wire/ipc/index.ts";
import type { SqlClass } from "../sql/index.ts";
import { reasonText, remedyText, type FunctionRule, type Reason, type Unseen } from "./reason.ts";
import type { JudgedFunction } from "./judge.ts";
import type { Route, RoutingContext } from "./route.ts";

/** Functions of one statement that are told of. */
const FUNCTIONS_MAX = 20;

/** What a person is told about where a statement would go: where, by which rule, what changes it. */
export function explainRoute(
  sql: SqlClass,
  { targets, reason, writes }: Route,
  { view, judge }: Pick<RoutingContext, "view" | "judge">,
): readonly RouteItem[] {
  const servers = targets.flatMap((id) => {
    const backend = view.backends.find((one) => one.id === id);
    const where = `${backend?.hostname}:${backend?.port} (${roleOf(view, id)})`;
    return backend === undefined ? [] : [where];
  });
  const remedy = remedyText(reason);
  return [
    ["statement", sql.multi ? `several statements (${sql.kind})` : sql.kind],
    ["may write", writes ? "yes" : "no"],
    ["node", targets.length === 0 ? "none" : targets.join(", ")],
    ["server", servers.join(", ")],
    ["rule", reason.rule],
    ["reason", reasonText(reason)],
    ...decidingItems(reason),
    ...judge.functionsOf(sql).slice(0, FUNCTIONS_MAX).flatMap(functionItems),
    ["what would change it", remedy ?? "nothing: such statements always go there"],
  ];
}

/** A read that must see something goes to the primary while its standby is not known to have it. */
export function besidesUnseen(
  chosen: Route,
  view: ClusterView,
  unseenBy: (standbyId: number) => Unseen | null,
): Route {
  const { primaryId } = view;
  const [standbyId] = chosen.targets;
  if (standbyId === undefined || standbyId === primaryId) return chosen;
  const unseen = chosen.reason.rule === "read" ? unseenBy(standbyId) : null;
  if (unseen === null) return chosen;
  const targets = primaryId === null ? [] : [primaryId];
  return { ...chosen, targets, reason: { rule: "not-replayed", standbyId, unseen } };
}

/** What the rule looked at. */
function decidingItems(reason: Reason): readonly RouteItem[] {
  switch (reason.rule) {
    case "system-catalog":
    case "temporary-table":
    case "unlogged-table":
    case "writing-view":
    case "missing-relation":
    case "written-table":
    case "mutated-table":
      return [["relation", reason.relation]];
    case "query-pattern":
      return [["pattern", reason.pattern]];
    case "not-replayed":
      return [["standby that is waited for", String(reason.standbyId)]];
    case "read":
      return reason.choice.by === "redirect"
        ? [
            ["decided by", reason.choice.list],
            ["pattern", reason.choice.pattern],
          ]
        : [["node chosen by", reason.choice.by]];
    case "no-primary":
      return decidingItems(reason.because);
    case "function":
    case "here":
    case "no-backend":
    case "transaction":
    case "several-statements":
    case "kind":
    case "comment":
    case "white-space":
    case "catalog-unknown":
    case "pinned":
    case "write-seen":
    case "cold-start":
    case "session-state":
      return [];
  }
}

function functionItems(one: JudgedFunction): readonly RouteItem[] {
  return [
    ["function", `${one.name}, which ${one.mayWrite ? "may write" : "only reads"}`],
    ["its volatility", one.volatility ?? "not looked up"],
    ["decided by", WHO_DECIDES[one.decidedBy]],
  ];
}

const WHO_DECIDES: Readonly<Record<FunctionRule, string>> = {
  read_only_function_list: "read_only_function_list",
  write_function_list: "write_function_list",
  pg_proc: "pg_proc, as neither read_only_function_list nor write_function_list is set",
  builtin: "what is known of PostgreSQL's own functions",
  unknown: "nothing: the catalogs could not be asked",
};
