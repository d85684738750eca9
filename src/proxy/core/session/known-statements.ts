import type { SharedStatement } from "./shared-statements.ts";
import { isOfShape, type StatementShape } from "./statement-shape.ts";

const NO_BATCH = -1;

interface Entry extends StatementShape {
  readonly statement: SharedStatement;
  /** The server surely has it; else it may have it. */
  isSure: boolean;
  /** Messages of this batch may rely on it even so: if it is skipped, so are they. */
  batch: number;
  /** Since the hand came by last. */
  wasUsed: boolean;
  /** `KnownStatements.changes` when something was sent about it last. */
  changedAt: number;
}

/**
 * The shared statements that one server connection has, as it will be when all that was sent is
 * executed. When there are too many, one that was not used lately makes room (a clock).
 */
export class KnownStatements {
  readonly #byStatement = new Map<SharedStatement, Entry>();
  readonly #clock: Entry[] = [];
  #hand = 0;
  #batch = 0;
  #changes = 0;

  /** What is sent from now on is not skipped together with what was sent before. */
  startBatch(): void {
    this.#batch += 1;
  }

  /** Of messages that are skipped together. */
  get batch(): number {
    return this.#batch;
  }

  /** How often something was sent about one of them: what is sent next comes after that. */
  get changes(): number {
    return this.#changes;
  }

  get size(): number {
    return this.#clock.length;
  }

  /** @param shape as its client knows it; null: it will not be executed. @returns whether it can be used there. */
  has(statement: SharedStatement, shape: StatementShape | null): boolean {
    const entry = this.#byStatement.get(statement);
    if (entry === undefined || (!entry.isSure && entry.batch !== this.#batch)) return false;
    entry.wasUsed = true;
    return shape === null || isOfShape(entry, shape);
  }

  isOfShape(statement: SharedStatement, shape: StatementShape): boolean {
    const entry = this.#byStatement.get(statement);
    return entry !== undefined && isOfShape(entry, shape);
  }

  /** It was prepared there in this batch, and what it is has been told. */
  isFresh(statement: SharedStatement): boolean {
    const entry = this.#byStatement.get(statement);
    return entry?.batch === this.#batch && entry.columns !== null;
  }

  /** To be written by whoever learns it. */
  shapeOf(statement: SharedStatement): StatementShape | undefined {
    return this.#byStatement.get(statement);
  }

  /** A name that may be taken must be closed before it is given again. */
  mayHave(statement: SharedStatement): boolean {
    return this.#byStatement.has(statement);
  }

  /**
   * It is being prepared there.
   *
   * @param shape what is known of it beforehand.
   * @returns the new `SharedStatement.parses`.
   */
  add(statement: SharedStatement, shape: Pick<StatementShape, "columns" | "parameters">): number {
    const entry = this.#enter(statement);
    entry.isSure = false;
    entry.batch = this.#batch;
    entry.wasUsed = true;
    this.#changes += 1;
    entry.changedAt = this.#changes;
    statement.parses += 1;
    entry.parsedAs = statement.parses;
    entry.columns = shape.columns;
    entry.parameters = shape.parameters;
    return statement.parses;
  }

  /** It was prepared there. */
  confirm(statement: SharedStatement): void {
    const entry = this.#byStatement.get(statement);
    if (entry !== undefined) entry.isSure = true;
  }

  /** What has to be closed before one more is prepared; null while there is room. */
  evict(statementsMax: number): SharedStatement | null {
    const clock = this.#clock;
    if (clock.length < statementsMax) return null;
    for (;;) {
      if (this.#hand >= clock.length) this.#hand = 0;
      const entry = clock[this.#hand] as Entry;
      if (!entry.wasUsed) {
        this.#remove(entry);
        return entry.statement;
      }
      entry.wasUsed = false;
      this.#hand += 1;
    }
  }

  /** What was sent about it was skipped, or failed. */
  doubt(statement: SharedStatement): void {
    const entry = this.#enter(statement);
    entry.isSure = false;
    entry.batch = NO_BATCH;
    entry.wasUsed = true;
  }

  doubtAll(): void {
    for (const entry of this.#clock) {
      entry.isSure = false;
      entry.batch = NO_BATCH;
    }
  }

  /** All were dropped by a message that was sent when there had been so many `changes`. */
  clear(changes: number): void {
    const kept = this.#clock.filter(({ changedAt }) => changedAt > changes);
    this.#byStatement.clear();
    for (const entry of kept) this.#byStatement.set(entry.statement, entry);
    this.#clock.length = 0;
    this.#clock.push(...kept);
    this.#hand = 0;
  }

  #enter(statement: SharedStatement): Entry {
    const known = this.#byStatement.get(statement);
    if (known !== undefined) return known;
    const entry: Entry = {
      statement,
      isSure: false,
      batch: NO_BATCH,
      wasUsed: true,
      parsedAs: 0,
      changedAt: 0,
      columns: null,
      parameters: null,
    };
    this.#byStatement.set(statement, entry);
    this.#clock.push(entry);
    return entry;
  }

  #remove(entry: Entry): void {
    this.#byStatement.delete(entry.statement);
    const last = this.#clock.pop() as Entry;
    if (last !== entry) this.#clock[this.#hand] = last;
  }
}
