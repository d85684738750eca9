/**
 * Part of the supervisor's root: online recovery for those who ask this node for it. The leader does
 * it, whichever node that is; what became of it is read from the state that all nodes share.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fail, succeed, type Ms, type Result } from "../base/index.ts";
import {
  askBackupProgress,
  failoverSettings,
  planRecovery,
  type ClusterState,
  type ServerLogin,
} from "../backend/index.ts";
import type { Config } from "../config/index.ts";
import { monotonicNowMs } from "../os/index.ts";
import type { ClusterRequest, RecoveryReport } from "../wire/ipc/index.ts";

export interface RecoverySite {
  readonly config: Config;
  /** The newest state that the cluster agreed upon. */
  readonly cluster: ClusterState | null;
  /** `sr_check_user` and its kin. */
  readonly login: ServerLogin;
  readonly isStopping: boolean;
  request(request: ClusterRequest): Promise<Result<void, string>>;
}

const LOOK_EVERY_MS: Ms = 100;
/** The leader takes a request up, or refuses it, within milliseconds. */
const BEGIN_MS_MAX: Ms = 10_000;
/** As long as Pgpool-II waits. */
const ATTACH_MS_MAX: Ms = 5000;

/**
 * Asks the leader to begin.
 *
 * @param by who asks, for the history.
 * @returns by what `recoveryReport` knows it.
 *
 * Errors: why there can be none now.
 */
export async function beginRecovery(
  site: RecoverySite,
  backendId: number,
  by: string,
): Promise<Result<string, string>> {
  const { cluster, config } = site;
  if (cluster === null) return fail("the cluster has agreed on no state of its backends yet");
  const planned = planRecovery(cluster, backendId, failoverSettings(config));
  if (!planned.ok) return planned;
  const eventId = `recovery-${randomBytes(8).toString("hex")}`;
  const asked = await site.request({
    kind: "recover",
    backendIds: [backendId],
    confirmed: true,
    switchoverTo: null,
    reason: "online recovery",
    by,
    eventId,
  });
  return asked.ok ? succeed(eventId) : asked;
}

/** How it stands, as this node knows it. */
export async function recoveryReport(site: RecoverySite, eventId: string): Promise<RecoveryReport> {
  const report = reportOf(site, eventId);
  const source = site.config.backends.find(({ id }) => id === report.recovery?.sourceId);
  if (source === undefined) return report;
  const copied = await askBackupProgress(source, site.login, site.config.connect_timeout);
  return { ...report, copied };
}

/** Begins one and resolves when it is over and the server is attached. */
export async function recover(
  site: RecoverySite,
  backendId: number,
  by: string,
): Promise<Result<void, string>> {
  const begun = await beginRecovery(site, backendId, by);
  if (!begun.ok) return begun;
  const beginUntilMs = monotonicNowMs() + BEGIN_MS_MAX;
  let attachUntilMs: Ms | null = null;
  for (;;) {
    if (site.isStopping) return fail("this node stops; see pgquorum history on another");
    const { recovery, end, isAttached } = reportOf(site, begun.value);
    const nowMs = monotonicNowMs();
    if (end !== null) {
      if (end.problem !== null) return fail(end.problem);
      attachUntilMs ??= nowMs + ATTACH_MS_MAX;
      if (isAttached || nowMs >= attachUntilMs) return succeed(undefined);
    } else if (recovery === null && nowMs >= beginUntilMs) return fail(NOT_BEGUN);
    await sleep(LOOK_EVERY_MS);
  }
}

const NOT_BEGUN = "the leader has not begun it; its log says why";

function reportOf({ cluster }: RecoverySite, eventId: string): RecoveryReport {
  const recovery = cluster?.recovery?.eventId === eventId ? cluster.recovery : null;
  const entry = cluster?.history.find((one) => one.eventId === eventId);
  const state = cluster?.backends.find(({ id }) => id === entry?.backendIds[0])?.state ?? "down";
  const problem = entry?.outcome === "failed" ? entry.problem : null;
  return {
    recovery,
    copied: null,
    end: entry === undefined ? null : { problem },
    isAttached: state !== "down",
  };
}
