/**
 * What the watchdog answers to a program of its host that asks by the command socket, or reports
 * what an external lifecheck found. It decides who may ask, and what the answer says.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { fail, succeed, unreachable, type Result, type Secret } from "../../../base/index.ts";
import type { WatchdogView } from "../../../wire/ipc/index.ts";
import {
  formatWatchdogJson,
  isEscalated,
  WATCHDOG_STATE_NUMBERS,
  type PcpLayout,
} from "../../../wire/pcp/index.ts";
import {
  decodeIpcBody,
  decodeIpcRequest,
  encodeIpcFrame,
  encodeIpcRefusal,
  IPC_REPLIES,
  IPC_VALUE_TYPES,
  type IpcFrame,
  type IpcRequest,
  type IpcVariable,
} from "../../../wire/watchdog/index.ts";

/** The state of the backends as the cluster agrees on it, in Pgpool-II's numbers. */
export interface LeaderData {
  /** 0 unused, 1 waiting, 2 up, 3 down; one for each backend. */
  readonly statuses: readonly number[];
  readonly primaryId: number | null;
}

export interface CommandFacts {
  readonly view: WatchdogView;
  readonly layout: PcpLayout;
  /** Null while none is known. */
  readonly leaderData: LeaderData | null;
}

/** What an external lifecheck found. */
export interface Report {
  readonly nodeId: number;
  readonly isAlive: boolean;
  readonly message: string;
}

export interface Answer {
  readonly reply: Buffer;
  /** To be believed before the reply is sent. */
  readonly report: Report | null;
  /** For the log; null when nothing was refused. */
  readonly refused: string | null;
}

export function answerCommand(frame: IpcFrame, key: Secret, facts: CommandFacts): Answer {
  const allowed = authorize(frame, key);
  if (!allowed.ok) return refuse(allowed.error);
  const request = decodeIpcRequest(frame);
  if (!request.ok) return refuse(request.error);
  return answer(request.value, facts);
}

/**
 * Whoever may ask knows wd_authkey, where one is configured. Compared as hashes, so that the time
 * it takes tells nothing of the key.
 *
 * Errors: Pgpool-II's sentences for a body that is no JSON and for a wrong key.
 */
function authorize(frame: IpcFrame, key: Secret): Result<void, string> {
  if (key.isEmpty) return succeed(undefined);
  const body = decodeIpcBody(frame.body);
  if (body === null) return fail("authentication failed: invalid data");
  const given = body["IPCAuthKey"];
  const isKnown = timingSafeEqual(hash(typeof given === "string" ? given : ""), hash(key.reveal()));
  return isKnown ? succeed(undefined) : fail("authentication failed: invalid KEY");
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function answer(request: IpcRequest, facts: CommandFacts): Answer {
  switch (request.type) {
    case "nodes":
      return ok(formatWatchdogJson(facts.view, request.nodeId, facts.layout));
    case "node-status": {
      const { nodeId, isAlive, message } = request;
      if (!facts.view.nodes.some(({ id }) => id === nodeId)) {
        return refuse(`node id ${nodeId} is not configured: no hostname${nodeId}`);
      }
      return { ...ok(""), report: { nodeId, isAlive, message } };
    }
    case "variable":
      return ok(JSON.stringify(variable(request.name, facts.view)));
    case "leader-data":
      return leaderData(facts);
    default:
      return unreachable(request);
  }
}

function variable(name: IpcVariable, view: WatchdogView): object {
  switch (name) {
    case "WDState": {
      const state = view.nodes.find(({ id }) => id === view.selfId)?.state ?? "DEAD";
      return {
        ValueDataType: IPC_VALUE_TYPES.integer,
        ValueData: WATCHDOG_STATE_NUMBERS[state],
      };
    }
    case "QuorumState":
      return { ValueDataType: IPC_VALUE_TYPES.integer, ValueData: view.quorumStatus };
    case "Escalated":
      return { ValueDataType: IPC_VALUE_TYPES.boolean, ValueData: isEscalated(view) ? 1 : 0 };
  }
}

/** Without a leader, or before anything was agreed on, the cluster is in transition. */
function leaderData({ view, leaderData: data }: CommandFacts): Answer {
  const leader = view.nodes.find(({ id }) => id === view.leaderId);
  if (leader === undefined || data === null) {
    return { reply: encodeIpcFrame(IPC_REPLIES.inTransition, ""), report: null, refused: null };
  }
  return ok(
    JSON.stringify({
      BackendNodeStatusList: data.statuses,
      NodeCount: data.statuses.length,
      PrimaryNodeId: data.primaryId ?? -1,
      NodeName: leader.name,
    }),
  );
}

function ok(text: string): Answer {
  return { reply: encodeIpcFrame(IPC_REPLIES.ok, text), report: null, refused: null };
}

function refuse(why: string): Answer {
  return { reply: encodeIpcRefusal(why), report: null, refused: why };
}
