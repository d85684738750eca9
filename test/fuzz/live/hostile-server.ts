/**
 * A server that talks PostgreSQL's protocol until it does not. Who logs in as `honest` is served
 * by the model of a server; everybody else gets what the seed draws.
 */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Random } from "../../sim/random.ts";
import { say } from "../../support/raw-client.ts";
import { ModelServer } from "../model/server.ts";
import { mutate } from "../mutate.ts";
import type { Step } from "../script.ts";
import { backendLogin } from "../targets/backend-login.ts";
import { hostileBackend } from "../targets/hostile-session.ts";

/** Of rows that nobody asked for. */
const ENDLESS_BYTES = 20 * 1024 * 1024;

const GREETING = Buffer.concat([
  say.any("R", Buffer.alloc(4)),
  say.any("S", "server_version\x0015.0\0"),
  say.any("S", "client_encoding\0UTF8\0"),
  say.any("K", Buffer.from([0, 0, 0, 1, 0, 0, 0, 2])),
  say.any("Z", "I"),
]);

export class HostileServer {
  readonly #server: Server;
  readonly #random: Random;
  readonly #sockets = new Set<Socket>();

  private constructor(seed: number) {
    this.#random = new Random(seed);
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  static async start(seed: number): Promise<HostileServer> {
    const self = new HostileServer(seed);
    await new Promise<void>((resolve) => {
      self.#server.listen(0, "127.0.0.1", resolve);
    });
    return self;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    let held: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk]);
      if (held.length < 4 || held.length < held.readUInt32BE(0)) return;
      socket.off("data", onData);
      const length = held.readUInt32BE(0);
      if (held.subarray(8, length).includes("\0honest\0")) {
        serveHonestly(socket, held.subarray(length));
      } else this.#serveBadly(socket);
    };
    socket.on("data", onData);
  }

  #serveBadly(socket: Socket): void {
    const random = this.#random.fork(this.#random.below(2 ** 31));
    if (random.chance(0.3)) return serveLogin(socket, random);
    socket.write(GREETING);
    const trick = random.below(10);
    socket.once("data", () => {
      if (trick === 0) return sendEndlessRows(socket);
      if (trick === 1) return void socket.write(startOfRow(1 << 29));
      if (trick === 2) return socket.resetAndDestroy();
      if (trick === 3) {
        // Half a row, then an error in it.
        socket.write(Buffer.concat([startOfRow(1000), say.any("E", FATAL)]));
        return void socket.end();
      }
      if (trick === 4) return void socket.write(say.any("S", `${"x".repeat(1 << 20)}\0y\0`));
      if (trick === 5) return; // Silence.
      serveScript(socket, random);
    });
  }
}

const FATAL = "SFATAL\0VFATAL\0C57P01\0Mm\0\0";

function startOfRow(lengthBytes: number): Buffer {
  const head = Buffer.from([0x44, 0, 0, 0, 0, 0, 1]);
  head.writeUInt32BE(lengthBytes, 1);
  return head;
}

function serveHonestly(socket: Socket, early: Buffer): void {
  const model = new ModelServer();
  const serve = (bytes: Buffer): void => {
    model.receive(bytes);
    socket.write(model.take());
    if (model.isDead) socket.end();
  };
  socket.write(GREETING);
  socket.on("data", serve);
  if (early.length > 0) serve(early);
}

/** One step for each thing that the other side says, and some without being asked. */
function serveScript(socket: Socket, random: Random): void {
  const steps = damaged(hostileBackend.generate(random), random);
  const queue = steps.filter(({ what }) => what === "backend").map(({ bytes }) => bytes);
  const next = (): void => {
    do {
      const bytes = queue.shift();
      if (bytes === undefined) return void socket.end();
      socket.write(bytes);
    } while (random.chance(0.5));
  };
  socket.on("data", next);
  next();
}

function serveLogin(socket: Socket, random: Random): void {
  for (const { what, bytes } of damaged(backendLogin.generate(random), random)) {
    if (what === "backend") socket.write(bytes);
  }
  if (random.chance(0.5)) socket.end();
}

function damaged(steps: readonly Step[], random: Random): readonly Step[] {
  return random.chance(0.3) ? steps : mutate(steps, { random, mutatesBytes: true, other: steps });
}

function sendEndlessRows(socket: Socket): void {
  const rows = Buffer.concat(Array.from({ length: 64 }, () => say.any("D", Buffer.alloc(1000))));
  let left = ENDLESS_BYTES;
  const more = (): void => {
    while (left > 0 && !socket.destroyed) {
      left -= rows.length;
      if (!socket.write(rows)) return void socket.once("drain", more);
    }
    socket.end();
  };
  more();
}
