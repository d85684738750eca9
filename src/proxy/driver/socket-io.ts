import { createServer, type Server } from "node:net";
import {
  socketFile,
  type ByteSocket,
  type SocketEvents,
  type SocketIo,
  type SocketTarget,
} from "./byte-socket.ts";
import { createHandleIo } from "./handle-socket.ts";
import { createEpollIo } from "./epoll-socket.ts";
import { findSocketCalls, findStreamHandles } from "../../os/index.ts";
import { NET_IO } from "./stream-socket.ts";

const PROBE_WITHIN_MS = 2000;
const PROBE_READ_BYTES = 4096;
/** More than a Unix socket takes at once. */
const PROBE_BYTES = 512 * 1024;

/**
 * The cheapest way to make sockets that works in this Node: by system calls where they can be called,
 * else right above libuv's streams where they are as expected, else by `net.Socket`. Each but the
 * last must go well in a trial within this process.
 *
 * @param wanted `net`, `handle` or `epoll` fixes it, for tests; anything else chooses.
 */
export async function chooseSocketIo(wanted: string | undefined): Promise<SocketIo> {
  if (wanted === "net") return NET_IO;
  const handles = findStreamHandles();
  if (handles === null) return NET_IO;
  const calls = wanted === "handle" ? null : await findSocketCalls();
  if (calls !== null) {
    const io = createEpollIo(calls, handles);
    if (wanted === "epoll" || (await works(io))) return io;
  }
  const io = createHandleIo(handles);
  if (wanted === "handle" || (await works(io))) return io;
  return NET_IO;
}

async function works(io: SocketIo): Promise<boolean> {
  const hostname = `\0pgquorum-probe-${process.pid}-${process.hrtime.bigint()}`;
  const trials = [tryOut(io, "127.0.0.1"), tryOut(io, hostname)];
  return (await Promise.all(trials)).every((isGood) => isGood);
}

/** Sends much from an accepted socket to one that connected, which echoes it; then ends both. */
async function tryOut(io: SocketIo, hostname: string): Promise<boolean> {
  const server = createServer({ pauseOnConnect: true });
  let timer: NodeJS.Timeout | null = null;
  try {
    return await new Promise((resolve) => {
      timer = setTimeout(() => resolve(false), PROBE_WITHIN_MS);
      server.on("error", () => resolve(false));
      const path = socketFile({ hostname, port: 0 });
      server.listen(path === null ? { host: hostname, port: 0 } : { path }, () =>
        roundTrip(io, server, { hostname, port: portOf(server) }, resolve),
      );
    });
  } catch {
    return false;
  } finally {
    if (timer !== null) clearTimeout(timer);
    server.close();
  }
}

function roundTrip(
  io: SocketIo,
  server: Server,
  target: SocketTarget,
  done: (isGood: boolean) => void,
): void {
  const sent = Buffer.alloc(PROBE_BYTES, "pgquorum ");
  const echoed: Buffer[] = [];
  let echoedBytes = 0;
  let wasBlocked = false;
  let hasDrained = false;
  server.on("connection", (accepted) => {
    const near: ByteSocket = io.accept(accepted, PROBE_READ_BYTES, {
      ...IGNORED,
      received(bytes) {
        echoed.push(Buffer.from(bytes));
        echoedBytes += bytes.length;
        if (echoedBytes === PROBE_BYTES) near.end(PROBE_WITHIN_MS);
      },
      drained() {
        hasDrained = true;
      },
    });
    near.write(sent);
    wasBlocked = near.isBlocked;
  });
  const far: ByteSocket = io.connect(target, PROBE_READ_BYTES, {
    ...IGNORED,
    received(bytes) {
      far.write(bytes);
      if (far.isBlocked) far.pause(1);
    },
    drained: () => far.resume(1),
    closed(cause) {
      const isWhole = Buffer.concat(echoed).equals(sent);
      done(cause === null && isWhole && wasBlocked === hasDrained);
    },
  });
}

const IGNORED: SocketEvents = {
  received: () => undefined,
  drained: () => undefined,
  connected: () => undefined,
  closed: () => undefined,
};

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
