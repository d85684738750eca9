import { roleOf, type BackendView, type ClusterView } from "../ipc/index.ts";
import { encodeFrame, encodeTexts } from "./frames.ts";

/** Pgpool-II's major version, which decides the fields of a reply: nothing negotiates them. */
export type PcpLayout = "4.3" | "4.4" | "4.5" | "4.6" | "4.7";

export interface PoolStatusRow {
  readonly item: string;
  readonly value: string;
  readonly description: string;
}

const OK = "CommandComplete";
const ROW_COUNT = "ArraySize";

/** Weights travel as shares of the C library's RAND_MAX. */
export const WEIGHT_SCALE = 2147483647;

/** Asks for the password's proof. @param salt 4 random bytes, used once. */
export function encodeSalt(salt: Uint8Array): Buffer {
  return encodeFrame("m", Buffer.from(salt));
}

export function encodeAuthenticated(): Buffer {
  return encodeFrame("r", encodeTexts(["AuthenticationOK"]));
}

/** The reply to a request that returns no data. */
export function encodeDone(letter: "a" | "c" | "d" | "t" | "z"): Buffer {
  return encodeFrame(letter, encodeTexts([OK]));
}

export function encodeNodeCount(count: number): Buffer {
  return encodeFrame("l", encodeTexts([OK, String(count)]));
}

export function encodeProcessIds(pids: readonly number[]): Buffer {
  return encodeFrame("n", encodeTexts([OK, String(pids.length), ...pids.map(String)]));
}

/**
 * A row for each server connection.
 *
 * @param rows the fields of 4.7; earlier releases have fewer.
 */
export function encodeProcessInfo(rows: readonly (readonly string[])[], layout: PcpLayout): Buffer {
  const length = PROCESS_FIELDS[layout];
  return Buffer.concat([
    encodeFrame("p", encodeTexts([ROW_COUNT, String(rows.length)])),
    ...rows.map((row) => encodeFrame("p", encodeTexts(["ProcessInfo", ...row.slice(0, length)]))),
    encodeFrame("p", encodeTexts([OK])),
  ]);
}

const PROCESS_FIELDS: Readonly<Record<PcpLayout, number>> = {
  "4.3": 17,
  "4.4": 17,
  "4.5": 18,
  "4.6": 18,
  "4.7": 21,
};

/** @param fields those of SHOW POOL_HEALTH_CHECK_STATS. */
export function encodeHealthStats(fields: readonly string[]): Buffer {
  return encodeFrame("h", encodeTexts([OK, ...fields]));
}

/** @param json one line, as `formatWatchdogJson` makes it. */
export function encodeWatchdogInfo(json: string): Buffer {
  return encodeFrame("w", encodeTexts([OK, json]));
}

/** Names, values and descriptions as SHOW POOL_STATUS lists them. */
export function encodePoolStatus(rows: readonly PoolStatusRow[]): Buffer {
  // The one number of the protocol that is not text.
  const count = Buffer.alloc(4);
  count.writeInt32BE(rows.length);
  return Buffer.concat([
    encodeFrame("b", Buffer.concat([encodeTexts([ROW_COUNT]), count])),
    ...rows.map(({ item, value, description }) =>
      encodeFrame("b", encodeTexts(["ProcessConfig", item, value, description])),
    ),
    encodeFrame("b", encodeTexts([OK])),
  ]);
}

/** One row a backend: 12 fields in 4.3, 13 since 4.4, which says whether the delay is a time. */
export function encodeNodeInfo(
  view: ClusterView,
  backends: readonly BackendView[],
  layout: PcpLayout,
): Buffer {
  return Buffer.concat([
    encodeFrame("i", encodeTexts([ROW_COUNT, String(backends.length)])),
    ...backends.map((backend) =>
      encodeFrame("i", encodeTexts(["NodeInfo", ...nodeInfoFields(view, backend, layout)])),
    ),
    encodeFrame("i", encodeTexts([OK])),
  ]);
}

const STATE_NUMBERS = { unused: 0, waiting: 1, up: 2, down: 3 } as const;
const ROLE_NUMBERS = { main: 0, replica: 1, primary: 2, standby: 3 } as const;

function nodeInfoFields(
  view: ClusterView,
  backend: BackendView,
  layout: PcpLayout,
): readonly string[] {
  // As a time it is told in microseconds; a client of 4.3 would take them for bytes.
  const isTime = view.delayIsTime && layout !== "4.3";
  const delay = isTime ? backend.replicationDelayMs * 1000 : backend.replicationDelayBytes;
  return [
    backend.hostname,
    String(backend.port),
    String(STATE_NUMBERS[backend.state]),
    backend.quarantined ? "1" : "0",
    backend.pgStatus,
    (backend.weight * WEIGHT_SCALE).toFixed(6),
    String(ROLE_NUMBERS[roleOf(view, backend.id)]),
    backend.pgRole,
    ...(layout === "4.3" ? [] : [isTime ? "1" : "0"]),
    String(Math.trunc(delay)),
    backend.replicationState,
    backend.replicationSyncState,
    String(Math.trunc(backend.stateChangedAt / 1000)),
  ];
}
