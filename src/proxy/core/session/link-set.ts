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
  readonly #all: BackendLink[] = roomForFew();

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
      assert(other.backendId !== link.backendId, "a backend is linked once");
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
    assert(at >= 0, "what is removed was linked");
    for (let i = at + 1; i < this.#all.length; i += 1) {
      this.#all[i - 1] = this.#all[i] as BackendLink;
    }
    this.#all.pop();
  }
}

/** V8 takes the room of an empty array back when it has grown by itself, but not that of a literal. */
function roomForFew(): BackendLink[] {
  const room: (BackendLink | null)[] = [null, null, null, null];
  while (room.length > 0) room.pop();
  return room as BackendLink[];
}
