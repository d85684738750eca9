/** Checks each field of a `ClusterState` that came from outside this process. */
import { fail, succeed, type Result } from "../../../base/index.ts";
import { RECOVERY_STAGES, type Maintenance, type Recovery } from "../../../wire/ipc/index.ts";
import {
  BACKENDS_MAX,
  QUARANTINES_MAX,
  type BackendStatus,
  type CandidateChoice,
  type ClusterState,
  type Follow,
  type Intent,
  type IntentKind,
  type Progress,
  type Quarantine,
  type ServerIdentity,
  type SwitchoverState,
} from "./cluster-state.ts";
import {
  decodeCommand,
  decodeEntry,
  decodeStep,
  decodeVote,
  EVENT_ID_MAX,
} from "./decode-history.ts";
import { DecodeError, Fields } from "./fields.ts";
import {
  BY_MAX,
  HISTORY_COMMANDS_MAX,
  HISTORY_MAX,
  REASON_MAX,
  STEPS_MAX,
  VOTES_MAX,
} from "./history.ts";
import { decodeSynchronousSet } from "./synchronous-set.ts";

/**
 * Reads a value that came from another node.
 *
 * Errors: the first field that is missing, of the wrong type or out of bounds.
 */
export function decodeClusterState(value: unknown): Result<ClusterState, string> {
  try {
    return succeed(decodeFields(value));
  } catch (error) {
    if (error instanceof DecodeError) return fail(error.message);
    throw error;
  }
}

const SYSTEM_IDENTIFIER_MAX = 32;
const KINDS: readonly IntentKind[] = ["detach", "attach", "promote", "switchover"];
const PHASES: readonly SwitchoverState["phase"][] = ["draining", "stopped", "undoing"];
const LSN_MAX = 17;
const STATES: readonly BackendStatus["state"][] = ["waiting", "up", "down"];

function decodeFields(value: unknown): ClusterState {
  const fields = new Fields(value, "the cluster's state");
  const format = fields.integer("format");
  if (format !== 1) throw new DecodeError(`format ${format} of the cluster's state is not known`);
  const backends = fields.list("backends", BACKENDS_MAX, decodeBackend);
  for (const [index, backend] of backends.entries()) {
    const before = backends[index - 1];
    if (before !== undefined && before.id >= backend.id) {
      throw new DecodeError("backends must stand by ascending id");
    }
  }
  const primaryId = fields.optionalId("primaryId");
  if (primaryId !== null && !backends.some(({ id }) => id === primaryId)) {
    throw new DecodeError(`primaryId ${primaryId} is none of the backends`);
  }
  return {
    format,
    stamp: fields.text("stamp", EVENT_ID_MAX),
    epoch: fields.integer("epoch"),
    backends,
    primaryId,
    primaryEpoch: fields.integer("primaryEpoch"),
    identity: fields.optional("identity", decodeIdentity),
    intent: fields.optional("intent", decodeIntent),
    follow: fields.optional("follow", decodeFollow),
    maintenance: fields.optional("maintenance", decodeMaintenance),
    quarantines: fields.list("quarantines", QUARANTINES_MAX, decodeQuarantine),
    recovery: fields.optional("recovery", decodeRecovery),
    synchronous: fields.optional("synchronous", decodeSynchronousSet),
    history: fields.list("history", HISTORY_MAX, decodeEntry),
  };
}

function decodeQuarantine(value: unknown): Quarantine {
  const fields = new Fields(value, "a quarantine");
  return {
    nodeId: fields.integer("nodeId"),
    backendId: fields.id("backendId"),
    reason: fields.text("reason", REASON_MAX),
    since: fields.number("since"),
    expiresAt: fields.number("expiresAt"),
  };
}

function decodeBackend(value: unknown): BackendStatus {
  const fields = new Fields(value, "a backend");
  return {
    id: fields.id("id"),
    state: fields.oneOf("state", STATES),
    quarantined: fields.boolean("quarantined"),
    reason: fields.text("reason", REASON_MAX),
    changedAt: fields.number("changedAt"),
  };
}

function decodeIdentity(value: unknown): ServerIdentity {
  const fields = new Fields(value, "identity");
  return {
    systemIdentifier: fields.text("systemIdentifier", SYSTEM_IDENTIFIER_MAX),
    timeline: fields.integer("timeline"),
  };
}

function decodeIntent(value: unknown): Intent {
  const fields = new Fields(value, "intent");
  return {
    epoch: fields.integer("epoch"),
    firstEpoch: fields.integer("firstEpoch"),
    eventId: fields.text("eventId", EVENT_ID_MAX),
    kind: fields.oneOf("kind", KINDS),
    backendIds: fields.ids("backendIds"),
    reason: fields.text("reason", REASON_MAX),
    by: fields.text("by", BY_MAX),
    oldPrimaryId: fields.optionalId("oldPrimaryId"),
    oldMainId: fields.optionalId("oldMainId"),
    newMainId: fields.optionalId("newMainId"),
    choice: fields.optional("choice", decodeChoice),
    primaryChanges: fields.boolean("primaryChanges"),
    startedAt: fields.number("startedAt"),
    votes: fields.list("votes", VOTES_MAX, decodeVote),
    progress: decodeProgress(fields.value("progress")),
    switchover: fields.optional("switchover", decodeSwitchover),
  };
}

function decodeSwitchover(value: unknown): SwitchoverState {
  const fields = new Fields(value, "switchover");
  return {
    phase: fields.oneOf("phase", PHASES),
    shutdownLsn: fields.value("shutdownLsn") === null ? null : fields.text("shutdownLsn", LSN_MAX),
    drainTimeoutMs: fields.integer("drainTimeoutMs"),
    onTimeout: fields.oneOf("onTimeout", ["abort", "cancel"]),
    problem: fields.text("problem", REASON_MAX),
  };
}

function decodeChoice(value: unknown): CandidateChoice {
  const fields = new Fields(value, "choice");
  return { by: fields.oneOf("by", ["asked", "lsn"]), doubt: fields.text("doubt", REASON_MAX) };
}

function decodeProgress(value: unknown): Progress {
  const fields = new Fields(value, "progress");
  return {
    doneCount: fields.integer("doneCount"),
    retryCount: fields.integer("retryCount"),
    steps: fields.list("steps", STEPS_MAX, decodeStep),
    commands: fields.list("commands", HISTORY_COMMANDS_MAX, decodeCommand),
  };
}

function decodeMaintenance(value: unknown): Maintenance {
  const fields = new Fields(value, "maintenance");
  return {
    since: fields.number("since"),
    by: fields.text("by", BY_MAX),
    reason: fields.text("reason", REASON_MAX),
  };
}

function decodeRecovery(value: unknown): Recovery {
  const fields = new Fields(value, "recovery");
  return {
    eventId: fields.text("eventId", EVENT_ID_MAX),
    backendId: fields.id("backendId"),
    sourceId: fields.id("sourceId"),
    by: fields.text("by", BY_MAX),
    stage: fields.oneOf("stage", RECOVERY_STAGES),
    attempt: fields.integer("attempt"),
    startedAt: fields.number("startedAt"),
    stageAt: fields.number("stageAt"),
  };
}

function decodeFollow(value: unknown): Follow {
  const fields = new Fields(value, "follow");
  return {
    epoch: fields.integer("epoch"),
    eventId: fields.text("eventId", EVENT_ID_MAX),
    oldPrimaryId: fields.optionalId("oldPrimaryId"),
    oldMainId: fields.optionalId("oldMainId"),
    remainingIds: fields.ids("remainingIds"),
    isSwitchover: fields.boolean("isSwitchover"),
  };
}
