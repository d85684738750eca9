import type { ClusterView } from "../../../wire/ipc/index.ts";
import type { SqlClass } from "../sql/index.ts";
import { reasonText, remedyText, type Reason } from "./reason.ts";
import type { Route } from "./route.ts";

/** One line of EXPLAIN ROUTE. */
export type ExplainedItem = readonly [item: string, value: string];

/** What a person is told about where a statement would go: where, by which rule, what changes it. */
export function explainRoute(
  sql: SqlClass,
  { targets, reason, writes }: Route,
  view: ClusterView,
): readonly ExplainedItem[] {
  const servers = targets.flatMap((id) => {
    const backend = view.backends.find((one) => one.id === id);
    const role = id === view.primaryId ? "primary" : "standby";
    return backend === undefined ? [] : [`${backend.hostname}:${backend.port} (${role})`];
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
    ["what would change it", remedy ?? "nothing: such statements always go there"],
  ];
}

/** What the rule looked at. */
function decidingItems(reason: Reason): readonly ExplainedItem[] {
  switch (reason.rule) {
    case "function":
      return [
        ["function", reason.name],
        ["volatility", reason.volatility ?? "not looked up"],
        ["decided by", reason.decidedBy],
      ];
    case "system-catalog":
    case "temporary-table":
    case "unlogged-table":
    case "writing-view":
    case "missing-relation":
    case "written-table":
      return [["relation", reason.relation]];
    case "query-pattern":
      return [["pattern", reason.pattern]];
    case "read":
      return reason.choice.by === "redirect"
        ? [
            ["decided by", reason.choice.list],
            ["pattern", reason.choice.pattern],
          ]
        : [["node chosen by", reason.choice.by]];
    case "no-primary":
      return decidingItems(reason.because);
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
    case "session-state":
      return [];
  }
}
