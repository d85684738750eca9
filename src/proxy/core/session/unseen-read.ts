import { BACKEND, HEADER_BYTES } from "../../../wire/postgres/index.ts";
import { BATCH_BYTES_MAX } from "./client-batch.ts";

/** A longer read is not kept; those that are longer than the latter only while they may be moved. */
const READ_BYTES_MAX = BATCH_BYTES_MAX;
const KEPT_BYTES_MAX = 16 * 1024;
/** What begins a reply is held back up to so much. */
const HELD_BYTES_MAX = 16 * 1024;

const NOTHING = Buffer.alloc(0);

/**
 * SQLSTATEs by which a standby says that it is the one at fault, not the statement:
 *
 *     40001, 40P01          the statement was in the way of what the standby had to replay
 *     57P01 to 57P05        it is stopped, was stopped, starts, lost the database, or ended the session
 *     53300, 3D000          it has no room for one more, or no such database (yet)
 *     58030, 58P01, XX001, XX002   its files are unreadable, missing or damaged
 *
 * Source: PostgreSQL manual, "PostgreSQL Error Codes"; ProcessInterrupts in postgres.c.
 */
const FAULTS: ReadonlySet<string> = new Set([
  "40001",
  "40P01",
  "57P01",
  "57P02",
  "57P03",
  "57P04",
  "57P05",
  "53300",
  "3D000",
  "58030",
  "58P01",
  "XX001",
  "XX002",
]);

/** Replies that a client can do nothing with while those behind them are missing. */
const BEGINNINGS: ReadonlySet<number> = new Set([
  BACKEND.parseComplete,
  BACKEND.bindComplete,
  BACKEND.closeComplete,
  BACKEND.parameterDescription,
  BACKEND.rowDescription,
  BACKEND.noData,
  BACKEND.notice,
]);

/** The error of a standby that another server would not have. */
export function isStandbysFault(fields: ReadonlyMap<string, string>): boolean {
  return FAULTS.has(fields.get("C") ?? "");
}

/**
 * A read that was sent to a standby outside a transaction, kept until the client sees something of
 * its reply: until then it can be sent to another server, and nobody notices.
 *
 *     ParseComplete BindComplete RowDescription | DataRow ... CommandComplete ReadyForQuery
 *     held back while nothing else has come ....| from here on it has been seen
 *
 * Only one that was sent while nothing else ran there, and while nothing was sent behind it.
 */
export class UnseenRead {
  /** Nothing of the reply has been passed on. */
  isUnseen = false;
  /** Something must be done before, or in place of, passing the next bytes on. */
  hasCare = false;
  /** Used by one read after another. */
  #bytes: Buffer = NOTHING;
  #length = 0;
  #changesNames = false;
  #held: Buffer = NOTHING;
  #heldBytes = 0;

  /** @param changesNames it makes or drops named statements: what the server did stays done. */
  keep(input: Buffer, at: number, end: number, changesNames: boolean): void {
    const length = end - at;
    if (length > READ_BYTES_MAX) return this.forget();
    if (this.#bytes.length < length) {
      const roomBytes = length > KEPT_BYTES_MAX ? length : Math.max(256, length * 2);
      this.#bytes = Buffer.allocUnsafeSlow(roomBytes);
    }
    // A call to copy costs more than these.
    if (length > 40) input.copy(this.#bytes, 0, at, end);
    else for (let i = 0; i < length; i += 1) this.#bytes[i] = input[at + i] as number;
    this.#length = length;
    this.#changesNames = changesNames;
    this.isUnseen = true;
    this.hasCare = true;
  }

  /** It has been answered, or must not be repeated. */
  forget(): void {
    this.#over();
    this.hasCare = this.#heldBytes > 0;
  }

  /** It can be sent to another server, as if it had never been sent to this one. */
  get mayMove(): boolean {
    return this.isUnseen && !(this.#changesNames && this.#heldBytes > 0);
  }

  /** The read; what was held of its reply is dropped. */
  take(): Buffer {
    const read = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#heldBytes = 0;
    this.forget();
    return read;
  }

  /** Whether these bytes of the reply need not be passed on yet; else it counts as seen. */
  holds(input: Buffer, start: number, end: number): boolean {
    if (!this.isUnseen || !beginsReply(input, start, end) || !this.#hold(input, start, end)) {
      this.#over();
      return false;
    }
    return true;
  }

  /** What was held back; null when nothing was. */
  release(): Buffer | null {
    this.hasCare = false;
    if (this.#heldBytes === 0) return null;
    const held = this.#held.subarray(0, this.#heldBytes);
    // A write that does not finish at once goes on using these.
    this.#held = NOTHING;
    this.#heldBytes = 0;
    return held;
  }

  #over(): void {
    this.isUnseen = false;
    if (this.#bytes.length > 2 * KEPT_BYTES_MAX) this.#bytes = NOTHING;
  }

  #hold(input: Buffer, start: number, end: number): boolean {
    const needed = this.#heldBytes + end - start;
    if (needed > HELD_BYTES_MAX) return false;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(512, needed * 2));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    input.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes = needed;
    return true;
  }
}

/** Nothing but whole messages of these types. */
function beginsReply(input: Buffer, start: number, end: number): boolean {
  let at = start;
  while (end - at >= HEADER_BYTES && BEGINNINGS.has(input[at] as number)) {
    at += 1 + input.readUInt32BE(at + 1);
  }
  return at === end;
}
