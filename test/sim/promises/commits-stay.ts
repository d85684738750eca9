import type { Entry } from "../../../src/wire/watchdog/index.ts";
import type { Judge } from "./broken-promise.ts";

const PROMISE = "a committed entry stays";

/**
 * What was committed at an index is never another value, and whatever is committed later was made
 * from it: each value knows the one it was proposed upon.
 */
export class CommitsStay {
  readonly #judge: Judge;
  readonly #committed = new Map<number, string | null>();
  /** From a value to the one it was made from. */
  readonly #parents = new Map<string, string | null>();
  #newest: { readonly index: number; readonly stamp: string | null } | null = null;
  count = 0;

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  /** A leader's log has a value first, so what it replaced there is what it was made from. */
  onEntry(before: Entry, after: Entry): void {
    const stamp = stampOf(after);
    if (stamp !== null && !this.#parents.has(stamp)) this.#parents.set(stamp, stampOf(before));
  }

  onCommit(nodeId: number, entry: Entry): void {
    const { index } = entry;
    const stamp = stampOf(entry);
    const known = this.#committed.get(index);
    if (known !== undefined && known !== stamp) {
      this.#judge.broken(PROMISE, `node ${nodeId}: entry ${index} is ${stamp} and was ${known}`);
    }
    if (known !== undefined) return;
    this.#committed.set(index, stamp);
    this.count += 1;
    const newest = this.#newest;
    if (newest !== null && index < newest.index) {
      this.#checkDescent(nodeId, newest, { index, stamp });
    } else {
      if (newest !== null) this.#checkDescent(nodeId, { index, stamp }, newest);
      this.#newest = { index, stamp };
    }
  }

  #checkDescent(
    nodeId: number,
    later: { readonly index: number; readonly stamp: string | null },
    earlier: { readonly index: number; readonly stamp: string | null },
  ): void {
    let ancestor = later.stamp;
    while (ancestor !== earlier.stamp) {
      const parent: string | null | undefined =
        ancestor === null ? undefined : this.#parents.get(ancestor);
      if (parent === undefined) {
        this.#judge.broken(
          PROMISE,
          `node ${nodeId}: entry ${later.index} (${later.stamp}) was made without entry ` +
            `${earlier.index} (${earlier.stamp}), which was committed`,
        );
      }
      ancestor = parent;
    }
  }
}

function stampOf({ value }: Entry): string | null {
  if (typeof value !== "object" || value === null || !("stamp" in value)) return null;
  return typeof value.stamp === "string" ? value.stamp : null;
}
