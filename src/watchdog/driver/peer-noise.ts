import "./promise-with-resolvers.ts";
import { isIPv6 } from "node:net";
import type {
  ComponentLogger,
  Listener,
  Logger,
  MultiaddrConnection,
  PeerId,
  Transport,
  Upgrader,
} from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { multiaddr, type Multiaddr } from "@multiformats/multiaddr";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import { systemErrorText } from "../../os/index.ts";
import type { MemberKeys } from "./member-keys.ts";
import { FrameChannel } from "./peer-channels.ts";

/**
 * Connections on which both sides have proved who they are: TCP, then the Noise handshake XX with
 * fresh keys on either side, so that nothing recorded fits a second time. Nagle's delay is off at
 * both ends.
 *
 * Source: https://noiseprotocol.org/noise.html (XX); libp2p's specification of its payload.
 */
export interface SecuredConnection {
  readonly remotePeer: PeerId;
  readonly channel: FrameChannel;
}

/** A connection that somebody has opened to us and that has proved nothing yet. */
export type RawConnection = MultiaddrConnection;

export class NoiseNetwork {
  readonly #encrypter;
  readonly #transport: Transport;
  #listener: Listener | null = null;

  /** @param inactivityMs a socket on which nothing passes for so long is closed. */
  constructor(selfId: number, keys: MemberKeys, inactivityMs: Ms) {
    const peerId = keys.peerIds.get(selfId);
    if (peerId === undefined) throw new Error(`node ${selfId} has no identity`);
    this.#encrypter = noise()({
      peerId,
      privateKey: keys.own,
      logger: SILENT,
      // Noise asks the upgrader only for stream muxers, and we skip their negotiation.
      upgrader: {} as Upgrader,
    });
    this.#transport = tcp({
      // The library's default ends a quiet connection after two minutes; pings do it sooner.
      inboundSocketInactivityTimeout: inactivityMs,
      outboundSocketInactivityTimeout: inactivityMs,
    })({ logger: SILENT });
  }

  /** Errors: what the system says of the address or the port. */
  async listen(
    address: string,
    port: number,
    onConnection: (raw: RawConnection) => void,
  ): Promise<Result<void, string>> {
    const upgrader = {
      // Judged in the background: the listener must not wait for a slow or silent stranger.
      upgradeInbound: async (raw: RawConnection) => onConnection(raw),
    } as unknown as Upgrader;
    this.#listener = this.#transport.createListener({ upgrader });
    try {
      await this.#listener.listen(toMultiaddr(address, port));
      return succeed(undefined);
    } catch (error) {
      return fail(systemErrorText(error));
    }
  }

  async secureInbound(raw: RawConnection, signal: AbortSignal): Promise<SecuredConnection> {
    const secured = await this.#encrypter.secureInbound(inOneWrite(raw), {
      signal,
      skipStreamMuxerNegotiation: true,
    });
    return { remotePeer: secured.remotePeer, channel: new FrameChannel(secured.connection) };
  }

  /**
   * Rejects when there is no connection, or somebody else than `remotePeer` answers.
   *
   * @param onReached the peer's host answers; it has proved nothing yet.
   */
  async dial(
    address: string,
    port: number,
    remotePeer: PeerId,
    { signal, onReached }: { readonly signal: AbortSignal; readonly onReached: () => void },
  ): Promise<FrameChannel> {
    const channels: FrameChannel[] = [];
    const upgrader = {
      upgradeOutbound: async (raw: RawConnection) => {
        onReached();
        const secured = await this.#encrypter.secureOutbound(inOneWrite(raw), {
          remotePeer,
          signal,
          skipStreamMuxerNegotiation: true,
        });
        channels.push(new FrameChannel(secured.connection));
        return undefined as never;
      },
    } as unknown as Upgrader;
    await this.#transport.dial(toMultiaddr(address, port), { upgrader, signal });
    const [channel] = channels;
    if (channel === undefined) throw new Error("the connection was not secured");
    return channel;
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }
}

/** Where the other end of a connection is, without its port. */
export function addressOf(raw: RawConnection): string {
  return raw.remoteAddr.toString().split("/")[2] ?? "an unknown address";
}

/** The library writes each part of a message by itself: two system calls and two segments. */
function inOneWrite(raw: RawConnection): RawConnection {
  const send = raw.send.bind(raw);
  raw.send = (data) => send(data.subarray());
  return raw;
}

function toMultiaddr(address: string, port: number): Multiaddr {
  return multiaddr(`/${isIPv6(address) ? "ip6" : "ip4"}/${address}/tcp/${port}`);
}

/** The libraries' own debug log stays silent; what matters is logged elsewhere, in our words. */
const SILENT: ComponentLogger = {
  forComponent: silentLogger,
};

function silentLogger(): Logger {
  const log = (): void => undefined;
  return Object.assign(log, { error: log, trace: log, enabled: false, newScope: silentLogger });
}
