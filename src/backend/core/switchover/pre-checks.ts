/**
 * Whether a switchover can be done now, one check after another, each with what to do when it
 * fails. Most of them keep clients from waiting for what would fail in the end; that nothing is
 * lost does not rest on them, but on what is looked at while the clients wait.
 */
import type { SwitchoverCheck } from "../../../wire/ipc/index.ts";
import { parseLsn } from "../replication-delay/index.ts";
import type { PrimaryFacts, SwitchoverBackend, SwitchoverFacts, TargetFacts } from "./facts.ts";

/** More than this takes the target a noticeable time to replay: one segment of WAL. */
const LAG_BYTES_MAX = 16 * 1024 * 1024;

/** In the order of the steps; the checks of a server that gave no answer are left out. */
export function checkSwitchover(facts: SwitchoverFacts): readonly SwitchoverCheck[] {
  const { primary, target } = facts;
  const checks = [
    checkLeader(facts),
    checkQuiet(facts),
    checkOldPrimary(facts),
    checkTarget(facts),
    ...(primary?.ok === true ? [checkActivity(facts, primary.value)] : []),
  ];
  if (primary?.ok === true && target?.ok === true) {
    const two = { primary: primary.value, target: target.value };
    checks.push(
      checkIdentity(two),
      checkReceiver(facts, two),
      checkLag(two),
      checkSynchronous(facts, two),
      checkReplay(two.target),
      checkSenders(facts, two.target),
      ...(two.primary.usesSlots ? [checkSlots(facts, two.target)] : []),
    );
  }
  return [...checks, checkFailoverCommand(facts), ...checkDemoteCommand(facts), checkFollow(facts)];
}

interface Two {
  readonly primary: PrimaryFacts;
  readonly target: TargetFacts;
}

function ok(name: string, found: string): SwitchoverCheck {
  return { name, result: "ok", found, remedy: null };
}

function refused(name: string, found: string, remedy: string): SwitchoverCheck {
  return { name, result: "refused", found, remedy };
}

function warning(name: string, found: string, remedy: string): SwitchoverCheck {
  return { name, result: "warning", found, remedy };
}

function checkLeader({ cluster }: SwitchoverFacts): SwitchoverCheck {
  const name = "leader";
  if (!cluster.isStreaming) {
    const remedy =
      "Only backend_clustering_mode = 'streaming_replication' has a primary to switch.";
    return refused(name, "there is no streaming replication", remedy);
  }
  if (cluster.leaderProblem === null) return ok(name, cluster.leader);
  const remedy = 'Bring enough nodes back; "pgquorum status" shows them.';
  return refused(name, cluster.leaderProblem, remedy);
}

function checkQuiet({ cluster }: SwitchoverFacts): SwitchoverCheck {
  const name = "nothing else runs";
  if (cluster.intent !== null) {
    return refused(name, `${cluster.intent} is under way`, "Wait until it is done.");
  }
  if (cluster.followingIds.length > 0) {
    const ids = cluster.followingIds.join(", ");
    const remedy = "Wait until follow_primary_command has ended for them.";
    return refused(name, `backend ${ids} has yet to follow the present primary`, remedy);
  }
  if (cluster.recoveringId !== null) {
    const found = `backend ${cluster.recoveringId} is being recovered from the primary`;
    return refused(name, found, 'Wait until that is done; "pgquorum status" shows it.');
  }
  return ok(name, "no failover, no recovery, and nobody has yet to follow");
}

function checkOldPrimary({ primaryId, primary, backends }: SwitchoverFacts): SwitchoverCheck {
  const name = "old primary";
  if (primaryId === null || primary === null) {
    return refused(name, "no primary is known", 'See "pgquorum nodes".');
  }
  const place = placeOf(backends, primaryId);
  if (!primary.ok) {
    const remedy = "It must answer sr_check_user. When it is lost, a failover is what is needed.";
    return refused(name, `${place} does not answer: ${primary.error}`, remedy);
  }
  if (primary.value.isInRecovery) {
    return refused(name, `${place} is in recovery`, 'See "pgquorum nodes".');
  }
  return ok(name, `${place} is the primary`);
}

function checkTarget(facts: SwitchoverFacts): SwitchoverCheck {
  const name = "target";
  const { targetId, target, backends, primaryId } = facts;
  const backend = backends.find(({ id }) => id === targetId);
  if (targetId === null) {
    return refused(name, "there is no live standby", "Attach one, then ask again.");
  }
  if (backend === undefined) {
    const known = backends.map(({ id }) => id).join(", ");
    return refused(name, `there is no backend ${targetId}`, `The backends are ${known}.`);
  }
  const place = placeOf(backends, targetId);
  if (targetId === primaryId) {
    return refused(name, `${place} is the primary already`, "Name another one with --to.");
  }
  if (backend.quarantined) {
    return refused(name, `${place} is in quarantine`, "It must answer this node again first.");
  }
  if (backend.state === "down") {
    const remedy = "Make it a standby of the primary and attach it (pcp_attach_node).";
    return refused(name, `${place} is down`, remedy);
  }
  if (target === null || !target.ok) {
    const why = target === null ? "it was not asked" : target.error;
    return refused(name, `${place} does not answer: ${why}`, "It must answer sr_check_user.");
  }
  if (!target.value.isInRecovery) {
    const remedy = "Make it a standby first: two primaries have parted.";
    return refused(name, `${place} is a primary of its own`, remedy);
  }
  return ok(name, `${place} is a live standby`);
}

function checkActivity(
  { drainTimeoutMs }: SwitchoverFacts,
  { seesActivity, openTransactions, oldestTransactionMs }: PrimaryFacts,
): SwitchoverCheck {
  const name = "transactions";
  if (!seesActivity) {
    const remedy = "GRANT pg_monitor TO the user of sr_check_user.";
    return refused(name, "sr_check_user does not see what other sessions do", remedy);
  }
  const open = openTransactions === 0 ? "none is open" : `${openTransactions} open`;
  if (oldestTransactionMs <= drainTimeoutMs) return ok(name, open);
  const oldest = `the oldest for ${Math.round(oldestTransactionMs / 1000)} s`;
  const remedy = `What still runs after switchover_drain_timeout (${drainTimeoutMs / 1000} s) is cancelled, or ends the switchover: see --on-timeout.`;
  return warning(name, `${open}, ${oldest}`, remedy);
}

function checkIdentity({ primary, target }: Two): SwitchoverCheck {
  const name = "same database";
  const one = primary.identity;
  const other = target.identity;
  if (one === null || other === null) {
    const remedy = "GRANT pg_monitor TO the user of sr_check_user.";
    return refused(name, "sr_check_user may not see the system identifier", remedy);
  }
  if (one.systemIdentifier !== other.systemIdentifier) {
    const found = `system identifiers ${one.systemIdentifier} and ${other.systemIdentifier}`;
    return refused(name, found, "The target is no copy of the primary: make it one.");
  }
  return ok(name, `system identifier ${one.systemIdentifier}, timeline ${one.timeline}`);
}

function checkReceiver(facts: SwitchoverFacts, { primary, target }: Two): SwitchoverCheck {
  const name = "wal receiver";
  const remedy =
    "Let primary_conninfo of the target point to the primary, and wait until it streams.";
  const { receiver } = target;
  if (receiver === null) return refused(name, "the target receives no WAL", remedy);
  if (receiver.status !== "streaming") {
    return refused(name, `the target's wal receiver is ${receiver.status}`, remedy);
  }
  const old = facts.backends.find(({ id }) => id === facts.primaryId);
  if (receiver.port !== null && receiver.port !== old?.port) {
    const from = `${receiver.host}:${receiver.port}`;
    return refused(name, `the target streams from ${from}, which is not the primary`, remedy);
  }
  const own = facts.backends.find(({ id }) => id === facts.targetId)?.applicationName ?? "";
  const sender = senderOf(facts, primary);
  if (own !== "" && sender?.state !== "streaming") {
    const found =
      sender === undefined
        ? `the primary sends to nobody with the application_name ${own}`
        : `the primary's wal sender for ${own} is in the state ${sender.state}`;
    return refused(name, found, `${remedy} backend_application_name must be its cluster_name.`);
  }
  return ok(name, `the target streams from ${receiver.host}:${receiver.port ?? "?"}`);
}

function senderOf(
  { backends, targetId }: SwitchoverFacts,
  primary: PrimaryFacts,
): PrimaryFacts["senders"][number] | undefined {
  const name = backends.find(({ id }) => id === targetId)?.applicationName ?? "";
  return primary.senders.find(({ applicationName }) => name !== "" && applicationName === name);
}

function checkLag({ primary, target }: Two): SwitchoverCheck {
  const name = "lag";
  const written = parseLsn(primary.walLsn);
  const replayed = parseLsn(target.replayedLsn);
  if (written === null || replayed === null) {
    return refused(name, "positions are not known", "The target must have replayed something.");
  }
  const bytes = Number(written > replayed ? written - replayed : 0n);
  const found = `${bytes} bytes`;
  if (bytes <= LAG_BYTES_MAX) return ok(name, found);
  const remedy = `Clients would wait until it is replayed: try again when it is below ${LAG_BYTES_MAX / 1024 / 1024} MB.`;
  return refused(name, found, remedy);
}

function checkSynchronous(facts: SwitchoverFacts, { primary }: Two): SwitchoverCheck {
  const name = "sync state";
  const state = senderOf(facts, primary)?.syncState ?? "";
  if (primary.synchronousStandbyNames === "") return ok(name, "replication is asynchronous");
  if (state === "sync" || state === "quorum") return ok(name, `commits wait for it (${state})`);
  const found = state === "" ? "not known" : `commits do not wait for it (${state})`;
  const remedy =
    "Nothing is lost, as it must have everything before it is promoted; a synchronous one would be quicker.";
  return warning(name, found, remedy);
}

function checkReplay({ isReplayPaused, applyDelayMs }: TargetFacts): SwitchoverCheck {
  const name = "replay";
  if (isReplayPaused) {
    return refused(name, "it is paused on the target", "SELECT pg_wal_replay_resume() there.");
  }
  if (applyDelayMs > 0) {
    const remedy = "Set it to 0 on the target: it replays too late by that.";
    return refused(name, `recovery_min_apply_delay is ${applyDelayMs} ms`, remedy);
  }
  return ok(name, "runs, without delay");
}

/** All but the target follow it, the old primary included. */
function followersOf({ backends, targetId }: SwitchoverFacts): readonly SwitchoverBackend[] {
  return backends.filter(({ id }) => id !== targetId);
}

function checkSenders(facts: SwitchoverFacts, target: TargetFacts): SwitchoverCheck {
  const name = "wal senders";
  const needed = followersOf(facts).length;
  if (!target.isReadyToSend) {
    const remedy = "Set wal_level to replica or logical on the target and restart it.";
    return refused(name, "wal_level of the target is minimal", remedy);
  }
  const free = Math.max(0, target.walSendersMax - target.walSendersUsed);
  const found = `${free} of ${target.walSendersMax} are free on the target, ${needed} needed`;
  if (free >= needed) return ok(name, found);
  return refused(name, found, "Raise max_wal_senders on the target and restart it.");
}

function checkSlots(facts: SwitchoverFacts, target: TargetFacts): SwitchoverCheck {
  const name = "slots";
  const names = followersOf(facts).map(({ id }) => `pgquorum_${id}`);
  const missing = names.filter((slot) => !target.slotNames.includes(slot)).length;
  const free = Math.max(0, target.slotsMax - target.slotNames.length);
  const found = `${free} of ${target.slotsMax} are free on the target, ${missing} needed`;
  if (free >= missing) return ok(name, found);
  const remedy = "Raise max_replication_slots on the target and restart it, or drop some slots.";
  return refused(name, found, remedy);
}

function checkFailoverCommand({ commands }: SwitchoverFacts): SwitchoverCheck {
  const name = "failover_command";
  if (!commands.hasFailoverCommand) {
    const remedy = "It promotes the target; scripts/failover.sh is ready to use.";
    return refused(name, "is not set", remedy);
  }
  const problem = commands.failoverProblem;
  if (problem === null) return ok(name, "is set");
  return refused(name, `cannot be started: ${problem}`, "The leader runs it, on its own host.");
}

function checkDemoteCommand({ commands }: SwitchoverFacts): readonly SwitchoverCheck[] {
  const name = "demote_command";
  const { isSet, saysWhat, tried } = commands.demote;
  if (!isSet) {
    const remedy = "It stops the old primary cleanly; scripts/demote.sh is ready to use.";
    return [refused(name, "is not set", remedy)];
  }
  if (!saysWhat) {
    const remedy =
      "Without %a in it, it is not tried before, and a stopped primary is not started again when the switchover fails.";
    return [warning(name, "is set", remedy)];
  }
  if (tried === null)
    return [warning(name, "was not tried", "There must be both a primary and a target first.")];
  if (tried.ok) return [ok(name, "reaches both servers")];
  const remedy = "Run it by hand as the user that the node runs as, with check for %a.";
  return [refused(name, `fails: ${tried.error}`, remedy)];
}

function checkFollow({ commands, backends }: SwitchoverFacts): SwitchoverCheck {
  const name = "follow_primary_command";
  const problem = commands.followProblem;
  if (problem !== null) {
    return warning(name, `cannot be started: ${problem}`, "The leader runs it, on its own host.");
  }
  if (commands.hasFollowCommand) return ok(name, "is set");
  const remedy = "The other servers do not follow the new primary by themselves.";
  if (backends.length > 2) return warning(name, "is not set", remedy);
  return warning(
    name,
    "is not set",
    "The old primary stays stopped until somebody brings it back.",
  );
}

function placeOf(backends: readonly SwitchoverBackend[], id: number): string {
  const backend = backends.find((one) => one.id === id);
  return backend === undefined
    ? `backend ${id}`
    : `backend ${id} (${backend.hostname}:${backend.port})`;
}
