import type { SqlClass } from "../sql/index.ts";
import type { ReplyWatcher } from "./pending-replies.ts";

/** Longer Parse messages are not kept: such a statement stays on the primary. */
export const PARSE_BYTES_KEPT_MAX = 64 * 1024;

/** A statement that the client prepared with a Parse message. */
export class PreparedStatement implements ReplyWatcher {
  readonly name: string;
  sql: SqlClass;
  text: string;
  /** The Parse message, to say it again to another backend; null when it was too long to keep. */
  parse: Buffer | null = null;
  /** One bit a backend (see BackendLink.bit) that knows the statement or was told of it. */
  backends = 0;
  /** The statement of that name before it, when the Close between them was skipped. */
  fallback: PreparedStatement | null = null;
  readonly #registry: PreparedStatements;
  #bytes: Buffer | null = null;

  constructor(registry: PreparedStatements, name: string, sql: SqlClass, text: string) {
    this.#registry = registry;
    this.name = name;
    this.sql = sql;
    this.text = text;
  }

  /** @param frame the Parse message; copied into bytes that are used again by the next one. */
  keep(frame: Buffer): void {
    this.parse = null;
    if (frame.length > PARSE_BYTES_KEPT_MAX) return;
    if (this.#bytes === null || this.#bytes.length < frame.length) {
      this.#bytes = Buffer.allocUnsafeSlow(this.name === "" ? frame.length * 2 : frame.length);
    }
    frame.copy(this.#bytes, 0);
    this.parse = this.#bytes.subarray(0, frame.length);
  }

  /** Its Parse failed, or was skipped after an earlier error. */
  failed(wasSkipped: boolean): void {
    this.#registry.parseFailed(this, wasSkipped);
  }

  ended(): void {
    this.#registry.parsed(this);
  }
}

/** Unnamed statements that are kept to be used again. */
const SPARES_MAX = 4;

/**
 * What the client has prepared in this session, as it will be when all messages on their way are
 * executed. A few objects take turns as the unnamed statement, so that the extended protocol costs
 * no new object per statement.
 *
 * Source: PostgreSQL manual, "Extended Query": an unnamed statement lasts until the next Parse
 * of one, or the next simple Query.
 */
export class PreparedStatements {
  readonly #byName = new Map<string, PreparedStatement>();
  #unnamed: PreparedStatement | null = null;
  /** The unnamed statement that the server has now: what remains when it skips the next Parse. */
  #confirmed: PreparedStatement | null = null;
  readonly #spares: PreparedStatement[] = [];

  /** Messages on their way that decide which statement is the unnamed one. */
  #changesOpen = 0;

  /** To be told of a Close of the unnamed statement, after `forgetUnnamed`. */
  readonly closeWatcher: ReplyWatcher = {
    failed: () => this.#endSkipped(),
    ended: () => this.#ended(),
  };

  /** To be told of a simple Query, after `forgetUnnamed`. */
  readonly queryWatcher: ReplyWatcher = {
    failed: (wasSkipped) => {
      if (wasSkipped) this.#endSkipped();
    },
    ended: () => this.#ended(),
  };

  get(name: string): PreparedStatement | undefined {
    return name === "" ? (this.#unnamed ?? undefined) : this.#byName.get(name);
  }

  /** Which statement is the unnamed one depends on replies that are still to come. */
  get isUnsettled(): boolean {
    return this.#changesOpen > 0;
  }

  /** To be told of a Close of this named statement, after `forget`. */
  namedCloseWatcher(statement: PreparedStatement): ReplyWatcher {
    return {
      failed: () => {
        const newer = this.#byName.get(statement.name);
        if (newer === undefined) this.#byName.set(statement.name, statement);
        else newer.fallback = statement;
      },
      ended: () => undefined,
    };
  }

  /** Nothing is on its way any more. */
  settle(): void {
    this.#changesOpen = 0;
    this.#unnamed = this.#confirmed;
  }

  [Symbol.iterator](): Iterator<PreparedStatement> {
    return this.#byName.values();
  }

  /** The object for a statement that may yet be sent; nothing is known of it until `add`. */
  make(name: string, sql: SqlClass, text: string): PreparedStatement {
    const spare = name === "" ? this.#spares.pop() : undefined;
    if (spare === undefined) return new PreparedStatement(this, name, sql, text);
    spare.sql = sql;
    spare.text = text;
    spare.parse = null;
    spare.backends = 0;
    return spare;
  }

  /** @param frame the Parse message as it is sent now. */
  add(statement: PreparedStatement, frame: Buffer): void {
    statement.backends = 0;
    statement.keep(frame);
    if (statement.name !== "") {
      this.#byName.set(statement.name, statement);
      return;
    }
    this.#unnamed = statement;
    this.#changesOpen += 1;
  }

  /** The server will forget the unnamed statement with the Query that is sent now. */
  forgetUnnamed(): void {
    this.#unnamed = null;
    this.#changesOpen += 1;
  }

  parsed(statement: PreparedStatement): void {
    if (statement.name !== "") return;
    this.#changesOpen -= 1;
    this.#confirm(statement);
  }

  parseFailed(statement: PreparedStatement, wasSkipped: boolean): void {
    if (statement.name !== "") {
      this.forget(statement);
      if (statement.fallback !== null) this.#byName.set(statement.name, statement.fallback);
      return;
    }
    this.#changesOpen -= 1;
    // A Parse that fails has dropped the old one first.
    if (!wasSkipped) this.#confirm(null);
    if (this.#unnamed === statement) this.#unnamed = this.#confirmed;
  }

  forget(statement: PreparedStatement): void {
    if (this.#byName.get(statement.name) === statement) this.#byName.delete(statement.name);
  }

  /** All that have a name. */
  forgetAll(): void {
    this.#byName.clear();
  }

  /** That backend is gone. */
  forgetBackend(bit: number): void {
    for (const statement of this.#byName.values()) statement.backends &= ~bit;
    if (this.#unnamed !== null) this.#unnamed.backends &= ~bit;
    if (this.#confirmed !== null) this.#confirmed.backends &= ~bit;
  }

  #endSkipped(): void {
    this.#changesOpen -= 1;
    this.#unnamed ??= this.#confirmed;
  }

  #ended(): void {
    this.#changesOpen -= 1;
    this.#confirm(null);
  }

  #confirm(statement: PreparedStatement | null): void {
    const old = this.#confirmed;
    this.#confirmed = statement;
    const isFree = old !== null && old !== statement && old !== this.#unnamed;
    if (isFree && this.#spares.length < SPARES_MAX) this.#spares.push(old);
  }
}
