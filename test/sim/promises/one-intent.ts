import type { ClusterState } from "../../../src/backend/core/status/index.ts";
import type { Entry } from "../../../src/wire/watchdog/index.ts";
import type { RunCommand } from "../model/command.ts";
import type { Judge } from "./broken-promise.ts";

const PROMISE = "one intent an epoch";

/** An epoch brings one intent, and no command runs for one that no majority has committed. */
export class OneIntent {
  readonly #judge: Judge;
  readonly #isCommitted: (eventId: string) => boolean;
  readonly #byEpoch = new Map<string, string>();

  constructor(judge: Judge, isCommitted: (eventId: string) => boolean) {
    this.#judge = judge;
    this.#isCommitted = isCommitted;
  }

  onCommand(nodeId: number, action: RunCommand, cluster: ClusterState | null): void {
    const { PGQUORUM_EPOCH: epoch, PGQUORUM_EVENT_ID: eventId } = action.env;
    const other = this.#byEpoch.get(epoch);
    if (other !== undefined && other !== eventId) {
      this.#judge.broken(PROMISE, `epoch ${epoch} has the intents ${other} and ${eventId}`);
    }
    this.#byEpoch.set(epoch, eventId);
    if (this.#isCommitted(eventId)) return;
    this.#judge.broken(
      PROMISE,
      `node ${nodeId} runs a command for ${eventId}, which no majority has committed ` +
        `(it knows epoch ${cluster?.epoch ?? "none"})`,
    );
  }
}

/** The event ids of the intent and of the follow-ups in a committed state. */
export function eventIdsOf({ value }: Entry): readonly string[] {
  const state = value as ClusterState | null;
  return [state?.intent?.eventId, state?.follow?.eventId].filter((id) => id !== undefined);
}
