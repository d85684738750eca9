/** What a switchover waits for on its servers: looked at again and again, as far as they can be reached. */
import type { WatchOrder, WatchOutcome } from "../../../src/backend/core/switchover/index.ts";
import { writtenCountAt } from "./command.ts";
import type { Host } from "./host.ts";
import type { Process } from "./process.ts";

const LOOK_MS_MAX = 30;
/** Of the transactions that are open when all begins. */
const DRAIN_MS_MAX = 3000;

const DONE: WatchOutcome = { problem: null, primaries: [] };
const UNREACHABLE: WatchOutcome = { problem: "it does not answer", primaries: [] };

export class Watch {
  readonly #host: Host;
  readonly #process: Process;
  readonly #onOutcome: (watchId: number, outcome: WatchOutcome) => void;
  #watchId: number | null = null;

  constructor(
    host: Host,
    process: Process,
    onOutcome: (watchId: number, outcome: WatchOutcome) => void,
  ) {
    this.#host = host;
    this.#process = process;
    this.#onOutcome = onOutcome;
  }

  /** Instead of what was watched before. */
  begin(watchId: number, order: WatchOrder): void {
    this.#watchId = watchId;
    const { random } = this.#host;
    const drainMs = order.what === "drained" ? random.magnitude(5, DRAIN_MS_MAX) : 0;
    this.#lookAfter(drainMs + random.between(1, LOOK_MS_MAX), watchId, order);
  }

  end(): void {
    this.#watchId = null;
  }

  #lookAfter(delayMs: number, watchId: number, order: WatchOrder): void {
    this.#host.after(delayMs, () =>
      this.#process.run(() => {
        if (this.#watchId !== watchId) return;
        const outcome = this.#look(order);
        if (outcome === null) {
          this.#lookAfter(this.#host.random.between(1, LOOK_MS_MAX), watchId, order);
          return;
        }
        this.#watchId = null;
        this.#onOutcome(watchId, outcome);
      }),
    );
  }

  /** Null: not yet. */
  #look(order: WatchOrder): WatchOutcome | null {
    const { postgres, planted } = this.#host.world;
    switch (order.what) {
      case "roles":
        return { problem: null, primaries: this.#primariesAmong(order.backendIds) };
      case "primary": {
        const { backendId, besideId } = order;
        const ids = [backendId, besideId].filter((id) => id !== null);
        const primaries = this.#primariesAmong(ids);
        return primaries.some(({ id }) => id === backendId) ? { problem: null, primaries } : null;
      }
      case "standby": {
        const isStandby = postgres.server(order.backendId)?.isPrimary === false;
        return isStandby && this.#canReach(order.backendId) ? DONE : UNREACHABLE;
      }
      case "drained":
        return this.#canReach(order.backendId) ? DONE : UNREACHABLE;
      case "replayed": {
        if (!this.#canReach(order.backendId)) return UNREACHABLE;
        const writtenCount = postgres.server(order.backendId)?.writtenCount ?? 0;
        const isThere = writtenCount >= writtenCountAt(order.lsn);
        return isThere || planted.believesReplay === true ? DONE : null;
      }
    }
  }

  #primariesAmong(ids: readonly number[]): WatchOutcome["primaries"] {
    return ids
      .map((id) => this.#host.world.postgres.server(id))
      .filter((server) => server?.isPrimary === true && this.#canReach(server.id))
      .flatMap((server) =>
        server === null
          ? []
          : [{ id: server.id, identity: this.#host.world.postgres.identityOf(server) }],
      );
  }

  #canReach(id: number): boolean {
    return !this.#host.isCutFromPostgres && this.#host.world.postgres.isUp(id);
  }
}
