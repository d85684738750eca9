/**
 * What was done to the backends, an entry an event. The newest stand in the replicated state,
 * the last of them with all that is known, older ones in short; each node keeps all of them in a
 * file of its own.
 */
import type { RequestKind } from "../../../wire/ipc/index.ts";
import type { ClusterState } from "./cluster-state.ts";

/** `primary`: one was found without a failover; `configured`: servers came or went. */
export type HistoryKind = RequestKind | "primary" | "configured";

export interface HistoryEntry {
  /** That of the state which began it; an event may go through several. */
  readonly epoch: number;
  /** That of the state which ended it. */
  readonly lastEpoch: number;
  readonly eventId: string;
  /** Grows when something is added after the event was over. */
  readonly revision: number;
  readonly kind: HistoryKind;
  readonly backendIds: readonly number[];
  readonly reason: string;
  /** Who asked for it; empty when no person did. */
  readonly by: string;
  readonly outcome: "done" | "failed";
  /** What went wrong, for people; empty when nothing did. */
  readonly problem: string;
  readonly oldPrimaryId: number | null;
  readonly newPrimaryId: number | null;
  /** Wall clock, milliseconds since 1970, as are all times here. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** At most `VOTES_MAX`. */
  readonly votes: readonly VoteRecord[];
  /** In their order, at most `STEPS_MAX`. */
  readonly steps: readonly StepRecord[];
  /** In the order of their ends, at most `HISTORY_COMMANDS_MAX`. */
  readonly commands: readonly CommandRecord[];
}

/** A node's wish for it, as the leader of that time counted it. */
export interface VoteRecord {
  readonly nodeId: number;
  readonly at: number;
  readonly reason: string;
}

export interface StepRecord {
  readonly name: string;
  readonly at: number;
}

export type CommandKind = "failover" | "failback" | "follow-primary" | "demote";

export interface CommandRecord {
  readonly kind: CommandKind;
  readonly backendId: number;
  /** As the command was told; each run of one has its own. */
  readonly epoch: number;
  /** The command itself, at most `COMMAND_TEXT_MAX` characters. */
  readonly text: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** It was ended because its time was over. */
  readonly timedOut: boolean;
  /** The end of its output, at most `OUTPUT_TAIL_MAX` characters. */
  readonly outputTail: string;
}

export const HISTORY_MAX = 20;
/** So many of the newest entries are replicated with all that is known of them. */
const FULL_ENTRIES_MAX = 4;
export const HISTORY_COMMANDS_MAX = 8;
export const VOTES_MAX = 16;
export const STEPS_MAX = 32;
export const STEP_NAME_MAX = 60;
export const COMMAND_TEXT_MAX = 300;
export const OUTPUT_TAIL_MAX = 400;
export const PROBLEM_MAX = 300;
export const REASON_MAX = 200;
export const BY_MAX = 100;
const SHORT_MAX = 60;

/** An event that was over when it began: no votes, no steps, no commands. */
export function plainEntry(
  facts: Pick<HistoryEntry, "epoch" | "eventId" | "kind" | "reason" | "endedAt"> &
    Partial<HistoryEntry>,
): HistoryEntry {
  return {
    lastEpoch: facts.epoch,
    revision: 0,
    backendIds: [],
    by: "",
    outcome: "done",
    problem: "",
    oldPrimaryId: null,
    newPrimaryId: null,
    startedAt: facts.endedAt,
    votes: [],
    steps: [],
    commands: [],
    ...facts,
    reason: facts.reason.slice(0, REASON_MAX),
  };
}

/** Adds what was done, and forgets the oldest. */
export function withHistory(state: ClusterState, entry: HistoryEntry): ClusterState {
  const history = [...state.history, bounded(entry)].slice(-HISTORY_MAX);
  const fullFrom = history.length - FULL_ENTRIES_MAX;
  return { ...state, history: history.map((one, at) => (at < fullFrom ? shortened(one) : one)) };
}

/** Adds a command that ended after its event was over, as `follow_primary_command` does. */
export function withLateCommand(
  state: ClusterState,
  eventId: string,
  command: CommandRecord,
): ClusterState {
  const history = state.history.map((entry) =>
    entry.eventId === eventId
      ? bounded({
          ...entry,
          revision: entry.revision + 1,
          commands: [...entry.commands, command],
        })
      : entry,
  );
  return { ...state, history };
}

/** Did it fail? One whose status nobody knows did. */
export function hasFailed({ exitCode }: Pick<CommandRecord, "exitCode">): boolean {
  return exitCode !== 0;
}

function bounded(entry: HistoryEntry): HistoryEntry {
  return {
    ...entry,
    problem: entry.problem.slice(0, PROBLEM_MAX),
    votes: entry.votes.slice(-VOTES_MAX),
    steps: entry.steps.slice(-STEPS_MAX),
    commands: entry.commands.slice(-HISTORY_COMMANDS_MAX),
  };
}

function shortened(entry: HistoryEntry): HistoryEntry {
  if (entry.steps.length + entry.votes.length === 0 && entry.commands.length === 0) return entry;
  const commands = entry.commands.map((command) => ({
    ...command,
    text: command.text.slice(0, SHORT_MAX),
    outputTail: command.outputTail.slice(-SHORT_MAX),
  }));
  return { ...entry, votes: [], steps: [], commands };
}
