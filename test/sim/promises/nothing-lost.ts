import type { Server } from "../model/postgres.ts";
import type { Judge } from "./broken-promise.ts";

/**
 * A switchover loses no write: its target is promoted when it has all that the old primary had. And
 * whatever the cause, once a promoted server has taken a write, the one before it takes none.
 */
export class NothingLost {
  readonly #judge: Judge;
  /** From the switchover's event to what its old primary had in the end. */
  readonly #stopped = new Map<string, number>();
  #newestTimeline = 0;

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  onStopped(eventId: string, server: Server | null): void {
    if (server !== null) this.#stopped.set(eventId, server.writtenCount);
  }

  onPromoted(eventId: string, server: Server | null): void {
    const wantedCount = this.#stopped.get(eventId) ?? 0;
    if (server === null || server.writtenCount >= wantedCount) return;
    this.#judge.broken(
      "a switchover loses no write",
      `${eventId} promotes server ${server.id}, which has ${server.writtenCount} of ` +
        `${wantedCount} writes`,
    );
  }

  /** An operator has said which server is the primary, whatever it was before. */
  onPrimaryNamed(): void {
    this.#newestTimeline = 0;
  }

  onWritten(nodeId: number, { id, timeline }: Server): void {
    if (timeline < this.#newestTimeline) {
      this.#judge.broken(
        "never two primaries that take writes",
        `node ${nodeId} writes to server ${id} of timeline ${timeline}, and one of timeline ` +
          `${this.#newestTimeline} has taken writes`,
      );
    }
    this.#newestTimeline = timeline;
  }
}
