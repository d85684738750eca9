import type { ClusterState } from "../../../src/backend/core/status/index.ts";
import type { Entry } from "../../../src/wire/watchdog/index.ts";
import type { Judge } from "./broken-promise.ts";

const PROMISE = "one successor a failover";

const REPLACING_KINDS: ReadonlySet<string> = new Set(["detach", "switchover"]);

/**
 * One failover promotes one server, whoever leads meanwhile, and none is published as the outcome
 * of a failover that never was a primary.
 */
export class OneSuccessor {
  readonly #judge: Judge;
  /** From the failover's event to the server. */
  readonly #promoted = new Map<string, number>();
  readonly #primaries: Set<number>;
  #newestIndex = 0;
  /** The failover that was under way in the newest committed state. */
  #pendingEvent: string | null = null;
  /** Whom it leaves as the primary, whatever that is, when it is undone. */
  #undoneId: number | null = null;

  constructor(judge: Judge, firstPrimaryId: number) {
    this.#judge = judge;
    this.#primaries = new Set([firstPrimaryId]);
  }

  onPromoted(eventId: string, backendId: number): void {
    const other = this.#promoted.get(eventId);
    if (other !== undefined && other !== backendId) {
      this.#judge.broken(PROMISE, `${eventId} has promoted ${other}, and now ${backendId}`);
    }
    this.#promoted.set(eventId, backendId);
    this.#primaries.add(backendId);
  }

  /** The old primary of a switchover is started again. */
  onOldStarted(eventId: string): void {
    const promoted = this.#promoted.get(eventId);
    if (promoted === undefined) return;
    this.#judge.broken(PROMISE, `${eventId} has promoted ${promoted}, and starts the old primary`);
  }

  onCommit(nodeId: number, { index, value }: Entry): void {
    const state = value as ClusterState | null;
    if (state === null || index <= this.#newestIndex) return;
    this.#newestIndex = index;
    const { intent, primaryId } = state;
    const isPending = intent !== null && intent.primaryChanges && REPLACING_KINDS.has(intent.kind);
    const finished = isPending ? null : this.#pendingEvent;
    const undoneId = this.#undoneId;
    this.#pendingEvent = isPending ? intent.eventId : null;
    this.#undoneId = isPending && intent.kind === "switchover" ? intent.oldPrimaryId : null;
    if (finished === null || primaryId === null || primaryId === undoneId) return;
    if (this.#primaries.has(primaryId)) return;
    this.#judge.broken(
      PROMISE,
      `node ${nodeId}: after ${finished} server ${primaryId} counts as the primary, and never was one`,
    );
  }
}
