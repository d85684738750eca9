import { fail, succeed, type Result } from "../../base/index.ts";
import { criteriaText, type Criteria } from "./options.ts";

export interface WdNode {
  readonly id: number;
  readonly state: number;
  readonly stateName: string;
  readonly name: string;
  readonly host: string;
  readonly wdPort: number;
  readonly pgpoolPort: number;
}

/** Errors: JSON that is no list of watchdog nodes. */
export function parseNodes(
  body: Readonly<Record<string, unknown>> | null,
): Result<readonly WdNode[], string> {
  const list = body?.["WatchdogNodes"];
  if (!Array.isArray(list)) return fail("ERROR: the watchdog's reply is no list of nodes\n");
  return succeed(
    list.map((item: unknown): WdNode => {
      const record = (item ?? {}) as Readonly<Record<string, unknown>>;
      const text = (key: string): string => {
        const value = record[key];
        return typeof value === "string" ? value : "";
      };
      const number = (key: string): number => {
        const value = record[key];
        return typeof value === "number" ? value : 0;
      };
      return {
        id: number("ID"),
        state: number("State"),
        stateName: text("StateName"),
        name: text("NodeName"),
        host: text("HostName"),
        wdPort: number("WdPort"),
        pgpoolPort: number("PgpoolPort"),
      };
    }),
  );
}

/** Errors: nothing fits. Names and hosts are compared without regard to case, as Pgpool-II does. */
export function selectNodes(
  nodes: readonly WdNode[],
  criteria: Criteria,
): Result<readonly WdNode[], string> {
  const found = nodes.filter(
    (node) =>
      (criteria.id === null || node.id === criteria.id) &&
      (criteria.name === null || isSameText(node.name, criteria.name)) &&
      (criteria.host === null || isSameText(node.host, criteria.host)) &&
      (criteria.wdPort === null || node.wdPort === criteria.wdPort),
  );
  if (found.length > 0) return succeed(found);
  const what = "ERROR: unable to find the node with the requested criteria";
  return fail(`${what}\nCriteria:${criteriaText(criteria)}\n`);
}

function isSameText(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** @param total how many nodes there are, shown or not. */
export function formatNodes(nodes: readonly WdNode[], total: number, verbose: boolean): string {
  const head = `Total Watchdog nodes configured for lifecheck:    ${total}\n`;
  if (verbose) return `${head}*****************\n${nodes.map(verboseNode).join("")}`;
  return head + nodes.map(plainNode).join("");
}

/** The second number is always 0, and blanks are missing: scripts read what Pgpool-II prints. */
function plainNode({ id, stateName, name, host, wdPort, pgpoolPort }: WdNode): string {
  return `${id} 0 "${stateName}""${name}""${host}" ${wdPort} ${pgpoolPort}\n`;
}

function verboseNode(node: WdNode): string {
  const lines: readonly (readonly [string, string | number])[] = [
    ["Node ID:", node.id],
    ["Node Status code:", node.state],
    ["Node Status:", node.stateName],
    ["Node Name:", node.name],
    ["Node Host:", node.host],
    ["Node WD Port:", node.wdPort],
    ["Node Pgpool Port:", node.pgpoolPort],
  ];
  return `${lines.map(([title, value]) => `${title.padEnd(19)}${value}\n`).join("")}\n`;
}
