import { afterEach, describe, expect, it } from "vitest";
import { Secret } from "../../src/base/index.ts";
import type { Log } from "../../src/os/index.ts";
import type { PeerMessage } from "../../src/wire/watchdog/index.ts";
import { deriveMemberKeys } from "../../src/watchdog/driver/member-keys.ts";
import {
  startPeerTransport,
  type PeerTransport,
} from "../../src/watchdog/driver/peer-transport.ts";

const PORTS = [29100, 29101];
const running: PeerTransport[] = [];

afterEach(async () => {
  for (const transport of running.splice(0)) await transport.stop();
});

interface Member {
  transport: PeerTransport;
  received: PeerMessage[];
  connected: number[];
  disconnected: number[];
  lines: string[];
  duplicates: number[];
}

async function startMember(
  id: number,
  authkey: string,
  bootId = "ab".repeat(16),
  leaseTime = "600 ms",
): Promise<Member> {
  const member: Omit<Member, "transport"> = {
    received: [],
    connected: [],
    disconnected: [],
    lines: [],
    duplicates: [],
  };
  const log: Log = {
    write: (_level, message, details) =>
      void member.lines.push(`${message} | ${details?.detail ?? ""} | ${details?.hint ?? ""}`),
    named: () => log,
  };
  const port = (n: number): number => PORTS[n] ?? 0;
  const peerId = 1 - id;
  const started = await startPeerTransport({
    self: { id, hostname: "127.0.0.1", port: port(id) },
    peers: [{ id: peerId, hostname: "127.0.0.1", port: port(peerId) }],
    keys: await deriveMemberKeys(new Secret(authkey), "test", id, [0, 1]),
    hello: {
      type: "hello",
      nodeId: id,
      bootId,
      version: "0",
      name: `node ${id}`,
      priority: 1,
      settings: { wd_lease_time: leaseTime },
    },
    silenceMs: 600,
    log,
    onConnected: (peer) => void member.connected.push(peer),
    onDisconnected: (peer) => void member.disconnected.push(peer),
    onMessage: (_from, message) => void member.received.push(message),
    onDuplicateId: (by) => void member.duplicates.push(by),
  });
  if (!started.ok) throw new Error(started.error);
  running.push(started.value);
  return { ...member, transport: started.value };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("the connection between watchdogs", () => {
  it("carries messages both ways between nodes that share the key, also after a restart", async () => {
    const a = await startMember(0, "secret");
    const b = await startMember(1, "secret");
    await until(() => a.transport.isConnected(1) && b.transport.isConnected(0), "connected");
    const message: PeerMessage = { type: "released", secret: "12".repeat(32) };
    a.transport.send(1, message);
    b.transport.send(0, { type: "leaving", term: 1, stops: true });
    await until(() => a.received.length > 0 && b.received.length > 0, "received");
    expect(b.received).toEqual([message]);
    expect(a.received).toEqual([{ type: "leaving", term: 1, stops: true }]);

    await b.transport.stop();
    await until(() => a.disconnected.includes(1), "a notices");
    const again = await startMember(1, "secret", "cd".repeat(16));
    await until(() => a.transport.isConnected(1), "connected again");
    a.transport.send(1, message);
    await until(() => again.received.length > 0, "received after the restart");
  });

  it("keeps a quiet connection for longer than any of its time limits", async () => {
    const a = await startMember(0, "secret");
    const b = await startMember(1, "secret");
    await until(() => a.transport.isConnected(1) && b.transport.isConnected(0), "connected");
    const before = a.connected.length;
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect([a.connected.length, a.disconnected, b.disconnected]).toEqual([before, [], []]);
  });

  it("carries a state of 200 kB in one message", async () => {
    const a = await startMember(0, "secret");
    const b = await startMember(1, "secret");
    await until(() => a.transport.isConnected(1), "connected");
    const value = "x".repeat(200_000);
    a.transport.send(1, {
      type: "round",
      term: 1,
      round: 1,
      entry: { term: 1, index: 1, value, members: [], before: null },
      committedIndex: 0,
      holder: null,
      heard: 0,
    });
    await until(() => b.received.length > 0, "received");
    expect(b.received[0]).toMatchObject({ entry: { value } });
  });

  it("refuses a node with another key, and says so in the log of both", async () => {
    const a = await startMember(0, "secret");
    const b = await startMember(1, "another secret");
    const hasSaid = (member: Member): boolean =>
      member.lines.some((line) => line.includes("wd_authkey"));
    await until(() => hasSaid(a) && hasSaid(b), "both logs name wd_authkey");
    expect(a.connected).toEqual([]);
    expect(b.connected).toEqual([]);
  });

  it("refuses a node with another lease time, and names it in the log of both", async () => {
    const a = await startMember(0, "secret");
    const b = await startMember(1, "secret", "cd".repeat(16), "5000 ms");
    const hasSaid = (member: Member): boolean =>
      member.lines.some((line) => /wd_lease_time is "\d+ ms" here and "\d+ ms" there/.test(line));
    await until(() => hasSaid(a) && hasSaid(b), "both logs name wd_lease_time");
    expect([a.connected, b.connected]).toEqual([[], []]);
  });

  it("tells a second process with the same id that the id is taken", async () => {
    const a = await startMember(0, "secret");
    await startMember(1, "secret");
    await until(() => a.connected.includes(1), "the first is in");
    PORTS[1] = 29102;
    const second = await startMember(1, "secret", "cd".repeat(16));
    PORTS[1] = 29101;
    await until(() => second.duplicates.includes(0), "the second is refused");
  });
});
