import { fail, succeed, type Result } from "../../base/index.ts";

type Fields = Readonly<Record<string, unknown>>;

const QUORUM_TEXTS: Readonly<Record<string, string>> = {
  "1": "QUORUM EXIST",
  "0": "QUORUM IS ON THE EDGE",
  "-1": "QUORUM ABSENT",
  "-2": "NO LEADER NODE",
};

/**
 * Prints the watchdog's JSON as Pgpool-II's client does: a line for the cluster and one a node.
 * Errors: text that is not such JSON.
 */
export function formatWatchdogInfo(json: string, verbose: boolean): Result<string, string> {
  const info = parseObject(json);
  const nodes = info?.["WatchdogNodes"];
  if (info === null || !Array.isArray(nodes)) return fail("the node's reply is not understood");
  const records = nodes.filter(isFields);
  return succeed(
    verbose
      ? verboseCluster(info) + records.map(verboseNode).join("")
      : plainCluster(info) + records.map(plainNode).join(""),
  );
}

function parseObject(json: string): Fields | null {
  try {
    const value: unknown = JSON.parse(json);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(fields: Fields, key: string): string {
  const value = fields[key];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function yesNo(fields: Fields, key: string): string {
  return fields[key] === 1 ? "YES" : "NO";
}

function plusOne(fields: Fields, key: string): string {
  return String(Number(text(fields, key)) + 1);
}

function plainCluster(info: Fields): string {
  const words = [
    plusOne(info, "RemoteNodeCount"),
    plusOne(info, "MemberRemoteNodeCount"),
    yesNo(info, "Escalated"),
    text(info, "LeaderNodeName"),
    text(info, "LeaderHostName"),
  ];
  return `${words.join(" ")}\n\n`;
}

function plainNode(node: Fields): string {
  const keys = ["NodeName", "HostName", "PgpoolPort", "WdPort", "State", "StateName"];
  const words = [...keys, "Membership", "MembershipString"].map((key) => text(node, key));
  if ("LifecheckStarted" in node) words.push(yesNo(node, "LifecheckStarted"));
  return `${words.join(" ")}\n`;
}

const CLUSTER_TITLE_WIDTH = 25;
const NODE_TITLE_WIDTH = 18;

function verboseCluster(info: Fields): string {
  const lines: [string, string][] = [
    ["Total Nodes", plusOne(info, "RemoteNodeCount")],
    ["Remote Nodes", text(info, "RemoteNodeCount")],
    ["Member Remote Nodes", text(info, "MemberRemoteNodeCount")],
    ["Alive Remote Nodes", text(info, "AliveNodeCount")],
    ["Nodes required for quorum", text(info, "NodesRequireForQuorum")],
    ["Quorum state", QUORUM_TEXTS[text(info, "QuorumStatus")] ?? "UNKNOWN"],
    ["Local node escalation", yesNo(info, "Escalated")],
    ["Leader Node Name", text(info, "LeaderNodeName")],
    ["Leader Host Name", text(info, "LeaderHostName")],
    ...ownCluster(info),
  ];
  return `Watchdog Cluster Information \n${titled(lines, CLUSTER_TITLE_WIDTH)}\nWatchdog Node Information \n`;
}

/** What only a pgquorum node says; empty for one of Pgpool-II. */
function ownCluster(info: Fields): [string, string][] {
  if (!("VipFence" in info)) return [];
  const reason = text(info, "VipFenceReason");
  const problems: [string, string][] = [
    ["Address conflict", text(info, "VipConflict")],
    ["Local node is mute", text(info, "Mute")],
    ["Local node is unfit", text(info, "Unfit")],
  ];
  return [
    ["Term", text(info, "Term")],
    ["VIP fence", text(info, "VipFence") + (reason === "" ? "" : ` (${reason})`)],
    ["Lease guarantee", info["LeaseGuarantee"] === 1 ? "on" : "OFF"],
    ...problems.filter(([, value]) => value !== ""),
  ];
}

function verboseNode(node: Fields): string {
  const lifecheck: [string, string][] =
    "LifecheckStarted" in node ? [["Lifecheck Started", yesNo(node, "LifecheckStarted")]] : [];
  const lostReason: [string, string][] =
    text(node, "LostReason") === "" ? [] : [["Lost Reason", text(node, "LostReason")]];
  const lines: [string, string][] = [
    ["Node Name", text(node, "NodeName")],
    ["Host Name", text(node, "HostName")],
    ["Delegate IP", text(node, "DelegateIP")],
    ["Pgpool port", text(node, "PgpoolPort")],
    ["Watchdog port", text(node, "WdPort")],
    ["Node priority", text(node, "Priority")],
    ["Status", text(node, "State")],
    ["Status Name", text(node, "StateName")],
    ["Membership Status", text(node, "MembershipString")],
    ...lifecheck,
    ...lostReason,
  ];
  return `${titled(lines, NODE_TITLE_WIDTH)}\n`;
}

function titled(lines: readonly (readonly [string, string])[], width: number): string {
  return lines.map(([title, value]) => `${title.padEnd(width)}: ${value}\n`).join("");
}
