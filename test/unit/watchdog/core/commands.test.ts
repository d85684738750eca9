import { describe, expect, it } from "vitest";
import { Secret } from "../../../../src/base/index.ts";
import {
  answerCommand,
  type Answer,
  type CommandFacts,
} from "../../../../src/watchdog/core/commands/index.ts";
import { decodeIpcBody, decodeIpcFrame } from "../../../../src/wire/watchdog/index.ts";
import { threeNodes } from "../../../support/pcp-views.ts";

const KEY = new Secret("sesame");
const FACTS: CommandFacts = { view: threeNodes, layout: "4.3", leaderData: null };

function ask(type: string, body: object | string, facts = FACTS, key = KEY): Answer {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return answerCommand({ type, body: Buffer.from(text) }, key, facts);
}

function askWithKey(type: string, body: object, facts = FACTS): Answer {
  return ask(type, { ...body, IPCAuthKey: "sesame" }, facts);
}

/** Type and JSON of a reply. */
function told(answer: Answer): readonly [string, unknown] {
  const frame = decodeIpcFrame(answer.reply, 100_000);
  if (!frame.ok || frame.value === null) throw new Error("the reply is no frame");
  return [frame.value.type, decodeIpcBody(frame.value.body)];
}

describe("whoever asks", () => {
  it.each([
    ["another key", '{"NodeID":-1,"IPCAuthKey":"Sesame"}', "authentication failed: invalid KEY"],
    ["a longer key", '{"NodeID":-1,"IPCAuthKey":"sesame "}', "authentication failed: invalid KEY"],
    ["no key", '{"NodeID":-1}', "authentication failed: invalid KEY"],
    ["a key that is no text", '{"IPCAuthKey":["sesame"]}', "authentication failed: invalid KEY"],
    ["no JSON", "sesame", "authentication failed: invalid data"],
    ["nothing", "", "authentication failed: invalid data"],
  ])("with %s is refused in Pgpool-II's words", (_what, text, words) => {
    const answer = ask("3", text);
    expect(told(answer)).toEqual(["6", { MESSAGE: words }]);
    expect(answer.refused).toBe(words);
  });

  it("with a wrong key changes nothing", () => {
    expect(ask("2", { NodeID: 1, NodeStatus: 1, IPCAuthKey: "x" }).report).toBeNull();
  });

  it("needs no key where none is configured", () => {
    expect(told(ask("3", { NodeID: -1 }, FACTS, new Secret("")))[0]).toBe("7");
  });
});

describe("the list of nodes", () => {
  it("is what pcp_watchdog_info reads, of all nodes or of one", () => {
    const [type, all] = told(askWithKey("3", { NodeID: -1 }));
    expect(type).toBe("7");
    expect(all).toMatchObject({ NodeCount: 3, RemoteNodeCount: 2, WatchdogNodes: { length: 3 } });
    const [, one] = told(askWithKey("3", { NodeID: 1 }));
    expect(one).toMatchObject({ NodeCount: 1, WatchdogNodes: [{ ID: 1, StateName: "STANDBY" }] });
  });

  it("ends with a NUL, as C programs want it", () => {
    expect(askWithKey("3", { NodeID: -1 }).reply.at(-1)).toBe(0);
  });
});

describe("a report", () => {
  it("about any configured node is handed on, the own one too", () => {
    const answer = askWithKey("2", { NodeID: 0, NodeStatus: 1, Message: "gone" });
    expect(told(answer)).toEqual(["7", null]);
    expect(answer.report).toEqual({ nodeId: 0, isAlive: false, message: "gone" });
  });

  it("about a node that does not exist is refused", () => {
    const answer = askWithKey("2", { NodeID: 7, NodeStatus: 2 });
    expect(told(answer)).toEqual(["6", { MESSAGE: "node id 7 is not configured: no hostname7" }]);
    expect(answer.report).toBeNull();
  });
});

describe("a variable", () => {
  it.each([
    ["WDState", { ValueDataType: 1, ValueData: 4 }],
    ["QuorumState", { ValueDataType: 1, ValueData: 1 }],
    ["Escalated", { ValueDataType: 3, ValueData: 1 }],
  ])("%s has Pgpool-II's type and value", (name, value) => {
    expect(told(askWithKey("v", { VarName: name }))).toEqual(["7", value]);
  });
});

describe("the leader's data", () => {
  const leaderData = { statuses: [2, 3, 0], primaryId: 0 };

  it("is the state of the backends", () => {
    expect(told(askWithKey("d", {}, { ...FACTS, leaderData }))).toEqual([
      "7",
      {
        BackendNodeStatusList: [2, 3, 0],
        NodeCount: 3,
        PrimaryNodeId: 0,
        NodeName: threeNodes.nodes[0]?.name,
      },
    ]);
  });

  it("is in transition while there is no leader, or nothing is agreed on", () => {
    const view = { ...threeNodes, leaderId: null };
    expect(told(askWithKey("d", {}, { ...FACTS, view, leaderData }))[0]).toBe("5");
    expect(told(askWithKey("d", {}))[0]).toBe("5");
  });
});

it("says of a cluster command which way to take", () => {
  const answer = askWithKey("c", { Command: "RELOAD_CONFIG_CLUSTER" });
  expect(told(answer)[1]).toEqual({ MESSAGE: expect.stringContaining("pcp_reload_config") });
});
