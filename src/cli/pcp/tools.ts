import type { PcpRequest } from "../../wire/pcp/index.ts";
import type { OptionName, PcpOptions } from "./options.ts";

/** One of the programs that this one is known as. */
export interface PcpTool {
  readonly name: string;
  readonly about: string;
  /** The long name of `-n`; null for programs that take no id. */
  readonly idFlag: "node-id" | "watchdog-id" | "process-id" | null;
  readonly needsId: boolean;
  readonly options: readonly OptionName[];
  /** What the reply is made of, which decides how it is read and printed. */
  readonly reply:
    | "done"
    | "node-count"
    | "node-info"
    | "processes"
    | "process-info"
    | "health"
    | "pool-status"
    | "watchdog";
  request(options: PcpOptions): PcpRequest;
}

const COMMON = { idFlag: null, needsId: false, options: [], reply: "done" } as const;
const ONE_NODE = { ...COMMON, idFlag: "node-id", needsId: true } as const;
const ALL = -1;

export const PCP_TOOLS: readonly PcpTool[] = [
  {
    ...ONE_NODE,
    name: "pcp_attach_node",
    about: "attach a node from pgpool-II",
    options: ["id"],
    request: ({ id }) => ({ type: "attach", backendId: id ?? 0 }),
  },
  {
    ...ONE_NODE,
    name: "pcp_detach_node",
    about: "detach a node from pgpool-II",
    options: ["id", "gracefully"],
    request: ({ id, graceful }) => ({ type: "detach", backendId: id ?? 0, graceful }),
  },
  {
    ...COMMON,
    name: "pcp_node_count",
    about: "display the total number of nodes under pgpool-II's control",
    reply: "node-count",
    request: () => ({ type: "node-count" }),
  },
  {
    ...COMMON,
    name: "pcp_node_info",
    about: "display a pgpool-II node's information",
    idFlag: "node-id",
    options: ["id", "all"],
    reply: "node-info",
    request: ({ id, all }) => ({ type: "node-info", backendId: all ? ALL : (id ?? ALL) }),
  },
  {
    ...COMMON,
    name: "pcp_pool_status",
    about: "display pgpool configuration and status",
    reply: "pool-status",
    request: () => ({ type: "pool-status" }),
  },
  {
    ...COMMON,
    name: "pcp_proc_count",
    about: "display the list of pgpool-II child process PIDs",
    reply: "processes",
    request: () => ({ type: "process-count" }),
  },
  {
    ...COMMON,
    name: "pcp_proc_info",
    about: "display a pgpool-II child process' information",
    idFlag: "process-id",
    options: ["id", "all"],
    reply: "process-info",
    request: ({ id }) => ({ type: "process-info", processId: id ?? 0 }),
  },
  {
    ...ONE_NODE,
    name: "pcp_health_check_stats",
    about: "display health check statistics data",
    options: ["id"],
    reply: "health",
    request: ({ id }) => ({ type: "health-check-stats", backendId: id ?? 0 }),
  },
  {
    ...ONE_NODE,
    name: "pcp_promote_node",
    about: "promote a node as new main from pgpool-II",
    options: ["id", "gracefully", "switchover"],
    request: ({ id, graceful, switchover }) => {
      return { type: "promote", backendId: id ?? 0, graceful, switchover };
    },
  },
  {
    ...ONE_NODE,
    name: "pcp_recovery_node",
    about: "recover a node from pgpool-II",
    options: ["id"],
    request: ({ id }) => ({ type: "recover", backendId: id ?? 0 }),
  },
  {
    ...COMMON,
    name: "pcp_reload_config",
    about: "reload a pgpool-II config file",
    options: ["scope"],
    request: ({ scope }) => ({ type: "reload", scope }),
  },
  {
    ...COMMON,
    name: "pcp_stop_pgpool",
    about: "terminate pgpool-II",
    options: ["mode", "scope"],
    request: ({ mode, scope }) => ({ type: "stop", mode, scope }),
  },
  {
    ...COMMON,
    name: "pcp_watchdog_info",
    about: "display a pgpool-II watchdog's information",
    idFlag: "watchdog-id",
    options: ["id"],
    reply: "watchdog",
    request: ({ id }) => ({ type: "watchdog-info", nodeId: id ?? ALL }),
  },
];

const OPTION_LINES: Readonly<Record<OptionName, string>> = {
  id: "",
  all: "  -a, --all              display all backend nodes information\n",
  gracefully: "  -g, --gracefully       wait until clients have left (optional)\n",
  switchover: "  -s, --switchover       switchover primary to specified node (optional)\n",
  mode: '  -m, --mode=MODE        MODE can be "smart", "fast", or "immediate"\n',
  scope: `  -s, --scope=SCOPE      SCOPE can be "cluster", or "local"
                         cluster scope do operations on all Pgpool-II nodes
                         part of the watchdog cluster
`,
};

const ID_LINES = {
  "node-id": "  -n, --node-id=NODEID   ID of a backend node\n",
  "process-id":
    "  -P, --process-id=PID   PID of the child process to get information for (optional)\n",
  "watchdog-id": `  -n, --watchdog-id=ID   pgpool_node_id of the node to get information for
                         If omitted then get information of all watchdog nodes
`,
} as const;

export function usage(tool: PcpTool): string {
  const hasPositional = tool.needsId || (tool.idFlag !== null && tool.idFlag !== "node-id");
  const positional = hasPositional ? `[${tool.idFlag}]` : "";
  return `${tool.name} - ${tool.about}
Usage:
${tool.name} [OPTION...] ${positional}
Options:
  -U, --username=NAME    username for PCP authentication
  -h, --host=HOSTNAME    pgpool-II host
  -p, --port=PORT        PCP port number
  -w, --no-password      never prompt for password
  -W, --password         force password prompt (should happen automatically)
${tool.idFlag === null ? "" : ID_LINES[tool.idFlag]}${tool.options.map((name) => OPTION_LINES[name]).join("")}\
  -d, --debug            enable debug message (optional)
  -v, --verbose          output verbose messages
  -?, --help             print this help

`;
}
