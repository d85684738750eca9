import type { Result } from "../../base/index.ts";
import { fail, succeed } from "../../base/index.ts";
import type { PcpFrame } from "./frames.ts";
import { decodeTexts } from "./frames.ts";
import type { PoolStatusRow } from "./replies.ts";
import { WEIGHT_SCALE } from "./replies.ts";

/**
 * The replies as a client reads them. A reply of several packets (node info, pool status) is read
 * packet by packet: a count, its rows, an end.
 */
export type ReplyPart<Row> =
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "row"; readonly row: Row }
  | { readonly kind: "end" };

/** A backend as `pcp_node_info` shows it: numbers still as their text. */
export interface NodeInfoRow {
  readonly hostname: string;
  readonly port: string;
  readonly status: number;
  readonly isQuarantined: boolean;
  readonly pgStatus: string;
  /** 0 to 1. */
  readonly weight: number;
  readonly role: number;
  readonly pgRole: string;
  /** Since 4.4 the delay may be a time, in microseconds. */
  readonly delayIsTime: boolean;
  readonly delay: number;
  readonly replicationState: string;
  readonly replicationSyncState: string;
  /** Seconds since 1970. */
  readonly changedAtSeconds: number;
}

/** Takes both layouts: 12 fields of 4.3 and 13 of 4.4 and later. Errors: any other packet. */
export function decodeNodeInfoPart(frame: PcpFrame): Result<ReplyPart<NodeInfoRow>, string> {
  const [word, ...fields] = decodeTexts(frame.payload);
  if (word === "CommandComplete") return succeed({ kind: "end" });
  if (word === "ArraySize") return succeed({ kind: "count", count: Number(fields[0]) });
  // An empty last field is a field too, so the number of fields is that of the NULs.
  if (word !== "NodeInfo" || (fields.length !== 12 && fields.length !== 13)) {
    return fail("the node's reply to node info has an unknown layout");
  }
  const [hostname = "", port = "", status, quarantine, pgStatus = "", weight, role, pgRole = ""] =
    fields;
  const isTime = fields.length === 13 && fields[8] === "1";
  const [delay, replicationState = "", replicationSyncState = "", changedAt] = fields.slice(-4);
  return succeed({
    kind: "row",
    row: {
      hostname,
      port,
      status: Number(status),
      isQuarantined: quarantine === "1",
      pgStatus,
      weight: Number(weight) / WEIGHT_SCALE,
      role: Number(role),
      pgRole,
      delayIsTime: isTime,
      delay: Number(delay),
      replicationState,
      replicationSyncState,
      changedAtSeconds: Number(changedAt),
    },
  });
}

export function decodePoolStatusPart(frame: PcpFrame): Result<ReplyPart<PoolStatusRow>, string> {
  if (
    frame.payload.subarray(0, 10).equals(Buffer.from("ArraySize\0")) &&
    frame.payload.length === 14
  )
    return succeed({ kind: "count", count: frame.payload.readInt32BE(10) });
  const [word, item = "", value = "", description = ""] = decodeTexts(frame.payload);
  if (word === "CommandComplete") return succeed({ kind: "end" });
  if (word !== "ProcessConfig")
    return fail("the node's reply to pool status has an unknown layout");
  return succeed({ kind: "row", row: { item, value, description } });
}

/** The fields of a row as they are; 17 in 4.3, up to 21. Errors: any other packet. */
export function decodeProcessInfoPart(
  frame: PcpFrame,
): Result<ReplyPart<readonly string[]>, string> {
  const [word, ...fields] = decodeTexts(frame.payload);
  if (word === "CommandComplete") return succeed({ kind: "end" });
  if (word === "ArraySize") return succeed({ kind: "count", count: Number(fields[0]) });
  if (word !== "ProcessInfo" || fields.length < 17) {
    return fail("the node's reply to process info has an unknown layout");
  }
  return succeed({ kind: "row", row: fields });
}

/** The texts behind `CommandComplete` of a reply of one packet. Errors: any other packet. */
export function decodeDone(frame: PcpFrame): Result<readonly string[], string> {
  const [word, ...texts] = decodeTexts(frame.payload);
  return word === "CommandComplete" ? succeed(texts) : fail("the node's reply is not understood");
}
