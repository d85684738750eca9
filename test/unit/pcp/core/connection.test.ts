import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import {
  acceptPcpConnection,
  pcpCore,
  WAITING_REQUESTS_MAX,
  type PcpAction,
  type PcpConnection,
  type PcpEvent,
} from "../../../../src/pcp/core/index.ts";
import {
  decodeError,
  encodeRequest,
  PcpFramer,
  REQUEST_LENGTH_MAX,
  type PcpFrame,
  type PcpRequest,
} from "../../../../src/wire/pcp/index.ts";
import { threeNodes, twoBackends } from "../../../support/pcp-views.ts";

const TIMEOUT_MS = 60_000;
const SALT = Buffer.from([1, 2, 3, 250]);
const PASSWORD = "secret";
const PCP_CONF = `# who may come in\npcp:${md5(PASSWORD)}\n`;

function md5(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

function proof(user: string, password: string, salt: Buffer = SALT): string {
  return md5(md5(md5(password), user), salt);
}

let state: PcpConnection;

beforeEach(() => {
  state = acceptPcpConnection({ salt: SALT, layout: "4.3", timeoutMs: TIMEOUT_MS, nowMs: 0 });
});

function step(event: PcpEvent, nowMs = 0): readonly string[] {
  const next = pcpCore.step(state, event, nowMs);
  state = next.state;
  return next.actions.map(describeAction);
}

function ask(...requests: readonly PcpRequest[]): readonly string[] {
  return step({ type: "frames-received", frames: framesOf(...requests.map(encodeRequest)) });
}

function framesOf(...packets: readonly Buffer[]): readonly PcpFrame[] {
  const frames = new PcpFramer(REQUEST_LENGTH_MAX).push(Buffer.concat(packets));
  if (!frames.ok) throw new Error(frames.error);
  return frames.value;
}

/** One line an action; NULs as bars. */
function describeAction(action: PcpAction): string {
  switch (action.type) {
    case "send": {
      const letter = action.bytes.toString("latin1", 0, 1);
      const payload = action.bytes.subarray(5);
      if (letter !== "E")
        return `send ${letter} ${payload.toString("latin1").replaceAll("\0", "|")}`;
      const { severity, message, detail } = decodeError(payload);
      return `send E ${severity}: ${message}${detail === null ? "" : ` / ${detail}`}`;
    }
    case "perform":
      return `perform ${JSON.stringify(action.command)}`;
    case "report":
      return `report ${action.error.severity}`;
    case "read-pcp-conf":
    case "close":
      return action.type;
  }
}

function login(user = "pcp", password = PASSWORD): readonly string[] {
  return [
    ...ask({ type: "salt" }),
    ...ask({ type: "authenticate", user, response: proof(user, password) }),
    ...step({ type: "pcp-conf-read", text: PCP_CONF, problem: "" }),
  ];
}

describe("logging in", () => {
  it("takes a salt, the proof of the password, and reads pcp.conf at that moment", () => {
    expect(login()).toEqual([
      "send m \x01\x02\x03\xfa",
      "read-pcp-conf",
      "send r AuthenticationOK|",
    ]);
  });

  it.each([
    ["a wrong password", "pcp", "wrong"],
    ["an unknown user", "nobody", PASSWORD],
    ["no password", "pcp", ""],
  ])("with %s ends the connection, and tells the log", (_what, user, password) => {
    expect(login(user, password).slice(2)).toEqual([
      `send E FATAL: authentication failed for user "${user}" / username and/or password does not match`,
      "report FATAL",
      "close",
    ]);
  });

  it("fails when the proof is for another salt", () => {
    ask({ type: "salt" });
    const response = proof("pcp", PASSWORD, Buffer.from([0, 0, 0, 0]));
    ask({ type: "authenticate", user: "pcp", response });
    const actions = step({ type: "pcp-conf-read", text: PCP_CONF, problem: "" });
    expect(actions[0]).toContain("authentication failed");
  });

  it("says why when pcp.conf cannot be read", () => {
    ask({ type: "salt" }, { type: "authenticate", user: "pcp", response: proof("pcp", PASSWORD) });
    const problem = "No such file or directory";
    expect(step({ type: "pcp-conf-read", text: null, problem })).toEqual([
      `send E FATAL: could not read the PCP password file / ${problem}`,
      "report FATAL",
      "close",
    ]);
  });

  it("needs a salt before the proof", () => {
    expect(ask({ type: "authenticate", user: "pcp", response: proof("pcp", PASSWORD) })).toEqual([
      "send E FATAL: authentication failed for new PCP connection",
      "report FATAL",
      "close",
    ]);
  });

  it("comes before every request", () => {
    expect(ask({ type: "stop", mode: "fast", scope: "local" })).toEqual([
      "send E FATAL: authentication failed for new PCP connection",
      "report FATAL",
      "close",
    ]);
    expect(ask({ type: "node-count" })).toEqual([]);
  });

  it("has to be done within the timeout, however busy the client is", () => {
    expect(pcpCore.wakeAtMs(state)).toBe(TIMEOUT_MS);
    ask({ type: "salt" });
    expect(pcpCore.wakeAtMs(state)).toBe(TIMEOUT_MS);
    expect(step({ type: "tick" }, TIMEOUT_MS - 1)).toEqual([]);
    expect(step({ type: "tick" }, TIMEOUT_MS)).toEqual([
      "send E FATAL: authentication timeout",
      "report FATAL",
      "close",
    ]);
  });

  it("knows no timeout of 0, nor any once it is done", () => {
    login();
    expect(pcpCore.wakeAtMs(state)).toBeNull();
    const patient = acceptPcpConnection({ salt: SALT, layout: "4.3", timeoutMs: 0, nowMs: 0 });
    expect(pcpCore.wakeAtMs(patient)).toBeNull();
  });
});

describe("a request", () => {
  beforeEach(() => {
    login();
  });

  it("is performed, and its answer becomes the reply", () => {
    expect(ask({ type: "node-count" })).toEqual(['perform {"type":"node-count"}']);
    expect(step({ type: "command-answered", answer: { type: "view", view: twoBackends } })).toEqual(
      ["send l CommandComplete|2|"],
    );
  });

  it("is performed for the user who has logged in", () => {
    const frames = framesOf(encodeRequest({ type: "node-count" }));
    const { actions } = pcpCore.step(state, { type: "frames-received", frames }, 0);
    expect(actions).toMatchObject([{ type: "perform", user: "pcp" }]);
  });

  it("waits until the one before it is answered", () => {
    expect(ask({ type: "node-count" }, { type: "process-count" }, { type: "disconnect" })).toEqual([
      'perform {"type":"node-count"}',
    ]);
    expect(step({ type: "command-answered", answer: { type: "view", view: twoBackends } })).toEqual(
      ["send l CommandComplete|2|", 'perform {"type":"process-count"}'],
    );
    expect(step({ type: "command-answered", answer: { type: "processes", pids: [7, 8] } })).toEqual(
      ["send n CommandComplete|2|7|8|", "close"],
    );
  });

  it("is asked by too impatient a client at most 64 times ahead", () => {
    const many = Array.from(
      { length: WAITING_REQUESTS_MAX + 2 },
      () => ({ type: "node-count" }) as const,
    );
    expect(ask(...many)).toContain("close");
  });

  it("for a backend that does not exist is refused, and the connection goes on", () => {
    ask({ type: "node-info", backendId: 7 });
    expect(step({ type: "command-answered", answer: { type: "view", view: twoBackends } })).toEqual(
      ["send E ERROR: informing node info failed / invalid node ID : 7", "report ERROR"],
    );
    expect(ask({ type: "node-count" })).toEqual(['perform {"type":"node-count"}']);
  });

  it("for one backend gives one row, for -1 all", () => {
    const answer = { type: "view", view: twoBackends } as const;
    ask({ type: "node-info", backendId: 1 });
    expect(step({ type: "command-answered", answer })[0]).toMatch(
      /^send i ArraySize\|1\|i.*NodeInfo\|127\.0\.0\.1\|23903\|/s,
    );
    ask({ type: "node-info", backendId: -1 });
    expect(step({ type: "command-answered", answer })[0]).toMatch(/^send i ArraySize\|2\|/);
  });

  it("about the watchdog is refused while there is none", () => {
    ask({ type: "watchdog-info", nodeId: -1 });
    expect(step({ type: "command-answered", answer: { type: "watchdog", view: null } })).toEqual([
      "send E ERROR: PCP: informing watchdog info failed / watchdog is not enabled",
      "report ERROR",
    ]);
    ask({ type: "watchdog-info", nodeId: -1 });
    const answer = { type: "watchdog", view: threeNodes } as const;
    expect(step({ type: "command-answered", answer })[0]).toContain('w CommandComplete|{"Remote');
  });

  it.each([
    [{ type: "attach", backendId: 1 }, "send c CommandComplete|"],
    [{ type: "detach", backendId: 1, graceful: true }, "send d CommandComplete|"],
    [
      { type: "promote", backendId: 1, graceful: false, switchover: true },
      "send d CommandComplete|",
    ],
    [{ type: "reload", scope: "local" }, "send z CommandComplete|"],
  ] as const)("that is done is answered so: %j", (request, reply) => {
    expect(ask(request)).toEqual([`perform ${JSON.stringify(request)}`]);
    expect(step({ type: "command-answered", answer: { type: "done" } })).toEqual([reply]);
  });

  it("that the node refuses tells the reason as its detail", () => {
    ask({ type: "promote", backendId: 7, switchover: false, graceful: false });
    const answer = { type: "refused", reason: "node id 7 is not valid" } as const;
    expect(step({ type: "command-answered", answer })).toEqual([
      "send E ERROR: could not process promote request / node id 7 is not valid",
      "report ERROR",
    ]);
  });

  it("to stop is answered before the process that answers is gone", () => {
    expect(ask({ type: "stop", mode: "fast", scope: "local" })).toEqual([
      "send t CommandComplete|",
      'perform {"type":"stop","mode":"fast","scope":"local"}',
    ]);
    const answer = { type: "refused", reason: "too late to tell the client" } as const;
    expect(step({ type: "command-answered", answer })).toEqual(["report ERROR"]);
  });

  it("to set a parameter takes only client_min_messages", () => {
    expect(ask({ type: "set-parameter", name: "client_min_messages", value: "DEBUG1" })).toEqual([
      "send a CommandComplete|",
    ]);
    expect(ask({ type: "set-parameter", name: "port", value: "1" })[0]).toContain(
      'invalid parameter "port"',
    );
    expect(ask({ type: "set-parameter", name: "client_min_messages", value: "loud" })[0]).toContain(
      'invalid value "loud"',
    );
  });

  it("that is not offered yet is refused in plain words", () => {
    expect(ask({ type: "unavailable", letter: "V", name: "log rotation" })).toEqual([
      "send E ERROR: log rotation is not available yet",
      "report ERROR",
    ]);
  });

  it("of an unknown letter ends the connection, a bad payload does not", () => {
    const bad = { type: "I", payload: Buffer.from("x\0") };
    expect(step({ type: "frames-received", frames: [bad] })).toEqual([
      'send E ERROR: invalid PCP request / invalid node ID "x"',
      "report ERROR",
    ]);
    const unknown = { type: "Q", payload: Buffer.alloc(0) };
    expect(step({ type: "frames-received", frames: [unknown] })).toEqual([
      'send E FATAL: PCP processing request / unknown PCP packet type "Q"',
      "report FATAL",
      "close",
    ]);
  });

  it("behind bytes that are no packet is never read", () => {
    expect(step({ type: "bytes-refused" })).toEqual([
      "send E FATAL: invalid PCP packet",
      "report FATAL",
      "close",
    ]);
    expect(ask({ type: "node-count" })).toEqual([]);
  });

  it("is forgotten when the client has gone", () => {
    ask({ type: "node-count" });
    expect(step({ type: "disconnected" })).toEqual([]);
    expect(step({ type: "command-answered", answer: { type: "view", view: twoBackends } })).toEqual(
      [],
    );
  });
});
