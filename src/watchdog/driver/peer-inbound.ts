import type { Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import {
  decodeHello,
  encodeFrame,
  type Hello,
  type HelloReply,
  type PeerMessage,
} from "../../wire/watchdog/index.ts";
import { admit, leave, startAdmission } from "../core/admission.ts";
import { describeDifference } from "../core/shared-settings.ts";
import type { MemberKeys } from "./member-keys.ts";
import { delay, Inbound, type FrameChannel } from "./peer-channels.ts";
import { addressOf, type NoiseNetwork, type RawConnection } from "./peer-noise.ts";
import type { RefusalLog } from "./refusal-log.ts";

export interface InboundSideOptions {
  readonly network: NoiseNetwork;
  readonly keys: MemberKeys;
  /** What this node says of itself. */
  readonly hello: Hello;
  readonly silenceMs: Ms;
  readonly refusals: RefusalLog;
  readonly isMembersAddress: (address: string) => boolean;
  readonly onConnected: (id: number, hello: Hello) => void;
  readonly onDisconnected: (id: number) => void;
  readonly onMessage: (from: number, message: PeerMessage) => void;
}

type RefusalReason = (HelloReply & { type: "refused" })["reason"];

/** For handshake and hello; then the place at the door is for somebody else. */
const HANDSHAKE_MS: Ms = 2000;

/** The connections that others open to this node: who may wait, who gets in, who is heard. */
export class InboundSide {
  readonly #options: InboundSideOptions;
  readonly #members = new Map<number, Inbound>();
  /** What was last said of each peer's settings. */
  readonly #differences = new Map<number, string>();
  readonly #stopping = new AbortController();
  readonly #waiting = new Map<number, (why: string) => void>();
  #admission = startAdmission(monotonicNowMs());
  #lastKey = 0;

  constructor(options: InboundSideOptions) {
    this.#options = options;
  }

  has(id: number): boolean {
    return this.#members.has(id);
  }

  stop(): void {
    this.#stopping.abort();
    for (const turnAway of this.#waiting.values()) turnAway("this node stops");
    for (const inbound of this.#members.values()) inbound.abort();
  }

  /** Never rejects: a connection that comes to nothing is told to the log and closed. */
  async accept(raw: RawConnection): Promise<void> {
    const address = addressOf(raw);
    const patience = new AbortController();
    const key = this.#enter(address, (why) => patience.abort(new Error(why)));
    const timer = setTimeout(() => patience.abort(new Error("no answer in time")), HANDSHAKE_MS);
    try {
      patience.signal.throwIfAborted();
      const proven = await this.#prove(raw, address, patience.signal);
      clearTimeout(timer);
      this.#leave(key);
      if (proven !== null) await this.#judge(proven.id, proven.hello, proven.channel, address);
    } catch (error) {
      raw.abort(error instanceof Error ? error : new Error(String(error)));
      this.#tellBrokenOff(address, error);
    } finally {
      clearTimeout(timer);
      this.#leave(key);
    }
  }

  #enter(address: string, turnAway: (why: string) => void): number {
    const key = ++this.#lastKey;
    this.#waiting.set(key, turnAway);
    const isMembersAddress = this.#options.isMembersAddress(address);
    const { state, turnedAway } = admit(
      this.#admission,
      { key, address, isMembersAddress },
      monotonicNowMs(),
    );
    this.#admission = state;
    for (const loser of turnedAway) {
      const tell = this.#waiting.get(loser);
      this.#waiting.delete(loser);
      tell?.("too many connections that prove nothing: it was turned away");
    }
    return key;
  }

  #leave(key: number): void {
    this.#waiting.delete(key);
    this.#admission = leave(this.#admission, key);
  }

  /** Null: it is no member, and was told so. */
  async #prove(
    raw: RawConnection,
    address: string,
    signal: AbortSignal,
  ): Promise<{ id: number; hello: Hello; channel: FrameChannel } | null> {
    const { network, keys, hello: own } = this.#options;
    const { remotePeer, channel } = await network.secureInbound(raw, signal);
    const id = keys.memberOf(remotePeer);
    if (id === null || id === own.nodeId) {
      await this.#refuseStranger(channel, address, id);
      return null;
    }
    const hello = decodeHello(await channel.first(signal));
    if (!hello.ok || hello.value.nodeId !== id) throw new Error("malformed hello");
    return { id, hello: hello.value, channel };
  }

  async #refuseStranger(channel: FrameChannel, address: string, id: number | null): Promise<void> {
    const isOurId = id !== null;
    this.#options.refusals.write(
      "stranger",
      "warning",
      `watchdog connection from ${address} refused`,
      {
        detail: isOurId
          ? `it proved to be node ${id}, which is this node's own id`
          : "it does not prove to be a member of this cluster",
        hint: isOurId
          ? "Give each node its own number in the file pgpool_node_id."
          : "Compare wd_authkey and wd_cluster_name on both nodes.",
      },
    );
    await this.#refuse(channel, isOurId ? "duplicate-id" : "not-a-member", "");
  }

  async #refuse(channel: FrameChannel, reason: RefusalReason, detail: string): Promise<void> {
    channel.send(encodeFrame({ type: "refused", reason, detail }));
    await delay(50, this.#stopping.signal); // So that the words get through before the end.
    channel.abort();
  }

  /** A member with a working key: is it the one process with its id, and does it agree with us? */
  async #judge(id: number, hello: Hello, channel: FrameChannel, address: string): Promise<void> {
    const before = this.#members.get(id);
    const isOtherProcess = before !== undefined && before.hello.bootId !== hello.bootId;
    if (isOtherProcess && monotonicNowMs() - before.heardAtMs < this.#options.silenceMs) {
      return await this.#refuse(channel, "duplicate-id", "");
    }
    const difference = describeDifference(this.#options.hello.settings, hello.settings);
    if (difference !== "") {
      this.#tellDifference(id, difference);
      return await this.#refuse(channel, "settings-differ", difference);
    }
    before?.abort();
    await this.#serve(id, new Inbound(hello, channel), channel, address);
  }

  async #serve(
    id: number,
    inbound: Inbound,
    channel: FrameChannel,
    address: string,
  ): Promise<void> {
    const { hello, refusals, onConnected, onMessage, onDisconnected } = this.#options;
    if (this.#stopping.signal.aborted) return channel.abort();
    this.#members.set(id, inbound);
    const { bootId, name, priority } = hello;
    channel.send(encodeFrame({ type: "welcome", bootId, name, priority }));
    onConnected(id, inbound.hello);
    const problem = await inbound.readAll(
      (message) => onMessage(id, message),
      (why) => refusals.write("malformed", "warning", `watchdog node ${id} sent ${why}`),
    );
    if (problem !== null) {
      refusals.write("broken", "warning", `watchdog connection from ${address} ended`, {
        detail: `as node ${id}: ${problem}`,
        hint: "Somebody on the network changes traffic, or a node runs another version.",
      });
    }
    inbound.abort();
    if (this.#members.get(id) !== inbound) return;
    this.#members.delete(id);
    onDisconnected(id);
  }

  /** Says it once for each new difference: the peer goes on trying. */
  #tellDifference(id: number, difference: string): void {
    if (this.#differences.get(id) === difference) return;
    this.#differences.set(id, difference);
    const message = `watchdog node ${id} is refused: its settings differ`;
    this.#options.refusals.write(`differs ${id}`, "warning", message, {
      detail: difference,
      hint: "Make them the same on all nodes; change them only with all nodes stopped.",
    });
  }

  #tellBrokenOff(address: string, error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const message = error instanceof Error ? error.message : "the connection was closed";
    const isForged = /handshake stage|signature|chacha|authenticate/i.test(message);
    this.#options.refusals.write(
      "broken off",
      "log",
      `watchdog connection from ${address} broke off before it was accepted`,
      {
        detail: isForged
          ? `its proof does not fit: replayed, changed or made with another key (${message})`
          : message,
        hint: "If it is a node of this cluster: compare wd_authkey and wd_cluster_name.",
      },
    );
  }
}
