import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import type { Log } from "../../os/index.ts";
import type { Heartbeat, Hello, PeerMessage, SharedSettings } from "../../wire/watchdog/index.ts";
import { sharedSettings } from "../core/shared-settings.ts";
import { openHeartbeatSocket, type HeartbeatSocket } from "./heartbeat-socket.ts";
import { deriveMemberKeys } from "./member-keys.ts";
import { heartbeatTargets, type Membership } from "./member.ts";
import {
  startPeerTransport,
  type PeerTransport,
  type PeerTransportOptions,
} from "./peer-transport.ts";
import type { Refusal } from "./supervisor-link.ts";

export interface ClusterSocketsOptions extends Pick<
  PeerTransportOptions,
  "onConnected" | "onDisconnected" | "onMessage" | "onDuplicateId" | "onRefused"
> {
  readonly config: Config;
  readonly membership: Membership;
  /** A connection on which nothing is heard for so long is given up. */
  readonly silenceMs: Ms;
  readonly log: Log;
  /** What is wrong with it, or null; see HeartbeatSocketOptions. */
  readonly onHeartbeat: (heartbeat: Heartbeat) => string | null;
  readonly onRelease: (secret: string) => void;
}

/** The transport sends it as it is at that moment. */
type OwnHello = Omit<Hello, "settings"> & { settings: SharedSettings };

/** All by which this node reaches the others: encrypted connections, and datagrams beside them. */
export class ClusterSockets {
  readonly #peerIds: readonly number[];
  readonly #hello: OwnHello;
  readonly #heartbeat: HeartbeatSocket;
  readonly #transport: PeerTransport;

  /** Errors: an own address does not resolve or cannot be bound. */
  static async open(options: ClusterSocketsOptions): Promise<Result<ClusterSockets, Refusal>> {
    const { config, membership, silenceMs, log } = options;
    const { self, peers, bootId, name } = membership;
    const keys = await deriveMemberKeys(
      config.wd_authkey,
      config.wd_cluster_name,
      self.id,
      config.nodes.map((node) => node.id),
    );
    const heartbeat = await openHeartbeatSocket({
      own: heartbeatTargets(self),
      peers: peers.flatMap(heartbeatTargets),
      keepaliveMs: config.wd_heartbeat_keepalive * 1000,
      nodeId: self.id,
      bootId,
      key: keys.heartbeatKey,
      log: log.named("heart_beat_receiver"),
      onHeartbeat: options.onHeartbeat,
      onRelease: options.onRelease,
    });
    if (!heartbeat.ok) {
      const hint = `Is this host node ${self.id}, as pgpool_node_id says, and heartbeat_port${self.id} free?`;
      return fail({ message: heartbeat.error, hint });
    }
    const hello: OwnHello = {
      type: "hello",
      nodeId: self.id,
      bootId,
      version: "1",
      name,
      priority: config.wd_priority,
      settings: sharedSettings(config),
    };
    const transport = await startPeerTransport({
      ...options,
      self: { id: self.id, hostname: self.hostname, port: self.wdPort },
      peers: peers.map((peer) => ({ id: peer.id, hostname: peer.hostname, port: peer.wdPort })),
      keys,
      hello,
      silenceMs,
    });
    if (!transport.ok) {
      heartbeat.value.stop();
      const hint = `Is this host node ${self.id}, as pgpool_node_id says, and wd_port${self.id} free?`;
      return fail({ message: transport.error, hint });
    }
    const ids = peers.map((peer) => peer.id);
    return succeed(new ClusterSockets(ids, hello, heartbeat.value, transport.value));
  }

  private constructor(
    peerIds: readonly number[],
    hello: OwnHello,
    heartbeat: HeartbeatSocket,
    transport: PeerTransport,
  ) {
    this.#peerIds = peerIds;
    this.#hello = hello;
    this.#heartbeat = heartbeat;
    this.#transport = transport;
  }

  /** False: the peer cannot be reached, and the message is lost. */
  send(to: number, message: PeerMessage): boolean {
    if (!this.#transport.isConnected(to)) return false;
    this.#transport.send(to, message);
    return true;
  }

  /** By both ways: a proof that arrives late costs all of the promise. */
  spreadRelease(secret: string): void {
    this.#heartbeat.sendRelease(secret);
    for (const id of this.#peerIds) this.send(id, { type: "released", secret });
  }

  /** Tells the peers what this node's configuration says now, and those that connect later. */
  announceSettings(settings: SharedSettings): void {
    this.#hello.settings = settings;
    for (const id of this.#peerIds) this.send(id, { type: "settings", settings });
  }

  async stop(): Promise<void> {
    await this.#transport.stop();
    this.#heartbeat.stop();
  }
}
