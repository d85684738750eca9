import { FRONTEND, HEADER_BYTES } from "../../../wire/postgres/index.ts";
import { OutputBuffer } from "./output-buffer.ts";

/** Statements whose Parse is longer are not shared. */
export const SHARED_PARSE_BYTES_MAX = 64 * 1024;
const STATEMENTS_MAX = 20_000;
const BYTES_MAX = 32 * 1024 * 1024;

/** Begins all names of ours; see `restoreNames`. */
const PREFIX = "pgquorum/";

/** A name that no statement has: closing it is answered, and does nothing. */
export const NOBODY_S_NAME = Buffer.from(PREFIX);

/** A statement as server connections know it, whatever their clients call it. */
export class SharedStatement {
  /** On every server connection. */
  readonly name: Buffer;
  /** The whole Parse message, with that name. */
  readonly parse: Buffer;
  /** Sessions that have it prepared. */
  uses = 0;
  /** How often a server connection was given it: what was given later may have other columns. */
  parses = 0;
  readonly key: string;

  constructor(id: string, key: string, rest: Buffer) {
    this.name = Buffer.from(`${PREFIX}${id}`);
    this.key = key;
    const parse = Buffer.allocUnsafeSlow(HEADER_BYTES + this.name.length + 1 + rest.length);
    parse[0] = FRONTEND.parse;
    parse.writeUInt32BE(parse.length - 1, 1);
    this.name.copy(parse, HEADER_BYTES);
    parse[HEADER_BYTES + this.name.length] = 0;
    rest.copy(parse, HEADER_BYTES + this.name.length + 1);
    this.parse = parse;
  }
}

/**
 * The prepared statements of a worker's sessions, so that one server connection can serve them in
 * turn: equal statements (text, parameter types, and the settings that say what the text means) are
 * one, under a name of ours.
 */
export class SharedStatements {
  /** Where messages are put together; one for all, as none waits in it. */
  readonly output = new OutputBuffer();
  readonly #byKey = new Map<string, SharedStatement>();
  /** Nobody uses them, but server connections know them; the oldest first. */
  readonly #unused = new Set<SharedStatement>();
  #bytes = 0;
  #lastId = 0;
  /** A server connection has at most so many. */
  perConnectionMax: number;
  readonly #statementsMax: number;
  #lastScope = 0;
  readonly #secret: string;

  /**
   * @param secret in all names, of letters and digits: SQL of other clients may say any name, and
   *   shall not meet one of these by chance or by guessing.
   */
  constructor(perConnectionMax: number, statementsMax = STATEMENTS_MAX, secret = "") {
    this.#secret = secret;
    this.perConnectionMax = perConnectionMax;
    this.#statementsMax = statementsMax;
  }

  /** A scope of which nobody else is. */
  privateScope(): string {
    this.#lastScope += 1;
    return `${this.#lastScope}`;
  }

  /**
   * The statement of a Parse message; `release` must be called for each call.
   *
   * @param rest the message behind its name: text and parameter types.
   * @param scope the settings that say what the text means, see `SessionState.parsing`.
   * @returns null when it is too long, or there are too many.
   */
  use(rest: Buffer, scope: string): SharedStatement | null {
    if (rest.length > SHARED_PARSE_BYTES_MAX) return null;
    const key = `${rest.toString("latin1")}\0${scope}`;
    let statement = this.#byKey.get(key);
    if (statement === undefined) {
      if (!this.#makeRoom(rest.length)) return null;
      this.#lastId += 1;
      statement = new SharedStatement(`${this.#secret}${this.#lastId}`, key, rest);
      this.#byKey.set(key, statement);
      this.#bytes += statement.parse.length;
    } else if (statement.uses === 0) this.#unused.delete(statement);
    statement.uses += 1;
    return statement;
  }

  release(statement: SharedStatement): void {
    statement.uses -= 1;
    if (statement.uses === 0) this.#unused.add(statement);
  }

  #makeRoom(bytes: number): boolean {
    const isFull = (): boolean =>
      this.#byKey.size >= this.#statementsMax || this.#bytes + bytes > BYTES_MAX;
    for (const oldest of this.#unused) {
      if (!isFull()) break;
      this.#unused.delete(oldest);
      this.#byKey.delete(oldest.key);
      this.#bytes -= oldest.parse.length;
    }
    return !isFull();
  }
}

const QUOTED = /"pgquorum\/(\w*)"/g;

/**
 * An ErrorResponse in which names of ours stand, with the client's names.
 *
 * @param clientName the client's name for one of ours, or null.
 * @returns the same frame when there is nothing to replace.
 */
export function restoreNames(
  frame: Buffer,
  clientName: (serverName: string) => string | null,
): Buffer {
  if (!frame.includes(NOBODY_S_NAME)) return frame;
  const body = frame.toString("latin1", HEADER_BYTES);
  const restored = body.replace(QUOTED, (quoted, id: string) => {
    const name = clientName(`${PREFIX}${id}`);
    return name === null ? quoted : `"${Buffer.from(name).toString("latin1")}"`;
  });
  const copy = Buffer.allocUnsafe(HEADER_BYTES + restored.length);
  copy[0] = frame[0] as number;
  copy.writeUInt32BE(copy.length - 1, 1);
  copy.write(restored, HEADER_BYTES, "latin1");
  return copy;
}
