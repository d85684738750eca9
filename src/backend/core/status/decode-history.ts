/** Checks each field of a history entry that came from another node or from this node's file. */
import { fail, succeed, type Result } from "../../../base/index.ts";
import { REQUEST_KINDS } from "../../../wire/ipc/index.ts";
import { DecodeError, Fields } from "./fields.ts";
import {
  BY_MAX,
  COMMAND_TEXT_MAX,
  HISTORY_COMMANDS_MAX,
  OUTPUT_TAIL_MAX,
  PROBLEM_MAX,
  REASON_MAX,
  STEP_NAME_MAX,
  STEPS_MAX,
  VOTES_MAX,
  type CommandKind,
  type CommandRecord,
  type HistoryEntry,
  type HistoryKind,
  type StepRecord,
  type VoteRecord,
} from "./history.ts";

export const EVENT_ID_MAX = 100;
const SIGNAL_MAX = 16;
const NODE_ID_MAX = 127;

const KINDS: readonly HistoryKind[] = [...REQUEST_KINDS, "primary", "configured"];
const COMMAND_KINDS: readonly CommandKind[] = ["failover", "failback", "follow-primary", "demote"];
const OUTCOMES: readonly HistoryEntry["outcome"][] = ["done", "failed"];

/** Errors: the first field that is missing, of the wrong type or out of bounds. */
export function decodeHistoryEntry(value: unknown): Result<HistoryEntry, string> {
  try {
    return succeed(decodeEntry(value));
  } catch (error) {
    if (error instanceof DecodeError) return fail(error.message);
    throw error;
  }
}

/** Throws `DecodeError`, as do those below. */
export function decodeEntry(value: unknown): HistoryEntry {
  const fields = new Fields(value, "a history entry");
  return {
    epoch: fields.integer("epoch"),
    lastEpoch: fields.integer("lastEpoch"),
    eventId: fields.text("eventId", EVENT_ID_MAX),
    revision: fields.integer("revision"),
    kind: fields.oneOf("kind", KINDS),
    backendIds: fields.ids("backendIds"),
    reason: fields.text("reason", REASON_MAX),
    by: fields.text("by", BY_MAX),
    outcome: fields.oneOf("outcome", OUTCOMES),
    problem: fields.text("problem", PROBLEM_MAX),
    oldPrimaryId: fields.optionalId("oldPrimaryId"),
    newPrimaryId: fields.optionalId("newPrimaryId"),
    startedAt: fields.number("startedAt"),
    endedAt: fields.number("endedAt"),
    votes: fields.list("votes", VOTES_MAX, decodeVote),
    steps: fields.list("steps", STEPS_MAX, decodeStep),
    commands: fields.list("commands", HISTORY_COMMANDS_MAX, decodeCommand),
  };
}

export function decodeVote(value: unknown): VoteRecord {
  const fields = new Fields(value, "a vote");
  const nodeId = fields.integer("nodeId");
  if (nodeId > NODE_ID_MAX)
    throw new DecodeError(`nodeId of a vote must be at most ${NODE_ID_MAX}`);
  return { nodeId, at: fields.number("at"), reason: fields.text("reason", REASON_MAX) };
}

export function decodeStep(value: unknown): StepRecord {
  const fields = new Fields(value, "a step");
  return { name: fields.text("name", STEP_NAME_MAX), at: fields.number("at") };
}

export function decodeCommand(value: unknown): CommandRecord {
  const fields = new Fields(value, "a command");
  const exitCode = fields.optional("exitCode", (code) => {
    if (typeof code !== "number" || !Number.isSafeInteger(code)) {
      throw new DecodeError("exitCode must be an integer or null");
    }
    return code;
  });
  return {
    kind: fields.oneOf("kind", COMMAND_KINDS),
    backendId: fields.id("backendId"),
    epoch: fields.integer("epoch"),
    text: fields.text("text", COMMAND_TEXT_MAX),
    startedAt: fields.number("startedAt"),
    endedAt: fields.number("endedAt"),
    exitCode,
    signal: fields.value("signal") === null ? null : fields.text("signal", SIGNAL_MAX),
    timedOut: fields.boolean("timedOut"),
    outputTail: fields.text("outputTail", OUTPUT_TAIL_MAX),
  };
}
