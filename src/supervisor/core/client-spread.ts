/** What each worker that takes clients has, as far as the supervisor knows; chooses for new ones. */
export class ClientSpread {
  /** By the worker's number. */
  readonly #connections = new Map<number, number>();

  joined(worker: number): void {
    this.#connections.set(worker, 0);
  }

  left(worker: number): void {
    this.#connections.delete(worker);
  }

  counted(worker: number, connections: number): void {
    if (this.#connections.has(worker)) this.#connections.set(worker, connections);
  }

  /** The emptiest, or null. It counts as having one more until it says itself how many. */
  choose(): number | null {
    let chosen: number | null = null;
    let fewest = Infinity;
    for (const [worker, connections] of this.#connections) {
      if (connections >= fewest) continue;
      chosen = worker;
      fewest = connections;
    }
    if (chosen !== null) this.#connections.set(chosen, fewest + 1);
    return chosen;
  }

  get workers(): readonly number[] {
    return [...this.#connections.keys()];
  }

  othersOf(worker: number): { readonly count: number; readonly connections: number } {
    let count = 0;
    let connections = 0;
    for (const [other, has] of this.#connections) {
      if (other === worker) continue;
      count += 1;
      connections += has;
    }
    return { count, connections };
  }
}
