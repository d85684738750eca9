import { fail, succeed, unreachable, type Ms, type Result } from "../../base/index.ts";
import type { Log } from "../../os/index.ts";
import {
  decodeHelloReply,
  encodeFrame,
  type Hello,
  type HelloReply,
  type PeerMessage,
} from "../../wire/watchdog/index.ts";
import { resolveHost } from "./host-names.ts";
import type { MemberKeys } from "./member-keys.ts";
import { delay, Outbound } from "./peer-channels.ts";
import { InboundSide } from "./peer-inbound.ts";
import { NoiseNetwork } from "./peer-noise.ts";
import { RefusalLog } from "./refusal-log.ts";

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
  /** `isSilent`: it was given up because nothing came any more. */
  readonly onDisconnected: (id: number, isSilent: boolean) => void;
  readonly onMessage: (from: number, message: PeerMessage) => void;
  /** A member does not accept this node, and says so at each try. */
  readonly onRefused?: (byPeer: number) => void;
  /** A member says that another process uses our node id. */
  readonly onDuplicateId: (byPeer: number) => void;
}

const REDIAL_MS: Ms = 100;
/** The system would ask a host that was away again ever more rarely; we ask anew. */
const CONNECT_OF_SILENCE = 1 / 3;

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
  readonly #network: NoiseNetwork;
  readonly #refusals: RefusalLog;
  readonly #inbound: InboundSide;
  readonly #outbound = new Map<number, Outbound>();
  /** Where each peer was last found. */
  readonly #addresses = new Map<number, string>();
  /** Ends the wait for a host that does not answer, and for the next try. */
  readonly #hurries = new Map<number, AbortController>();
  readonly #stopping = new AbortController();
  readonly #looking: NodeJS.Timeout;

  constructor(options: PeerTransportOptions) {
    const { self, keys, silenceMs, hello, onMessage } = options;
    this.#options = options;
    this.#network = new NoiseNetwork(self.id, keys, silenceMs * 4);
    this.#refusals = new RefusalLog(options.log);
    this.#inbound = new InboundSide({
      network: this.#network,
      keys,
      hello,
      silenceMs,
      refusals: this.#refusals,
      isMembersAddress: (address) => [...this.#addresses.values()].includes(address),
      onConnected: (id, peer) => {
        // It is back: the other direction need not wait for its turn.
        if (!this.#outbound.has(id)) this.#hurries.get(id)?.abort();
        options.onConnected(id, peer);
      },
      onDisconnected: (id) => this.#tellIfGone(id, false),
      onMessage,
    });
    // One timer for all connections, so that an idle process is woken once.
    this.#looking = setInterval(() => {
      for (const outbound of this.#outbound.values()) outbound.look();
    }, silenceMs / 2);
  }

  async listen(address: string): Promise<Result<void, string>> {
    const { port } = this.#options.self;
    return await this.#network.listen(address, port, (raw) => void this.#inbound.accept(raw));
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
    clearInterval(this.#looking);
    for (const outbound of this.#outbound.values()) await outbound.close();
    this.#inbound.stop();
    await this.#network.close();
  }

  async #keepDialling(peer: PeerAddress): Promise<void> {
    let lastProblem = "";
    while (!this.#stopping.signal.aborted) {
      const hurry = new AbortController();
      this.#hurries.set(peer.id, hurry);
      const problem = await this.#dialOnce(peer, hurry.signal);
      if (problem !== null && problem !== lastProblem && !this.#stopping.signal.aborted) {
        this.#options.log.write(
          "log",
          `could not connect to watchdog node ${peer.id} at ${peer.hostname}:${peer.port}`,
          { detail: problem },
        );
      }
      lastProblem = problem ?? "";
      await delay(REDIAL_MS, AbortSignal.any([this.#stopping.signal, hurry.signal]));
    }
  }

  /** Connects and serves the connection until it ends. What went wrong before a welcome, or null. */
  async #dialOnce(peer: PeerAddress, hurry: AbortSignal): Promise<string | null> {
    const { silenceMs, keys, hello } = this.#options;
    // Not AbortSignal.timeout: the transport ties the socket to this signal for all its life.
    const patience = new AbortController();
    const giveUp = (): void => patience.abort(new Error("no answer in time"));
    const timer = setTimeout(giveUp, silenceMs);
    const connecting = setTimeout(giveUp, silenceMs * CONNECT_OF_SILENCE);
    hurry.addEventListener("abort", giveUp);
    const onReached = (): void => {
      clearTimeout(connecting);
      hurry.removeEventListener("abort", giveUp);
    };
    const dialling = { signal: patience.signal, onReached };
    let outbound: Outbound;
    let reply: HelloReply;
    try {
      const address = await resolveHost(peer.hostname);
      if (!address.ok) return address.error;
      this.#addresses.set(peer.id, address.value);
      const remotePeer = must(keys.peerIds.get(peer.id));
      const channel = await this.#network.dial(address.value, peer.port, remotePeer, dialling);
      channel.send(encodeFrame(hello));
      const decoded = decodeHelloReply(await channel.first(patience.signal));
      if (!decoded.ok) {
        channel.abort();
        return decoded.error;
      }
      reply = decoded.value;
      outbound = new Outbound(channel, silenceMs);
    } catch (error) {
      return this.#stopping.signal.aborted ? null : explainDialError(error);
    } finally {
      clearTimeout(timer);
      onReached();
    }
    if (reply.type === "refused") {
      outbound.abort();
      return this.#onRefused(peer, reply);
    }
    await this.#use(peer.id, outbound, reply);
    return null;
  }

  async #use(id: number, outbound: Outbound, welcome: HelloReply): Promise<void> {
    if (this.#stopping.signal.aborted) return outbound.abort();
    this.#outbound.set(id, outbound);
    this.#options.onConnected(id, welcome);
    const { problem, isSilent } = await outbound.ended();
    this.#outbound.delete(id);
    if (problem !== null) {
      this.#refusals.write("broken", "warning", `watchdog connection to node ${id} ended`, {
        detail: problem,
        hint: "Somebody on the network changes traffic, or a node runs another version.",
      });
    }
    outbound.abort();
    this.#tellIfGone(id, isSilent);
  }

  #onRefused(peer: PeerAddress, { reason, detail }: HelloReply & { type: "refused" }): string {
    this.#options.onRefused?.(peer.id);
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

  #tellIfGone(id: number, isSilent: boolean): void {
    if (this.#inbound.has(id) || this.#outbound.has(id)) return;
    this.#options.onDisconnected(id, isSilent);
  }
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
