import type { BackendLink } from "./backend-link.ts";
import type { ReplyWatcher } from "./pending-replies.ts";

/**
 * Compares how one statement ended on several backends. One that failed where the first (whose
 * reply the client sees) did not, or the other way round, is no longer in the same state.
 */
export class EverywhereOutcome {
  readonly #links: readonly BackendLink[];
  readonly #failed: boolean[];
  readonly #divergent: (link: BackendLink) => void;
  readonly #first: ReplyWatcher | null;
  readonly #succeeded: (() => void) | null;
  #open: number;

  /**
   * @param first who wants to know it of the first as well.
   * @param succeeded to be called when it has failed nowhere.
   */
  constructor(
    links: readonly BackendLink[],
    divergent: (link: BackendLink) => void,
    first: ReplyWatcher | null,
    succeeded: (() => void) | null,
  ) {
    this.#links = links;
    this.#failed = links.map(() => false);
    this.#divergent = divergent;
    this.#first = first;
    this.#succeeded = succeeded;
    this.#open = links.length;
  }

  watcher(index: number): ReplyWatcher {
    return {
      failed: (wasSkipped) => {
        if (index === 0) this.#first?.failed(wasSkipped);
        this.#failed[index] = true;
      },
      ended: () => {
        if (index === 0) this.#first?.ended();
        this.#open -= 1;
        if (this.#open === 0) this.#compare();
      },
    };
  }

  #compare(): void {
    if (!this.#failed.includes(true)) this.#succeeded?.();
    this.#links.forEach((link, index) => {
      if (index > 0 && this.#failed[index] !== this.#failed[0]) this.#divergent(link);
    });
  }
}
