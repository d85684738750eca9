import { Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { resolveHost } from "../../src/watchdog/driver/host-names.ts";
import type { PeerTransport } from "../../src/watchdog/driver/peer-transport.ts";
import type { PeerMessage } from "../../src/wire/watchdog/index.ts";
import {
  startMember,
  until,
  type Member,
  type MemberSettings,
} from "../support/transport-member.ts";

const PORTS = [29100, 29101] as const;
const running: PeerTransport[] = [];

afterEach(async () => {
  for (const transport of running.splice(0)) await transport.stop();
});

async function start(id: 0 | 1, more: Partial<MemberSettings> = {}): Promise<Member> {
  const other = id === 0 ? PORTS[1] : PORTS[0];
  const member = await startMember({ id, port: PORTS[id], peerPort: other, ...more });
  running.push(member.transport);
  return member;
}

describe("the connection between watchdogs", () => {
  it("carries messages both ways between nodes that share the key, also after a restart", async () => {
    const a = await start(0);
    const b = await start(1);
    await until(() => a.transport.isConnected(1) && b.transport.isConnected(0), "connected");
    const message: PeerMessage = { type: "released", secret: "12".repeat(32) };
    a.transport.send(1, message);
    b.transport.send(0, { type: "leaving", term: 1, stops: true });
    await until(() => a.received.length > 0 && b.received.length > 0, "received");
    expect(b.received).toEqual([message]);
    expect(a.received).toEqual([{ type: "leaving", term: 1, stops: true }]);

    await b.transport.stop();
    await until(() => a.disconnected.includes(1), "a notices");
    const again = await start(1, { bootId: "cd".repeat(16) });
    await until(() => a.transport.isConnected(1), "connected again");
    a.transport.send(1, message);
    await until(() => again.received.length > 0, "received after the restart");
  });

  it("keeps a quiet connection for longer than any of its time limits", async () => {
    const a = await start(0);
    const b = await start(1);
    await until(() => a.transport.isConnected(1) && b.transport.isConnected(0), "connected");
    const before = a.connected.length;
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect([a.connected.length, a.disconnected, b.disconnected]).toEqual([before, [], []]);
  });

  it("does not notice when somebody sets the clock by years", async () => {
    const a = await start(0);
    const b = await start(1);
    await until(() => a.transport.isConnected(1) && b.transport.isConnected(0), "connected");
    const before = [a.connected.length, b.connected.length];
    const year = 365 * 24 * 3_600_000;
    // The date of everything in this process, the libraries too; timers stay the real ones.
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      for (const jump of [10, -20, 30, -30]) {
        vi.setSystemTime(Date.now() + jump * year);
        a.transport.send(1, { type: "released", secret: "12".repeat(32) });
        b.transport.send(0, { type: "released", secret: "12".repeat(32) });
        await new Promise((resolve) => setTimeout(resolve, 700));
      }
    } finally {
      vi.useRealTimers();
    }
    await until(() => a.received.length === 4 && b.received.length === 4, "all messages");
    expect([a.connected.length, b.connected.length]).toEqual(before);
    expect([a.disconnected, b.disconnected]).toEqual([[], []]);
  });

  it("carries a state of 200 kB in one message", async () => {
    const a = await start(0);
    const b = await start(1);
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
    const a = await start(0);
    const b = await start(1, { authkey: "another secret" });
    const hasSaid = (member: Member): boolean =>
      member.lines.some((line) => line.includes("wd_authkey"));
    await until(() => hasSaid(a) && hasSaid(b), "both logs name wd_authkey");
    expect(a.connected).toEqual([]);
    expect(b.connected).toEqual([]);
  });

  it("refuses a node with another lease time, and names it in the log of both", async () => {
    const a = await start(0);
    const b = await start(1, { bootId: "cd".repeat(16), leaseTime: "5000 ms" });
    const hasSaid = (member: Member): boolean =>
      member.lines.some((line) => /wd_lease_time is "\d+ ms" here and "\d+ ms" there/.test(line));
    await until(() => hasSaid(a) && hasSaid(b), "both logs name wd_lease_time");
    expect([a.connected, b.connected]).toEqual([[], []]);
  });

  it("tells a second process with the same id that the id is taken", async () => {
    const a = await start(0);
    await start(1);
    await until(() => a.connected.includes(1), "the first is in");
    const second = await start(1, { bootId: "cd".repeat(16), port: 29102 });
    await until(() => second.duplicates.includes(0), "the second is refused");
  });
});

/** Node keeps the state of TCP_NODELAY of a socket under a symbol; the kernel shows it nowhere. */
function isNoDelay(socket: Socket): boolean {
  const symbol = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === "kSetNoDelay",
  );
  return symbol !== undefined && Reflect.get(socket, symbol) === true;
}

describe("the sockets between watchdogs", () => {
  it("send a small message at once, at both ends: a delay of 40 ms would eat a lease", async () => {
    const a = await start(0);
    const b = await start(1);
    await until(() => a.transport.isConnected(1) && b.transport.isConnected(0), "connected");
    const all = (process as unknown as { _getActiveHandles: () => unknown[] })._getActiveHandles();
    const ends = all
      .filter((handle) => handle instanceof Socket)
      .filter(({ localPort, remotePort }) =>
        PORTS.some((port) => port === localPort || port === remotePort),
      );
    expect(ends).toHaveLength(4);
    expect(ends.map(isNoDelay)).toEqual([true, true, true, true]);
  });
});

describe("the names of hosts", () => {
  it("are asked for once at a time, also when one of them is unknown", async () => {
    const names = ["localhost", "no-such-host.invalid", "localhost", "10.0.0.1", "::1"];
    const answers = await Promise.all(names.map(resolveHost));
    expect(answers.map((answer) => (answer.ok ? answer.value : "unknown"))).toEqual([
      expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
      "unknown",
      expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
      "10.0.0.1",
      "::1",
    ]);
    expect(await resolveHost("localhost")).toMatchObject({ ok: true });
  });
});
