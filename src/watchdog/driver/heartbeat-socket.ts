import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import { systemErrorText, type Log } from "../../os/index.ts";
import {
  decodeHeartbeat,
  decodeReleaseDatagram,
  encodeHeartbeat,
  encodeReleaseDatagram,
  type Heartbeat,
} from "../../wire/watchdog/index.ts";
import { resolveHost } from "./host-names.ts";
import { RefusalLog } from "./refusal-log.ts";

/** Sends this node's heartbeat to all peers, and receives theirs and the guardians' last words. */
export interface HeartbeatSocket {
  sendRelease(secret: string): void;
  stop(): void;
}

export interface HeartbeatTarget {
  readonly hostname: string;
  readonly port: number;
}

export interface HeartbeatSocketOptions {
  readonly own: readonly HeartbeatTarget[];
  readonly peers: readonly HeartbeatTarget[];
  readonly keepaliveMs: Ms;
  readonly nodeId: number;
  readonly bootId: string;
  readonly key: Buffer;
  readonly log: Log;
  /** Told of authentic ones only. What else is wrong with it (it is old, or our own), or null. */
  readonly onHeartbeat: (heartbeat: Heartbeat) => string | null;
  readonly onRelease: (secret: string) => void;
}

/** Errors: an own heartbeat address that does not resolve or cannot be bound. */
export async function openHeartbeatSocket(
  options: HeartbeatSocketOptions,
): Promise<Result<HeartbeatSocket, string>> {
  const sockets: Socket[] = [];
  for (const { hostname, port } of options.own) {
    const bound = await bind(hostname, port);
    if (!bound.ok) {
      for (const socket of sockets) socket.close();
      return fail(`cannot receive heartbeats on ${hostname}:${port}: ${bound.error}`);
    }
    sockets.push(bound.value);
  }
  return succeed(new Heartbeats(options, sockets));
}

async function bind(hostname: string, port: number): Promise<Result<Socket, string>> {
  const resolved = await resolveHost(hostname);
  if (!resolved.ok) return resolved;
  const address = resolved.value;
  try {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(port, address, resolve);
    });
    socket.removeAllListeners("error");
    return succeed(socket);
  } catch (error) {
    return fail(systemErrorText(error));
  }
}

class Heartbeats implements HeartbeatSocket {
  readonly #options: HeartbeatSocketOptions;
  readonly #sockets: readonly Socket[];
  readonly #timer: NodeJS.Timeout;
  readonly #refusals: RefusalLog;
  readonly #addresses = new Map<string, string>();
  #counter = 0;
  #isResolving = false;
  #isStopped = false;

  constructor(options: HeartbeatSocketOptions, sockets: readonly Socket[]) {
    this.#options = options;
    this.#sockets = sockets;
    this.#refusals = new RefusalLog(options.log);
    for (const socket of sockets) {
      socket.on("message", (bytes, { address }) => this.#receive(bytes, address));
      socket.on("error", () => undefined); // Such as a peer whose port is closed: it is not up yet.
    }
    void this.#resolve().then(() => this.#beat());
    this.#timer = setInterval(() => this.#beat(), options.keepaliveMs);
  }

  sendRelease(secret: string): void {
    this.#send(encodeReleaseDatagram(secret));
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.close();
  }

  /** Names may come to mean other addresses; a datagram goes to the one known last. */
  async #resolve(): Promise<void> {
    if (this.#isResolving) return;
    this.#isResolving = true;
    for (const { hostname } of this.#options.peers) {
      const resolved = await resolveHost(hostname);
      if (resolved.ok) this.#addresses.set(hostname, resolved.value);
    }
    this.#isResolving = false;
  }

  #beat(): void {
    void this.#resolve();
    const { nodeId, bootId, key } = this.#options;
    this.#counter += 1;
    this.#send(encodeHeartbeat({ nodeId, bootId, counter: this.#counter }, key));
  }

  #send(bytes: Buffer): void {
    const [socket] = this.#sockets;
    if (socket === undefined || this.#isStopped) return;
    for (const { hostname, port } of this.#options.peers) {
      const address = this.#addresses.get(hostname);
      // A name that does not resolve now may do so at the next beat; lifecheck sees the silence.
      if (address !== undefined) socket.send(bytes, port, address, () => undefined);
    }
  }

  #receive(bytes: Buffer, from: string): void {
    const secret = decodeReleaseDatagram(bytes);
    if (secret !== null) {
      this.#options.onRelease(secret);
      return;
    }
    const heartbeat = decodeHeartbeat(bytes, this.#options.key);
    const flaw = heartbeat.ok ? this.#options.onHeartbeat(heartbeat.value) : heartbeat.error;
    if (flaw === null) return;
    const kind = heartbeat.ok ? "stale" : "forged";
    this.#refusals.write(kind, "warning", `heartbeat from ${from} refused: ${flaw}`);
  }
}
