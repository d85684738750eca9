import type { Ms } from "../../base/index.ts";
import type { FromWorker } from "../../wire/ipc/index.ts";

/** What is written within so much is told together. */
const TOGETHER_MS: Ms = 10;

/** Tells the other workers which tables were written: the first at once, those behind it together. */
export class TableWrites {
  readonly #tell: (message: FromWorker) => void;
  readonly #pending = new Map<string, Set<string>>();
  #isResting = false;

  constructor(tell: (message: FromWorker) => void) {
    this.#tell = tell;
  }

  written(database: string, tables: readonly string[]): void {
    const pending = this.#pending.get(database) ?? new Set();
    this.#pending.set(database, pending);
    for (const table of tables) pending.add(table);
    if (!this.#isResting) this.#flush();
  }

  #flush(): void {
    this.#isResting = this.#pending.size > 0;
    if (!this.#isResting) return;
    for (const [database, tables] of this.#pending) {
      this.#tell({ type: "tables-written", database, tables: [...tables] });
    }
    this.#pending.clear();
    setTimeout(() => this.#flush(), TOGETHER_MS).unref();
  }
}
