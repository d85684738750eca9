import { parsePcpConf, verifyPcp } from "../../auth/index.ts";
import type { Core, Ms, Step } from "../../base/index.ts";
import { unreachable } from "../../base/index.ts";
import type { PcpError, PcpFrame, PcpLayout, PcpRequest } from "../../wire/pcp/index.ts";
import {
  decodeRequest,
  encodeAuthenticated,
  encodeDone,
  encodeError,
  encodeSalt,
  pcpError,
} from "../../wire/pcp/index.ts";
import type { Answer, Command } from "./answer.ts";
import { encodeAnswer } from "./answer.ts";
import { checkParameter } from "./set-parameter.ts";

/**
 * One connection of an admin client:
 *
 *     greeting ──M──> salted ──R──> verifying ──right password──> ready <──answer── busy
 *                                                                   └────request────┘
 *
 * Anything else before `ready` ends the connection. Requests are answered one after another.
 */
export interface PcpConnection {
  readonly phase: "greeting" | "salted" | "verifying" | "ready" | "busy" | "closed";
  readonly layout: PcpLayout;
  readonly salt: Uint8Array;
  readonly deadlineMs: Ms;
  readonly claimed: { readonly user: string; readonly response: string } | null;
  /** Who has proven it; "" before that. */
  readonly user: string;
  readonly running: Command | null;
  /** Requests that came before the one that runs was answered. */
  readonly waiting: readonly PcpFrame[];
}

export type PcpEvent =
  | { readonly type: "frames-received"; readonly frames: readonly PcpFrame[] }
  /** The length field of a packet is out of range; nothing behind it can be trusted. */
  | { readonly type: "bytes-refused" }
  /** `text` is null when pcp.conf could not be read; `problem` then says why. */
  | { readonly type: "pcp-conf-read"; readonly text: string | null; readonly problem: string }
  | { readonly type: "command-answered"; readonly answer: Answer }
  | { readonly type: "disconnected" }
  | { readonly type: "tick" };

export type PcpAction =
  | { readonly type: "send"; readonly bytes: Buffer }
  /** Read anew at each login, so that a changed password counts at once. */
  | { readonly type: "read-pcp-conf" }
  | { readonly type: "perform"; readonly command: Command; readonly user: string }
  | { readonly type: "report"; readonly error: PcpError }
  /** After what was sent has left. */
  | { readonly type: "close" };

/** A client that asks faster than it reads answers is cut off at this many. */
export const WAITING_REQUESTS_MAX = 64;

type PcpStep = Step<PcpConnection, PcpAction>;

/**
 * A connection that was just accepted.
 *
 * @param o.salt 4 random bytes; used for one login only, since a failed one closes.
 * @param o.timeoutMs `authentication_timeout`; 0 waits for ever.
 */
export function acceptPcpConnection(o: {
  readonly salt: Uint8Array;
  readonly layout: PcpLayout;
  readonly timeoutMs: Ms;
  readonly nowMs: Ms;
}): PcpConnection {
  return {
    phase: "greeting",
    layout: o.layout,
    salt: o.salt,
    deadlineMs: o.timeoutMs === 0 ? Number.POSITIVE_INFINITY : o.nowMs + o.timeoutMs,
    claimed: null,
    user: "",
    running: null,
    waiting: [],
  };
}

/** The decision machine of one admin connection. Source: Pgpool-II's PCP worker. */
export const pcpCore: Core<PcpConnection, PcpEvent, PcpAction> = { step, wakeAtMs };

function wakeAtMs(state: PcpConnection): Ms | null {
  return isLoggingIn(state) && Number.isFinite(state.deadlineMs) ? state.deadlineMs : null;
}

function isLoggingIn(state: PcpConnection): boolean {
  return state.phase === "greeting" || state.phase === "salted" || state.phase === "verifying";
}

function step(state: PcpConnection, event: PcpEvent, nowMs: Ms): PcpStep {
  if (state.phase === "closed") return { state, actions: [] };
  switch (event.type) {
    case "frames-received": {
      const waiting = [...state.waiting, ...event.frames];
      if (waiting.length > WAITING_REQUESTS_MAX) {
        return endWith(state, pcpError("FATAL", "too many PCP requests without reading a reply"));
      }
      return takeWaiting({ ...state, waiting });
    }
    case "bytes-refused":
      return endWith(state, pcpError("FATAL", "invalid PCP packet"));
    case "pcp-conf-read":
      return onPcpConfRead(state, event.text, event.problem);
    case "command-answered":
      return onAnswered(state, event.answer);
    case "disconnected":
      return { state: { ...state, phase: "closed" }, actions: [] };
    case "tick":
      if (!isLoggingIn(state) || nowMs < state.deadlineMs) return { state, actions: [] };
      return endWith(state, pcpError("FATAL", "authentication timeout"));
  }
  return unreachable(event);
}

/** Takes requests until one has to wait for the world. */
function takeWaiting(state: PcpConnection): PcpStep {
  const actions: PcpAction[] = [];
  let current = state;
  while (current.phase !== "verifying" && current.phase !== "busy" && current.phase !== "closed") {
    const [frame, ...waiting] = current.waiting;
    if (frame === undefined) break;
    const next = onFrame({ ...current, waiting }, frame);
    current = next.state;
    actions.push(...next.actions);
  }
  return { state: current, actions };
}

function onFrame(state: PcpConnection, frame: PcpFrame): PcpStep {
  const request = decodeRequest(frame);
  if (isLoggingIn(state)) return onLogin(state, request.ok ? request.value : null);
  if (request.ok) return onRequest(state, request.value);
  const { code, message, detail } = request.error;
  if (code === "unknown-type") return endWith(state, pcpError("FATAL", message, detail));
  return refuse(state, pcpError("ERROR", message, detail));
}

function onLogin(state: PcpConnection, request: PcpRequest | null): PcpStep {
  if (request?.type === "salt") {
    return {
      state: { ...state, phase: "salted" },
      actions: [{ type: "send", bytes: encodeSalt(state.salt) }],
    };
  }
  if (request?.type === "authenticate" && state.phase === "salted") {
    return {
      state: { ...state, phase: "verifying", claimed: request },
      actions: [{ type: "read-pcp-conf" }],
    };
  }
  if (request?.type === "disconnect") return closeNow(state);
  return endWith(state, pcpError("FATAL", "authentication failed for new PCP connection"));
}

function onPcpConfRead(state: PcpConnection, text: string | null, problem: string): PcpStep {
  if (state.phase !== "verifying" || state.claimed === null) return { state, actions: [] };
  const { user, response } = state.claimed;
  if (text === null) {
    const error = pcpError("FATAL", "could not read the PCP password file", problem);
    return endWith(state, error);
  }
  if (!verifyPcp(parsePcpConf(text).users, user, response, state.salt)) {
    const error = pcpError(
      "FATAL",
      `authentication failed for user "${user}"`,
      "username and/or password does not match",
    );
    return endWith(state, error);
  }
  const ready: PcpConnection = { ...state, phase: "ready", claimed: null, user };
  return after([{ type: "send", bytes: encodeAuthenticated() }], takeWaiting(ready));
}

function onRequest(state: PcpConnection, request: PcpRequest): PcpStep {
  switch (request.type) {
    case "disconnect":
      return closeNow(state);
    case "salt":
    case "authenticate":
      return endWith(state, pcpError("FATAL", "authentication was already done"));
    case "set-parameter": {
      const fault = checkParameter(request.name, request.value);
      if (fault !== null) return refuse(state, fault);
      return { state, actions: [{ type: "send", bytes: encodeDone("a") }] };
    }
    case "unavailable":
      return refuse(state, pcpError("ERROR", `${request.name} is not available yet`));
    case "stop": {
      // The reply goes first: the process that sends it is about to end.
      const started = perform(state, request);
      return after([{ type: "send", bytes: encodeDone("t") }], started);
    }
    case "pool-status":
    case "attach":
    case "recover":
    case "detach":
    case "node-info":
    case "promote":
    case "node-count":
    case "process-count":
    case "process-info":
    case "health-check-stats":
    case "watchdog-info":
    case "reload":
      return perform(state, request);
  }
  return unreachable(request);
}

function perform(state: PcpConnection, command: Command): PcpStep {
  return {
    state: { ...state, phase: "busy", running: command },
    actions: [{ type: "perform", command, user: state.user }],
  };
}

function onAnswered(state: PcpConnection, answer: Answer): PcpStep {
  if (state.phase !== "busy" || state.running === null) return { state, actions: [] };
  const command = state.running;
  const ready: PcpConnection = { ...state, phase: "ready", running: null };
  const reply = encodeAnswer(command, answer, state.layout);
  const actions: PcpAction[] = reply.ok
    ? reply.value.map((bytes) => ({ type: "send", bytes }))
    : sayError(reply.error, command.type !== "stop");
  return after(actions, takeWaiting(ready));
}

function refuse(state: PcpConnection, error: PcpError): PcpStep {
  return { state, actions: sayError(error, true) };
}

function sayError(error: PcpError, toClient: boolean): PcpAction[] {
  const report: PcpAction = { type: "report", error };
  return toClient ? [{ type: "send", bytes: encodeError(error) }, report] : [report];
}

function endWith(state: PcpConnection, error: PcpError): PcpStep {
  return after(sayError(error, true), closeNow(state));
}

function closeNow(state: PcpConnection): PcpStep {
  return {
    state: { ...state, phase: "closed", waiting: [], running: null, claimed: null },
    actions: [{ type: "close" }],
  };
}

function after(actions: readonly PcpAction[], next: PcpStep): PcpStep {
  return { state: next.state, actions: [...actions, ...next.actions] };
}
