import { createHash } from "node:crypto";
import { BACKEND, HEADER_BYTES } from "../../../wire/postgres/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { SharedStatement } from "./shared-statements.ts";
import type { ReplyWatcher } from "./watcher-queue.ts";

/**
 * What a prepared statement takes and gives. PostgreSQL promises on one connection that it stays as it was
 * when the statement was prepared: types of parameters are kept, and other columns are an error ("cached plan
 * must not change result type"). Prepared again on another connection after an ALTER TABLE the statement would
 * quietly give something else; so what the client believes in is compared with what that server says.
 */
export interface StatementShape {
  /** `SharedStatement.parses` when it was prepared: equal ones are of one and the same Parse. */
  parsedAs: number;
  /** Its columns, see `digestOfColumns`; null: not known. */
  columns: string | null;
  /** The types of its parameters, as Parse and ParameterDescription have them; null: not known. */
  parameters: string | null;
}

/** Of what was prepared just now. */
export const UNKNOWN_SHAPE = { columns: null, parameters: null } as const;

/** What the server has is what the client knows; of what is not known nothing is asked. */
export function isOfShape(server: StatementShape, client: StatementShape): boolean {
  if (server.parsedAs === client.parsedAs) return true;
  if (client.columns !== null && server.columns !== client.columns) return false;
  return client.parameters === null || server.parameters === client.parameters;
}

/** Of 256 bits: so much is enough for two that differ by chance. */
const DIGEST_BYTES = 16;
/** Of a statement without rows. */
export const NO_COLUMNS = "";
/** Behind the name: table, its column, type, length, modifier, format. */
const COLUMN_BYTES = 18;
const TYPE_AT = 6;
const FORMAT_AT = 16;

/**
 * What PostgreSQL compares before it uses a plan again: names, types and modifiers of the columns, and not
 * where they come from nor which format was asked for. One byte a character.
 *
 * @param frame a whole RowDescription or NoData.
 * Source: equalTupleDescs and ExecTypeFromTL of PostgreSQL 15.
 */
export function digestOfColumns(frame: Buffer): string {
  if (frame[0] !== BACKEND.rowDescription) return NO_COLUMNS;
  const kept = Buffer.allocUnsafe(frame.length);
  let length = 0;
  let at = HEADER_BYTES + 2;
  while (at < frame.length) {
    const nameEnd = frame.indexOf(0, at) + 1;
    if (nameEnd === 0 || nameEnd + COLUMN_BYTES > frame.length) break;
    length += frame.copy(kept, length, at, nameEnd);
    length += frame.copy(kept, length, nameEnd + TYPE_AT, nameEnd + FORMAT_AT);
    at = nameEnd + COLUMN_BYTES;
  }
  const digest = createHash("sha256").update(kept.subarray(0, length)).digest();
  return digest.toString("latin1", 0, DIGEST_BYTES);
}

/** The types in a ParameterDescription. */
export function parameterTypes(frame: Buffer): string {
  return frame.toString("latin1", HEADER_BYTES);
}

/** The same Parse message with these types of its parameters, or as it is where they are not known. */
export function parseWithTypes(parse: Buffer, types: string | null): Buffer {
  if (types === null) return parse;
  const nameEnd = parse.indexOf(0, HEADER_BYTES);
  const typesStart = parse.indexOf(0, nameEnd + 1) + 1;
  if (parse.toString("latin1", typesStart) === types) return parse;
  const message = Buffer.concat([parse.subarray(0, typesStart), Buffer.from(types, "latin1")]);
  message.writeUInt32BE(message.length - 1, 1);
  return message;
}

/** This whole Bind has formats for several result columns, so that its client counts on them; or it is broken. */
export function countsColumns(bind: Buffer): boolean {
  // Portal, statement, parameter formats, parameters, result formats.
  const portalEnd = bind.indexOf(0, HEADER_BYTES);
  const nameEnd = portalEnd === -1 ? -1 : bind.indexOf(0, portalEnd + 1);
  let at = nameEnd + 1;
  if (nameEnd === -1 || at + 2 > bind.length) return true;
  at += 2 + 2 * bind.readUInt16BE(at);
  if (at + 2 > bind.length) return true;
  let parameters = bind.readUInt16BE(at);
  for (at += 2; parameters > 0 && at + 4 <= bind.length; parameters -= 1) {
    at += 4 + Math.max(0, bind.readInt32BE(at));
  }
  return parameters > 0 || at + 2 > bind.length || bind.readUInt16BE(at) > 1;
}

/** Waits for the answer to a Describe that tells what a statement is on one server connection. */
export class ShapeLearner implements ReplyWatcher {
  readonly #link: BackendLink;
  readonly #statement: PreparedStatement;
  readonly #shared: SharedStatement | null;
  readonly #parsedAs: number;
  readonly #batch: number;
  /** Its client gets to know as well; else only the connection does. */
  readonly #isClients: boolean;
  #columns: string | null = null;
  #parameters: string | null = null;

  constructor(link: BackendLink, statement: PreparedStatement, isClients: boolean) {
    this.#link = link;
    this.#statement = statement;
    this.#shared = statement.shared;
    this.#parsedAs = (this.#shared && link.known.shapeOf(this.#shared)?.parsedAs) ?? 0;
    this.#batch = link.known.batch;
    this.#isClients = isClients;
  }

  /** @param frame a ParameterDescription, and then a RowDescription or NoData; of a portal without the first. */
  described(frame: Buffer): void {
    if (frame[0] === BACKEND.parameterDescription) this.#parameters = parameterTypes(frame);
    else this.#columns = digestOfColumns(frame);
  }

  failed(): void {
    // Nothing is known.
  }

  ended(): void {
    const statement = this.#statement;
    if (this.#columns === null) return;
    if (this.#shared !== null) {
      const shape = this.#link.known.shapeOf(this.#shared);
      if (shape?.parsedAs === this.#parsedAs) this.#tell(shape);
    } else {
      const isOther = statement.columns !== null && statement.columns !== this.#columns;
      const { bit } = this.#link;
      if (this.#isClients && isOther) statement.mistrust(statement.backends & ~bit);
      if (!this.#isClients) statement.compared(bit, this.#batch, !isOther);
    }
    if (this.#isClients) this.#tell(statement);
  }

  #tell(shape: StatementShape): void {
    shape.parsedAs = this.#parsedAs;
    shape.columns = this.#columns;
    if (this.#parameters !== null) shape.parameters = this.#parameters;
  }
}
