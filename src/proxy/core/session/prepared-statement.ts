import type { SqlClass } from "../sql/index.ts";
import type { ReplyWatcher } from "./pending-replies.ts";
import type { Columns } from "./prepared-columns.ts";
import type { SharedStatement } from "./shared-statements.ts";
import type { StatementShape } from "./statement-shape.ts";

/** Longer Parse messages are not kept: the class of such a text sends it to the primary. */
export const PARSE_BYTES_KEPT_MAX = 256 * 1024;

/** Up to so much, a loop costs less than a call out of JavaScript. */
const COPIED_BY_HAND_MAX = 128;

/** Told of the outcome of a statement's own Parse. */
export interface ParseWatcher {
  parsed(statement: PreparedStatement): void;
  parseFailed(statement: PreparedStatement, wasSkipped: boolean): void;
}

/** A statement that the client has prepared. */
export class PreparedStatement implements ReplyWatcher, StatementShape {
  readonly name: string;
  sql: SqlClass;
  text: string;
  /** One bit a backend (see BackendLink.bit) that knows the statement or was told of it. */
  backends = 0;
  /** Of those, the ones that may have skipped it; and the batch that may rely on it all the same. */
  unsure = 0;
  unsureBatch = -1;
  /** Server connections have it under this one's name; null: under the client's own name. */
  shared: SharedStatement | null = null;
  /** As its client knows it. */
  parsedAs = 0;
  columns: string | null = null;
  parameters: string | null = null;
  columnsFrom: Columns = "text";
  /** A server was given it later than the client prepared it, where it is not shared. */
  isAgain = false;
  /** Where it was compared with that last, and in which batch. */
  #comparedBit = 0;
  #comparedBatch = -1;
  /** PREPARE made it. */
  isFromSql = false;
  readonly #watcher: ParseWatcher;
  #parse: Buffer | null = null;
  #bytes: Buffer | null = null;
  /** Of `#bytes`. */
  #keptBytes = 0;

  constructor(watcher: ParseWatcher, name: string, sql: SqlClass, text: string) {
    this.#watcher = watcher;
    this.name = name;
    this.sql = sql;
    this.text = text;
  }

  /** The Parse message, to say it again to another backend; null when there is none to say. */
  get parse(): Buffer | null {
    // Most are never said again: the view is made for those that are.
    if (this.#keptBytes > 0) this.#parse ??= this.#bytes?.subarray(0, this.#keptBytes) ?? null;
    return this.#parse;
  }

  set parse(parse: Buffer | null) {
    this.#parse = parse;
    this.#keptBytes = 0;
  }

  /** It is used for another statement. */
  renew(sql: SqlClass, text: string): void {
    this.sql = sql;
    this.text = text;
    this.parse = null;
    this.backends = 0;
    this.unsure = 0;
    this.columns = null;
    this.parameters = null;
    this.columnsFrom = "text";
    this.isAgain = false;
    this.#comparedBit = 0;
  }

  /** What those backends have is not what the client knows. */
  mistrust(bits: number): void {
    this.unsure |= bits;
    if (bits !== 0) this.unsureBatch = -1;
  }

  /** What that backend was given in this batch was compared with what the client knows. */
  compared(bit: number, batch: number, isSame: boolean): void {
    this.#comparedBit = bit;
    this.#comparedBatch = batch;
    if (!isSame) this.mistrust(bit);
  }

  wasCompared(bit: number, batch: number): boolean {
    return this.#comparedBit === bit && this.#comparedBatch === batch;
  }

  /** Copies the Parse message from `start` to `stop` into bytes that the next one uses again. */
  keep(input: Buffer, start: number, stop: number): void {
    this.parse = null;
    const lengthBytes = stop - start;
    if (lengthBytes > PARSE_BYTES_KEPT_MAX) return;
    let bytes = this.#bytes;
    if (bytes === null || bytes.length < lengthBytes) {
      bytes = Buffer.allocUnsafeSlow(this.name === "" ? lengthBytes * 2 : lengthBytes);
      this.#bytes = bytes;
    }
    if (lengthBytes > COPIED_BY_HAND_MAX) input.copy(bytes, 0, start, stop);
    else for (let i = 0; i < lengthBytes; i += 1) bytes[i] = input[start + i] as number;
    this.#keptBytes = lengthBytes;
  }

  /** Its Parse failed, or was skipped after an earlier error. */
  failed(wasSkipped: boolean): void {
    this.#watcher.parseFailed(this, wasSkipped);
  }

  ended(): void {
    this.#watcher.parsed(this);
  }
}
