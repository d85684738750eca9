/**
 * Root of the watchdog process: joins consensus, lifecheck and votes with their sockets and files,
 * and the VIP with what consensus allows. No client byte ever enters this process.
 */
import { setPriority } from "node:os";
import { assert, unreachable, type Ms } from "../base/index.ts";
import { formatFindings, type Config } from "../config/index.ts";
import {
  CoreRunner,
  loadProcessConfig,
  monotonicNowMs,
  openProcessLog,
  runCommand,
  type Log,
} from "../os/index.ts";
import { commandWords, findAddress, VipHolder, vipLifetimeSeconds } from "../vip/index.ts";
import type { ClusterRequest, FromWatchdog, ToWatchdog } from "../wire/ipc/index.ts";
import type { Hello, HelloReply, PeerMessage } from "../wire/watchdog/index.ts";
import {
  consensus,
  mayHoldVipUntilMs,
  startState,
  timingFor,
  type Action,
  type Event,
  type State,
  type Timing,
} from "./core/consensus/index.ts";
import { countVote, startVotes, type VotesState } from "./core/failover/index.ts";
import { startLifecheck, stepLifecheck, type LifecheckEvent } from "./core/lifecheck/index.ts";
import { watchdogView } from "./core/view.ts";
import { openHeartbeatSocket, type HeartbeatSocket } from "./driver/heartbeat-socket.ts";
import { heartbeatTargets, readMembership, type Membership } from "./driver/member.ts";
import { deriveMemberKeys } from "./driver/member-keys.ts";
import { startPeerTransport, type PeerTransport } from "./driver/peer-transport.ts";
import { openStateFile, type StateFile } from "./driver/state-file.ts";

const LOOK_EVERY_MS: Ms = 100;

/** Tells the supervisor why this node must not run, and ends. */
class Fatal extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

class Watchdog {
  readonly #config: Config;
  readonly #log: Log;
  readonly #membership: Membership;
  readonly #timing: Timing;
  readonly #stateFile: StateFile;
  readonly #runner: CoreRunner<State, Event, Action>;
  readonly #names = new Map<number, string>();
  readonly #priorities = new Map<number, number>();
  #lifecheck;
  #votes: VotesState;
  #transport: PeerTransport | null = null;
  #heartbeat: HeartbeatSocket | null = null;
  #vip: VipHolder | null = null;
  #isStopping = false;
  #isEscalated = false;
  #publishedView = "";
  #shownState = "";
  #duplicateSinceMs: Ms | null = null;

  constructor(config: Config, log: Log, membership: Membership, stateFile: StateFile) {
    this.#config = config;
    this.#log = log;
    this.#membership = membership;
    this.#stateFile = stateFile;
    const lifetimeMs = vipLifetimeSeconds(config.wd_lease_time) * 1000;
    this.#timing = timingFor(config.wd_lease_time, lifetimeMs);
    const { self, peers, name, rank } = membership;
    this.#names.set(self.id, name);
    this.#priorities.set(self.id, config.wd_priority);
    this.#lifecheck = startLifecheck(
      peers.map((peer) => peer.id),
      config.wd_heartbeat_deadtime * 1000,
    );
    this.#votes = startVotes({
      memberCount: config.nodes.length,
      requiresConsensus: config.failover_require_consensus,
      countsRepetitions: config.allow_multiple_failover_requests_from_node,
      expiryMs: voteExpiryMs(config),
    });
    const initial = startState(
      {
        selfId: self.id,
        memberIds: config.nodes.map((node) => node.id),
        rank,
        timing: this.#timing,
        durable: stateFile.initial,
        ownReleaseHash: null,
        seed: Number.parseInt(membership.bootId.slice(0, 7), 16),
      },
      monotonicNowMs(),
    );
    this.#runner = new CoreRunner<State, Event, Action>(consensus, initial, {
      perform: (action) => this.#perform(action),
      onState: () => this.#onState(),
    });
  }

  async start(): Promise<void> {
    const { self, peers, bootId, name } = this.#membership;
    const log = this.#log;
    const keys = await deriveMemberKeys(
      this.#config.wd_authkey,
      this.#config.wd_cluster_name,
      self.id,
      this.#config.nodes.map((node) => node.id),
    );
    const heartbeat = await openHeartbeatSocket({
      own: heartbeatTargets(self),
      peers: peers.flatMap(heartbeatTargets),
      keepaliveMs: this.#config.wd_heartbeat_keepalive * 1000,
      nodeId: self.id,
      bootId,
      key: keys.heartbeatKey,
      log: log.named("heart_beat_receiver"),
      onHeartbeat: (beat) => this.#lifecheckStep({ type: "heartbeat", heartbeat: beat }),
      onRelease: (secret) => this.#runner.deliver({ type: "release-proven", secret }),
    });
    if (!heartbeat.ok)
      throw new Fatal(heartbeat.error, "Is another program using the port? See heartbeat_portN.");
    this.#heartbeat = heartbeat.value;
    if (this.#config.delegate_ip !== "") await this.#openVip();
    const transport = await startPeerTransport({
      self: { id: self.id, hostname: self.hostname, port: self.wdPort },
      peers: peers.map((peer) => ({ id: peer.id, hostname: peer.hostname, port: peer.wdPort })),
      keys,
      hello: {
        type: "hello",
        nodeId: self.id,
        bootId,
        version: "1",
        name,
        priority: this.#config.wd_priority,
      },
      silenceMs: Math.max(this.#timing.promiseMs, 1000),
      log,
      onConnected: (id, peer) => this.#onConnected(id, peer),
      onDisconnected: (id) => this.#lifecheckStep({ type: "disconnected", id }),
      onMessage: (from, message) => this.#onPeerMessage(from, message),
      onDuplicateId: (byPeer) => this.#onDuplicateId(byPeer),
    });
    if (!transport.ok)
      throw new Fatal(
        transport.error,
        "Is another program using the port? See wd_portN and hostnameN.",
      );
    this.#transport = transport.value;
    setInterval(() => this.#look(), LOOK_EVERY_MS);
    tell({ type: "ready" });
    this.#look();
  }

  onMessage(message: ToWatchdog): void {
    switch (message.type) {
      case "propose":
        this.#runner.deliver({ ...message, type: "proposed" });
        return;
      case "vote":
        this.#onOwnVote(message.request);
        return;
      case "stop":
        void this.stop();
        return;
      default:
        unreachable(message);
    }
  }

  /** Gives up the VIP, proves it, and only then says goodbye, so that peers elect at once. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#log.write("log", "Watchdog is shutting down");
    await this.#vip?.close();
    await this.#escalate(false);
    this.#runner.deliver({ type: "stop-requested" });
    await this.#transport?.stop();
    this.#heartbeat?.stop();
    await this.#stateFile.close();
    process.exit(0);
  }

  async #openVip(): Promise<void> {
    const config = this.#config;
    const vip = config.delegate_ip;
    const words = (name: "if_up_cmd" | "if_down_cmd" | "arping_cmd", directory: string) =>
      config.set.has(name) ? commandWords(config[name], vip, directory) : null;
    const hasLifetime = config.vip_fence !== "none";
    this.#vip = await VipHolder.open({
      vip,
      device: await findDevice(config, this.#membership.self.hostname),
      prefixLength: vip.includes(":") ? 128 : 32,
      lifetimeSeconds: hasLifetime ? vipLifetimeSeconds(config.wd_lease_time) : null,
      upCommand: words("if_up_cmd", config.if_cmd_path),
      downCommand: words("if_down_cmd", config.if_cmd_path),
      arpingCommand: words("arping_cmd", config.arping_path),
      peers: this.#membership.peers.flatMap(heartbeatTargets).map((t) => `${t.hostname}/${t.port}`),
      log: this.#log,
      mayHoldUntilMs: () => mayHoldVipUntilMs(this.#runner.state),
      onNewHash: (hash) => this.#runner.deliver({ type: "release-hash-made", hash }),
      onReleased: (secret) => this.#spreadRelease(secret),
      onChange: () => this.#publish(),
    });
    this.#runner.deliver({ type: "release-hash-made", hash: this.#vip.hash });
  }

  #spreadRelease(secret: string): void {
    this.#heartbeat?.sendRelease(secret);
    for (const peer of this.#membership.peers) {
      this.#transport?.send(peer.id, { type: "released", secret });
    }
  }

  async #perform(action: Action): Promise<void> {
    switch (action.type) {
      case "persist": {
        const written = await this.#stateFile.write(action.durable);
        // Whoever cannot remember its vote must not vote: the node leaves the cluster.
        if (!written.ok) {
          endWith(
            `cannot store the watchdog's vote and state: ${written.error}`,
            "Make room or repair work_dir, then start the node again.",
          );
        }
        return;
      }
      case "send":
        this.#transport?.send(action.to, action.message);
        return;
      case "commit":
        tell({ type: "committed", ...action.entry });
        return;
      case "refuse-proposal":
        tell({ type: "proposal-refused", id: action.id, reason: action.reason });
        return;
      default:
        unreachable(action);
    }
  }

  #onState(): void {
    const mayHold = mayHoldVipUntilMs(this.#runner.state) !== null;
    if (this.#vip !== null && mayHold !== this.#vip.isHeld) void this.#vip.reconcile();
    this.#publish();
  }

  #onConnected(id: number, peer: Hello | HelloReply): void {
    if (peer.type === "refused") return;
    this.#names.set(id, peer.name);
    this.#priorities.set(id, peer.priority);
    this.#duplicateSinceMs = null;
    this.#lifecheckStep({ type: "connected", id, bootId: peer.bootId });
  }

  #onPeerMessage(from: number, message: PeerMessage): void {
    switch (message.type) {
      case "failover-vote":
        this.#transport?.send(from, {
          type: "failover-verdict",
          request: message.request,
          verdict: this.#count(from, message.request),
        });
        return;
      case "failover-verdict":
        if (message.verdict !== "granted") {
          tell({ type: "not-granted", request: message.request, why: message.verdict });
        }
        return;
      case "leaving":
        this.#lifecheckStep({ type: "left", id: from });
        this.#runner.deliver({ type: "message", from, message });
        return;
      case "pre-vote-request":
      case "pre-vote-reply":
      case "vote-request":
      case "vote-reply":
      case "round":
      case "round-reply":
      case "released":
        this.#runner.deliver({ type: "message", from, message });
        return;
      default:
        unreachable(message);
    }
  }

  #onOwnVote(request: ClusterRequest): void {
    const { leaderId, leading, selfId } = this.#runner.state;
    if (leading === null && leaderId !== null && this.#transport?.isConnected(leaderId) === true) {
      this.#transport.send(leaderId, { type: "failover-vote", request });
      return;
    }
    const verdict = this.#count(selfId, request);
    if (verdict !== "granted") tell({ type: "not-granted", request, why: verdict });
  }

  #count(
    from: number,
    request: ClusterRequest,
  ): "granted" | "no-quorum" | "building-consensus" | "consensus-may-fail" {
    if (!this.#view().hasQuorum || this.#runner.state.leading === null) return "no-quorum";
    const counted = countVote(this.#votes, from, request, monotonicNowMs());
    this.#votes = counted.state;
    const ids = request.backendIds.join(", ");
    this.#log.write(
      "log",
      `${request.kind} request for backend node ${ids} from watchdog node ${from}`,
      {
        detail: `${counted.verdict}: ${request.reason}`,
      },
    );
    if (counted.verdict === "granted") tell({ type: "granted", request });
    return counted.verdict;
  }

  #onDuplicateId(byPeer: number): void {
    const nowMs = monotonicNowMs();
    this.#duplicateSinceMs ??= nowMs;
    // For a moment it may be this node's own last run that the peer still remembers.
    if (nowMs - this.#duplicateSinceMs < 3 * Math.max(this.#timing.promiseMs, 1000)) return;
    endWith(
      `another running node has the id ${this.#membership.self.id}, says node ${byPeer}`,
      "Give each node its own number in the file pgpool_node_id.",
    );
  }

  #lifecheckStep(event: LifecheckEvent): void {
    const before = this.#lifecheck;
    this.#lifecheck = stepLifecheck(before, event, monotonicNowMs());
    if (before === this.#lifecheck) return;
    this.#lifecheck.peers.forEach((peer, index) => {
      const was = before.peers[index]?.life;
      if (was === peer.life) return;
      const name = this.#names.get(peer.id) ?? `node ${peer.id}`;
      if (peer.life === "lost") this.#log.write("log", `remote node "${name}" is lost`);
      if (peer.life === "shut-down")
        this.#log.write("log", `remote node "${name}" is shutting down`);
      if (peer.life === "alive") this.#log.write("log", `remote node "${name}" is alive`);
    });
    this.#publish();
  }

  #look(): void {
    this.#lifecheckStep({ type: "tick" });
    this.#publish();
  }

  #view() {
    return watchdogView(
      this.#runner.state,
      this.#lifecheck,
      {
        members: this.#config.nodes,
        names: this.#names,
        priorities: this.#priorities,
        vip: this.#config.delegate_ip === "" ? null : this.#config.delegate_ip,
        holdsVip: this.#vip?.isHeld ?? false,
        fence: this.#config.vip_fence === "none" ? "none" : "lifetime",
        guardianPid: this.#vip?.guardianPid ?? null,
      },
      monotonicNowMs(),
    );
  }

  #publish(): void {
    const view = this.#view();
    const text = JSON.stringify(view);
    if (text === this.#publishedView) return;
    this.#publishedView = text;
    tell({ type: "view", view });
    const own = view.nodes[0]?.state ?? "";
    if (own !== this.#shownState) this.#logOwnState(own, view.leaderId);
    this.#shownState = own;
    void this.#escalate(view.isLeader && view.hasQuorum && !this.#isStopping);
  }

  #logOwnState(own: string, leaderId: number | null): void {
    this.#log.write("log", `watchdog node state changed from [${this.#shownState}] to [${own}]`);
    if (own === "LEADER") {
      this.#log.write("log", "I am announcing my self as leader/coordinator watchdog node");
      this.#log.write("log", "I am the cluster leader node", {
        detail: `our declare coordinator message is accepted by a majority in term ${this.#runner.state.durable.term}`,
      });
    }
    if (own === "STANDBY") {
      this.#log.write("log", "successfully joined the watchdog cluster as standby node", {
        detail: `our join coordinator request is accepted by cluster leader node "${this.#names.get(leaderId ?? -1) ?? leaderId}"`,
      });
    }
  }

  async #escalate(wanted: boolean): Promise<void> {
    if (wanted === this.#isEscalated) return;
    this.#isEscalated = wanted;
    if (wanted) this.#log.write("log", "I am the cluster leader node. Starting escalation process");
    const command = wanted
      ? this.#config.wd_escalation_command
      : this.#config.wd_de_escalation_command;
    if (command === "") return;
    const name = wanted ? "wd_escalation_command" : "wd_de_escalation_command";
    const outcome = await runCommand({ command, timeoutMs: 60_000 });
    if (outcome.exitCode === 0) return;
    this.#log.write("warning", `${name} failed with exit status ${outcome.exitCode ?? "none"}`, {
      detail: outcome.lines.slice(-3).join(" "),
    });
  }
}

/** Pgpool-II's rule: as long as the slowest health check needs to see a failure, 15 s at least. */
function voteExpiryMs(config: Config): Ms {
  const longest = config.backends.map(
    ({ healthCheck }) => healthCheck.period + healthCheck.retryDelay * healthCheck.maxRetries,
  );
  return Math.max(15, ...longest) * 1000;
}

async function findDevice(config: Config, hostname: string): Promise<string> {
  if (config.vip_interface !== "") return config.vip_interface;
  const { lookup } = await import("node:dns/promises");
  const { address } = await lookup(hostname).catch(() => ({ address: hostname }));
  const found = await findAddress(address);
  const place = found.ok ? found.value[0] : undefined;
  if (place !== undefined) return place.device;
  throw new Fatal(
    `cannot tell which network device is to hold the virtual IP ${config.delegate_ip}: ${found.ok ? `no device has the address ${address} of hostname "${hostname}"` : found.error}`,
    "Set vip_interface, for example vip_interface = 'eth0'.",
  );
}

function tell(message: FromWatchdog): void {
  if (process.connected) process.send?.(message);
}

function endWith(message: string, hint: string): never {
  tell({ type: "fatal", message, hint });
  process.exit(4);
}

async function runWatchdog(): Promise<void> {
  process.title = "pgpool: watchdog";
  const { config, findings } = loadProcessConfig(process.env);
  if (config === null) return endWith(formatFindings(findings), "Run pgquorum check-config.");
  const log = openProcessLog(config, "watchdog");
  try {
    setPriority(-10); // A busy machine must not delay a heartbeat.
  } catch {
    log.write("debug1", "the watchdog's priority could not be raised; it needs CAP_SYS_NICE");
  }
  const membership = readMembership(config);
  if (!membership.ok)
    return endWith(membership.error, "The file pgpool_node_id names one of hostnameN.");
  const stateFile = await openStateFile(config.work_dir, membership.value.self.id);
  if (!stateFile.ok) return endWith(stateFile.error.message, stateFile.error.hint);
  const watchdog = new Watchdog(config, log, membership.value, stateFile.value);
  process.on("message", (message: ToWatchdog) => watchdog.onMessage(message));
  // Without its supervisor this node serves nobody: the VIP must go where somebody does.
  process.on("disconnect", () => void watchdog.stop());
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const) {
    process.on(signal, () => undefined); // The supervisor says when to stop.
  }
  try {
    await watchdog.start();
  } catch (error) {
    assert(error instanceof Error, "what is thrown is an Error");
    endWith(error.message, error instanceof Fatal ? error.hint : "");
  }
}

await runWatchdog();
