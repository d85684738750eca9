import type { Result } from "../../base/index.ts";
import { fail, succeed } from "../../base/index.ts";
import type { Recovery } from "./recovery.ts";
import type { RouteQuestion } from "./route-question.ts";
import type { ClusterView } from "./view.ts";
import type { ClientCounts } from "./worker.ts";
import type { SwitchoverWish, WatchdogNodeState, WatchdogView } from "./watchdog.ts";

/**
 * The control socket: how `pgquorum status` and its kin ask a running node. A client sends one
 * line of JSON, gets one line of JSON back, and the node closes the connection.
 */
export const CONTROL_QUESTIONS = ["status", "nodes", "clients", "queues", "history"] as const;

export type ControlQuestion = (typeof CONTROL_QUESTIONS)[number];

export type ControlRequest =
  | { readonly command: ControlQuestion }
  /** Answered when the backend is drained, or soon anyhow. */
  | { readonly command: "pause"; readonly backendId: number; readonly forMs: number }
  | { readonly command: "resume"; readonly backendId: number }
  /** Begins online recovery; answered with its event id, or why not, before it is done. */
  | { readonly command: "recover"; readonly backendId: number; readonly by: string }
  /** How that recovery stands. */
  | { readonly command: "recovery"; readonly eventId: string }
  /** Whether that backend, or the best standby for null, can take over now; nothing is changed. */
  | { readonly command: "switchover-check"; readonly to: number | null }
  | { readonly command: "explain-routing"; readonly question: RouteQuestion }
  | {
      readonly command: "maintenance";
      readonly isOn: boolean;
      readonly reason: string;
      /** The user's name. */
      readonly by: string;
    }
  /** Checked first; null stands for what the configuration says. */
  | {
      readonly command: "switchover";
      readonly to: number | null;
      readonly drainTimeoutMs: number | null;
      readonly onTimeout: SwitchoverWish["onTimeout"] | null;
      /** Who asked for it, for people. */
      readonly by: string;
    }
  | { readonly command: "switchover-news"; readonly id: string };

/** Longest that a switchover may wait for transactions. */
export const DRAIN_MS_MAX = 60 * 60 * 1000;

/** Within which a pause may be asked for. */
export const PAUSE_MS_MAX = 24 * 60 * 60 * 1000;

/**
 * A reply is one of these two: `value` is a NodeStatus for `status`, a ClusterView for `nodes`, a
 * NodeList of ClientRow for `clients`, of QueueRow for `queues`, a PauseStatus (null when the pause
 * is over already) for `pause`, a list of RouteItem for `explain-routing`, a SwitchoverReport for `switchover-check`, a
 * SwitchoverAnswer for `switchover`, SwitchoverNews for `switchover-news`, a NodeHistory
 * for `history`, a Maintenance (null when it is off) for `maintenance`, an event id for `recover`, a
 * RecoveryReport for `recovery`, a boolean for `resume`: whether the backend was paused.
 */
export type ControlReply =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: string };

/** A request longer than this is refused before its end is read. */
export const CONTROL_REQUEST_BYTES_MAX = 64 * 1024;

/** The answer to `status`: all that one node knows of itself and of the cluster. */
export interface NodeStatus {
  readonly version: string;
  readonly node: {
    /** Null when the watchdog is off and no pgpool_node_id file exists. */
    readonly id: number | null;
    readonly hostname: string;
    /** This node's watchdog state, or STANDALONE when the watchdog is off. */
    readonly state: WatchdogNodeState | "STANDALONE";
    /** Wall clock, milliseconds since 1970. */
    readonly startedAt: number;
    /** The configuration file that the node was started with. */
    readonly configFile: string;
    readonly pgpoolPort: number;
  };
  readonly pids: {
    readonly supervisor: number;
    readonly watchdog: number | null;
    readonly guardian: number | null;
    readonly workers: readonly number[];
  };
  /** Of all workers, a second old at most; the longest wait is that of those that run. */
  readonly clients: ClientCounts & { readonly placesMax: number };
  readonly workers: {
    /** How often a worker that ended had to be started again, since the node's start. */
    readonly restarts: number;
  };
  readonly watchdog: WatchdogView | null;
  readonly view: ClusterView;
  /** What the cluster agreed upon; absent while the watchdog is off. */
  readonly cluster?: {
    readonly epoch: number;
    /** The failover that is running, in words, or null. */
    readonly intent: string | null;
    /** Of the last failover, while it has left the cluster without a primary; else null. */
    readonly failure: string | null;
    /** What is wrong with the primary, to which statements go all the same. */
    readonly primaryProblem?: { readonly text: string; readonly remedy: string } | null;
    /** Servers that have not followed the last new primary yet. */
    readonly followingIds: readonly number[];
    /** The online recovery that runs. */
    readonly recovery: Recovery | null;
    /** The synchronous standbys as the leader published them last; absent where there are none. */
    readonly synchronous?: {
      /** synchronous_standby_names of the primary. */
      readonly rule: string;
      readonly backendIds: readonly number[];
    };
  };
  /** Those of this node first. */
  readonly quarantines: readonly QuarantineStatus[];
  /** Backends on which this node lets nothing begin at the moment. */
  readonly pauses: readonly PauseStatus[];
}

/** A node that does not reach a backend which the cluster has not given up. */
export interface QuarantineStatus {
  /** Of the watchdog. */
  readonly nodeId: number | null;
  readonly backendId: number;
  /** Wall clock, milliseconds since 1970. */
  readonly since: number;
  /** What that node's health check found. */
  readonly reason: string;
  /** That node sends nothing there; else it has only asked for the backend's detachment so far. */
  readonly isInForce: boolean;
  /** False: without a quorum nobody can decide. */
  readonly canDecide: boolean;
}

/** The answer to `history`; both are of `backend/core/status`. */
export interface NodeHistory {
  /** What is over, the oldest first. */
  readonly entries: readonly unknown[];
  /** What is under way, or null. */
  readonly running: unknown;
}

export interface PauseStatus {
  readonly backendId: number;
  readonly by: string;
  /** Wall clock, milliseconds since 1970; it ends by itself at `until`. */
  readonly since: number;
  readonly until: number;
  /** Server connections on which something still runs. */
  readonly running: number;
  /** Nothing has run there since. */
  readonly isDrained: boolean;
}

/** The path of a node's control socket; the PCP port keeps nodes of one machine apart. */
export function controlSocketPath(socketDirectory: string, pcpPort: number): string {
  return `${socketDirectory.replace(/\/+$/, "")}/.s.PGQUORUM.${pcpPort}`;
}

/**
 * Reads one request line.
 *
 * Errors: text that is no JSON object, or a command that this version does not know; the message
 * is meant for the person at the other end.
 */
export function parseControlRequest(line: string): Result<ControlRequest, string> {
  const value = parseJson(line);
  if (typeof value !== "object" || value === null || !("command" in value)) {
    return fail('a request is one line of JSON such as {"command":"status"}');
  }
  const question = CONTROL_QUESTIONS.find((known) => known === value.command);
  if (question !== undefined) return succeed({ command: question });
  if (value.command === "explain-routing") return parseRouteQuestion(value);
  const switchover = parseSwitchover(value, value.command);
  if (switchover !== null) return switchover;
  if (value.command === "maintenance") return parseMaintenance(value);
  if (value.command === "recovery") {
    const eventId = textIn(value, "eventId");
    return eventId === null
      ? fail("eventId must be a text")
      : succeed({ command: "recovery", eventId });
  }
  if (value.command !== "pause" && value.command !== "resume" && value.command !== "recover") {
    const known = [
      ...CONTROL_QUESTIONS,
      "pause",
      "resume",
      "explain-routing",
      "switchover-check",
      "maintenance",
      "recover",
      "recovery",
      "switchover",
      "switchover-news",
    ].join(", ");
    return fail(`unknown command; this node knows ${known}`);
  }
  const backendId = numberIn(value, "backendId", 0, Number.MAX_SAFE_INTEGER);
  if (backendId === null) return fail("backendId must be the number of a backend");
  if (value.command === "recover") {
    return succeed({ command: "recover", backendId, by: textIn(value, "by") ?? "" });
  }
  if (value.command === "resume") return succeed({ command: "resume", backendId });
  const forMs = numberIn(value, "forMs", 1, PAUSE_MS_MAX);
  if (forMs === null) return fail(`forMs must be a whole number from 1 to ${PAUSE_MS_MAX}`);
  return succeed({ command: "pause", backendId, forMs });
}

function parseMaintenance(value: object): Result<ControlRequest, string> {
  const given = new Map<string, unknown>(Object.entries(value));
  const isOn = given.get("isOn");
  const reason = given.get("reason");
  const by = given.get("by");
  if (typeof isOn !== "boolean" || typeof reason !== "string" || typeof by !== "string") {
    return fail("maintenance has isOn, which is true or false, and the texts reason and by");
  }
  return succeed({ command: "maintenance", isOn, reason, by });
}

/** Null: it is no command of that kind. */
function parseSwitchover(value: object, command: unknown): Result<ControlRequest, string> | null {
  const to = numberIn(value, "to", 0, Number.MAX_SAFE_INTEGER);
  if (command === "switchover-check") return succeed({ command, to });
  const given = new Map<string, unknown>(Object.entries(value));
  if (command === "switchover-news") {
    const id = given.get("id");
    return typeof id === "string" ? succeed({ command, id }) : fail("id must be a text");
  }
  if (command !== "switchover") return null;
  const drainTimeoutMs = numberIn(value, "drainTimeoutMs", 0, DRAIN_MS_MAX);
  const found = given.get("onTimeout");
  const onTimeout = found === "abort" || found === "cancel" ? found : null;
  const by = given.get("by");
  return succeed({ command, to, drainTimeoutMs, onTimeout, by: typeof by === "string" ? by : "" });
}

function parseRouteQuestion(value: object): Result<ControlRequest, string> {
  const question: unknown = Object.entries(value).find(([key]) => key === "question")?.[1];
  const given = new Map(typeof question === "object" ? Object.entries(question ?? {}) : []);
  const text = (name: string): string | null => {
    const found: unknown = given.get(name);
    return typeof found === "string" ? found : null;
  };
  const sql = text("sql");
  const user = text("user");
  const database = text("database");
  if (sql === null || user === null || database === null) {
    return fail("a question has the texts sql, user and database");
  }
  return succeed({
    command: "explain-routing",
    question: {
      sql,
      user,
      database,
      applicationName: text("applicationName") ?? "",
      inTransaction: given.get("inTransaction") === true,
      afterWrite: given.get("afterWrite") === true,
    },
  });
}

function textIn(value: object, name: string): string | null {
  const found: unknown = Object.entries(value).find(([key]) => key === name)?.[1];
  return typeof found === "string" ? found : null;
}

function numberIn(value: object, name: string, min: number, max: number): number | null {
  const found: unknown = Object.entries(value).find(([key]) => key === name)?.[1];
  if (typeof found !== "number" || !Number.isSafeInteger(found)) return null;
  return found >= min && found <= max ? found : null;
}

/** Reads one reply line. Errors: anything that is not a ControlReply. */
export function parseControlReply(line: string): Result<ControlReply, string> {
  const value = parseJson(line);
  if (typeof value === "object" && value !== null && "ok" in value) {
    if (value.ok === true && "value" in value) return succeed({ ok: true, value: value.value });
    if (value.ok === false && "error" in value && typeof value.error === "string") {
      return succeed({ ok: false, error: value.error });
    }
  }
  return fail("the reply is not one that a pgquorum node gives");
}

/** Told by a node that starts in the background to the `pgpool` command that waits for it. */
export type ToLauncher =
  { readonly type: "started" } | { readonly type: "failed"; readonly message: string };

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
