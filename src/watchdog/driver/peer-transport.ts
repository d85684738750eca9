import "./promise-with-resolvers.ts";
import { lookup } from "node:dns/promises";
import { isIPv6 } from "node:net";
import type { ComponentLogger, Listener, Logger, Transport, Upgrader } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { lpStream } from "@libp2p/utils";
import { multiaddr, type Multiaddr } from "@multiformats/multiaddr";
import { fail, succeed, unreachable, type Ms, type Result } from "../../base/index.ts";
import { monotonicNowMs, systemErrorText, type Log } from "../../os/index.ts";
import {
  decodeHello,
  decodeHelloReply,
  encodeFrame,
  FRAME_BYTES_MAX,
  type Hello,
  type HelloReply,
  type PeerMessage,
} from "../../wire/watchdog/index.ts";
import { describeDifference } from "../core/shared-settings.ts";
import { delay, Inbound, Outbound, type Channel } from "./peer-channels.ts";
import type { MemberKeys } from "./member-keys.ts";

/**
 * Carries messages between watchdogs. Every pair has two connections: each node sends on the one
 * it dialled and receives on the other, so nobody has to agree which one to keep.
 *
 *     node 0 ── hello ──▶ node 1        TCP, Noise (proves wd_authkey and the node's id),
 *            ◀─ welcome ─                then length-prefixed frames
 *            ── round, vote, ping ──▶
 *            ◀─ pong ──
 *
 * A message that cannot be sent is dropped: consensus sends again.
 */
export interface PeerTransport {
  send(to: number, message: PeerMessage): void;
  isConnected(to: number): boolean;
  stop(): Promise<void>;
}

export interface PeerAddress {
  readonly id: number;
  readonly hostname: string;
  readonly port: number;
}

export interface PeerTransportOptions {
  readonly self: PeerAddress;
  readonly peers: readonly PeerAddress[];
  readonly keys: MemberKeys;
  readonly hello: Hello;
  /** A connection whose ping is not answered for this long is given up. */
  readonly silenceMs: Ms;
  readonly log: Log;
  readonly onConnected: (id: number, peer: Hello | HelloReply) => void;
  readonly onDisconnected: (id: number) => void;
  readonly onMessage: (from: number, message: PeerMessage) => void;
  /** A member says that another process uses our node id. */
  readonly onDuplicateId: (byPeer: number) => void;
}

type RefusalReason = (HelloReply & { type: "refused" })["reason"];

const REDIAL_MS = 200;
const INBOUND_CONNECTIONS_MAX = 64;

/** Errors: the own host name does not resolve; the address or port cannot be listened on. */
export async function startPeerTransport(
  options: PeerTransportOptions,
): Promise<Result<PeerTransport, string>> {
  const { self } = options;
  const address = await resolveHost(self.hostname);
  if (!address.ok)
    return fail(`cannot resolve hostname${self.id} "${self.hostname}": ${address.error}`);
  const transport = new Members(options);
  const listening = await transport.listen(address.value);
  if (!listening.ok) {
    return fail(
      `cannot listen for watchdog connections on ${self.hostname}:${self.port}: ${listening.error}`,
    );
  }
  transport.dialAll();
  return succeed(transport);
}

class Members implements PeerTransport {
  readonly #options: PeerTransportOptions;
  readonly #encrypter;
  readonly #transport: Transport;
  readonly #outbound = new Map<number, Outbound>();
  readonly #inbound = new Map<number, Inbound>();
  /** What was last said of each peer's settings. */
  readonly #differences = new Map<number, string>();
  #listener: Listener | null = null;
  readonly #stopping = new AbortController();

  constructor(options: PeerTransportOptions) {
    this.#options = options;
    const components = {
      peerId: must(options.keys.peerIds.get(options.self.id)),
      privateKey: options.keys.own,
      logger: SILENT,
      // Noise asks the upgrader only for stream muxers, and we skip their negotiation.
      upgrader: {} as Upgrader,
    };
    this.#encrypter = noise()(components);
    this.#transport = tcp({
      // The library's default ends a quiet connection after two minutes; pings do it sooner.
      inboundSocketInactivityTimeout: options.silenceMs * 4,
      outboundSocketInactivityTimeout: options.silenceMs * 4,
      maxConnections: INBOUND_CONNECTIONS_MAX,
    })({ logger: SILENT });
  }

  async listen(address: string): Promise<Result<void, string>> {
    const upgrader = {
      upgradeInbound: async (connection: Parameters<Upgrader["upgradeInbound"]>[0]) => {
        // Judged in the background: the listener must not wait for a slow or silent stranger.
        void this.#accept(connection);
      },
    } as unknown as Upgrader;
    this.#listener = this.#transport.createListener({ upgrader });
    try {
      await this.#listener.listen(toMultiaddr(address, this.#options.self.port));
      return succeed(undefined);
    } catch (error) {
      return fail(systemErrorText(error));
    }
  }

  dialAll(): void {
    for (const peer of this.#options.peers) void this.#keepDialling(peer);
  }

  send(to: number, message: PeerMessage): void {
    this.#outbound.get(to)?.send(encodeFrame(message));
  }

  isConnected(to: number): boolean {
    return this.#outbound.has(to);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const outbound of this.#outbound.values()) await outbound.close();
    for (const inbound of this.#inbound.values()) inbound.abort();
    await this.#listener?.close();
  }

  async #keepDialling(peer: PeerAddress): Promise<void> {
    let lastProblem = "";
    while (!this.#stopping.signal.aborted) {
      const problem = await this.#dialOnce(peer);
      if (problem !== null && problem !== lastProblem && !this.#stopping.signal.aborted) {
        this.#options.log.write(
          "log",
          `could not connect to watchdog node ${peer.id} at ${peer.hostname}:${peer.port}`,
          { detail: problem },
        );
      }
      lastProblem = problem ?? "";
      await delay(REDIAL_MS, this.#stopping.signal);
    }
  }

  /** Connects and serves the connection until it ends. What went wrong before a welcome, or null. */
  async #dialOnce(peer: PeerAddress): Promise<string | null> {
    const { silenceMs, keys, hello } = this.#options;
    // Not AbortSignal.timeout: the transport ties the socket to this signal for all its life.
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(new Error("no answer in time")), silenceMs);
    const { signal } = patience;
    let outbound: Outbound;
    let reply: HelloReply;
    try {
      const address = await resolveHost(peer.hostname);
      if (!address.ok) return address.error;
      const remotePeer = must(keys.peerIds.get(peer.id));
      const channel = await this.#dialChannel(toMultiaddr(address.value, peer.port), {
        signal,
        remotePeer,
      });
      await channel.write(encodeFrame(hello), { signal });
      const decoded = decodeHelloReply((await channel.read({ signal })).subarray());
      if (!decoded.ok) {
        channel.unwrap().abort(new Error(decoded.error));
        return decoded.error;
      }
      reply = decoded.value;
      outbound = new Outbound(channel);
    } catch (error) {
      return this.#stopping.signal.aborted ? null : explainDialError(error);
    } finally {
      clearTimeout(timer);
    }
    if (reply.type === "refused") {
      outbound.abort();
      return this.#onRefused(peer, reply);
    }
    this.#outbound.set(peer.id, outbound);
    this.#options.onConnected(peer.id, reply);
    await outbound.keepAlive(silenceMs, this.#stopping.signal);
    this.#outbound.delete(peer.id);
    this.#tellIfGone(peer.id);
    return null;
  }

  #onRefused(peer: PeerAddress, { reason, detail }: HelloReply & { type: "refused" }): string {
    switch (reason) {
      case "duplicate-id":
        this.#options.onDuplicateId(peer.id);
        return `it already knows another running node with the id ${this.#options.self.id}`;
      case "not-a-member":
        return `it does not count node ${this.#options.self.id} as a member; compare hostnameN`;
      case "settings-differ":
        return `it refuses this node, as seen from there: ${detail}`;
      default:
        return unreachable(reason);
    }
  }

  async #dialChannel(
    to: Multiaddr,
    options: { signal: AbortSignal; remotePeer: Parameters<MemberKeys["memberOf"]>[0] },
  ): Promise<Channel> {
    let channel: Channel | null = null;
    const upgrader = {
      upgradeOutbound: async (raw: Parameters<Upgrader["upgradeOutbound"]>[0]) => {
        const secured = await this.#encrypter.secureOutbound(raw, {
          ...options,
          skipStreamMuxerNegotiation: true,
        });
        channel = lpStream(secured.connection, { maxDataLength: FRAME_BYTES_MAX });
        return undefined as never;
      },
    } as unknown as Upgrader;
    await this.#transport.dial(to, { upgrader, signal: options.signal });
    return must<Channel>(channel);
  }

  async #accept(raw: Parameters<Upgrader["upgradeInbound"]>[0]): Promise<void> {
    const { silenceMs, keys, log } = this.#options;
    const from = raw.remoteAddr.toString().split("/")[2] ?? "an unknown address";
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(silenceMs)]);
    try {
      const secured = await this.#encrypter.secureInbound(raw, {
        signal,
        skipStreamMuxerNegotiation: true,
      });
      const channel = lpStream(secured.connection, { maxDataLength: FRAME_BYTES_MAX });
      const id = keys.memberOf(secured.remotePeer);
      if (id === null || id === this.#options.self.id) {
        await this.#refuseStranger(channel, from, id);
        return;
      }
      const hello = decodeHello((await channel.read({ signal })).subarray());
      if (!hello.ok || hello.value.nodeId !== id) throw new Error("malformed hello");
      await this.#serve(id, hello.value, channel, signal);
    } catch (error) {
      raw.abort(error instanceof Error ? error : new Error(String(error)));
      if (this.#stopping.signal.aborted) return;
      this.#logStranger(log, from, error);
    }
  }

  async #refuseStranger(channel: Channel, from: string, id: number | null): Promise<void> {
    const isOurId = id === this.#options.self.id;
    this.#options.log.write("warning", `watchdog connection from ${from} refused`, {
      detail: isOurId
        ? `it proved to be node ${id}, which is this node's own id`
        : "it does not prove to be a member of this cluster",
      hint: isOurId
        ? "Give each node its own number in the file pgpool_node_id."
        : "Compare wd_authkey and wd_cluster_name on both nodes.",
    });
    const reason = isOurId ? "duplicate-id" : "not-a-member";
    await this.#refuse(channel, reason, "");
  }

  async #refuse(channel: Channel, reason: RefusalReason, detail: string): Promise<void> {
    await channel.write(encodeFrame({ type: "refused", reason, detail }));
    await delay(50, this.#stopping.signal); // So that the words get through before the end.
    channel.unwrap().abort(new Error(reason));
  }

  /** Says it once for each new difference: the peer goes on trying. */
  #logDifference(id: number, difference: string): void {
    if (this.#differences.get(id) === difference) return;
    this.#differences.set(id, difference);
    this.#options.log.write("warning", `watchdog node ${id} is refused: its settings differ`, {
      detail: difference,
      hint: "Make them the same on all nodes; change them only with all nodes stopped.",
    });
  }

  /** At most one line a second about handshakes that failed: strangers decide how many there are. */
  #logStranger(log: Log, from: string, error: unknown): void {
    const nowMs = monotonicNowMs();
    if (nowMs - this.#strangerLoggedAtMs < 1000) return;
    this.#strangerLoggedAtMs = nowMs;
    log.write("log", `watchdog connection from ${from} broke off before it was accepted`, {
      detail: error instanceof Error ? error.message : "the connection was closed",
      hint: "If it is a node of this cluster: compare wd_authkey and wd_cluster_name.",
    });
  }

  #strangerLoggedAtMs = 0;

  async #serve(id: number, hello: Hello, channel: Channel, signal: AbortSignal): Promise<void> {
    const before = this.#inbound.get(id);
    const isOtherProcess = before !== undefined && before.hello.bootId !== hello.bootId;
    if (isOtherProcess && monotonicNowMs() - before.heardAtMs < this.#options.silenceMs) {
      await this.#refuse(channel, "duplicate-id", "");
      return;
    }
    const difference = describeDifference(this.#options.hello.settings, hello.settings);
    if (difference !== "") {
      this.#logDifference(id, difference);
      await this.#refuse(channel, "settings-differ", difference);
      return;
    }
    const inbound = new Inbound(hello, channel);
    before?.abort();
    this.#inbound.set(id, inbound);
    const { bootId, name, priority } = this.#options.hello;
    await channel.write(encodeFrame({ type: "welcome", bootId, name, priority }), { signal });
    this.#options.onConnected(id, hello);
    await inbound.readAll((message) => this.#options.onMessage(id, message), this.#options.log);
    if (this.#inbound.get(id) === inbound) {
      this.#inbound.delete(id);
      this.#tellIfGone(id);
    }
  }

  #tellIfGone(id: number): void {
    if (!this.#inbound.has(id) && !this.#outbound.has(id)) this.#options.onDisconnected(id);
  }
}

async function resolveHost(hostname: string): Promise<Result<string, string>> {
  try {
    return succeed((await lookup(hostname)).address);
  } catch (error) {
    return fail(systemErrorText(error));
  }
}

function toMultiaddr(address: string, port: number): Multiaddr {
  return multiaddr(`/${isIPv6(address) ? "ip6" : "ip4"}/${address}/tcp/${port}`);
}

function explainDialError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isSecurity =
    /UnexpectedPeer|InvalidCrypto|EncryptionFailed|Unexpected EOF|ECONNRESET|reset/i;
  if (error.name === "TimeoutError" || error.name === "AbortError") return "no answer in time";
  if (isSecurity.test(`${error.name} ${error.message}`)) {
    return `authentication failed or the peer closed the connection: compare wd_authkey and wd_cluster_name (${error.message})`;
  }
  return error.message;
}

function must<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error("a member without identity");
  return value;
}

/** The libraries' own debug log stays silent; what matters is logged here, in our words. */
const SILENT: ComponentLogger = {
  forComponent: silentLogger,
};

function silentLogger(): Logger {
  const log = (): void => undefined;
  return Object.assign(log, { error: log, trace: log, enabled: false, newScope: silentLogger });
}
