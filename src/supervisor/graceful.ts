/**
 * Part of the supervisor's root: what an administrator asks for so that clients notice little of
 * it. A switchover waits for transactions by itself; a detach lets those of this node's clients end.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fail, succeed, type Ms, type Result } from "../base/index.ts";
import { mayAskFor } from "../backend/index.ts";
import type { Config } from "../config/index.ts";
import { monotonicNowMs } from "../os/index.ts";
import type {
  ClusterRequest,
  ClusterView,
  ControlRequest,
  SwitchoverAnswer,
  SwitchoverNews,
  SwitchoverReport,
} from "../wire/ipc/index.ts";
import type { BackendPauses } from "./driver/backend-pauses.ts";
import { refusalIn, switchoverRequest } from "./switchover.ts";

/** Of the node. */
export interface GracefulNode {
  readonly config: Config;
  readonly view: ClusterView;
  readonly pauses: BackendPauses;
  request(request: ClusterRequest): Promise<Result<void, string>>;
  reportOnSwitchover(to: number | null): Promise<SwitchoverReport>;
  switchoverNews(id: string): SwitchoverNews;
}

type Wish = Omit<Extract<ControlRequest, { command: "switchover" }>, "command">;

/** Errors: no quorum to decide it. */
export async function beginSwitchover(
  node: GracefulNode,
  wish: Wish,
  reason: string,
): Promise<Result<SwitchoverAnswer, string>> {
  const report = await node.reportOnSwitchover(wish.to);
  const { isReady, toId } = report;
  if (!isReady || toId === null) return succeed({ report, id: null });
  const id = `switchover-${randomBytes(8).toString("hex")}`;
  const asked = await node.request(switchoverRequest(node.config, { ...wish, id, toId, reason }));
  return asked.ok ? succeed({ report, id }) : asked;
}

/** A switchover needs a command that stops the old primary. */
export function maySwitchOver(config: Config): boolean {
  return mayAskFor({ demoteCommand: config.demote_command }, "stop");
}

const LOOK_EVERY_MS: Ms = 50;
/** Beyond what transactions are given: checkpoint, stop, promotion. */
const REST_MS_MAX: Ms = 180_000;

/**
 * `pcp_promote_node -s`, where a switchover can be had.
 *
 * @param how.isWaiting with `-g`: transactions have recovery_timeout to end, and the answer is how it ended.
 * @param how.by who asks, for the history.
 * Errors: why it cannot be done, or was undone.
 */
export async function promoteBySwitchover(
  node: GracefulNode,
  toId: number,
  { isWaiting, by }: { readonly isWaiting: boolean; readonly by: string },
): Promise<Result<void, string>> {
  const drainTimeoutMs = isWaiting ? node.config.recovery_timeout * 1000 : null;
  const reason = `pcp_promote_node -s${isWaiting ? " -g" : ""}`;
  const wish = { to: toId, drainTimeoutMs, onTimeout: null, by };
  const begun = await beginSwitchover(node, wish, reason);
  if (!begun.ok) return begun;
  const { report, id } = begun.value;
  if (id === null) return fail(refusalIn(report) ?? "it cannot be done now");
  if (!isWaiting) return succeed(undefined);
  const deadlineMs = monotonicNowMs() + (drainTimeoutMs ?? 0) + REST_MS_MAX;
  while (monotonicNowMs() < deadlineMs) {
    const { state, problem } = node.switchoverNews(id);
    if (state === "done") return succeed(undefined);
    if (state === "failed") return fail(problem);
    await sleep(LOOK_EVERY_MS);
  }
  return fail('it has not ended yet: see "pgquorum status"');
}

/**
 * `pcp_detach_node -g`: lets what this node's clients run there end first, and nothing begin.
 *
 * Errors: something still runs after recovery_timeout (then nothing is done), or the request is
 * refused.
 */
export async function detachGracefully(
  node: GracefulNode,
  request: ClusterRequest,
): Promise<Result<void, string>> {
  const [backendId] = request.backendIds;
  if (backendId === undefined || !node.config.backends.some(({ id }) => id === backendId)) {
    return fail(`invalid node ID : ${request.backendIds.join(", ")}`);
  }
  const drainWithinMs = node.config.recovery_timeout * 1000;
  const how = { by: request.reason, forMs: drainWithinMs + REST_MS_MAX, drainWithinMs };
  const paused = await node.pauses.pause(backendId, how);
  const isDrained = paused?.isDrained === true;
  const outcome = isDrained
    ? await node.request(request)
    : fail(`something still runs on node ${backendId} after ${drainWithinMs / 1000} s`);
  node.pauses.resume(backendId);
  return outcome;
}
