import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ClusterRequest } from "../../../../src/wire/ipc/index.ts";
import {
  decodeHello,
  decodeHelloReply,
  decodePeerMessage,
  encodeFrame,
  FRAME_BYTES_MAX,
  type Hello,
  type HelloReply,
  type PeerMessage,
} from "../../../../src/wire/watchdog/index.ts";

const hash = "0123456789abcdef".repeat(4);
const holder = { nodeId: 1, term: 2, releaseHash: hash, closeBoundMs: 2500 };
const last = { term: 3, index: 4 };
const value = { backends: [{ id: 0, status: "up" }] };
const entry = { term: 3, index: 4, value, members: [0, 1], before: [0, 1, 2] };
const request: ClusterRequest = {
  kind: "detach",
  backendIds: [0, 2],
  confirmed: false,
  switchoverTo: null,
  reason: "health check failed",
};

const MESSAGES: readonly PeerMessage[] = [
  { type: "pre-vote-request", term: 5, last, proof: null, asksPromise: false },
  { type: "vote-request", term: 5, last, proof: hash, asksPromise: true },
  { type: "pre-vote-reply", term: 5, granted: true, holder, isReleased: true, boundMs: 0 },
  { type: "vote-reply", term: 5, granted: false, holder: null, isReleased: false, boundMs: 15 },
  { type: "round", term: 5, round: 6, entry, committedIndex: 4, holder, heard: 5 },
  { type: "round", term: 5, round: 7, entry: null, committedIndex: 4, holder: null, heard: 0 },
  {
    type: "round-reply",
    term: 5,
    round: 7,
    answer: 2 ** 40,
    accepted: true,
    stored: last,
    knowsHolder: true,
    isVoter: true,
    appliedIndex: 3,
    isFit: false,
  },
  { type: "prepare-transfer", term: 5 },
  { type: "transfer-ready", term: 5 },
  { type: "released", secret: hash },
  { type: "leaving", term: 5, stops: true },
  { type: "failover-vote", request },
  { type: "failover-vote", request: { ...request, kind: "maintenance-on", by: "root on node 1" } },
  { type: "failover-vote", request: { ...request, kind: "maintenance-off", isAutomatic: false } },
  { type: "failover-verdict", request: { ...request, switchoverTo: 1 }, verdict: "granted" },
  { type: "settings", settings: { max_pool: "4", ssl: "off" } },
];
const HELLO: Hello = {
  type: "hello",
  nodeId: 2,
  bootId: "ab".repeat(16),
  version: "1",
  name: "server2:9999 Linux server2",
  priority: 1,
  settings: { wd_lease_time: "3000 ms", delegate_ip: "" },
};
const REPLIES: readonly HelloReply[] = [
  { type: "welcome", bootId: "cd".repeat(16), name: "server1", priority: 3 },
  { type: "refused", reason: "duplicate-id", detail: "" },
  { type: "refused", reason: "not-a-member", detail: "" },
  { type: "refused", reason: "settings-differ", detail: "delegate_ip differs" },
];

function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), "utf8");
}

describe("a message between watchdogs", () => {
  it.each(MESSAGES)("comes back as it was: $type", (message) => {
    expect(decodePeerMessage(encodeFrame(message))).toEqual({ ok: true, value: message });
  });

  it("comes back as it was: hello and its answers", () => {
    expect(decodeHello(encodeFrame(HELLO))).toEqual({ ok: true, value: HELLO });
    for (const reply of REPLIES) {
      expect(decodeHelloReply(encodeFrame(reply))).toEqual({ ok: true, value: reply });
    }
  });

  it("lets nothing through but the fields that were checked", () => {
    const decoded = decodePeerMessage(
      bytesOf({ type: "leaving", term: 1, stops: false, isAdmin: true }),
    );
    expect(decoded).toEqual({ ok: true, value: { type: "leaving", term: 1, stops: false } });
  });

  it.each(MESSAGES)(
    "is refused when any field of $type is missing or of another kind",
    (message) => {
      for (const field of Object.keys(message)) {
        for (const wrong of [undefined, -1, 1.5, "1", [], {}, 2 ** 53]) {
          const spoilt = { ...message, [field]: wrong };
          expect(
            decodePeerMessage(bytesOf(spoilt)),
            `${field} = ${JSON.stringify(wrong)}`,
          ).toMatchObject({
            ok: false,
          });
        }
      }
    },
  );

  it("is refused when a list or text in it is too long", () => {
    const many = { ...request, backendIds: Array.from({ length: 129 }, () => 1) };
    const long = { ...request, reason: "x".repeat(4097) };
    for (const bad of [many, long]) {
      expect(decodePeerMessage(bytesOf({ type: "failover-vote", request: bad })).ok).toBe(false);
    }
    expect(decodeHello(bytesOf({ ...HELLO, name: "x".repeat(513) })).ok).toBe(false);
  });

  it("is refused unread above the bound of a frame", () => {
    const long = Buffer.alloc(FRAME_BYTES_MAX + 1, " ");
    bytesOf({ type: "leaving", term: 1, stops: true }).copy(long);
    expect(decodePeerMessage(long)).toMatchObject({ error: expect.stringContaining("too long") });
    expect(decodePeerMessage(long.subarray(0, FRAME_BYTES_MAX)).ok).toBe(true);
  });

  it("is refused in a few words, whatever its type is", () => {
    const types = [{ toString: 1, valueOf: 1 }, "x".repeat(5000), "a\nb", null, ["round"]];
    for (const type of types) {
      const decoded = decodePeerMessage(bytesOf({ type }));
      expect(decoded).toEqual({ ok: false, error: "malformed message of type unknown" });
    }
    expect(decodePeerMessage(bytesOf({ type: "later" }))).toMatchObject({
      error: "malformed message of type later",
    });
  });
});

describe("the decoders", () => {
  const decoders = [decodePeerMessage, decodeHello, decodeHelloReply];

  it("never throw on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const decode of decoders) expect(decode(bytes).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("never throw on any JSON, nor on a message with one part replaced by any JSON", () => {
    const samples = fc.constantFrom<object>(...MESSAGES, HELLO, ...REPLIES);
    const spoilt = fc.tuple(samples, fc.nat(10), fc.jsonValue()).map(([message, index, value]) => {
      const fields = Object.keys(message);
      return { ...message, [fields[index % fields.length] ?? "type"]: value };
    });
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), spoilt), (value) => {
        for (const decode of decoders) {
          const decoded = decode(bytesOf(value));
          if (!decoded.ok) expect(decoded.error.length).toBeLessThan(200);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("never throw on JSON nested without end", () => {
    const deep = Buffer.from(`{"type":${"[".repeat(FRAME_BYTES_MAX - 8)}`);
    for (const decode of decoders) expect(decode(deep).ok).toBe(false);
  });
});
