import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeIpcBody,
  decodeIpcFrame,
  decodeIpcRequest,
  encodeIpcFrame,
  encodeNodesRequest,
  encodeNodeStatusRequest,
  IPC_REQUEST_BYTES_MAX,
} from "../../../../src/wire/watchdog/index.ts";

/** As Pgpool-II 4.3.5's wd_cli sends it, in three writes. */
const C_REQUEST = Buffer.concat([
  Buffer.from("3\0\0\0#", "latin1"),
  Buffer.from('{"NodeID":-1,"IPCAuthKey":"sesame"}'),
]);

function frameOf(bytes: Buffer): { readonly type: string; readonly body: Buffer } {
  const frame = decodeIpcFrame(bytes, IPC_REQUEST_BYTES_MAX);
  if (!frame.ok || frame.value === null) throw new Error("no frame");
  return frame.value;
}

function decode(type: string, body: unknown): ReturnType<typeof decodeIpcRequest> {
  return decodeIpcRequest(frameOf(encodeIpcFrame(type, JSON.stringify(body))));
}

describe("a frame", () => {
  it("is read as Pgpool-II's client writes it", () => {
    expect(decodeIpcRequest(frameOf(C_REQUEST))).toEqual({
      ok: true,
      value: { type: "nodes", nodeId: -1 },
    });
  });

  it("is awaited for as long as any of it is missing", () => {
    for (let end = 0; end < C_REQUEST.length; end++) {
      const cut = decodeIpcFrame(C_REQUEST.subarray(0, end), IPC_REQUEST_BYTES_MAX);
      expect(cut, `the first ${end} bytes`).toEqual({ ok: true, value: null });
    }
  });

  it("survives the way there and back, whatever it holds", () => {
    fc.assert(
      fc.property(fc.integer({ min: 33, max: 126 }), fc.json(), (code, json) => {
        const type = String.fromCharCode(code);
        const frame = frameOf(encodeIpcFrame(type, json));
        expect(frame.type).toBe(type);
        expect(frame.body.toString("utf8")).toBe(`${json}\0`);
      }),
    );
  });

  it.each([
    ["negative", [0x33, 0xff, 0xff, 0xff, 0xff]],
    ["of 2 GB", [0x33, 0x7f, 0xff, 0xff, 0xff]],
    ["one byte too long", [0x33, 0x00, 0x01, 0x00, 0x01]],
  ])("of a length that is %s is refused before its body is awaited", (_what, bytes) => {
    expect(decodeIpcFrame(Buffer.from(bytes), IPC_REQUEST_BYTES_MAX)).toEqual({
      ok: false,
      error: "bad-length",
    });
  });

  it("of any bytes is an answer, never an exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (raw) => {
        const frame = decodeIpcFrame(Buffer.from(raw), 200);
        if (frame.ok && frame.value !== null) decodeIpcRequest(frame.value);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.constantFrom("0", "2", "3", "c", "d", "v", "x"), fc.json(), (type, json) => {
        decodeIpcRequest(frameOf(encodeIpcFrame(type, json)));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a request", () => {
  it("about the state of a node has a number, a status, and a message of one line", () => {
    expect(decode("2", { NodeID: 1, NodeStatus: 1, Message: "gone\nfor ever" })).toEqual({
      ok: true,
      value: { type: "node-status", nodeId: 1, isAlive: false, message: "gone for ever" },
    });
    expect(decode("2", { NodeID: 0, NodeStatus: 2 })).toEqual({
      ok: true,
      value: { type: "node-status", nodeId: 0, isAlive: true, message: "" },
    });
  });

  it.each([
    ["2", { NodeStatus: 1 }, "NodeID is missing"],
    ["2", { NodeID: -1, NodeStatus: 1 }, "NodeID is missing"],
    ["2", { NodeID: 1.5, NodeStatus: 1 }, "NodeID is missing"],
    ["2", { NodeID: "1", NodeStatus: 1 }, "NodeID is missing"],
    ["2", { NodeID: 1 }, "neither 1 (dead) nor 2 (alive)"],
    ["2", { NodeID: 1, NodeStatus: 7 }, "neither 1 (dead) nor 2 (alive)"],
    ["2", null, "NodeID is missing"],
    ["2", [1], "NodeID is missing"],
    ["3", {}, "NodeID is missing"],
    ["v", {}, "requested variable name is null"],
    ["v", { VarName: "toString" }, "unknown variable requested"],
    ["x", {}, "unknown IPC command type"],
    ["0", {}, "notifications are not sent"],
    ["c", { Command: "SHUTDOWN_CLUSTER" }, "pcp_stop_pgpool on each node"],
    ["f", {}, "pcp_detach_node"],
    ["i", {}, "leader alone"],
    ["r", {}, "online recovery"],
    ["s", {}, "there is no lock"],
  ])("%s with %j is refused: %s", (type, body, why) => {
    const decoded = decode(type, body);
    expect(decoded.ok ? "" : decoded.error).toContain(why);
  });

  it("is written as Pgpool-II reads it", () => {
    expect(frameOf(encodeNodesRequest(-1, "sesame")).body.toString()).toBe(
      '{"NodeID":-1,"IPCAuthKey":"sesame"}\0',
    );
    const told = encodeNodeStatusRequest({ nodeId: 1, isAlive: false, message: 'so "dead"' }, "");
    expect(decodeIpcBody(frameOf(told).body)).toEqual({
      NodeID: 1,
      NodeStatus: 1,
      Message: 'so "dead"',
    });
  });
});
