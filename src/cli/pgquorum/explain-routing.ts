import type { RouteItem, RouteQuestion } from "../../wire/ipc/index.ts";
import { askNode } from "./ask-node.ts";
import { complain } from "./complain.ts";
import { visible } from "./table.ts";

export interface ExplainOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly user: string;
  readonly database: string;
  readonly appName: string;
  readonly inTransaction?: boolean;
  readonly afterWrite?: boolean;
}

/** `pgquorum explain-routing`: where the node would send a statement, and why. */
export async function explainRouting(sql: string, options: ExplainOptions): Promise<void> {
  const question: RouteQuestion = {
    sql,
    user: options.user,
    database: options.database,
    applicationName: options.appName,
    inTransaction: options.inTransaction === true,
    afterWrite: options.afterWrite === true,
  };
  const answer = await askNode(options.config, { command: "explain-routing", question });
  if (!answer.ok) return complain(answer.error);
  // The reply comes from a node of this very version.
  const items = answer.value as readonly RouteItem[];
  const text = options.json === true ? `${JSON.stringify(items, null, 2)}\n` : formatItems(items);
  process.stdout.write(text);
}

function formatItems(items: readonly RouteItem[]): string {
  const width = Math.max(...items.map(([item]) => item.length));
  return items.map(([item, value]) => `${item.padEnd(width)}  ${visible(value)}\n`).join("");
}
