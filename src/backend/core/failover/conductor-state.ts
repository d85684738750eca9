/** What the conductor knows, is told and wants done. */
import type { Ms } from "../../../base/index.ts";
import type { ClusterRequest } from "../../../wire/ipc/index.ts";
import type {
  ClusterState,
  CommandKind,
  CommandRecord,
  Intent,
  PrimaryChoice,
  ServerIdentity,
} from "../status/index.ts";
import type { FailoverSettings } from "./settings.ts";

export type ConductorEvent =
  /** First once at start, then at every change. Without a watchdog a node always leads. */
  | { readonly type: "leadership"; readonly leads: boolean; readonly wallMs: number }
  /** Index 0 with null stands for a cluster that never had a state. */
  | { readonly type: "committed"; readonly index: number; readonly state: ClusterState | null }
  /**
   * No node routes by a state that is older than that of this index: all have applied it, or may
   * not route at all. Never goes back; it may come before or after `committed` of the same index.
   */
  | { readonly type: "settled"; readonly index: number }
  | { readonly type: "granted"; readonly request: ClusterRequest; readonly wallMs: number }
  | { readonly type: "proposal-refused"; readonly id: number; readonly reason: string }
  /** Also of commands that were stopped. */
  | {
      readonly type: "command-finished";
      readonly commandId: number;
      readonly exitCode: number | null;
      readonly signal: string | null;
      readonly outputTail: string;
    }
  | {
      readonly type: "primary-found";
      readonly searchId: number;
      readonly primaryId: number | null;
      readonly identity: ServerIdentity | null;
    }
  | { readonly type: "configured"; readonly settings: FailoverSettings }
  | { readonly type: "tick" };

export type ConductorAction =
  | {
      readonly type: "propose";
      readonly id: number;
      readonly afterIndex: number;
      readonly state: ClusterState;
    }
  | {
      readonly type: "run-command";
      readonly commandId: number;
      readonly kind: CommandKind;
      readonly backendId: number;
      /** For `/bin/sh -c`. */
      readonly text: string;
      readonly env: { readonly PGQUORUM_EPOCH: string; readonly PGQUORUM_EVENT_ID: string };
    }
  /**
   * Its end is still reported. `kill`: at once and without a word, because another leader may
   * already be about to run the same; `ask`: it may clean up first.
   */
  | { readonly type: "stop-command"; readonly commandId: number; readonly how: "ask" | "kill" }
  /** Ask each of them once for its role. */
  | {
      readonly type: "search-primary";
      readonly searchId: number;
      readonly among: readonly number[];
      readonly known: ServerIdentity | null;
    }
  | {
      readonly type: "log";
      readonly level: "log" | "warning";
      readonly message: string;
      readonly detail?: string;
    };

export interface ConductorState {
  readonly settings: FailoverSettings;
  /** Unique to this run of this node. */
  readonly origin: string;
  /** What is proposed where the cluster has no state yet. */
  readonly initial: ClusterState;
  /** Wall clock minus monotonic clock, as of the last event that told it. */
  readonly wallOffsetMs: number;
  readonly leads: boolean;
  /** Of the newest committed state; null before the first is known. */
  readonly index: number | null;
  readonly cluster: ClusterState | null;
  /** The committed state is one that we proposed since we lead, so nothing newer exists. */
  readonly isOwn: boolean;
  /** The newest index that no node is behind of. */
  readonly settledIndex: number;
  /** Granted, not yet begun; at most `QUEUE_MAX`. */
  readonly queue: readonly ClusterRequest[];
  readonly proposal: Proposal | null;
  /** Nothing is proposed before. */
  readonly retryAtMs: Ms | null;
  /** Numbers proposals, commands and searches. */
  readonly nextId: number;
  /** How far the intent of `cluster` has been carried out by us. */
  readonly task: Task | null;
  readonly search: Search | null;
  readonly follow: FollowRun | null;
  /** Commands whose end has not been reported, those of a lost leadership included. */
  readonly runningIds: readonly number[];
}

export interface Proposal {
  readonly id: number;
  readonly state: ClusterState;
  readonly purpose: "initial" | "configured" | "adopt" | "intent" | "finish" | "primary" | "follow";
}

export interface Task {
  readonly intent: Intent;
  /** Of the committed state by which this leader began the intent or took it over. */
  readonly index: number;
  readonly isInherited: boolean;
  /**
   *     settling ──(inherited)──> probing ──candidate is primary──┐
   *        └────────────────────────>└─> commands ──> searching ──┴─> finishing
   *
   * Nothing is done before no node routes by the state from before the intent: else one could
   * write to a primary that is being replaced.
   */
  readonly stage: "settling" | "probing" | "commands" | "searching" | "finishing";
  readonly commandId: number | null;
  /** How many of the intent's backends have had their command. */
  readonly doneCount: number;
  readonly commands: readonly CommandRecord[];
  readonly found: PrimaryChoice | null;
}

export interface Search {
  /** Null while none is under way. */
  readonly searchId: number | null;
  readonly nextAtMs: Ms;
  /** Null = for ever. */
  readonly deadlineMs: Ms | null;
  readonly lookCount: number;
}

export interface FollowRun {
  readonly commandId: number;
  readonly backendId: number;
  readonly isStopping: boolean;
  /** Set when the command has ended and that is not committed yet. */
  readonly record: CommandRecord | null;
}

export const QUEUE_MAX = 10;

export function newConductor(facts: {
  readonly settings: FailoverSettings;
  readonly origin: string;
  readonly initial: ClusterState;
}): ConductorState {
  return {
    ...facts,
    wallOffsetMs: 0,
    leads: false,
    index: null,
    cluster: null,
    isOwn: false,
    settledIndex: 0,
    queue: [],
    proposal: null,
    retryAtMs: null,
    nextId: 1,
    task: null,
    search: null,
    follow: null,
    runningIds: [],
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

  propose(purpose: Proposal["purpose"], state: ClusterState): void {
    const { index, origin } = this.#state;
    const id = this.takeId();
    const stamped = { ...state, stamp: `${origin}:${id}` };
    this.set({ proposal: { id, state: stamped, purpose }, retryAtMs: null });
    this.act({ type: "propose", id, afterIndex: index ?? 0, state: stamped });
  }
}
