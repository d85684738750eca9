import type { ClusterView } from "../../../wire/ipc/index.ts";

/**
 * Standbys that this worker does without, although the node calls them up: those that broke
 * connections, or let reads wait, and then did not say a word when they were asked.
 *
 *     suspected ──> asked ──> answers: as if nothing had been <──┐
 *                     └─────> silent: no session uses it ──> asked again, until it answers
 */
export class SilentStandbys {
  /** True: it is silent; false: nobody has heard yet. */
  readonly #suspected = new Map<number, boolean>();

  /**
   * Something about it was strange.
   *
   * @returns whether it is to be asked now.
   */
  suspect(backendId: number): boolean {
    if (this.#suspected.has(backendId)) return false;
    this.#suspected.set(backendId, false);
    return true;
  }

  get isEmpty(): boolean {
    return this.#suspected.size === 0;
  }

  /** To be asked again. */
  get silent(): number[] {
    return [...this.#suspected].filter(([, isSilent]) => isSilent).map(([id]) => id);
  }

  /**
   * What came of asking.
   *
   * @returns "nothing" when that is no news; else sessions are to take their view anew. "again": it was
   *   silent before.
   */
  told(backendId: number, answers: boolean): "silent" | "answers" | "again" | "nothing" {
    const wasSilent = this.#suspected.get(backendId);
    if (wasSilent === undefined) return "nothing";
    if (answers) {
      this.#suspected.delete(backendId);
      return wasSilent ? "again" : "answers";
    }
    this.#suspected.set(backendId, true);
    return wasSilent ? "nothing" : "silent";
  }

  /** What is not up, or is the primary, is not ours to judge. */
  viewTaken(view: ClusterView): void {
    for (const id of this.#suspected.keys()) {
      const backend = view.backends.find((one) => one.id === id);
      const isStandby = backend !== undefined && id !== view.primaryId;
      if (!isStandby || (backend.state !== "up" && backend.state !== "waiting")) {
        this.#suspected.delete(id);
      }
    }
  }

  /** The view as sessions take it: who is silent is down. */
  seenBy(view: ClusterView): ClusterView {
    const { silent } = this;
    if (silent.length === 0) return view;
    const backends = view.backends.map((backend) =>
      silent.includes(backend.id) ? { ...backend, state: "down" as const } : backend,
    );
    return { ...view, backends };
  }
}
