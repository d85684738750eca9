import {
  roleOf,
  type BackendView,
  type ClusterView,
  type Maintenance,
  type NodeStatus,
  type Recovery,
  type WatchdogView,
} from "../../wire/ipc/index.ts";
import { formatTable, visible } from "./table.ts";

/**
 * What `pgquorum status` prints.
 *
 * @param nowMs wall clock, milliseconds since 1970.
 */
export function formatStatus(status: NodeStatus, nowMs: number): string {
  const { node, pids, watchdog, view } = status;
  const name = `${node.hostname}:${node.pgpoolPort}`;
  const id = node.id === null ? "" : `${node.id} `;
  const workers = pids.workers.join(" ");
  const lines = [
    `node ${id}(${name}) is ${node.state}, up for ${formatLength(nowMs - node.startedAt)}`,
    `  pgquorum ${status.version}, configuration ${node.configFile}`,
    `  supervisor ${pids.supervisor}, watchdog ${pids.watchdog ?? "-"}, guardian ${
      pids.guardian ?? "-"
    }, workers ${workers === "" ? "-" : workers}${formatRestarts(status.workers.restarts)}`,
    `  ${formatClients(status.clients)}`,
  ];
  const parts = [`${lines.join("\n")}\n`];
  if (watchdog !== null) parts.push(formatWatchdog(watchdog));
  parts.push(formatBackends(view, nowMs));
  if (status.quarantines.length > 0) parts.push(formatQuarantines(status, nowMs));
  if (status.pauses.length > 0) parts.push(formatPauses(status.pauses, nowMs));
  if (status.cluster?.synchronous !== undefined) {
    const { rule, backendIds } = status.cluster.synchronous;
    const who = backendIds.length === 0 ? "no backend" : `backend ${backendIds.join(", ")}`;
    parts.push(`synchronous, as last seen: ${who} (synchronous_standby_names ${rule})\n`);
  }
  if (status.cluster !== undefined && status.cluster.intent !== null) {
    parts.push(`failover in progress: ${status.cluster.intent}\n`);
  }
  const failure = status.cluster?.failure ?? null;
  if (failure !== null) {
    parts.push(`the last failover FAILED: ${visible(failure)}; see "pgquorum history"\n`);
  }
  const problem = status.cluster?.primaryProblem ?? null;
  if (problem !== null) {
    const what = `backend ${view.primaryId ?? "?"} ${problem.text}`;
    parts.push(`${what}\n  if that was nobody's wish: ${problem.remedy}\n`);
  }
  if (view.maintenance !== null) parts.push(formatMaintenance(view.maintenance, nowMs));
  const recovery = formatRecovery(status.cluster?.recovery, nowMs);
  if (recovery !== "") parts.push(recovery);
  return parts.join("\n");
}

/** `pgquorum maintenance` prints it too. */
export function formatMaintenance({ since, by, reason }: Maintenance, nowMs: number): string {
  const why = reason === "" ? "" : `: ${visible(reason)}`;
  const length = formatLength(nowMs - since);
  return `maintenance is on for ${length} by ${visible(by)}${why}; no failover happens by itself\n`;
}

function formatRestarts(count: number): string {
  return count === 0 ? "" : ` (started again ${count === 1 ? "once" : `${count} times`})`;
}

function formatClients(clients: NodeStatus["clients"]): string {
  const parts = [
    `clients ${clients.clients} of ${clients.placesMax}`,
    `waiting ${clients.waiting}`,
  ];
  if (clients.waited > 0) {
    const seconds = (clients.longestWaitMs / 1000).toFixed(1);
    parts.push(`waited since start ${clients.waited} (up to ${seconds} s)`);
  }
  if (clients.refused > 0) parts.push(`refused ${clients.refused}`);
  if (clients.timedOut > 0) parts.push(`waited too long ${clients.timedOut}`);
  return parts.join(", ");
}

function formatWatchdog(watchdog: WatchdogView): string {
  const leader = watchdog.nodes.find(({ id }) => id === watchdog.leaderId);
  const quorum = watchdog.quorumStatus === 0 ? "on the edge" : watchdog.hasQuorum ? "yes" : "no";
  const summary = [
    `term ${watchdog.term}`,
    leader === undefined ? "no leader" : `leader ${leader.id} (${leader.hostname})`,
    `quorum ${quorum} (${watchdog.neededForQuorum} of ${watchdog.memberCount} needed)`,
    formatVip(watchdog),
  ];
  const rows = watchdog.nodes.map((node) => [
    `${node.id}${node.id === watchdog.selfId ? " *" : ""}`,
    node.hostname,
    String(node.pgpoolPort),
    String(node.wdPort),
    node.state,
    String(node.priority),
    node.membership,
    node.lostReason,
  ]);
  const titles = ["id", "host", "port", "wd_port", "state", "priority", "membership", "lost"];
  const problems = problemsOf(watchdog).map((line) => `${line}\n`);
  return `watchdog: ${summary.join(", ")}\n${formatTable(titles, rows)}${problems.join("")}`;
}

function formatVip(watchdog: WatchdogView): string {
  if (watchdog.vip === null) return "no virtual IP";
  const holding = watchdog.holdsVip ? "held by this node" : "not held by this node";
  const reason = watchdog.fenceReason === "" ? "" : `: ${watchdog.fenceReason}`;
  return `virtual IP ${watchdog.vip} ${holding} (fence ${watchdog.fence}${reason})`;
}

/** What an administrator should look at, a line each. */
function problemsOf(watchdog: WatchdogView): readonly string[] {
  const { conflict, mute, unfit, differences } = watchdog;
  const lines: (string | null)[] = [
    watchdog.leaseGuarantee ? null : `the lease guarantee is off: ${whyUnsure(watchdog)}`,
    conflict === null ? null : `address conflict: ${conflict}`,
    mute === null ? null : `this node is mute, it neither votes nor leads: ${mute}`,
    unfit === null ? null : `this node is unfit to lead: ${unfit}`,
  ];
  const differing = differences.map(({ nodeId, name, here, there }) => {
    const values =
      here === null && there === null
        ? ""
        : `: ${here ?? "not set"} here, ${there ?? "not set"} there`;
    return `node ${nodeId} is configured differently, ${name}${values}`;
  });
  return [...lines.filter((line) => line !== null), ...differing];
}

function whyUnsure({ fence, vip }: WatchdogView): string {
  if (vip !== null && fence === "none") return "nothing takes the address from a frozen node";
  return "enable_consensus_with_half_votes lets two halves elect a leader each";
}

/** Each node that does not reach a backend wishes it detached; a majority of them decides. */
function formatQuarantines({ quarantines, watchdog }: NodeStatus, nowMs: number): string {
  return quarantines
    .map(({ nodeId, backendId, since, reason, isInForce, canDecide }) => {
      const votes = new Set(
        quarantines.filter((one) => one.backendId === backendId).map((one) => one.nodeId),
      ).size;
      const needed = watchdog?.neededForQuorum ?? 1;
      const counted = `${votes} of ${needed} votes to detach it`;
      const missing = Math.max(0, needed - votes);
      const why = canDecide
        ? `${counted}, ${missing} missing`
        : `${counted}, and no quorum to decide`;
      const who = nodeId === null ? "this node" : `node ${nodeId}`;
      const length = formatLength(nowMs - since);
      const what = isInForce
        ? `${who} has backend ${backendId} in quarantine for ${length}`
        : `${who} asked ${length} ago to detach backend ${backendId}`;
      return `${what}: ${reason} (${why})\n`;
    })
    .join("");
}

function formatRecovery(recovery: Recovery | null | undefined, nowMs: number): string {
  if (recovery === null || recovery === undefined) return "";
  const { backendId, sourceId, by, stage, startedAt } = recovery;
  const length = formatLength(nowMs - startedAt);
  return `online recovery of node ${backendId} from node ${sourceId}: ${stage}, for ${length}, asked for by ${visible(by)}\n`;
}

function formatPauses(pauses: NodeStatus["pauses"], nowMs: number): string {
  return pauses
    .map(({ backendId, by, since, until, running, isDrained }) => {
      const length = formatLength(nowMs - since);
      const what = isDrained ? "nothing runs there" : formatBusy(running);
      const rest = formatLength(until - nowMs);
      return `backend ${backendId} is paused by ${by} for ${length}: ${what}; it is resumed in ${rest}\n`;
    })
    .join("");
}

export function formatBusy(connections: number): string {
  return connections === 1
    ? "1 connection is still busy"
    : `${connections} connections are still busy`;
}

/**
 * What `pgquorum nodes` prints, and the last part of `status`.
 *
 * @param nowMs wall clock, milliseconds since 1970.
 */
export function formatBackends(view: ClusterView, nowMs: number): string {
  const rows = view.backends.map((backend) => [
    String(backend.id),
    backend.hostname,
    String(backend.port),
    backend.quarantined ? "quarantine" : backend.state,
    roleOf(view, backend.id),
    backend.pgStatus,
    backend.pgRole,
    backend.timeline === null ? "-" : String(backend.timeline),
    backend.weight.toFixed(3),
    String(backend.replicationDelayBytes),
    (backend.replicationDelayMs / 1000).toFixed(3),
    [backend.replicationState, backend.replicationSyncState].filter(Boolean).join(" ") || "-",
    String(backend.selectCount),
  ]);
  const titles = ["backend", "host", "port", "status", "role", "pg_status", "pg_role", "timeline"];
  const more = ["weight", "delay_bytes", "delay_s", "replication", "selects"];
  const refusal = view.refusal === null ? [] : [`statements are refused: ${view.refusal}`];
  const notes = [...view.backends.flatMap((one) => notesOn(one, nowMs)), ...refusal];
  return formatTable([...titles, ...more], rows) + notes.map((line) => `${line}\n`).join("");
}

/** Why a backend is down, and what is wrong with it. */
function notesOn(backend: BackendView, nowMs: number): readonly string[] {
  const { id, state, stateChangedAt, stateReason, problem } = backend;
  const notes: string[] = [];
  if (state === "down" && stateReason !== "") {
    const length = formatLength(nowMs - stateChangedAt);
    notes.push(`backend ${id} has been down for ${length}: ${stateReason}`);
  }
  if (problem !== null) {
    notes.push(`backend ${id} ${problem.text}: nothing is sent to it`);
    if (problem.remedy !== "") notes.push(`  to bring it back: ${problem.remedy}`);
  }
  return notes;
}

/** `3 d 4 h`, `5 min 6 s`: the two largest units. */
export function formatLength(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0 s";
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}
