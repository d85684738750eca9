/**
 * One suite for all ways to make sockets. The other end is always a plain `net.Socket`, so that
 * no way is judged by itself.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type {
  AcceptedClient,
  ByteSocket,
  SocketIo,
  SocketTarget,
} from "../../src/proxy/driver/byte-socket.ts";
import { EpollDoors } from "../../src/proxy/driver/epoll-doors.ts";
import { EpollPoller } from "../../src/proxy/driver/epoll-poller.ts";
import { createHandleIo } from "../../src/proxy/driver/handle-socket.ts";
import { chooseSocketIo } from "../../src/proxy/driver/socket-io.ts";
import { createEpollIo } from "../../src/proxy/driver/epoll-socket.ts";
import {
  findSocketCalls,
  findStreamHandles,
  type ServerHandle,
  type SocketCalls,
} from "../../src/os/index.ts";
import { NET_IO } from "../../src/proxy/driver/stream-socket.ts";
import { RecordedEvents, pattern } from "../support/recorded-socket.ts";

const READ_BYTES = 4096;
const MUCH_BYTES = 16 * 1024 * 1024;
const CLOSE_WITHIN_MS = 5000;

function handleIo(): SocketIo {
  const handles = findStreamHandles();
  if (handles === null) throw new Error("this Node shows no stream handles");
  return createHandleIo(handles);
}

let directory = "";
const opened: (Socket | ByteSocket)[] = [];
const servers: Server[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pgquorum-socket-"));
});

afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  rmSync(directory, { recursive: true, force: true });
});

async function listen(place: object): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  servers.push(server);
  server.listen(place);
  await once(server, "listening");
  return server;
}

async function listenOn(transport: "TCP" | "Unix"): Promise<[Server, SocketTarget]> {
  if (transport === "Unix") {
    const port = servers.length + 1;
    const path = join(directory, `.s.PGSQL.${port}`);
    return [await listen({ path }), { hostname: directory, port }];
  }
  const server = await listen({ host: "127.0.0.1", port: 0 });
  const { port } = server.address() as { port: number };
  return [server, { hostname: "127.0.0.1", port }];
}

interface Pair {
  /** Made by the way that is looked at. */
  readonly socket: ByteSocket;
  readonly events: RecordedEvents;
  readonly other: Socket;
}

async function accepting(io: SocketIo, transport: "TCP" | "Unix"): Promise<Pair> {
  const [server, target] = await listenOn(transport);
  const events = new RecordedEvents();
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const other = connectPlainly(target);
  opened.push(other);
  const socket = io.accept((await accepted)[0], READ_BYTES, events);
  opened.push(socket);
  return { socket, events, other };
}

async function connecting(io: SocketIo, transport: "TCP" | "Unix"): Promise<Pair> {
  const [server, target] = await listenOn(transport);
  const events = new RecordedEvents();
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const socket = io.connect(target, READ_BYTES, events);
  opened.push(socket);
  await events.until((e) => e.isConnected);
  const [other] = await accepted;
  opened.push(other);
  return { socket, events, other };
}

function connectPlainly({ hostname, port }: SocketTarget): Socket {
  const socket = hostname.startsWith("/")
    ? connect({ path: `${hostname}/.s.PGSQL.${port}`, allowHalfOpen: true })
    : connect({ host: hostname, port, allowHalfOpen: true });
  socket.on("error", () => undefined);
  return socket;
}

/** All that comes until the other end says that no more will. */
async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  await once(socket.resume(), "end");
  return Buffer.concat(parts);
}

async function refusingPort(): Promise<number> {
  const server = await listen({ host: "127.0.0.1", port: 0 });
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

const calls = await findSocketCalls();

function epollIo(): SocketIo {
  const handles = findStreamHandles();
  if (calls === null || handles === null) throw new Error("system calls cannot be called here");
  return createEpollIo(calls, handles);
}

const ways = [
  ["net.Socket", () => NET_IO],
  ["stream handles", handleIo],
  ["system calls", epollIo],
] as const;

const ends = [
  ["accepted", "TCP", accepting],
  ["accepted", "Unix", accepting],
  ["connected", "TCP", connecting],
  ["connected", "Unix", connecting],
] as const;

describe.each(ways)("by %s", (_name, makeIo) => {
  describe.each(ends)("a socket that was %s by %s", (_how, transport, open) => {
    it("carries bytes both ways", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      other.write("question");
      await events.until((e) => e.text === "question");
      socket.write(Buffer.from("an answer!"), 3, 9);
      expect(socket.isBlocked).toBe(false);
      socket.end(CLOSE_WITHIN_MS);
      expect((await readAll(other)).toString()).toBe("answer");
    });

    it("says that a large write goes on, and when it is through", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      const bytes = pattern(MUCH_BYTES);
      socket.write(bytes);
      expect(socket.isBlocked).toBe(true);
      expect(events.drainedCount).toBe(0);
      const reading = readAll(other);
      await events.until((e) => e.drainedCount > 0);
      expect(socket.isBlocked).toBe(false);
      socket.end(CLOSE_WITHIN_MS);
      expect((await reading).equals(bytes)).toBe(true);
      expect(events.drainedCount).toBe(1);
    });

    it("keeps the order of what is written while a write goes on", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      const bytes = pattern(MUCH_BYTES);
      socket.write(bytes);
      socket.write(Buffer.from("second"));
      socket.write(Buffer.from("third"));
      const reading = readAll(other);
      await events.until((e) => e.drainedCount > 0);
      socket.end(CLOSE_WITHIN_MS);
      const expected = Buffer.concat([bytes, Buffer.from("secondthird")]);
      expect((await reading).equals(expected)).toBe(true);
    });

    it("writes what is left when it is ended", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      const bytes = pattern(MUCH_BYTES);
      socket.write(bytes);
      expect(socket.isBlocked).toBe(true);
      socket.end(CLOSE_WITHIN_MS);
      expect((await readAll(other)).equals(bytes)).toBe(true);
      expect(events.closedCount).toBe(0);
    });

    it("reads nothing while a reason to pause is left", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      other.write("first");
      await events.until((e) => e.text === "first");
      socket.pause(1);
      socket.pause(2);
      const bytes = pattern(MUCH_BYTES);
      let isThrough = false;
      other.write(bytes, () => {
        isThrough = true;
      });
      socket.resume(1);
      // A round trip of other sockets: whatever wanted to come had the time.
      const witness = await accepting(makeIo(), transport);
      witness.other.write("witness");
      await witness.events.until((e) => e.text === "witness");
      expect(events.text).toBe("first");
      expect(isThrough).toBe(false);
      socket.resume(2);
      await events.until((e) => e.lengthBytes === MUCH_BYTES + 5);
      expect(events.bytes.subarray(5).equals(bytes)).toBe(true);
    });

    it("stops reading at once when it is paused from within an event", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      events.onReceived = () => socket.pause(1);
      other.write(pattern(READ_BYTES * 4));
      await events.until((e) => e.lengthBytes > 0);
      const witness = await accepting(makeIo(), transport);
      witness.other.write("witness");
      await witness.events.until((e) => e.text === "witness");
      expect(events.receivedCount).toBe(1);
      events.onReceived = null;
      socket.resume(1);
      await events.until((e) => e.lengthBytes === READ_BYTES * 4);
      expect(events.bytes.equals(pattern(READ_BYTES * 4))).toBe(true);
    });

    it("is closed without a cause when the other side ends", async () => {
      const { events, other } = await open(makeIo(), transport);
      other.end("last words");
      await events.until((e) => e.closedCount > 0);
      expect(events.text).toBe("last words");
      expect(events.cause).toBeNull();
      await readAll(other);
      expect(events.closedCount).toBe(1);
    });

    it("is closed with the cause, after the write, when the other side is gone", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      socket.pause(1);
      other.destroy();
      await once(other, "close");
      // The first write may be answered by a reset, so that only a later one fails.
      for (let i = 0; i < 1000 && events.closedCount === 0; i++) {
        socket.write(Buffer.from("x"));
        expect(events.closedCount).toBe(0);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(events.closedCount).toBe(1);
      expect(events.cause).toMatchObject({ code: expect.stringMatching(/^(EPIPE|ECONNRESET)$/) });
      expect(events.cause?.message).toMatch(/^write (EPIPE|ECONNRESET)$/);
    });

    it("is closed when the other side goes away before a write is through", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      socket.write(pattern(MUCH_BYTES));
      expect(socket.isBlocked).toBe(true);
      other.destroy();
      await events.until((e) => e.closedCount > 0);
      expect(events.closedCount).toBe(1);
    });

    it("tells nothing more once it was destroyed", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      socket.write(pattern(MUCH_BYTES));
      socket.destroy();
      socket.destroy();
      socket.write(Buffer.from("ignored"));
      await readAll(other);
      expect(events).toMatchObject({ closedCount: 0, drainedCount: 0, receivedCount: 0 });
    });

    it("drops what comes after it was ended, and then closes", async () => {
      const { socket, events, other } = await open(makeIo(), transport);
      socket.write(Buffer.from("bye"));
      socket.end(CLOSE_WITHIN_MS);
      socket.write(Buffer.from("too late"));
      other.write(pattern(READ_BYTES * 3));
      expect((await readAll(other)).toString()).toBe("bye");
      other.end();
      await once(other, "close");
      expect(events).toMatchObject({ closedCount: 0, receivedCount: 0 });
    });

    it("closes in time when the other side does not end", async () => {
      const { socket, other } = await open(makeIo(), transport);
      socket.end(20);
      await readAll(other);
      // Only a closed socket answers with a reset.
      const broken = once(other, "error");
      const writing = setInterval(() => other.write("x"), 5);
      const [error] = (await broken) as [NodeJS.ErrnoException];
      clearInterval(writing);
      expect(error.code).toMatch(/^(EPIPE|ECONNRESET)$/);
    });
  });

  it("is closed with the cause when the other side resets the connection", async () => {
    const { events, other } = await accepting(makeIo(), "TCP");
    other.resetAndDestroy();
    await events.until((e) => e.closedCount > 0);
    expect(events.cause).toMatchObject({ code: "ECONNRESET", message: "read ECONNRESET" });
  });

  it("knows the addresses of a TCP connection, and none of a Unix socket", async () => {
    const { socket, other } = await accepting(makeIo(), "TCP");
    expect(socket.remoteAddress).toBe("127.0.0.1");
    expect(socket.remotePort).toBe(other.localPort);
    expect(socket.localAddress).toBe("127.0.0.1");
    const { socket: local } = await accepting(makeIo(), "Unix");
    expect(local.remoteAddress).toBeNull();
    expect(local.remotePort).toBeNull();
    expect(local.localAddress).toBeNull();
  });

  it("sends what was written before it was connected", async () => {
    const [server, target] = await listenOn("TCP");
    const events = new RecordedEvents();
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const socket = makeIo().connect(target, READ_BYTES, events);
    opened.push(socket);
    socket.write(Buffer.from("early "));
    socket.write(Buffer.from("bird"));
    expect(socket.isBlocked).toBe(true);
    await events.until((e) => e.drainedCount > 0);
    expect(socket.isBlocked).toBe(false);
    socket.end(CLOSE_WITHIN_MS);
    const [other] = await accepted;
    opened.push(other);
    expect((await readAll(other)).toString()).toBe("early bird");
  });

  it("says who refused a connection", async () => {
    const events = new RecordedEvents();
    const port = await refusingPort();
    makeIo().connect({ hostname: "127.0.0.1", port }, READ_BYTES, events);
    expect(events.closedCount).toBe(0);
    await events.until((e) => e.closedCount > 0);
    const message = `connect ECONNREFUSED 127.0.0.1:${port}`;
    expect(events.cause).toMatchObject({ code: "ECONNREFUSED", message });
    expect(events.isConnected).toBe(false);
  });

  it("says which socket file is not there", async () => {
    const events = new RecordedEvents();
    makeIo().connect({ hostname: directory, port: 99 }, READ_BYTES, events);
    await events.until((e) => e.closedCount > 0);
    const message = `connect ENOENT ${directory}/.s.PGSQL.99`;
    expect(events.cause).toMatchObject({ code: "ENOENT", message });
  });

  it("says which name is unknown", async () => {
    const events = new RecordedEvents();
    makeIo().connect({ hostname: "no-such-host.invalid", port: 1 }, READ_BYTES, events);
    await events.until((e) => e.closedCount > 0);
    expect(events.cause?.message).toMatch(
      /^getaddrinfo (ENOTFOUND|EAI_AGAIN) no-such-host.invalid/,
    );
  });

  it("finds the address of a name that answers", async () => {
    const [server, { port }] = await listenOn("TCP");
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const events = new RecordedEvents();
    opened.push(makeIo().connect({ hostname: "localhost", port }, READ_BYTES, events));
    await events.until((e) => e.isConnected);
    opened.push((await accepted)[0]);
  });

  it("says what each address of a name said", async () => {
    const port = await refusingPort();
    const events = new RecordedEvents();
    makeIo().connect({ hostname: "localhost", port }, READ_BYTES, events);
    await events.until((e) => e.closedCount > 0);
    expect(events.cause?.message).toContain("connect ECONNREFUSED 127.0.0.1");
    expect(events.cause).toMatchObject({ code: "ECONNREFUSED" });
  });

  it.each([
    ["ended", (socket: ByteSocket) => socket.end(CLOSE_WITHIN_MS)],
    ["destroyed", (socket: ByteSocket) => socket.destroy()],
  ])("tells nothing of a connection attempt that was %s", async (_how, stop) => {
    const io = makeIo();
    const [, target] = await listenOn("TCP");
    const attempts = [target, { hostname: "localhost", port: target.port }].map((to) => {
      const events = new RecordedEvents();
      const socket = io.connect(to, READ_BYTES, events);
      stop(socket);
      return events;
    });
    const later = new RecordedEvents();
    opened.push(io.connect({ hostname: "localhost", port: target.port }, READ_BYTES, later));
    await later.until((e) => e.isConnected);
    for (const events of attempts) {
      expect(events).toMatchObject({ isConnected: false, closedCount: 0, receivedCount: 0 });
    }
  });

  it("leaves alone what a slow write refers to, also when its reader is closed and others come", async () => {
    const io = makeIo();
    const slow = await accepting(io, "TCP");
    const source = await accepting(io, "TCP");
    const filler = pattern(MUCH_BYTES);
    slow.socket.write(filler);
    expect(slow.socket.isBlocked).toBe(true);
    source.events.onReceived = (bytes) => slow.socket.write(bytes);
    source.other.write("read just before the end");
    await source.events.until((e) => e.lengthBytes === 24);
    source.socket.destroy();
    for (let i = 0; i < 5; i++) {
      const next = await accepting(io, "TCP");
      next.other.write("OTHER BYTES THAT ARE HERS");
      await next.events.until((e) => e.lengthBytes === 25);
    }
    const reading = readAll(slow.other);
    await slow.events.until((e) => e.drainedCount > 0);
    slow.socket.end(CLOSE_WITHIN_MS);
    expect((await reading).subarray(MUCH_BYTES).toString()).toBe("read just before the end");
  });

  it("reads what belongs to each of many that come and go", async () => {
    const io = makeIo();
    for (let round = 0; round < 3; round++) {
      const pairs = await Promise.all(
        Array.from({ length: 20 }, () => accepting(io, round === 1 ? "Unix" : "TCP")),
      );
      pairs.forEach(({ other }, i) => other.write(`of client ${round} ${i}`));
      for (const [i, { events, socket }] of pairs.entries()) {
        await events.until((e) => e.text === `of client ${round} ${i}`);
        socket.destroy();
      }
    }
  });
});

describe.each(ways.slice(1))("a door by %s", (_name, makeIo) => {
  function openDoor(transport: "TCP" | "Unix"): [ServerHandle, SocketTarget] {
    const handles = findStreamHandles();
    if (handles === null) throw new Error("this Node shows no stream handles");
    if (transport === "Unix") {
      const door = handles.newPipeServer();
      expect(door.bind(join(directory, ".s.PGSQL.1"))).toBe(0);
      return [door, { hostname: directory, port: 1 }];
    }
    const door = handles.newTcpServer();
    expect(door.bind("127.0.0.1", 0)).toBe(0);
    const name: { port?: number } = {};
    door.getsockname(name);
    return [door, { hostname: "127.0.0.1", port: name.port ?? 0 }];
  }

  it.each(["TCP", "Unix"] as const)(
    "lets clients in by %s until it is closed",
    async (transport) => {
      const io = makeIo();
      const [door, target] = openDoor(transport);
      const came: RecordedEvents[] = [];
      const status = io.listen(door, 10, (code, client) => {
        expect(code).toBe(0);
        const events = new RecordedEvents();
        opened.push(io.accept(client as AcceptedClient, READ_BYTES, events));
        came.push(events);
      });
      expect(status).toBe(0);
      const others = [connectPlainly(target), connectPlainly(target)];
      opened.push(...others);
      for (const other of others) other.write("here I am");
      await vi.waitUntil(() => came.length === 2);
      for (const events of came) await events.until((e) => e.text === "here I am");
      io.close(door);
      const late = connectPlainly(target);
      opened.push(late);
      const [refusal] = (await once(late, "error")) as [NodeJS.ErrnoException];
      expect(refusal.code).toMatch(/^(ECONNREFUSED|ENOENT)$/);
      expect(came).toHaveLength(2);
    },
  );

  it.each(["TCP", "Unix"] as const)(
    "makes of a client by %s what others can take",
    async (transport) => {
      const io = makeIo();
      const [door, target] = openDoor(transport);
      const events = new RecordedEvents();
      io.listen(door, 10, (_code, client) => {
        const passed = io.passable(client as AcceptedClient);
        opened.push(handleIo().accept(passed, READ_BYTES, events));
      });
      const other = connectPlainly(target);
      opened.push(other);
      other.write("to somebody else");
      await events.until((e) => e.text === "to somebody else");
      io.close(door);
    },
  );

  it("says why it cannot be listened on", () => {
    const io = makeIo();
    const [door] = openDoor("TCP");
    io.close(door);
    expect(io.listen(door, 10, () => undefined)).toBeLessThan(0);
  });
});

it("a door by system calls goes on when there are descriptors again", async () => {
  const handles = findStreamHandles();
  if (calls === null || handles === null) throw new Error("system calls cannot be called here");
  const real = calls;
  let failures = 2;
  let hasFailed = false;
  const scarce: SocketCalls = {
    ...real,
    accept: (fd) => {
      hasFailed = failures > 0;
      failures -= 1;
      return hasFailed ? -1 : real.accept(fd);
    },
    errno: () => (hasFailed ? -24 : real.errno()),
  };
  const doors = new EpollDoors(new EpollPoller(scarce), handles);
  const door = handles.newTcpServer();
  door.bind("127.0.0.1", 0);
  const name: { port?: number } = {};
  door.getsockname(name);
  const came: number[] = [];
  doors.open(door, 10, (status, client) => {
    came.push(status);
    if (client !== null) opened.push(epollIo().accept(client, READ_BYTES, new RecordedEvents()));
  });
  opened.push(connectPlainly({ hostname: "127.0.0.1", port: name.port ?? 0 }));
  await vi.waitUntil(() => came.length === 3);
  expect(came).toEqual([-24, -24, 0]);
  doors.close(door);
});

describe("the choice", () => {
  it("takes the system calls where they can be called, and says nothing about it", async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    process.on("warning", warn);
    expect((await chooseSocketIo(undefined)).kind).toBe("epoll");
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", warn);
    expect(warnings).toEqual([]);
  });

  it("can be fixed", async () => {
    expect((await chooseSocketIo("net")).kind).toBe("net");
    expect((await chooseSocketIo("handle")).kind).toBe("handle");
    expect((await chooseSocketIo("epoll")).kind).toBe("epoll");
  });

  it("falls back to net.Socket where the streams are not as expected", async () => {
    const owner = process as unknown as { binding: unknown };
    const before = owner.binding;
    owner.binding = () => ({});
    try {
      expect((await chooseSocketIo(undefined)).kind).toBe("net");
    } finally {
      owner.binding = before;
    }
  });
});
