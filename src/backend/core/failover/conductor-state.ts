/** What the conductor knows. */
import { assert, type Ms } from "../../../base/index.ts";
import type { ClusterRequest } from "../../../wire/ipc/index.ts";
import {
  STEP_NAME_MAX,
  STEPS_MAX,
  type ClusterState,
  type CommandRecord,
  type Intent,
  type PrimaryChoice,
  type Progress,
  type StepRecord,
  type VoteRecord,
  withPrimaryEpoch,
} from "../status/index.ts";
import type { WatchOutcome } from "../switchover/index.ts";
import type { RecoveryRun } from "./recovery.ts";
import type { Choosing } from "./choosing.ts";
import type { ConductorAction, ConductorEvent } from "./conductor-events.ts";
import type { FailoverSettings } from "./settings.ts";

type EventOf<Type> = Extract<ConductorEvent, { readonly type: Type }>;

export interface ConductorState {
  readonly settings: FailoverSettings;
  /** Unique to this run of this node. */
  readonly origin: string;
  /** What is proposed where the cluster has no state yet. */
  readonly initial: ClusterState;
  /** Wall clock minus monotonic clock, as of the last event that told it. */
  readonly wallOffsetMs: number;
  readonly leads: boolean;
  /** When that changed last. */
  readonly leadsSinceMs: Ms;
  /** Of the newest committed state; null before the first is known. */
  readonly index: number | null;
  readonly cluster: ClusterState | null;
  /** The committed state is one that we proposed since we lead, so nothing newer exists. */
  readonly isOwn: boolean;
  /** The newest index that no node is behind of. */
  readonly settledIndex: number;
  /** Granted, not yet begun; at most `QUEUE_MAX`. */
  readonly queue: readonly QueuedRequest[];
  /** What nodes said of their quarantines and is not committed yet; the newest of each. */
  readonly quarantineNews: readonly QuarantineNews[];
  /** Those of them that are proposed. */
  readonly quarantineSent: readonly QuarantineNews[];
  /** The switchover that is looked at before it is queued. */
  readonly preparation: Preparation | null;
  readonly proposal: Proposal | null;
  /** Nothing is proposed before. */
  readonly retryAtMs: Ms | null;
  /** Numbers proposals, commands and searches. */
  readonly nextId: number;
  /** How far the intent of `cluster` has been carried out by us. */
  readonly task: Task | null;
  readonly search: Search | null;
  readonly follow: FollowRun | null;
  /** The online recovery that we run. */
  readonly recovery: RecoveryRun | null;
  /** What we saw last of the synchronous standbys; null before. */
  readonly seenSynchronous: Omit<EventOf<"synchronous-seen">, "type"> | null;
  /** What was seen of servers that were made anew, until it is looked at. */
  readonly renewed: Omit<EventOf<"renewed">, "type"> | null;
  /** Commands whose end has not been reported, those of a lost leadership included. */
  readonly runningIds: readonly number[];
  /** When it was said last that maintenance keeps a request back; at most `HELD_BACK_MAX`. */
  readonly heldBack: ReadonlyMap<string, Ms>;
}

export interface Preparation {
  readonly id: number;
  readonly queued: QueuedRequest;
}

export interface QueuedRequest {
  /** Why it cannot be done, which only has to be recorded. */
  readonly refusal?: string;
  readonly request: ClusterRequest;
  /** Wall clock. */
  readonly grantedAt: number;
  readonly votes: readonly VoteRecord[];
}

export interface QuarantineNews {
  readonly nodeId: number;
  readonly backendId: number;
  /** Null: it is over. */
  readonly reason: string | null;
}

export interface Proposal {
  readonly id: number;
  readonly state: ClusterState;
  readonly purpose: Purpose;
}

export type Purpose =
  | "initial"
  | "configured"
  | "maintenance"
  | "quarantine"
  | "begin-recovery"
  /** It was begun by a node that is lost. */
  | "take-up-recovery"
  /** A stage or the end of it. */
  | "recovery"
  /** A switchover cannot be done: the history says so. */
  | "refused"
  | "adopt"
  | "intent"
  /** The intent goes on: what was done for it, or how it is changed, is recorded first. */
  | "progress"
  | "finish"
  | "primary"
  | "synchronous"
  | "renewed"
  | "follow";

export interface Task {
  /** As it was committed last. */
  readonly intent: Intent;
  /** Of the committed state by which this leader began the intent or took it over. */
  readonly index: number;
  readonly isInherited: boolean;
  /**
   *     settling ──(inherited)──> probing ──candidate is primary────────────────┐
   *      ^ └────────────────────────>└─> (choosing) ──> commands ──> searching ──┴─> finishing
   *      └──(again, a new epoch)──────── retrying <─── failed ┘
   *
   * Nothing is done before no node routes by the state from before the intent: else one could
   * write to a primary that is being replaced.
   */
  readonly stage:
    "settling" | "probing" | "choosing" | "commands" | "retrying" | "searching" | "finishing";
  /** While it is found out who takes over. */
  readonly choosing: Choosing | null;
  /** The question by which it may be said that another has more than who takes over. */
  readonly comparisonId: number | null;
  readonly run: CommandRun | null;
  /** Newer than in the committed intent while `isRecorded` is false. */
  readonly progress: Progress;
  readonly isRecorded: boolean;
  /** What is recorded next begins a new epoch. */
  readonly isNewEpoch: boolean;
  readonly found: PrimaryChoice | null;
  /** Of a switchover, until its old primary is stopped and its target has everything. */
  readonly switching: Switching | null;
}

/** See `switchover.ts`. */
export interface Switching {
  readonly stage:
    | "settling"
    | "probing"
    | "draining"
    | "stopping"
    | "catching-up"
    | "unsure"
    | "starting"
    | "refuting"
    | "given-up";
  readonly watchId: number | null;
  /** Of what was watched last in this stage. */
  readonly outcome: WatchOutcome | null;
  readonly deadlineMs: Ms | null;
  /** How often the old primary was told to start again. */
  readonly startCount: number;
  /** How often it was not clear whether a leader before us has promoted the target. */
  readonly unsureCount: number;
}

/** A command that runs. */
export interface CommandRun {
  readonly commandId: number;
  readonly startedAt: number;
  readonly text: string;
}

export interface Search {
  /** Null while none is under way. */
  readonly searchId: number | null;
  readonly nextAtMs: Ms;
  /** Null = for ever. */
  readonly deadlineMs: Ms | null;
  readonly lookCount: number;
}

export interface FollowRun extends CommandRun {
  readonly backendId: number;
  readonly isStopping: boolean;
  /** Set when the command has ended and that is not committed yet. */
  readonly record: CommandRecord | null;
}

export const QUEUE_MAX = 10;
export const HELD_BACK_MAX = 64;

export function newConductor(facts: {
  readonly settings: FailoverSettings;
  readonly origin: string;
  readonly initial: ClusterState;
}): ConductorState {
  return {
    ...facts,
    wallOffsetMs: 0,
    leads: false,
    leadsSinceMs: 0,
    index: null,
    cluster: null,
    isOwn: false,
    settledIndex: 0,
    queue: [],
    quarantineNews: [],
    quarantineSent: [],
    preparation: null,
    proposal: null,
    retryAtMs: null,
    nextId: 1,
    task: null,
    search: null,
    follow: null,
    recovery: null,
    seenSynchronous: null,
    renewed: null,
    runningIds: [],
    heldBack: new Map(),
  };
}

/** One step in the making: the state so far and the actions so far. */
export class Turn {
  readonly nowMs: Ms;
  readonly actions: ConductorAction[] = [];
  #state: ConductorState;

  constructor(state: ConductorState, nowMs: Ms) {
    this.#state = state;
    this.nowMs = nowMs;
  }

  get state(): ConductorState {
    return this.#state;
  }

  get wallMs(): number {
    return Math.round(this.nowMs + this.#state.wallOffsetMs);
  }

  set(change: Partial<ConductorState>): void {
    this.#state = { ...this.#state, ...change };
  }

  /** What the history calls an event that begins and ends with the state of this epoch. */
  eventAt(epoch: number): {
    readonly epoch: number;
    readonly eventId: string;
    readonly endedAt: number;
  } {
    return { epoch, eventId: `${this.#state.origin}-${epoch}`, endedAt: this.wallMs };
  }

  act(action: ConductorAction): void {
    this.actions.push(action);
  }

  log(message: string, level: "log" | "warning" = "log", detail?: string): void {
    this.act({ type: "log", level, message, ...(detail === undefined ? {} : { detail }) });
  }

  takeId(): number {
    const { nextId } = this.#state;
    this.set({ nextId: nextId + 1 });
    return nextId;
  }

  /** Puts a moment into the history of the intent that is carried out. */
  note(name: string): void {
    const { task } = this.#state;
    if (task === null) return;
    const step: StepRecord = { name: name.slice(0, STEP_NAME_MAX), at: this.wallMs };
    const steps = [...task.progress.steps, step].slice(-STEPS_MAX);
    this.set({ task: { ...task, progress: { ...task.progress, steps } } });
  }

  /** Records what was done for the intent so far, and what changes of it. */
  proposeIntent(cluster: ClusterState, change: Partial<Intent> = {}): void {
    const { task } = this.#state;
    assert(task !== null && cluster.intent !== null, "an intent is carried out");
    const epoch = task.isNewEpoch ? cluster.epoch + 1 : cluster.intent.epoch;
    const intent: Intent = { ...cluster.intent, epoch, progress: task.progress, ...change };
    this.propose("progress", { ...cluster, epoch, intent });
  }

  propose(purpose: Purpose, state: ClusterState): void {
    const { index, origin } = this.#state;
    const id = this.takeId();
    const stamped = { ...withPrimaryEpoch(this.#state.cluster, state), stamp: `${origin}:${id}` };
    this.set({ proposal: { id, state: stamped, purpose }, retryAtMs: null });
    this.act({ type: "propose", id, afterIndex: index ?? 0, state: stamped });
  }
}
