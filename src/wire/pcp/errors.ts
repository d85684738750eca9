import { encodeFrame } from "./frames.ts";

/** What an `E` (or, below ERROR, an `N`) packet tells; Pgpool-II's clients print its first parts. */
export interface PcpError {
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
}

/** Pgpool-II cuts each field here, and its clients have no more room. */
const FIELD_BYTES_MAX = 255;

/** ERROR: the connection may ask again. FATAL: the sender closes it. */
export function pcpError(
  severity: "ERROR" | "FATAL",
  message: string,
  detail: string | null = null,
  hint: string | null = null,
): PcpError {
  return { severity, sqlstate: "XX000", message, detail, hint };
}

/** Fields in the order S, C, M, D, H, F, L, as Pgpool-II sends them. */
export function encodeError(error: PcpError): Buffer {
  const fields: [string, string][] = [
    ["S", error.severity],
    ["C", error.sqlstate],
    ["M", readable(error.message)],
  ];
  if (error.detail !== null) fields.push(["D", readable(error.detail)]);
  if (error.hint !== null) fields.push(["H", readable(error.hint)]);
  fields.push(["F", "pgquorum"], ["L", "0"]);
  const parts = fields.map(([code, text]) => Buffer.concat([Buffer.from(code), cut(text), NUL]));
  return encodeFrame("E", Buffer.concat([...parts, NUL]));
}

const NUL = Buffer.alloc(1);

/**
 * The C clients do not step over the text of S, M and D but scan it for the next field, so a text
 * that begins with one of these letters would be printed in pieces.
 */
function readable(text: string): string {
  return /^[SMD]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

function cut(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll("\0", " "), "utf8");
  if (bytes.length <= FIELD_BYTES_MAX) return bytes;
  let end = FIELD_BYTES_MAX;
  // Step back over the rest of a character that began before the cut.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}

/** Reads the payload of an `E` or `N` packet; absent fields become "" or null. */
export function decodeError(payload: Buffer): PcpError {
  const fields = new Map<string, string>();
  let offset = 0;
  while (offset < payload.length && payload[offset] !== 0) {
    const code = String.fromCharCode(payload.readUInt8(offset));
    const nul = payload.indexOf(0, offset + 1);
    const end = nul === -1 ? payload.length : nul;
    fields.set(code, payload.toString("utf8", offset + 1, end));
    offset = end + 1;
  }
  return {
    severity: fields.get("S") ?? "",
    sqlstate: fields.get("C") ?? "",
    message: fields.get("M") ?? "",
    detail: fields.get("D") ?? null,
    hint: fields.get("H") ?? null,
  };
}
