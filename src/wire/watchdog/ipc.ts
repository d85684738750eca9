/**
 * What programs on this host say to their watchdog, by its Unix socket: an external lifecheck, or
 * `wd_cli`. Both directions are framed so; the body is JSON, and Pgpool-II ends it with a NUL:
 *
 *     byte    type
 *     int32   length of the body
 *     bytes   body
 *
 * Source: Pgpool-II 4.3 manual, "Integrating external lifecheck with watchdog", with the reply
 * types that its programs really use.
 */
import { fail, succeed, type Result } from "../../base/index.ts";

export interface IpcFrame {
  /** One byte as a character. */
  readonly type: string;
  readonly body: Buffer;
}

/** A request says an id, a status and a short text; more than this is no request. */
export const IPC_REQUEST_BYTES_MAX = 64 * 1024;
/** The longest reply is the list of 128 nodes. */
export const IPC_REPLY_BYTES_MAX = 1024 * 1024;

const HEADER_BYTES = 5;

export function encodeIpcFrame(type: string, text: string): Buffer {
  const body = Buffer.from(text === "" ? "" : `${text}\0`, "utf8");
  const bytes = Buffer.alloc(HEADER_BYTES + body.length);
  bytes.writeUInt8(type.charCodeAt(0), 0);
  bytes.writeInt32BE(body.length, 1);
  body.copy(bytes, HEADER_BYTES);
  return bytes;
}

/**
 * The frame that a stream begins with; null while it is not whole yet.
 *
 * Errors: `bad-length` when its body would be negative or longer than `bodyBytesMax`.
 */
export function decodeIpcFrame(
  bytes: Buffer,
  bodyBytesMax: number,
): Result<IpcFrame | null, "bad-length"> {
  if (bytes.length < HEADER_BYTES) return succeed(null);
  const lengthBytes = bytes.readInt32BE(1);
  if (lengthBytes < 0 || lengthBytes > bodyBytesMax) return fail("bad-length");
  const end = HEADER_BYTES + lengthBytes;
  if (bytes.length < end) return succeed(null);
  const type = String.fromCharCode(bytes.readUInt8(0));
  return succeed({ type, body: bytes.subarray(HEADER_BYTES, end) });
}

/** The JSON object in a body, its NUL left out; null when there is none. */
export function decodeIpcBody(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString("utf8").replace(/\0+$/, ""));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

export type IpcVariable = "WDState" | "QuorumState" | "Escalated";

/** What is asked, once it is understood. */
export type IpcRequest =
  /** `nodeId` -1 asks for all. */
  | { readonly type: "nodes"; readonly nodeId: number }
  | {
      readonly type: "node-status";
      readonly nodeId: number;
      readonly isAlive: boolean;
      readonly message: string;
    }
  | { readonly type: "variable"; readonly name: IpcVariable }
  | { readonly type: "leader-data" };

/** Bytes of the requests. */
export const IPC_REQUESTS = {
  register: "0",
  nodeStatus: "2",
  nodes: "3",
  clusterCommand: "c",
  leaderData: "d",
  failover: "f",
  failoverIndication: "i",
  recovery: "r",
  failoverLock: "s",
  variable: "v",
} as const;

/** Bytes of the replies. */
export const IPC_REPLIES = { inTransition: "5", bad: "6", ok: "7", timeout: "8" } as const;

const NODE_DEAD = 1;
const NODE_ALIVE = 2;
const MESSAGE_CHARACTERS_MAX = 1000;

/** What this way does not offer, each with the way that does. */
const NOT_BY_THIS_WAY: Readonly<Record<string, string>> = {
  [IPC_REQUESTS.register]: "notifications are not sent: ask for the list of nodes again",
  [IPC_REQUESTS.clusterCommand]:
    "commands for the whole cluster are not taken here: use pcp_reload_config or pcp_stop_pgpool on each node",
  [IPC_REQUESTS.failover]:
    "failovers are not requested here: use pcp_detach_node, pcp_attach_node or pcp_promote_node",
  [IPC_REQUESTS.failoverIndication]: "the cluster's leader alone runs failovers: nothing to tell",
  [IPC_REQUESTS.recovery]: "online recovery is not requested here",
  [IPC_REQUESTS.failoverLock]: "the cluster's leader alone runs failovers: there is no lock",
};

/** Errors: a sentence for the asker. */
export function decodeIpcRequest(frame: IpcFrame): Result<IpcRequest, string> {
  const refusal = NOT_BY_THIS_WAY[frame.type];
  if (refusal !== undefined) return fail(refusal);
  const body = decodeIpcBody(frame.body) ?? {};
  switch (frame.type) {
    case IPC_REQUESTS.nodes: {
      const nodeId = wholeNumber(body["NodeID"]);
      if (nodeId === null) return fail("NodeID is missing: a node's number, or -1 for all");
      return succeed({ type: "nodes", nodeId });
    }
    case IPC_REQUESTS.nodeStatus:
      return decodeNodeStatus(body);
    case IPC_REQUESTS.leaderData:
      return succeed({ type: "leader-data" });
    case IPC_REQUESTS.variable: {
      const name = body["VarName"];
      if (typeof name !== "string") return fail("requested variable name is null");
      if (name === "WDState" || name === "QuorumState" || name === "Escalated") {
        return succeed({ type: "variable", name });
      }
      return fail("unknown variable requested");
    }
    default:
      return fail("unknown IPC command type");
  }
}

function decodeNodeStatus(body: Readonly<Record<string, unknown>>): Result<IpcRequest, string> {
  const nodeId = wholeNumber(body["NodeID"]);
  if (nodeId === null || nodeId < 0) return fail("NodeID is missing: the number of a node");
  const status = body["NodeStatus"];
  if (status !== NODE_DEAD && status !== NODE_ALIVE) {
    return fail("NodeStatus is neither 1 (dead) nor 2 (alive)");
  }
  const text = typeof body["Message"] === "string" ? body["Message"] : "";
  // Goes to the log: one line, of bounded length.
  const message = text.replaceAll(/\p{Cc}+/gu, " ").slice(0, MESSAGE_CHARACTERS_MAX);
  return succeed({ type: "node-status", nodeId, isAlive: status === NODE_ALIVE, message });
}

function wholeNumber(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : null;
}

/** @param key wd_authkey, or "" when none is configured. */
export function encodeNodesRequest(nodeId: number, key: string): Buffer {
  return encodeIpcFrame(IPC_REQUESTS.nodes, withKey({ NodeID: nodeId }, key));
}

/** Tells the watchdog what an external lifecheck found. */
export function encodeNodeStatusRequest(
  status: { readonly nodeId: number; readonly isAlive: boolean; readonly message: string | null },
  key: string,
): Buffer {
  const body = {
    NodeID: status.nodeId,
    NodeStatus: status.isAlive ? NODE_ALIVE : NODE_DEAD,
    ...(status.message === null ? {} : { Message: status.message }),
  };
  return encodeIpcFrame(IPC_REQUESTS.nodeStatus, withKey(body, key));
}

function withKey(body: Readonly<Record<string, unknown>>, key: string): string {
  return JSON.stringify(key === "" ? body : { ...body, IPCAuthKey: key });
}

export function encodeIpcRefusal(message: string): Buffer {
  return encodeIpcFrame(IPC_REPLIES.bad, JSON.stringify({ MESSAGE: message }));
}

/** Pgpool-II's numbers for the types of values. */
export const IPC_VALUE_TYPES = { integer: 1, boolean: 3 } as const;
