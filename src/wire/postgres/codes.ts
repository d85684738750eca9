/** Type bytes of messages that a frontend sends. */
export const FRONTEND = {
  bind: 0x42, // B
  close: 0x43, // C
  describe: 0x44, // D
  execute: 0x45, // E
  functionCall: 0x46, // F
  flush: 0x48, // H
  parse: 0x50, // P
  query: 0x51, // Q
  sync: 0x53, // S
  terminate: 0x58, // X
  copyDone: 0x63, // c
  copyData: 0x64, // d
  copyFail: 0x66, // f
  password: 0x70, // p
} as const;

/** Type bytes of messages that a backend sends. */
export const BACKEND = {
  parseComplete: 0x31, // 1
  bindComplete: 0x32, // 2
  closeComplete: 0x33, // 3
  notification: 0x41, // A
  commandComplete: 0x43, // C
  dataRow: 0x44, // D
  error: 0x45, // E
  copyIn: 0x47, // G
  copyOut: 0x48, // H
  emptyQuery: 0x49, // I
  keyData: 0x4b, // K
  notice: 0x4e, // N
  authentication: 0x52, // R
  parameterStatus: 0x53, // S
  rowDescription: 0x54, // T
  functionResult: 0x56, // V
  copyBoth: 0x57, // W
  ready: 0x5a, // Z
  copyDone: 0x63, // c
  copyData: 0x64, // d
  noData: 0x6e, // n
  portalSuspended: 0x73, // s
  parameterDescription: 0x74, // t
  negotiateVersion: 0x76, // v
} as const;

/** The status byte of ReadyForQuery. */
export const READY = { idle: 0x49, inTransaction: 0x54, failed: 0x45 } as const;

/** The method in an Authentication message. */
export const AUTHENTICATION = {
  ok: 0,
  cleartext: 3,
  md5: 5,
  sasl: 10,
  saslContinue: 11,
  saslFinal: 12,
} as const;

export const PROTOCOL_3_0 = 0x0003_0000;
/** Of PostgreSQL 18: cancel keys may be longer. */
export const PROTOCOL_3_2 = 0x0003_0002;

/** Type byte and length word. */
export const HEADER_BYTES = 5;

/** PostgreSQL's own bounds for what a frontend may send, PQ_LARGE_ and PQ_SMALL_MESSAGE_LIMIT. */
export const LARGE_MESSAGE_BYTES_MAX = 0x3fff_ffff;
export const SMALL_MESSAGE_BYTES_MAX = 10_000;
