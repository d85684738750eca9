import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeRequest,
  encodeRequest,
  encodeTexts,
  PcpFramer,
  type PcpRequest,
  REQUEST_LENGTH_MAX,
} from "../../../../src/wire/pcp/index.ts";

function decodeBytes(bytes: Buffer): unknown {
  const frames = new PcpFramer(REQUEST_LENGTH_MAX).push(bytes);
  const frame = frames.ok ? frames.value[0] : undefined;
  if (frame === undefined) throw new Error("no packet");
  const request = decodeRequest(frame);
  return request.ok ? request.value : request.error;
}

describe("a request", () => {
  const requests: readonly PcpRequest[] = [
    { type: "salt" },
    { type: "authenticate", user: "pcp", response: "0".repeat(32) },
    { type: "set-parameter", name: "client_min_messages", value: "debug1" },
    { type: "pool-status" },
    { type: "attach", backendId: 3 },
    { type: "recover", backendId: 2 },
    { type: "detach", backendId: 0, graceful: false },
    { type: "detach", backendId: 12, graceful: true },
    { type: "node-info", backendId: -1 },
    { type: "promote", backendId: 1, switchover: false, graceful: false },
    { type: "promote", backendId: 1, switchover: true, graceful: true },
    { type: "node-count" },
    { type: "process-count" },
    { type: "process-info", processId: 4711 },
    { type: "health-check-stats", backendId: 1 },
    { type: "stop", mode: "smart", scope: "local" },
    { type: "stop", mode: "fast", scope: "cluster" },
    { type: "stop", mode: "immediate", scope: "local" },
    { type: "watchdog-info", nodeId: 2 },
    { type: "reload", scope: "local" },
    { type: "reload", scope: "cluster" },
    { type: "disconnect" },
  ];
  it.each(requests.map((request) => [JSON.stringify(request), request] as const))(
    "is read as it was written: %s",
    (_text, request) => {
      expect(decodeBytes(encodeRequest(request))).toEqual(request);
    },
  );

  it("to promote has a blank behind the id and an option without a NUL", () => {
    const bytes = encodeRequest({
      type: "promote",
      backendId: 10,
      switchover: true,
      graceful: false,
    });
    expect(bytes).toEqual(Buffer.from("J\0\0\0\x0910 \0s", "latin1"));
  });

  it.each(["F", "G", "V"])("that is not offered yet is known by its letter %s", (type) => {
    const request = decodeRequest({ type, payload: Buffer.alloc(0) });
    expect(request).toMatchObject({ ok: true, value: { type: "unavailable", letter: type } });
  });

  it.each(["I", "C", "D", "d", "W", "J", "H", "O", "P"])(
    "with a node id that is no number is refused: %s",
    (type) => {
      for (const id of ["", "x", "1x", "0x1", "9999999999", "1.5"]) {
        const request = decodeRequest({ type, payload: encodeTexts([id]) });
        expect(request).toMatchObject({ ok: false, error: { code: "bad-payload" } });
      }
    },
  );

  it("with another stop mode is refused", () => {
    const request = decodeRequest({ type: "T", payload: Buffer.from("x") });
    expect(request).toMatchObject({
      ok: false,
      error: { code: "bad-payload", detail: 'invalid shutdown mode "x"' },
    });
  });

  it("of an unknown letter is another kind of fault", () => {
    for (const type of ["Q", "\0", "\xff"]) {
      const request = decodeRequest({ type, payload: Buffer.alloc(0) });
      expect(request).toMatchObject({ ok: false, error: { code: "unknown-type" } });
    }
  });

  it("never throws, whatever the bytes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 255 }),
        fc.uint8Array({ maxLength: 255 }),
        (code, bytes) => {
          const request = decodeRequest({
            type: String.fromCharCode(code),
            payload: Buffer.from(bytes),
          });
          expect(typeof request.ok).toBe("boolean");
        },
      ),
    );
  });
});
