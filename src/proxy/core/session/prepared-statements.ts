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

  /** The first Parse failed, or was skipped after an earlier error. */
  failed(): void {
    this.#registry.forget(this);
  }

  ended(): void {
    // The server knows it now, as `backends` already says.
  }
}

/**
 * What the client has prepared in this session. Two objects take turns as the unnamed statement,
 * so that the extended protocol costs no new object per statement.
 */
export class PreparedStatements {
  readonly #byName = new Map<string, PreparedStatement>();
  #unnamed: PreparedStatement | null = null;
  #spare: PreparedStatement | null = null;

  get(name: string): PreparedStatement | undefined {
    return name === "" ? (this.#unnamed ?? undefined) : this.#byName.get(name);
  }

  [Symbol.iterator](): Iterator<PreparedStatement> {
    return this.#byName.values();
  }

  /** The object for a statement that may yet be sent; nothing is known of it until `add`. */
  make(name: string, sql: SqlClass, text: string): PreparedStatement {
    const spare = this.#spare;
    if (name !== "" || spare === null) {
      const made = new PreparedStatement(this, name, sql, text);
      if (name === "") this.#spare = made;
      return made;
    }
    spare.sql = sql;
    spare.text = text;
    return spare;
  }

  /** @param frame the Parse message as it is sent now. */
  add(statement: PreparedStatement, frame: Buffer): void {
    statement.backends = 0;
    statement.keep(frame);
    if (statement.name !== "") {
      this.#byName.set(statement.name, statement);
    } else if (statement !== this.#unnamed) {
      this.#spare = this.#unnamed;
      this.#unnamed = statement;
    }
  }

  /** The server forgets the unnamed statement with every simple Query. */
  forgetUnnamed(): void {
    if (this.#unnamed === null) return;
    this.#spare = this.#unnamed;
    this.#unnamed = null;
  }

  forget(statement: PreparedStatement): void {
    if (this.#byName.get(statement.name) === statement) this.#byName.delete(statement.name);
  }

  forgetAll(): void {
    this.#byName.clear();
    this.forgetUnnamed();
  }

  /** That backend is gone. */
  forgetBackend(bit: number): void {
    for (const statement of this.#byName.values()) statement.backends &= ~bit;
    if (this.#unnamed !== null) this.#unnamed.backends &= ~bit;
  }
}
