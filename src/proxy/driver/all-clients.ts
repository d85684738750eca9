import type { Ms } from "../../base/index.ts";
import type { ClientList, FromWorker } from "../../wire/ipc/index.ts";

/** Longer than the supervisor waits for its workers. */
const ANSWER_WITHIN_MS: Ms = 3000;

/** The clients of all workers of the node, as the supervisor collects them. */
export class AllClients {
  readonly #tell: (message: FromWorker) => void;
  readonly #open = new Map<number, (list: ClientList | null) => void>();
  #lastId = 0;

  constructor(tell: (message: FromWorker) => void) {
    this.#tell = tell;
  }

  /** @param done null: nobody answers. Called once, never before this returns. */
  ask(done: (list: ClientList | null) => void): void {
    this.#lastId += 1;
    const id = this.#lastId;
    const timer = setTimeout(() => this.#end(id, null), ANSWER_WITHIN_MS);
    this.#open.set(id, (list) => {
      clearTimeout(timer);
      done(list);
    });
    this.#tell({ type: "ask-clients", id });
  }

  answered(id: number, list: ClientList): void {
    this.#end(id, list);
  }

  #end(id: number, list: ClientList | null): void {
    const done = this.#open.get(id);
    this.#open.delete(id);
    done?.(list);
  }
}
