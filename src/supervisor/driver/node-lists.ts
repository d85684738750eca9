import type { Ms } from "../../base/index.ts";
import type { NodeList } from "../../wire/ipc/index.ts";

/** A worker that has not answered by then is busy or frozen; what it has is left out. */
const ANSWER_WITHIN_MS: Ms = 1000;

export interface NodeListsOptions {
  readonly workers: () => readonly number[];
  readonly ask: (worker: number, id: number) => void;
}

interface Collection<Row> {
  readonly id: number;
  readonly awaited: Set<number>;
  readonly rows: Row[];
  readonly end: () => void;
}

/**
 * Asks all workers for what they have of something. One collection runs at a time, and whoever asks meanwhile
 * gets the next one, so that each list is newer than the question, and many questions cost little.
 */
export class NodeLists<Row> {
  readonly #options: NodeListsOptions;
  #lastId = 0;
  #current: Collection<Row> | null = null;
  #running: Promise<NodeList<Row>> | null = null;
  #next: Promise<NodeList<Row>> | null = null;

  constructor(options: NodeListsOptions) {
    this.#options = options;
  }

  async collect(): Promise<NodeList<Row>> {
    if (this.#running === null) return await this.#start();
    this.#next ??= this.#running.then(() => this.#start());
    return await this.#next;
  }

  answered(worker: number, id: number, rows: readonly Row[]): void {
    const current = this.#current;
    if (current?.id !== id || !current.awaited.delete(worker)) return;
    for (const row of rows) current.rows.push(row);
    if (current.awaited.size === 0) current.end();
  }

  /** It has nothing any more. */
  workerLeft(worker: number): void {
    const current = this.#current;
    if (current?.awaited.delete(worker) === true && current.awaited.size === 0) current.end();
  }

  #start(): Promise<NodeList<Row>> {
    this.#next = null;
    this.#lastId += 1;
    const id = this.#lastId;
    const awaited = new Set(this.#options.workers());
    const rows: Row[] = [];
    this.#running = new Promise<NodeList<Row>>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#current = null;
        this.#running = null;
        resolve({ rows, silentWorkers: [...awaited] });
      };
      const timer = setTimeout(end, ANSWER_WITHIN_MS);
      this.#current = { id, awaited, rows, end };
      for (const worker of awaited) this.#options.ask(worker, id);
      if (awaited.size === 0) end();
    });
    return this.#running;
  }
}
