import type { Failure } from "../../base/index.ts";
import { BACKEND, FRONTEND, HEADER_BYTES } from "./codes.ts";

/** One message: type byte, length, body. */
export function buildMessage(type: number, body: Buffer): Buffer {
  const message = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  message[0] = type;
  message.writeUInt32BE(body.length + 4, 1);
  body.copy(message, HEADER_BYTES);
  return message;
}

export const SYNC = buildMessage(FRONTEND.sync, Buffer.alloc(0));
export const FLUSH = buildMessage(FRONTEND.flush, Buffer.alloc(0));
export const TERMINATE = buildMessage(FRONTEND.terminate, Buffer.alloc(0));
export const AUTHENTICATION_OK = buildMessage(BACKEND.authentication, Buffer.alloc(4));

/** @param status one of READY. */
export function buildReady(status: number): Buffer {
  return buildMessage(BACKEND.ready, Buffer.from([status]));
}

export function buildError(failure: Failure): Buffer {
  const { severity, sqlstate, message, detail, hint } = failure;
  let text = `S${severity}\0V${severity}\0C${sqlstate}\0M${message}\0`;
  if (detail !== undefined) text += `D${detail}\0`;
  if (hint !== undefined) text += `H${hint}\0`;
  return buildMessage(BACKEND.error, Buffer.from(`${text}\0`));
}

/** As `readErrorFields` reads it. */
export function buildErrorFields(fields: ReadonlyMap<string, string>): Buffer {
  let text = "";
  for (const [letter, value] of fields) text += `${letter}${value}\0`;
  return buildMessage(BACKEND.error, Buffer.from(`${text}\0`));
}

export function buildNotice(message: string): Buffer {
  const text = `SNOTICE\0VNOTICE\0C00000\0M${message}\0\0`;
  return buildMessage(BACKEND.notice, Buffer.from(text));
}

/** @param body what follows the method number. */
export function buildAuthentication(method: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const word = Buffer.alloc(4);
  word.writeInt32BE(method, 0);
  return buildMessage(BACKEND.authentication, Buffer.concat([word, body]));
}

export function buildParameterStatus(name: string, value: string): Buffer {
  return buildMessage(BACKEND.parameterStatus, Buffer.from(`${name}\0${value}\0`));
}

/** @param key 4 bytes before protocol 3.2, up to 256 in it. */
export function buildKeyData(processId: number, key: Buffer): Buffer {
  const body = Buffer.alloc(4 + key.length);
  body.writeInt32BE(processId, 0);
  key.copy(body, 4);
  return buildMessage(BACKEND.keyData, body);
}

/** The newest protocol that is spoken (as PostgreSQL, with its major part), unknown options. */
export function buildNegotiateVersion(newest: number, unknown: readonly string[]): Buffer {
  const words = Buffer.alloc(8);
  words.writeInt32BE(newest, 0);
  words.writeInt32BE(unknown.length, 4);
  const names = unknown.map((name) => Buffer.from(`${name}\0`));
  return buildMessage(BACKEND.negotiateVersion, Buffer.concat([words, ...names]));
}

const TEXT_OID = 25;

/** A whole result of text columns: RowDescription, rows, CommandComplete. */
export function buildTextResult(
  columns: readonly string[],
  rows: readonly (readonly (string | null)[])[],
  tag: string,
): Buffer {
  return Buffer.concat([
    buildRowDescription(columns),
    ...rows.map(buildDataRow),
    buildComplete(tag),
  ]);
}

/** CommandComplete. */
export function buildComplete(tag: string): Buffer {
  return buildMessage(BACKEND.commandComplete, Buffer.from(`${tag}\0`));
}

/**
 * Columns of type text, which is the same in both formats.
 *
 * @param formats as Bind asks for them: none, one for all columns, or one each.
 */
export function buildRowDescription(
  columns: readonly string[],
  formats: readonly number[] = [],
): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(columns.length, 0);
  const pieces = [count];
  columns.forEach((column, index) => {
    const rest = Buffer.alloc(18);
    rest.writeInt32BE(TEXT_OID, 6);
    rest.writeInt16BE(-1, 10);
    rest.writeInt32BE(-1, 12);
    rest.writeInt16BE((formats.length === 1 ? formats[0] : formats[index]) ?? 0, 16);
    pieces.push(Buffer.from(`${column}\0`), rest);
  });
  return buildMessage(BACKEND.rowDescription, Buffer.concat(pieces));
}

/** A DataRow of columns of type text. */
export function buildDataRow(row: readonly (string | null)[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(row.length, 0);
  const pieces = [count];
  for (const value of row) {
    const bytes = value === null ? null : Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes === null ? -1 : bytes.length, 0);
    pieces.push(length);
    if (bytes !== null) pieces.push(bytes);
  }
  return buildMessage(BACKEND.dataRow, Buffer.concat(pieces));
}

export function buildQuery(text: string): Buffer {
  return buildMessage(FRONTEND.query, Buffer.from(`${text}\0`));
}

/** Without parameter types. */
export function buildParse(name: string, text: string): Buffer {
  return buildMessage(FRONTEND.parse, Buffer.from(`${name}\0${text}\0\0\0`));
}

/**
 * Statements by the extended protocol, in one transaction, with its Sync. They have a name, and their
 * portals as well, so that what is prepared or bound without a name stays as it is; a simple Query would
 * drop that. Both names are free again behind it; and before it, as an earlier one may have failed half-way.
 */
export function buildNamedRun(name: string, texts: readonly string[]): Buffer {
  const close = [
    buildMessage(FRONTEND.close, Buffer.from(`P${name}\0`)),
    buildCloseStatement(name),
  ];
  const bind = Buffer.from(`${name}\0${name}\0\0\0\0\0\0\0`);
  const run = texts.flatMap((text) => [
    buildParse(name, text),
    buildMessage(FRONTEND.bind, bind),
    buildMessage(FRONTEND.execute, Buffer.from(`${name}\0\0\0\0\0`)),
    ...close,
  ]);
  return Buffer.concat([...close, ...run, SYNC]);
}

export function buildPassword(body: Buffer): Buffer {
  return buildMessage(FRONTEND.password, body);
}

export function buildCloseStatement(name: string): Buffer {
  return buildMessage(FRONTEND.close, Buffer.from(`S${name}\0`));
}

export function buildDescribeStatement(name: string): Buffer {
  return buildMessage(FRONTEND.describe, Buffer.from(`S${name}\0`));
}
