import { BACKEND, HEADER_BYTES } from "./codes.ts";

/**
 * The zero-terminated string at `start`.
 *
 * @returns null when no zero byte comes before `end`.
 */
export function readString(bytes: Buffer, start: number, end: number): string | null {
  const zero = bytes.indexOf(0, start);
  return zero === -1 || zero >= end ? null : bytes.toString("utf8", start, zero);
}

/** Fields of an ErrorResponse or NoticeResponse frame by their letter. */
export function readErrorFields(frame: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  let offset = HEADER_BYTES;
  while (offset < frame.length && frame[offset] !== 0) {
    const value = readString(frame, offset + 1, frame.length);
    if (value === null) break;
    fields.set(String.fromCharCode(frame[offset] ?? 0), value);
    const zero = frame.indexOf(0, offset + 1);
    offset = zero + 1;
  }
  return fields;
}

/** Name and value of a ParameterStatus frame; null when it is malformed. */
export function readParameterStatus(
  frame: Buffer,
): { readonly name: string; readonly value: string } | null {
  const name = readString(frame, HEADER_BYTES, frame.length);
  if (name === null) return null;
  const value = readString(frame, frame.indexOf(0, HEADER_BYTES) + 1, frame.length);
  return value === null ? null : { name, value };
}

/** The process id and the cancel key (4 to 256 bytes) of a BackendKeyData frame. */
export function readKeyData(
  frame: Buffer,
): { readonly processId: number; readonly key: Buffer } | null {
  if (frame.length < HEADER_BYTES + 8 || frame.length > HEADER_BYTES + 4 + 256) return null;
  return {
    processId: frame.readInt32BE(HEADER_BYTES),
    key: Buffer.from(frame.subarray(HEADER_BYTES + 4)),
  };
}

/**
 * The columns of DataRow frames that lie behind each other, as bytes one a character (latin1).
 * What is cut short or no DataRow ends it.
 */
export function readRows(frames: Buffer): (string | null)[][] {
  const rows: (string | null)[][] = [];
  let at = 0;
  while (frames.length - at >= HEADER_BYTES + 2 && frames[at] === BACKEND.dataRow) {
    const end = at + 1 + frames.readUInt32BE(at + 1);
    if (end > frames.length) break;
    const row: (string | null)[] = [];
    let offset = at + HEADER_BYTES + 2;
    while (offset + 4 <= end) {
      const length = frames.readInt32BE(offset);
      offset += 4;
      row.push(length < 0 ? null : frames.toString("latin1", offset, offset + length));
      offset += Math.max(0, length);
    }
    rows.push(row);
    at = end;
  }
  return rows;
}

/** Of a session that an administrator ends, or whose server is told to stop. */
const ADMIN_SHUTDOWN = "57P01";
/** Of a session whose server begins anew because another one of its processes has crashed. */
const CRASH_SHUTDOWN = "57P02";

/** PostgreSQL's functions that find the postmaster gone while a session waits for its client. */
const ORPHANED_IN: ReadonlySet<string | undefined> = new Set(["secure_read", "secure_write"]);

/**
 * What the last words of a server mean: it, or this one session, is ended on purpose or to begin
 * anew (`announced`); or its postmaster is gone (`orphaned`). Both have the same SQLSTATE; the
 * function that reports it (field `R`) tells them apart in every language. Null for all else.
 */
export function readLastWords(
  sqlstate: string | undefined,
  routine: string | undefined,
): "announced" | "orphaned" | null {
  if (sqlstate === CRASH_SHUTDOWN) return "announced";
  if (sqlstate !== ADMIN_SHUTDOWN) return null;
  return ORPHANED_IN.has(routine) ? "orphaned" : "announced";
}
