import { formatLocalTime } from "../../os/index.ts";
import type { NodeInfoRow, PoolStatusRow } from "../../wire/pcp/index.ts";

/**
 * What the pcp_* programs print, to the letter that of Pgpool-II's: scripts cut these lines by
 * blanks. The verbose form gives one titled value a line.
 */
export interface OutputStyle {
  readonly verbose: boolean;
}

const STATUS_NAMES = ["unused", "waiting", "up", "down"];
const ROLE_NAMES = ["main", "replica", "primary", "standby"];

/** Node info: a line a backend, in verbose form a block. */
export function formatNodeInfo(
  rows: readonly NodeInfoRow[],
  style: OutputStyle & { readonly all: boolean },
): string {
  const shown = style.all ? rows : rows.filter((row) => row.hostname !== "");
  if (shown.length === 0) return "No node information available\n\n";
  return shown.map((row) => formatNode(row, style.verbose)).join("");
}

function formatNode(row: NodeInfoRow, verbose: boolean): string {
  const values: [string, string][] = [
    ["Hostname", row.hostname],
    ["Port", row.port],
    ["Status", String(row.status)],
    ["Weight", row.weight.toFixed(6)],
    ["Status Name", row.isQuarantined ? "quarantine" : (STATUS_NAMES[row.status] ?? "unknown")],
    ["Backend Status Name", row.pgStatus],
    ["Role", ROLE_NAMES[row.role] ?? "unknown"],
    ["Backend Role", row.pgRole],
    ["Replication Delay", formatDelay(row, verbose)],
    ["Replication State", row.replicationState || "none"],
    ["Replication Sync State", row.replicationSyncState || "none"],
    ["Last Status Change", formatLocalTime(row.changedAtSeconds * 1000)],
  ];
  return verbose ? `${formatRecord(values)}\n` : `${values.map(([, text]) => text).join(" ")}\n`;
}

function formatDelay(row: NodeInfoRow, verbose: boolean): string {
  if (!row.delayIsTime) return String(row.delay);
  const seconds = row.delay / 1_000_000;
  const unit = seconds >= 2 ? " seconds" : " second";
  return `${seconds.toFixed(6)}${verbose ? unit : ""}`;
}

function formatRecord(values: readonly (readonly [string, string])[], widthMin = 0): string {
  const width = Math.max(widthMin, ...values.map(([title]) => title.length));
  return values.map(([title, value]) => `${title.padEnd(width)} : ${value}\n`).join("");
}

export function formatNodeCount(count: string, { verbose }: OutputStyle): string {
  return verbose ? `Node Count\n____________\n ${count}\n` : `${count}\n`;
}

/** Plain: the process ids on one line, each with a blank behind it. */
export function formatProcesses(pids: readonly string[], { verbose }: OutputStyle): string {
  if (!verbose) return `${pids.map((pid) => `${pid} `).join("")}\n`;
  const rows = pids.map((pid, at) => `${at} \t | \t ${pid}\n`).join("");
  return `No \t | \t PID\n_____________________\n${rows}\nTotal Processes:${pids.length}\n`;
}

/**
 * The server connections, in another order than on the wire. Without `all` those that no database
 * is named for are left out.
 *
 * @param rows 17 fields in 4.3, up to 21.
 */
export function formatProcessInfo(
  rows: readonly (readonly string[])[],
  style: OutputStyle & { readonly all: boolean },
): string {
  const shown = style.all ? rows : rows.filter((row) => row[PROCESS_DATABASE] !== "");
  if (shown.length === 0) return "No process information available\n\n";
  return shown
    .map((row) => {
      const values = PROCESS_TITLES.slice(0, row.length - 1).map(
        ([title, at]) => [title, row[at] ?? ""] as const,
      );
      return style.verbose
        ? `${formatRecord(values)}\n`
        : `${values.map(([, text]) => text).join(" ")}\n`;
    })
    .join("");
}

const PROCESS_DATABASE = 5;

/** With the place on the wire; the number of the pool is not shown. */
const PROCESS_TITLES: readonly (readonly [title: string, at: number])[] = [
  ["Database", PROCESS_DATABASE],
  ["Username", 6],
  ["Start time", 1],
  ["Client connection count", 2],
  ["Major", 11],
  ["Minor", 12],
  ["Backend connection time", 7],
  ["Client connection time", 8],
  ["Client idle duration", 10],
  ["Client disconnection time", 9],
  ["Pool Counter", 13],
  ["Backend PID", 14],
  ["Connected", 15],
  ["PID", 0],
  ["Backend ID", 4],
  ["Status", 16],
  ["Load balance node", 17],
  ["client_host", 18],
  ["client_port", 19],
  ["statement", 20],
];

/** Health checks of one backend, on one line, in verbose form a block. */
export function formatHealthStats(fields: readonly string[], { verbose }: OutputStyle): string {
  if (!verbose) return `${fields.join(" ")}\n`;
  const values = HEALTH_TITLES.map((title, at) => [title, fields[at] ?? ""] as const);
  return `${formatRecord(values)}\n`;
}

const HEALTH_TITLES = [
  "Node Id",
  "Host Name",
  "Port",
  "Status",
  "Role",
  "Last Status Change",
  "Total Count",
  "Success Count",
  "Fail Count",
  "Skip Count",
  "Retry Count",
  "Average Retry Count",
  "Max Retry Count",
  "Max Health Check Duration",
  "Minimum Health Check Duration",
  "Average Health Check Duration",
  "Last Health Check",
  "Last Successful Health Check",
  "Last Skip Health Check",
  "Last Failed Health Check",
] as const;

export function formatPoolStatus(rows: readonly PoolStatusRow[], { verbose }: OutputStyle): string {
  return rows
    .map(({ item, value, description }, at) =>
      verbose
        ? `Name [${String(at).padStart(3)}]:\t${item}\nValue:      \t${value}\nDescription:\t${description}\n\n`
        : `name : ${item}\nvalue: ${value}\ndesc : ${description}\n\n`,
    )
    .join("");
}

export function formatDone(program: string): string {
  return `${program} -- Command Successful\n`;
}
