import type { Result } from "../../base/index.ts";
import { fail, succeed, unreachable } from "../../base/index.ts";
import type { PcpFrame } from "./frames.ts";
import { decodeTexts, encodeFrame, encodeTexts } from "./frames.ts";

export type StopMode = "smart" | "fast" | "immediate";

/** `cluster`: every node of the watchdog cluster; without a watchdog the same as `local`. */
export type CommandScope = "local" | "cluster";

/** What a client may ask; the letters are those of Pgpool-II. */
export type PcpRequest =
  | { readonly type: "salt" }
  | { readonly type: "authenticate"; readonly user: string; readonly response: string }
  | { readonly type: "set-parameter"; readonly name: string; readonly value: string }
  | { readonly type: "pool-status" }
  | { readonly type: "attach"; readonly backendId: number }
  | { readonly type: "recover"; readonly backendId: number }
  | { readonly type: "detach"; readonly backendId: number; readonly graceful: boolean }
  /** `backendId` -1: all of them. */
  | { readonly type: "node-info"; readonly backendId: number }
  | {
      readonly type: "promote";
      readonly backendId: number;
      readonly switchover: boolean;
      readonly graceful: boolean;
    }
  | { readonly type: "node-count" }
  | { readonly type: "process-count" }
  /** `processId` 0: all of them. */
  | { readonly type: "process-info"; readonly processId: number }
  | { readonly type: "health-check-stats"; readonly backendId: number }
  | { readonly type: "stop"; readonly mode: StopMode; readonly scope: CommandScope }
  /** `nodeId` -1: all of them. */
  | { readonly type: "watchdog-info"; readonly nodeId: number }
  | { readonly type: "reload"; readonly scope: CommandScope }
  /** Known to Pgpool-II, not answered yet. */
  | { readonly type: "unavailable"; readonly letter: string; readonly name: string }
  | { readonly type: "disconnect" };

export type PcpRequestType = PcpRequest["type"];

/** Why a packet is no request: `unknown-type` ends a connection, `bad-payload` only the request. */
export interface RequestFault {
  readonly code: "unknown-type" | "bad-payload";
  readonly message: string;
  readonly detail: string;
}

const UNAVAILABLE: Readonly<Record<string, string>> = {
  F: "stop recovery",
  G: "invalidate query cache",
  V: "log rotation",
};

/** Reads a client's packet. Node ids must be whole numbers; texts are not checked further. */
export function decodeRequest(frame: PcpFrame): Result<PcpRequest, RequestFault> {
  const { type: letter, payload } = frame;
  switch (letter) {
    case "M":
      return succeed({ type: "salt" });
    case "R": {
      const [user = "", response = ""] = decodeTexts(payload);
      return succeed({ type: "authenticate", user, response });
    }
    case "A": {
      const [name = "", value = ""] = decodeTexts(payload);
      return succeed({ type: "set-parameter", name, value });
    }
    case "B":
      return succeed({ type: "pool-status" });
    case "C":
      return withId(payload, (backendId) => ({ type: "attach", backendId }));
    case "D":
    case "d":
      return withId(payload, (backendId) => ({
        type: "detach",
        backendId,
        graceful: letter === "d",
      }));
    case "H":
      return withId(payload, (backendId) => ({ type: "health-check-stats", backendId }));
    case "O":
      return withId(payload, (backendId) => ({ type: "recover", backendId }));
    case "P": {
      const text = decodeTexts(payload)[0] ?? "";
      const processId = parseId(text);
      if (processId === null || processId < 0) return badPayload(`invalid process ID "${text}"`);
      return succeed({ type: "process-info", processId });
    }
    case "I":
      return withId(payload, (backendId) => ({ type: "node-info", backendId }));
    case "J":
    case "j":
      return decodePromote(payload, letter === "j");
    case "L":
      return succeed({ type: "node-count" });
    case "N":
      return succeed({ type: "process-count" });
    case "T":
    case "t":
      return decodeStop(payload, letter === "t" ? "cluster" : "local");
    case "W":
      return withId(payload, (nodeId) => ({ type: "watchdog-info", nodeId }));
    case "X":
      return succeed({ type: "disconnect" });
    case "Z":
      return decodeReload(payload);
    default: {
      const name = UNAVAILABLE[letter];
      if (name !== undefined) return succeed({ type: "unavailable", letter, name });
      return fail({
        code: "unknown-type",
        message: "PCP processing request",
        detail: `unknown PCP packet type "${/^[!-~]$/.test(letter) ? letter : "?"}"`,
      });
    }
  }
}

function withId(
  payload: Buffer,
  make: (id: number) => PcpRequest,
): Result<PcpRequest, RequestFault> {
  const text = decodeTexts(payload)[0] ?? "";
  const id = parseId(text);
  return id === null ? badPayload(`invalid node ID "${text}"`) : succeed(make(id));
}

function parseId(text: string): number | null {
  return /^ *-?\d{1,9} *$/.test(text) ? Number(text) : null;
}

/** `"<id> "` NUL option; the option byte has no NUL behind it. */
function decodePromote(payload: Buffer, graceful: boolean): Result<PcpRequest, RequestFault> {
  const [text = "", option = "n"] = decodeTexts(payload);
  const backendId = parseId(text);
  if (backendId === null) return badPayload(`invalid node ID "${text}"`);
  if (option !== "n" && option !== "s") return badPayload(`invalid promote option "${option}"`);
  return succeed({ type: "promote", backendId, graceful, switchover: option === "s" });
}

const STOP_MODES: Readonly<Record<string, StopMode>> = { s: "smart", f: "fast", i: "immediate" };

function decodeStop(payload: Buffer, scope: CommandScope): Result<PcpRequest, RequestFault> {
  const text = decodeTexts(payload)[0] ?? "";
  const mode = STOP_MODES[text];
  if (mode === undefined) return badPayload(`invalid shutdown mode "${text}"`);
  return succeed({ type: "stop", mode, scope });
}

/** Pgpool-II takes every letter but `c` for the local scope; so do we. */
function decodeReload(payload: Buffer): Result<PcpRequest, RequestFault> {
  const isCluster = decodeTexts(payload)[0] === "c";
  return succeed({ type: "reload", scope: isCluster ? "cluster" : "local" });
}

function badPayload(detail: string): { readonly ok: false; readonly error: RequestFault } {
  return fail({ code: "bad-payload", message: "invalid PCP request", detail });
}

/** The packet a client sends. The opposite of `decodeRequest`. */
export function encodeRequest(request: PcpRequest): Buffer {
  switch (request.type) {
    case "salt":
      return encodeFrame("M");
    case "authenticate":
      return encodeFrame("R", encodeTexts([request.user, request.response]));
    case "set-parameter":
      return encodeFrame("A", encodeTexts([request.name, request.value]));
    case "pool-status":
      return encodeFrame("B");
    case "attach":
      return encodeFrame("C", encodeTexts([String(request.backendId)]));
    case "recover":
      return encodeFrame("O", encodeTexts([String(request.backendId)]));
    case "detach":
      return encodeFrame(request.graceful ? "d" : "D", encodeTexts([String(request.backendId)]));
    case "node-info":
      return encodeFrame("I", encodeTexts([String(request.backendId)]));
    case "promote": {
      const id = encodeTexts([`${request.backendId} `]);
      const option = Buffer.from(request.switchover ? "s" : "n");
      return encodeFrame(request.graceful ? "j" : "J", Buffer.concat([id, option]));
    }
    case "node-count":
      return encodeFrame("L");
    case "process-count":
      return encodeFrame("N");
    case "process-info":
      return encodeFrame("P", encodeTexts([String(request.processId)]));
    case "health-check-stats":
      return encodeFrame("H", encodeTexts([String(request.backendId)]));
    case "stop":
      return encodeFrame(
        request.scope === "cluster" ? "t" : "T",
        Buffer.from(request.mode.charAt(0)),
      );
    case "watchdog-info":
      return encodeFrame("W", encodeTexts([String(request.nodeId)]));
    case "reload":
      return encodeFrame("Z", Buffer.from(request.scope.charAt(0)));
    case "unavailable":
      return encodeFrame(request.letter);
    case "disconnect":
      return encodeFrame("X");
  }
  return unreachable(request);
}
