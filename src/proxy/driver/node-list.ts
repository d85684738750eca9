import type { Ms } from "../../base/index.ts";
import type { FromWorker, ListName } from "../../wire/ipc/index.ts";

/** Longer than the supervisor waits for its workers. */
const ANSWER_WITHIN_MS: Ms = 3000;

/** Asks for what all workers of the node have of something, as the supervisor collects it. */
export class NodeListQuestions<List> {
  readonly #tell: (message: FromWorker) => void;
  readonly #what: ListName;
  readonly #open = new Map<number, (list: List | null) => void>();
  #lastId = 0;

  constructor(what: ListName, tell: (message: FromWorker) => void) {
    this.#what = what;
    this.#tell = tell;
  }

  /** @param done null: nobody answers. Called once, never before this returns. */
  ask(done: (list: List | null) => void): void {
    this.#lastId += 1;
    const id = this.#lastId;
    const timer = setTimeout(() => this.#end(id, null), ANSWER_WITHIN_MS);
    this.#open.set(id, (list) => {
      clearTimeout(timer);
      done(list);
    });
    this.#tell({ type: "ask-list", what: this.#what, id });
  }

  answered(id: number, list: List): void {
    this.#end(id, list);
  }

  #end(id: number, list: List | null): void {
    const done = this.#open.get(id);
    this.#open.delete(id);
    done?.(list);
  }
}
