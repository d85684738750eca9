import { describe, expect, it } from "vitest";
import {
  controlSocketPath,
  parseControlReply,
  parseControlRequest,
} from "../../../../src/wire/ipc/index.ts";

describe("the control socket", () => {
  it("has a path that names the PCP port", () => {
    expect(controlSocketPath("/tmp", 9898)).toBe("/tmp/.s.PGQUORUM.9898");
    expect(controlSocketPath("/run/pgquorum/", 1)).toBe("/run/pgquorum/.s.PGQUORUM.1");
  });

  it("takes a command that it knows", () => {
    expect(parseControlRequest('{"command":"status"}')).toEqual({
      ok: true,
      value: { command: "status" },
    });
  });

  it.each([
    "",
    "status",
    "[]",
    "null",
    '{"cmd":1}',
    '{"command":"format"}',
    '{"command":["status"]}',
  ])("refuses the request %j and says what it takes", (line) => {
    expect(parseControlRequest(line)).toMatchObject({
      ok: false,
      error: expect.stringContaining("status") as string,
    });
  });

  it("takes maintenance with all that it needs", () => {
    const request = { command: "maintenance", isOn: true, reason: "disks", by: "root" };
    expect(parseControlRequest(JSON.stringify(request))).toEqual({ ok: true, value: request });
    for (const name of ["isOn", "reason", "by"]) {
      expect(parseControlRequest(JSON.stringify({ ...request, [name]: 1 })).ok).toBe(false);
    }
  });

  it("tells an answer, a refusal and nonsense apart", () => {
    expect(parseControlReply('{"ok":true,"value":[1]}')).toEqual({
      ok: true,
      value: { ok: true, value: [1] },
    });
    expect(parseControlReply('{"ok":false,"error":"no"}')).toEqual({
      ok: true,
      value: { ok: false, error: "no" },
    });
    for (const line of ["", "{}", '{"ok":true}', '{"ok":false,"error":1}', '{"ok":1,"value":1}']) {
      expect(parseControlReply(line).ok).toBe(false);
    }
  });
});
