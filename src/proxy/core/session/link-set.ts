import { assert } from "../../../base/index.ts";
import type { BackendLink } from "./backend-link.ts";

/** Bits in `PreparedStatement.backends`. */
const LINKS_MAX = 31;

/**
 * The links of one session, at most one a backend. They come and go with every transaction where
 * connections are shared, so this is an array of a few, and nothing is made to add or remove one.
 */
export class LinkSet {
  /** In the order in which they came; not to be changed, nor kept while links come and go. */
  readonly all: readonly BackendLink[];
  readonly #all: BackendLink[] = [];

  constructor() {
    this.all = this.#all;
  }

  get size(): number {
    return this.#all.length;
  }

  get(backendId: number): BackendLink | undefined {
    for (const link of this.#all) if (link.backendId === backendId) return link;
    return undefined;
  }

  /** Gives it a bit of its own among these links. */
  add(link: BackendLink): void {
    let taken = 0;
    for (const other of this.#all) {
      assert(other.backendId !== link.backendId, `backend ${link.backendId} is linked twice`);
      taken |= other.bit;
    }
    assert(this.#all.length < LINKS_MAX, "too many links in one session");
    let bit = 1;
    while ((taken & bit) !== 0) bit <<= 1;
    link.bit = bit;
    this.#all.push(link);
  }

  has(link: BackendLink): boolean {
    return this.#all.includes(link);
  }

  remove(link: BackendLink): void {
    const at = this.#all.indexOf(link);
    assert(at >= 0, `backend ${link.backendId} is not linked`);
    for (let i = at + 1; i < this.#all.length; i += 1) {
      this.#all[i - 1] = this.#all[i] as BackendLink;
    }
    this.#all.pop();
  }
}
