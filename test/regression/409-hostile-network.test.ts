import { connect, Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Log } from "../../src/os/index.ts";
import {
  openHeartbeatSocket,
  type HeartbeatSocket,
} from "../../src/watchdog/driver/heartbeat-socket.ts";
import {
  heartbeatFlaw,
  startLifecheck,
  stepLifecheck,
  type LifecheckState,
} from "../../src/watchdog/core/lifecheck/index.ts";
import { WAITING_MAX } from "../../src/watchdog/core/admission.ts";
import { NoiseNetwork } from "../../src/watchdog/driver/peer-noise.ts";
import { encodeFrame, HEARTBEAT_BYTES, type PeerMessage } from "../../src/wire/watchdog/index.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { TcpRelay, UdpRecorder, type RelayedConnection } from "../support/recording-relay.ts";
import {
  helloOf,
  memberKeys,
  startMember,
  until,
  type Member,
  type MemberSettings,
} from "../support/transport-member.ts";

/** A dials B through the relay; B dials A without it. */
const A_PORT = 29110;
const B_PORT = 29111;
const RELAY_PORT = 29112;
const UDP_PORTS = { a: 29113, b: 29114, relay: 29115 };

const closing: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function startA(more: Partial<MemberSettings> = {}): Promise<Member> {
  const member = await startMember({ id: 0, port: A_PORT, peerPort: RELAY_PORT, ...more });
  closing.push(() => member.transport.stop());
  return member;
}

async function startB(more: Partial<MemberSettings> = {}): Promise<Member> {
  const member = await startMember({ id: 1, port: B_PORT, peerPort: A_PORT, ...more });
  closing.push(() => member.transport.stop());
  return member;
}

async function startRelay(targetPort = B_PORT): Promise<TcpRelay> {
  const relay = new TcpRelay(targetPort);
  await relay.listen(RELAY_PORT);
  closing.push(() => relay.close());
  return relay;
}

const passOn: TcpRelay["mangle"] = (_connection, _way, chunk) => chunk;

async function delay(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function released(digit: string): PeerMessage {
  return { type: "released", secret: digit.repeat(64) };
}

/** Says bytes to a port and waits until the other side has ended it. */
async function say(port: number, parts: readonly Buffer[]): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const over = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  socket.on("data", () => undefined);
  for (const part of parts) {
    if (socket.destroyed) break;
    socket.write(part);
    await delay(2);
  }
  await over;
}

/** Both up, A's connection relayed, one message through it, and all of it recorded. */
async function recordedJoin(): Promise<{
  a: Member;
  b: Member;
  relay: TcpRelay;
  join: RelayedConnection;
}> {
  const relay = await startRelay();
  const b = await startB();
  const a = await startA();
  await until(() => a.transport.isConnected(1) && b.transport.isConnected(0), "connected");
  a.transport.send(1, released("1"));
  await until(() => b.received.length === 1, "received");
  const join = relay.connections.at(-1);
  if (join === undefined) throw new Error("nothing was relayed");
  return { a, b, relay, join };
}

describe("recorded traffic between watchdogs", () => {
  it("does not let anybody join a second time; one line says why", async () => {
    const { a, b, join } = await recordedJoin();
    const before = [b.connected.length, b.disconnected.length, b.received.length];
    const recorded = [...join.forth];
    expect(Buffer.concat(recorded).length).toBeGreaterThan(300);
    for (let time = 0; time < 20; time++) {
      await say(B_PORT, time % 2 === 0 ? recorded : [Buffer.concat(recorded)]);
    }
    expect([b.connected.length, b.disconnected.length, b.received.length]).toEqual(before);
    expect(b.lines.filter((line) => line.includes("connection from"))).toEqual([
      expect.stringMatching(/from 127\.0\.0\.1 broke off before .*proof does not fit: replayed/),
    ]);
    a.transport.send(1, released("2"));
    await until(() => b.received.length === 2, "the real one goes on");

    // Nor after the real one has gone, and not before the door is open to it again.
    await a.transport.stop();
    await until(() => b.disconnected.includes(0), "gone");
    const afterwards = [b.connected.length, b.received.length];
    await say(B_PORT, recorded);
    expect([b.connected.length, b.received.length]).toEqual(afterwards);
    expect(b.transport.isConnected(0)).toBe(false);
  });

  it("does not make a dialler believe that it has reached the other", async () => {
    const { a, b, relay, join } = await recordedJoin();
    await b.transport.stop();
    await until(() => a.disconnected.includes(1), "gone");
    const recorded = Buffer.concat(join.back);
    // Somebody answers in B's place, with B's own words.
    await relay.close();
    const impostor = new TcpRelay(RELAY_PORT + 100);
    impostor.mangle = (connection) => {
      connection.inject("back", recorded);
      return null;
    };
    await impostor.listen(RELAY_PORT);
    closing.push(() => impostor.close());
    const connectedBefore = a.connected.length;
    await until(() => impostor.connections.length >= 3, "dialled again and again");
    expect([a.connected.length, a.transport.isConnected(1)]).toEqual([connectedBefore, false]);
    expect(a.received).toEqual([]);
  });

  it("does not make anybody believe its own words", async () => {
    // A's dial ends at A's own door.
    const relay = await startRelay(A_PORT);
    const a = await startA();
    await until(() => relay.connections.length >= 3, "dialled again and again");
    expect([a.connected, a.received, a.transport.isConnected(1)]).toEqual([[], [], false]);
    expect(a.lines.some((line) => /could not connect to watchdog node 1/.test(line))).toBe(true);
    // One line from the dialler and one from the door, however often it happens.
    expect(a.lines.length).toBeLessThanOrEqual(2);
  });

  it.each([
    ["of an earlier connection", (earlier: Buffer[]) => earlier.at(-1)],
    ["of this very connection, again", (_: Buffer[], own: Buffer[]) => own.at(-1)],
    ["of the other direction", (_: Buffer[], __: Buffer[], back: Buffer[]) => back.at(-1)],
  ])("is refused when a message %s is spliced in; one line says so", async (_what, choose) => {
    const { a, b, relay, join: earlier } = await recordedJoin();
    earlier.cut();
    await until(() => relay.connections.length >= 2 && a.transport.isConnected(1), "again");
    a.transport.send(1, released("2"));
    await until(() => b.received.length === 2, "received");
    const now = relay.connections.at(-1);
    const piece = choose(earlier.forth, now?.forth ?? [], now?.back ?? []);
    if (now === undefined || piece === undefined) throw new Error("nothing recorded");
    const count = relay.connections.length;
    now.inject("forth", piece);
    await until(() => relay.connections.length > count && a.transport.isConnected(1), "anew");
    a.transport.send(1, released("3"));
    await until(() => b.received.length === 3, "received");
    expect(b.received).toEqual(["1", "2", "3"].map(released));
    expect(b.lines.filter((line) => line.includes("not authentic"))).toHaveLength(1);
  });

  it("is refused when messages are left out or change places", async () => {
    const { a, b, relay } = await recordedJoin();
    const held: Buffer[] = [];
    relay.mangle = (_connection, way, chunk) => {
      if (way === "back" || held.length > 0) return chunk;
      held.push(chunk);
      return null;
    };
    a.transport.send(1, released("2"));
    await until(() => held.length === 1, "the relay keeps one");
    const count = relay.connections.length;
    a.transport.send(1, released("3"));
    await until(() => relay.connections.length > count && a.transport.isConnected(1), "anew");
    a.transport.send(1, released("4"));
    await until(() => b.received.length === 2, "received");
    expect(b.received).toEqual(["1", "4"].map(released));
    expect(b.lines.filter((line) => line.includes("not authentic"))).toHaveLength(1);
  });
});

describe("traffic between watchdogs that somebody changes on its way", () => {
  /** Dials B through the relay as A would, says hello, and hangs up. */
  async function joinOnce(network: NoiseNetwork, patienceMs: number): Promise<void> {
    const peerId = (await keysOfA).peerIds.get(1);
    if (peerId === undefined) throw new Error("no identity");
    const signal = AbortSignal.timeout(patienceMs);
    try {
      const dialling = { signal, onReached: () => undefined };
      const channel = await network.dial("127.0.0.1", RELAY_PORT, peerId, dialling);
      channel.send(encodeFrame(helloOf({ id: 0 })));
      await channel.first(signal);
      channel.abort();
    } catch {
      // What matters is what B makes of it.
    }
  }

  const keysOfA = memberKeys(0);

  it("is refused wherever it is cut short, and accepted whole", async () => {
    const relay = await startRelay();
    const b = await startB();
    const network = new NoiseNetwork(0, await keysOfA, 10_000);
    await joinOnce(network, 2000);
    await until(() => b.connected.length === 1, "the whole join");
    const whole = Buffer.concat(relay.connections[0]?.forth ?? []).length;
    expect(whole).toBeGreaterThan(300);
    await until(() => b.disconnected.length === 1, "hung up");
    for (let length = 0; length < whole; length++) {
      let room = length;
      relay.mangle = (connection, way, chunk) => {
        if (way === "back") return chunk;
        const passed = chunk.subarray(0, room);
        room -= passed.length;
        if (room === 0) setImmediate(() => connection.cut());
        return passed;
      };
      await joinOnce(network, 1000);
    }
    await until(() => relay.connections.every((one) => one.isOver), "all are over");
    expect([b.connected.length, b.received.length]).toEqual([1, 0]);
    const told = b.lines.filter((line) => line.includes("broke off"));
    expect(told.length).toBeGreaterThan(0);
    expect(b.lines.length).toBeLessThanOrEqual(10); // One in five seconds, however many.
    relay.mangle = passOn;
    await joinOnce(network, 2000);
    await until(() => b.connected.length === 2, "the whole join again");
  });

  it("is refused wherever a byte is changed", async () => {
    const relay = await startRelay();
    const b = await startB();
    const network = new NoiseNetwork(0, await keysOfA, 10_000);
    await joinOnce(network, 2000);
    await until(() => b.disconnected.length === 1, "a join, and its end");
    const whole = Buffer.concat(relay.connections[0]?.forth ?? []).length;
    for (let at = 0; at < whole; at++) {
      let passed = 0;
      const earlier = new Set(relay.connections);
      relay.mangle = (connection, way, chunk) => {
        if (way === "back") return chunk;
        // Late bytes of a join that was given up: its change may have been still to come.
        if (earlier.has(connection)) {
          connection.cut();
          return Buffer.alloc(0);
        }
        const place = at - passed;
        passed += chunk.length;
        if (place < 0 || place >= chunk.length) return chunk;
        const changed = Buffer.from(chunk);
        changed.writeUInt8(changed.readUInt8(place) ^ (1 << (at % 8)), place);
        return changed;
      };
      await joinOnce(network, 100);
    }
    expect([b.connected.length, b.received.length]).toEqual([1, 0]);
  });

  it("ends the connection, and only that, when it was accepted before", async () => {
    const { a, b, relay } = await recordedJoin();
    for (const at of [0, 1, 2, 20, -1]) {
      const count = relay.connections.length;
      relay.mangle = (_connection, way, chunk) => {
        if (way === "back") return chunk;
        relay.mangle = passOn;
        const changed = Buffer.from(chunk);
        const place = at < 0 ? chunk.length + at : at;
        changed.writeUInt8(changed.readUInt8(place) ^ 1, place);
        return changed;
      };
      a.transport.send(1, released("9"));
      await until(() => relay.connections.length > count && a.transport.isConnected(1), "anew");
    }
    expect(b.received).toEqual([released("1")]);
    expect(b.lines.filter((line) => line.includes("not authentic"))).toHaveLength(1);
  });
});

describe("strangers that connect and say nothing", () => {
  /** Keeps `count` silent connections open, from as many addresses as are given. */
  function flood(addresses: readonly string[], count: number): void {
    const sockets = new Set<Socket>();
    let isOver = false;
    const knock = (at: number): void => {
      if (isOver) return;
      const localAddress = addresses[at % addresses.length] ?? "127.0.0.1";
      const socket = connect({ port: B_PORT, host: "127.0.0.1", localAddress });
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        setTimeout(() => knock(at + 1), 5); // Turned away, it comes again at once.
      });
    };
    for (let at = 0; at < count; at++) knock(at);
    closing.push(() => {
      isOver = true;
      for (const socket of sockets) socket.destroy();
    });
  }

  /** The connections that B has accepted and not yet closed. */
  function acceptedByB(): number {
    const all = (process as unknown as { _getActiveHandles: () => unknown[] })._getActiveHandles();
    const ends = all.filter((handle) => handle instanceof Socket);
    return ends.filter(({ localPort, destroyed }) => localPort === B_PORT && !destroyed).length;
  }

  const FAR = Array.from({ length: 200 }, (_, at) => `127.0.1.${at + 1}`);

  it.each([
    ["many hosts", FAR, 500],
    ["one host", ["127.0.2.1"], 200],
    ["the member's own host", ["127.0.0.1"], 100],
  ])("from %s do not keep a member out", async (_who, addresses, count) => {
    const b = await startB();
    flood(addresses, count);
    await delay(500);
    await startRelay();
    const a = await startA();
    const startedMs = performance.now();
    await until(() => a.transport.isConnected(1), "the member is in");
    expect(performance.now() - startedMs).toBeLessThan(5000);
    a.transport.send(1, released("1"));
    await until(() => b.received.length === 1, "heard");
    await delay(700);
    expect(a.transport.isConnected(1)).toBe(true);
    expect(acceptedByB()).toBeLessThanOrEqual(WAITING_MAX + 2);
    expect(b.lines.length).toBeLessThanOrEqual(3);
  });

  it("lose their place at the door after two seconds", async () => {
    await startB();
    const socket = connect({ port: B_PORT, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    const startedMs = performance.now();
    await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    expect(performance.now() - startedMs).toBeGreaterThan(1500);
    expect(performance.now() - startedMs).toBeLessThan(4000);
  });
});

const BOOT = "ab".repeat(16);
const BOOT_BEFORE = "cd".repeat(16);

/** Hears heartbeats as a node does: what counts goes to lifecheck, the rest to the log. */
class Hearer {
  state: LifecheckState;
  readonly lines: string[] = [];
  readonly releases: string[] = [];
  #socket: HeartbeatSocket | null = null;

  constructor(peerIds: readonly number[]) {
    const rules = { method: "heartbeat", deadMs: 3000, lifePoints: 3 } as const;
    this.state = startLifecheck(peerIds, rules);
  }

  connected(id: number, bootId: string): void {
    this.state = stepLifecheck(this.state, { type: "connected", id, bootId }, performance.now());
  }

  async open(o: {
    nodeId: number;
    bootId: string;
    port: number;
    peerPort: number;
    keepaliveMs: number;
  }): Promise<void> {
    const log: Log = new RecordedLog(this.lines);
    const opened = await openHeartbeatSocket({
      own: [{ hostname: "127.0.0.1", port: o.port }],
      peers: [{ hostname: "127.0.0.1", port: o.peerPort }],
      keepaliveMs: o.keepaliveMs,
      nodeId: o.nodeId,
      bootId: o.bootId,
      key: (await memberKeys(o.nodeId)).heartbeatKey,
      log,
      onHeartbeat: (heartbeat) => {
        const nowMs = performance.now();
        const flaw = heartbeatFlaw(this.state, heartbeat, nowMs);
        this.state = stepLifecheck(this.state, { type: "heartbeat", heartbeat }, nowMs);
        return flaw;
      },
      onRelease: (secret) => this.releases.push(secret),
    });
    if (!opened.ok) throw new Error(opened.error);
    this.#socket = opened.value;
    closing.push(() => this.close());
  }

  close(): void {
    this.#socket?.stop();
    this.#socket = null;
  }

  sendRelease(secret: string): void {
    this.#socket?.sendRelease(secret);
  }

  get counter(): number {
    return this.state.peers[0]?.counter ?? 0;
  }
}

const HOUR = 3_600_000;

/** B hears two starts of A, one after the other; every datagram is on record. */
async function recordedHeartbeats(): Promise<{
  b: Hearer;
  a: Hearer;
  recorder: UdpRecorder;
  ofEarlierStart: Buffer[];
  ofThisStart: Buffer[];
}> {
  const recorder = new UdpRecorder();
  await recorder.listen(UDP_PORTS.relay, UDP_PORTS.b);
  closing.push(() => recorder.close());
  const b = new Hearer([0]);
  await b.open({
    nodeId: 1,
    bootId: "ef".repeat(16),
    port: UDP_PORTS.b,
    peerPort: 9,
    keepaliveMs: HOUR,
  });
  const speak = async (bootId: string): Promise<Hearer> => {
    const a = new Hearer([1]);
    b.connected(0, bootId);
    const { a: port, relay: peerPort } = UDP_PORTS;
    await a.open({ nodeId: 0, bootId, port, peerPort, keepaliveMs: 20 });
    await until(() => b.counter >= 5, "five heartbeats are heard");
    return a;
  };
  const earlier = await speak(BOOT_BEFORE);
  earlier.close();
  const ofEarlierStart = recorder.datagrams.splice(0);
  const a = await speak(BOOT);
  a.close();
  await delay(50);
  return { a, b, recorder, ofEarlierStart, ofThisStart: [...recorder.datagrams] };
}

describe("recorded heartbeats", () => {
  it("change nothing when they come again, and one line of a kind says so", async () => {
    const { b, recorder, ofThisStart } = await recordedHeartbeats();
    const before = b.state;
    for (const bytes of ofThisStart.slice(0, -1)) await recorder.send(bytes, UDP_PORTS.b);
    await until(() => b.lines.length > 0, "told");
    for (let time = 0; time < 50; time++) {
      for (const bytes of ofThisStart.slice(0, -1)) await recorder.send(bytes, UDP_PORTS.b);
    }
    await delay(50);
    expect(b.state).toBe(before);
    expect(b.lines).toEqual([
      expect.stringMatching(/heartbeat from 127\.0\.0\.1 refused: its number \d+ .*: replayed/),
    ]);
  });

  it("of an earlier start of the node change nothing", async () => {
    const { b, recorder, ofEarlierStart } = await recordedHeartbeats();
    const before = b.state;
    for (const bytes of ofEarlierStart) await recorder.send(bytes, UDP_PORTS.b);
    await until(() => b.lines.length > 0, "told");
    expect(b.state).toBe(before);
    expect(b.lines).toEqual([expect.stringMatching(/another start of node 0 .*: replayed/)]);
  });

  it("sent back to the node that made them change nothing", async () => {
    const { recorder, ofThisStart } = await recordedHeartbeats();
    const again = new Hearer([1]);
    const { a: port } = UDP_PORTS;
    await again.open({ nodeId: 0, bootId: BOOT, port, peerPort: 9, keepaliveMs: HOUR });
    again.connected(1, BOOT);
    const before = again.state;
    for (const bytes of ofThisStart) await recorder.send(bytes, port);
    await until(() => again.lines.length > 0, "told");
    expect(again.state).toBe(before);
    expect(again.lines).toEqual([expect.stringMatching(/names node 0.*reflected/)]);
  });

  it("change nothing with any byte changed or cut off", async () => {
    const { b, recorder, ofThisStart } = await recordedHeartbeats();
    const before = b.state;
    // Newer than all that was heard, if it counted.
    const last = ofThisStart.at(-1) ?? Buffer.alloc(0);
    expect(last).toHaveLength(HEARTBEAT_BYTES);
    for (let at = 0; at < last.length; at++) {
      const changed = Buffer.from(last);
      changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at % 8)), at);
      await recorder.send(changed, UDP_PORTS.b);
      await recorder.send(last.subarray(0, at), UDP_PORTS.b);
    }
    await recorder.send(Buffer.concat([last, Buffer.alloc(1)]), UDP_PORTS.b);
    await until(() => b.lines.length > 0, "told");
    await delay(50);
    expect(b.state).toBe(before);
    expect(b.lines).toHaveLength(1);
  });
});
