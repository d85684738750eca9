import type { SqlClass } from "../sql/index.ts";
import type { ReplyWatcher } from "./pending-replies.ts";
import type { SharedStatement } from "./shared-statements.ts";

/** Longer Parse messages are not kept: the class of such a text sends it to the primary. */
export const PARSE_BYTES_KEPT_MAX = 256 * 1024;

/** Told of the outcome of a statement's own Parse. */
export interface ParseWatcher {
  parsed(statement: PreparedStatement): void;
  parseFailed(statement: PreparedStatement, wasSkipped: boolean): void;
}

/** A statement that the client has prepared. */
export class PreparedStatement implements ReplyWatcher {
  readonly name: string;
  sql: SqlClass;
  text: string;
  /** The Parse message, to say it again to another backend; null when there is none to say. */
  parse: Buffer | null = null;
  /** One bit a backend (see BackendLink.bit) that knows the statement or was told of it. */
  backends = 0;
  /** Of those, the ones that may have skipped it; and the batch that may rely on it all the same. */
  unsure = 0;
  unsureBatch = -1;
  /** Server connections have it under this one's name; null: under the client's own name. */
  shared: SharedStatement | null = null;
  /** PREPARE made it. */
  isFromSql = false;
  readonly #watcher: ParseWatcher;
  #bytes: Buffer | null = null;

  constructor(watcher: ParseWatcher, name: string, sql: SqlClass, text: string) {
    this.#watcher = watcher;
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
    this.#watcher.parseFailed(this, wasSkipped);
  }

  ended(): void {
    this.#watcher.parsed(this);
  }
}
