import type { Result } from "../../base/index.ts";
import { assert, fail, succeed, unreachable } from "../../base/index.ts";
import type { ClusterView, WatchdogView } from "../../wire/ipc/index.ts";
import type { PcpError, PcpLayout, PcpRequest, PoolStatusRow } from "../../wire/pcp/index.ts";
import {
  encodeDone,
  encodeHealthStats,
  encodeNodeCount,
  encodeNodeInfo,
  encodePoolStatus,
  encodeProcessIds,
  encodeProcessInfo,
  encodeWatchdogInfo,
  formatWatchdogJson,
  pcpError,
} from "../../wire/pcp/index.ts";

/** The requests that somebody else has to perform. */
export type Command = Exclude<
  PcpRequest,
  {
    readonly type: "salt" | "authenticate" | "set-parameter" | "unavailable" | "disconnect";
  }
>;

/** What came of a command: the value that its reply is made of, `done`, or why not. */
export type Answer =
  | { readonly type: "view"; readonly view: ClusterView }
  | { readonly type: "watchdog"; readonly view: WatchdogView | null }
  | { readonly type: "processes"; readonly pids: readonly number[] }
  /** Null: there is no such process. */
  | { readonly type: "process-info"; readonly rows: readonly (readonly string[])[] | null }
  /** Null: there is no such backend. */
  | { readonly type: "health-check-stats"; readonly fields: readonly string[] | null }
  | { readonly type: "pool-status"; readonly rows: readonly PoolStatusRow[] }
  | { readonly type: "done" }
  | { readonly type: "refused"; readonly reason: string };

/**
 * The packets of the reply, or the error that the client is told instead. A `stop` was answered
 * before it was performed, so its reply is empty here.
 */
export function encodeAnswer(
  command: Command,
  answer: Answer,
  layout: PcpLayout,
): Result<readonly Buffer[], PcpError> {
  if (answer.type === "refused") {
    return fail(pcpError("ERROR", refusalMessage(command), answer.reason));
  }
  switch (command.type) {
    case "node-info":
      assert(answer.type === "view", "node info is answered with a view");
      return nodeInfo(answer.view, command.backendId, layout);
    case "node-count":
      assert(answer.type === "view", "node count is answered with a view");
      return succeed([encodeNodeCount(answer.view.backends.length)]);
    case "process-count":
      assert(answer.type === "processes", "process count is answered with process ids");
      return succeed([encodeProcessIds(answer.pids)]);
    case "process-info": {
      assert(answer.type === "process-info", "process info is answered with its rows");
      if (answer.rows !== null) return succeed([encodeProcessInfo(answer.rows, layout)]);
      const detail = `invalid process ID : ${command.processId}`;
      return fail(pcpError("ERROR", refusalMessage(command), detail));
    }
    case "health-check-stats": {
      assert(answer.type === "health-check-stats", "statistics are answered with their fields");
      if (answer.fields !== null) return succeed([encodeHealthStats(answer.fields)]);
      const detail = `invalid node ID ${command.backendId}`;
      return fail(pcpError("ERROR", refusalMessage(command), detail));
    }
    case "pool-status":
      assert(answer.type === "pool-status", "pool status is answered with its rows");
      return succeed([encodePoolStatus(answer.rows)]);
    case "watchdog-info":
      assert(answer.type === "watchdog", "watchdog info is answered with the watchdog's view");
      if (answer.view === null) {
        return fail(pcpError("ERROR", refusalMessage(command), "watchdog is not enabled"));
      }
      return succeed([encodeWatchdogInfo(formatWatchdogJson(answer.view, command.nodeId, layout))]);
    case "attach":
    case "recover":
      return succeed([encodeDone("c")]);
    case "detach":
    case "promote":
      return succeed([encodeDone("d")]);
    case "reload":
      return succeed([encodeDone("z")]);
    case "stop":
      return succeed([]);
  }
  return unreachable(command);
}

function nodeInfo(
  view: ClusterView,
  backendId: number,
  layout: PcpLayout,
): Result<readonly Buffer[], PcpError> {
  const wanted = view.backends.filter(({ id }) => backendId === -1 || id === backendId);
  if (wanted.length === 0 && backendId !== -1) {
    return fail(pcpError("ERROR", "informing node info failed", `invalid node ID : ${backendId}`));
  }
  return succeed([encodeNodeInfo(view, wanted, layout)]);
}

/** Message texts begin in lower case or with PCP: see the quirk in `encodeError`. */
function refusalMessage(command: Command): string {
  switch (command.type) {
    case "node-info":
    case "node-count":
      return "informing node info failed";
    case "process-count":
      return "informing process count failed";
    case "process-info":
      return "informing process info failed";
    case "health-check-stats":
      return "informing health check stats info failed";
    case "pool-status":
      return "informing pool status failed";
    case "watchdog-info":
      return "PCP: informing watchdog info failed";
    case "attach":
      return "could not process attach request";
    case "recover":
      return "could not process recovery request";
    case "detach":
      return "could not process detach request";
    case "promote":
      return "could not process promote request";
    case "reload":
      return "could not process reload request";
    case "stop":
      return "could not process shutdown request";
  }
  return unreachable(command);
}
