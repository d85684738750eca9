import { createServer, connect, type Server, type Socket } from "node:net";
import { createSocket, type Socket as DatagramSocket } from "node:dgram";

/** Which way bytes go: from the side that dialled, or to it. */
type Way = "forth" | "back";

/** One relayed connection and all that has passed on it. */
export class RelayedConnection {
  readonly number: number;
  readonly forth: Buffer[] = [];
  readonly back: Buffer[] = [];
  readonly #dialler: Socket;
  readonly #target: Socket;

  constructor(number: number, dialler: Socket, target: Socket) {
    this.number = number;
    this.#dialler = dialler;
    this.#target = target;
  }

  /** Bytes of the middleman's own: `forth` reaches the target, `back` the dialler. */
  inject(way: Way, bytes: Buffer): void {
    (way === "forth" ? this.#target : this.#dialler).write(bytes);
  }

  cut(): void {
    this.#dialler.end();
    this.#target.end();
  }

  get isOver(): boolean {
    return this.#target.destroyed && this.#dialler.destroyed;
  }
}

/** What to pass on instead of the chunk, which has been recorded as it came; null: nothing. */
type Mangle = (connection: RelayedConnection, way: Way, chunk: Buffer) => Buffer | null;

/** A middleman on loopback between a dialler and a target: it records, changes, cuts and injects. */
export class TcpRelay {
  readonly connections: RelayedConnection[] = [];
  mangle: Mangle = (_connection, _way, chunk) => chunk;
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ noDelay: true }, (dialler) => this.#relay(dialler));
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("it does not listen");
    return address.port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #relay(dialler: Socket): void {
    const target = connect({ port: this.#targetPort, host: "127.0.0.1", noDelay: true });
    const connection = new RelayedConnection(this.connections.length, dialler, target);
    this.connections.push(connection);
    this.#join(connection, "forth", dialler, target);
    this.#join(connection, "back", target, dialler);
  }

  #join(connection: RelayedConnection, way: Way, from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (chunk: Buffer) => {
      connection[way].push(chunk);
      const passed = this.mangle(connection, way, chunk);
      if (passed !== null && to.writable) to.write(passed);
    });
    from.on("error", () => to.destroy());
    from.on("end", () => to.end());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.end();
    });
  }
}

/** Passes datagrams on, keeps a copy of each, and can send any of them again. */
export class UdpRecorder {
  readonly datagrams: Buffer[] = [];
  readonly #socket: DatagramSocket = createSocket("udp4");

  async listen(port: number, targetPort: number): Promise<void> {
    this.#socket.on("message", (bytes) => {
      this.datagrams.push(bytes);
      this.#socket.send(bytes, targetPort, "127.0.0.1");
    });
    await new Promise<void>((resolve) => {
      this.#socket.bind(port, "127.0.0.1", resolve);
    });
  }

  async send(bytes: Buffer, port: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.send(bytes, port, "127.0.0.1", () => resolve());
    });
  }

  close(): void {
    this.#socket.close();
  }
}
