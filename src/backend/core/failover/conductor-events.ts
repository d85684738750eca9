/** What the conductor is told, and what it wants done. */
import type { Ms } from "../../../base/index.ts";
import type { ClusterRequest, CountedVote, RecoveryStage } from "../../../wire/ipc/index.ts";
import type { ReplicationAnswer } from "../replication-delay/index.ts";
import type { ClusterState, CommandKind, ServerIdentity, SynchronousSet } from "../status/index.ts";
import type { WatchOrder, WatchOutcome } from "../switchover/index.ts";
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
  | {
      readonly type: "granted";
      readonly request: ClusterRequest;
      readonly wallMs: number;
      readonly votes?: readonly CountedVote[];
    }
  | { readonly type: "proposal-refused"; readonly id: number; readonly reason: string }
  /** Also of commands that were stopped. */
  | {
      readonly type: "command-finished";
      readonly commandId: number;
      readonly exitCode: number | null;
      readonly signal: string | null;
      /** It was ended because its time was over. */
      readonly timedOut?: boolean;
      readonly outputTail: string;
    }
  | {
      readonly type: "primary-found";
      readonly searchId: number;
      readonly primaryId: number | null;
      readonly identity: ServerIdentity | null;
    }
  /** It is about to begin this stage, and waits for leave. */
  | { readonly type: "recovery-stage"; readonly runId: number; readonly stage: RecoveryStage }
  /** Also of one that was stopped; null = the server runs as a standby. */
  | { readonly type: "recovery-ended"; readonly runId: number; readonly problem: string | null }
  /** Why the switchover that was to be prepared cannot be done now; null when it can. */
  | {
      readonly type: "switchover-prepared";
      readonly preparationId: number;
      readonly refusal: string | null;
    }
  | { readonly type: "watched"; readonly watchId: number; readonly outcome: WatchOutcome }
  /** Told as the answers come in; all of them each time. */
  | {
      readonly type: "candidates-answered";
      readonly askId: number;
      readonly answers: readonly ReplicationAnswer[];
      /** Nobody answers any more. */
      readonly isOver: boolean;
    }
  /** What this primary says of its synchronous standbys; null: it has none. */
  | {
      readonly type: "synchronous-seen";
      readonly primaryId: number;
      readonly set: SynchronousSet | null;
    }
  /** All servers are of another database cluster than is recorded, the primary too if one is known. */
  | {
      readonly type: "renewed";
      readonly primaryId: number | null;
      readonly identity: ServerIdentity;
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
      readonly env: CommandEnv;
      /** It is ended after that; 0 = never. */
      readonly timeoutMs: Ms;
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
  /** Make that server anew from the primary; its stages and its end are told. */
  | {
      readonly type: "recover";
      readonly runId: number;
      readonly backendId: number;
      readonly sourceId: number;
      /** What comes before it was done by a node that is lost. */
      readonly from: RecoveryStage;
      /** What such a node has begun may still run on the primary: it is waited for. */
      readonly isTakenUp: boolean;
    }
  /** The stage that it waits to begin stands recorded. */
  | { readonly type: "permit-recovery"; readonly runId: number; readonly stage: RecoveryStage }
  /** Its end is still told. */
  | { readonly type: "stop-recovery"; readonly runId: number; readonly why: string }
  /** Check everything once more, and do what makes the rest short; clients do not wait yet. */
  | {
      readonly type: "prepare-switchover";
      readonly preparationId: number;
      readonly targetId: number;
    }
  /** Instead of what was watched before. */
  | { readonly type: "watch"; readonly watchId: number; readonly order: WatchOrder }
  | { readonly type: "end-watch" }
  /** Ask each of them once how far it is; within a bounded time. */
  | { readonly type: "ask-candidates"; readonly askId: number; readonly among: readonly number[] }
  | {
      readonly type: "log";
      readonly level: "log" | "warning";
      readonly message: string;
      readonly detail?: string;
    };

export interface CommandEnv {
  readonly PGQUORUM_EPOCH: string;
  readonly PGQUORUM_EVENT_ID: string;
  /** 1 for the first run of a command, 2 for the second. */
  readonly PGQUORUM_ATTEMPT: string;
  /** The server was stopped on purpose, so that it can follow. */
  readonly PGQUORUM_FOLLOW_STOPPED?: "on";
}
