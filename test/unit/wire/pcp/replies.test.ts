import { describe, expect, it } from "vitest";
import {
  decodeNodeInfoPart,
  decodePoolStatusPart,
  encodeDone,
  encodeNodeCount,
  encodeNodeInfo,
  encodePoolStatus,
  encodeProcessIds,
  encodeSalt,
  PcpFramer,
  REPLY_LENGTH_MAX,
  type PcpFrame,
} from "../../../../src/wire/pcp/index.ts";
import { backendView, twoBackends } from "../../../support/pcp-views.ts";

function framesOf(bytes: Buffer): readonly PcpFrame[] {
  const frames = new PcpFramer(REPLY_LENGTH_MAX).push(bytes);
  if (!frames.ok) throw new Error(frames.error);
  return frames.value;
}

/** Each packet on a line, NULs as bars: the form in which Pgpool-II's own bytes were noted. */
function show(bytes: Buffer): readonly string[] {
  return framesOf(bytes).map(({ type, payload }) => {
    return `${type} ${payload.toString("latin1").replaceAll("\0", "|")}`;
  });
}

describe("node info", () => {
  const waiting = backendView({
    port: 23902,
    weight: 1 / 3,
    state: "waiting",
    pgStatus: "unknown",
    pgRole: "unknown",
  });

  const oneWaiting = { ...twoBackends, primaryId: null, backends: [waiting] };

  it("has 12 fields in 4.3, byte for byte those of Pgpool-II", () => {
    expect(show(encodeNodeInfo(oneWaiting, oneWaiting.backends, "4.3"))).toEqual([
      "i ArraySize|1|",
      "i NodeInfo|127.0.0.1|23902|1|0|unknown|715827882.333333|3|unknown|0|||1795305127|",
      "i CommandComplete|",
    ]);
  });

  it.each(["4.4", "4.5", "4.6", "4.7"] as const)("has 13 fields in %s", (layout) => {
    expect(show(encodeNodeInfo(oneWaiting, oneWaiting.backends, layout))[1]).toBe(
      "i NodeInfo|127.0.0.1|23902|1|0|unknown|715827882.333333|3|unknown|0|0|||1795305127|",
    );
  });

  it("says by number which state and role a backend has", () => {
    const states = (["unused", "waiting", "up", "down"] as const).map((state, id) =>
      backendView({ id, state, quarantined: state === "down" }),
    );
    const rows = show(encodeNodeInfo({ ...twoBackends, primaryId: 2 }, states, "4.3")).slice(1, -1);
    expect(rows.map((row) => row.split("|").slice(3, 5).join("/"))).toEqual([
      "0/0",
      "1/0",
      "2/0",
      "3/1",
    ]);
    expect(rows.map((row) => row.split("|")[7])).toEqual(["3", "3", "2", "3"]);
    const notStreaming = { ...twoBackends, isStreaming: false };
    const others = show(encodeNodeInfo(notStreaming, states, "4.3")).slice(1, -1);
    expect(others.map((row) => row.split("|")[7])).toEqual(["0", "1", "1", "1"]);
  });

  it("tells delays in microseconds where delay_threshold_by_time is set, but in 4.3", () => {
    const late = backendView({ id: 1, replicationDelayBytes: 30, replicationDelayMs: 12.5 });
    const inTime = { ...twoBackends, delayIsTime: true, backends: [late] };
    const rowIn = (layout: "4.3" | "4.4"): unknown =>
      framesOf(encodeNodeInfo(inTime, inTime.backends, layout)).map(decodeNodeInfoPart)[1];
    const row = (delayIsTime: boolean, delay: number): unknown => ({
      ok: true,
      value: { kind: "row", row: { delayIsTime, delay } },
    });
    expect(rowIn("4.4")).toMatchObject(row(true, 12_500) as object);
    expect(rowIn("4.3")).toMatchObject(row(false, 30) as object);
  });

  it.each(["4.3", "4.7"] as const)("of %s is read back by our own client", (layout) => {
    const parts = framesOf(encodeNodeInfo(twoBackends, twoBackends.backends, layout)).map(
      decodeNodeInfoPart,
    );
    expect(parts).toMatchObject([
      { ok: true, value: { kind: "count", count: 2 } },
      { ok: true, value: { kind: "row", row: { port: "23902", role: 2, status: 2, delay: 0 } } },
      {
        ok: true,
        value: {
          kind: "row",
          row: {
            role: 3,
            delay: 30,
            delayIsTime: false,
            replicationState: "streaming",
            replicationSyncState: "async",
            changedAtSeconds: 1795305127,
          },
        },
      },
      { ok: true, value: { kind: "end" } },
    ]);
  });

  it("of an unknown layout is refused by our own client", () => {
    const payload = Buffer.from("NodeInfo\0a\0b\0");
    expect(decodeNodeInfoPart({ type: "i", payload })).toMatchObject({ ok: false });
  });
});

describe("other replies", () => {
  it("are those of Pgpool-II", () => {
    expect(show(encodeDone("d"))).toEqual(["d CommandComplete|"]);
    expect(show(encodeNodeCount(2))).toEqual(["l CommandComplete|2|"]);
    expect(show(encodeProcessIds([11, 12]))).toEqual(["n CommandComplete|2|11|12|"]);
    expect(show(encodeSalt(Buffer.from("abcd")))).toEqual(["m abcd"]);
  });

  it("count the rows of pool status in binary, also when the count looks like text", () => {
    const rows = Array.from({ length: 0x30 }, (_, at) => ({
      item: `name${at}`,
      value: at === 0 ? "" : "v",
      description: "about",
    }));
    const frames = framesOf(encodePoolStatus(rows));
    expect(frames[0]?.payload).toEqual(Buffer.from("ArraySize\0\0\0\0\x30", "latin1"));
    const parts = frames.map(decodePoolStatusPart);
    expect(parts[0]).toEqual({ ok: true, value: { kind: "count", count: 0x30 } });
    expect(parts[1]).toEqual({ ok: true, value: { kind: "row", row: rows[0] } });
    expect(parts.at(-1)).toEqual({ ok: true, value: { kind: "end" } });
  });
});
