/**
 * Root of the watchdog process: joins consensus, lifecheck and votes with their sockets and files,
 * and the VIP with what consensus allows. No client byte ever enters this process.
 */
import { setPriority } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { succeed, unreachable, type Ms, type Result } from "../base/index.ts";
import { reloadChanges } from "../config/index.ts";
import { CoreRunner, loadProcessConfig, monotonicNowMs } from "../os/index.ts";
import { openConfiguredVip, vipLifetimeSeconds, type VipHolder } from "../vip/index.ts";
import type { ToWatchdog, WatchdogView } from "../wire/ipc/index.ts";
import type { PeerMessage } from "../wire/watchdog/index.ts";
import {
  confirmedUntilMs,
  consensus,
  lifetimeFence,
  mayHoldVipUntilMs,
  nftFence,
  NO_FENCE,
  timingFor,
  votersOf,
  type Action,
  type Durable,
  type Event,
  type State,
  type Timing,
} from "./core/consensus/index.ts";
import { voteRulesOf } from "./core/failover/index.ts";
import { removalPolicyOf } from "./core/membership.ts";
import { sharedSettings } from "./core/shared-settings.ts";
import { watchdogView } from "./core/view.ts";
import { ClusterSockets } from "./driver/cluster-sockets.ts";
import { Escalation } from "./driver/escalation.ts";
import { FailoverVotes } from "./driver/failover-votes.ts";
import { KnownPeers } from "./driver/known-peers.ts";
import { heartbeatTargets } from "./driver/member.ts";
import { initialState, prepare, type Prepared } from "./driver/prepare.ts";
import { endLoudly, endWith, tell, type Refusal } from "./driver/supervisor-link.ts";
import { ViewPublisher } from "./driver/view-publisher.ts";
import { Lifecheck } from "./lifecheck.ts";

/** How long a leader that stops waits for its successor. */
const HAND_OVER_MS: Ms = 1000;
const STOP_LOOK_MS: Ms = 5;
const LOOK_EVERY_MS: Ms = 100;
/** Rounds wake this process often enough to look; without them a timer does. */
const LOOK_LATE_MS: Ms = 250;

class Watchdog {
  readonly #prepared: Prepared;
  readonly #timing: Timing;
  readonly #runner: CoreRunner<State, Event, Action>;
  readonly #peers: KnownPeers;
  readonly #votes: FailoverVotes;
  readonly #escalation: Escalation;
  readonly #publisher: ViewPublisher;
  #sockets: ClusterSockets | null = null;
  #vip: VipHolder | null = null;
  #lifecheck: Lifecheck | null = null;
  #confirmedUntilMs: Ms = 0;
  /** When each peer said something last. */
  readonly #heardMs = new Map<number, Ms>();
  /** The newest request to arm, which is the one that the holder answers. */
  #armId = 0;
  #lookedAtMs: Ms = 0;
  #looking: NodeJS.Timeout | null = null;
  #isRetiring = false;
  #isStopping = false;

  constructor(prepared: Prepared) {
    const { config, log, membership } = prepared;
    this.#prepared = prepared;
    this.#timing = timingFor(config.wd_lease_time);
    const { self, peers, name } = membership;
    this.#peers = new KnownPeers({
      peerIds: peers.map((peer) => peer.id),
      self: { id: self.id, name, priority: config.wd_priority },
      deadMs: config.wd_heartbeat_deadtime * 1000,
      rules: {
        method: config.wd_lifecheck_method,
        lifePoints: Math.max(config.wd_life_point, 1),
      },
      settings: sharedSettings(config),
      removalPolicy: removalPolicyOf(config),
      staleMs: 3 * this.#silenceMs,
      log,
      onChange: () => {
        this.#steer();
        this.#publish();
      },
    });
    this.#votes = new FailoverVotes({
      rules: voteRulesOf(config),
      log,
      standing: () => this.#view(),
      tell,
      send: (to, message) => this.#sockets?.send(to, message) ?? false,
    });
    this.#escalation = new Escalation({
      up: config.wd_escalation_command,
      down: config.wd_de_escalation_command,
      log,
      // Renewals that were kept back have had no effect: everything is made ready anew.
      onMayRaiseVip: () => this.#runner.deliver({ type: "vip-lost" }),
    });
    this.#publisher = new ViewPublisher({ log, tell, refreshMs: this.#timing.promiseMs / 2 });
    const initial = initialState(prepared, this.#timing);
    this.#runner = new CoreRunner<State, Event, Action>(consensus, initial, {
      perform: (action) => this.#perform(action),
      onState: () => this.#onState(),
    });
  }

  async start(): Promise<Result<void, Refusal>> {
    const { config, log, membership } = this.#prepared;
    const vip = await openConfiguredVip({
      config,
      hostname: membership.self.hostname,
      peers: membership.peers.flatMap(heartbeatTargets),
      log,
      mayHoldUntilMs: () => mayHoldVipUntilMs(this.#runner.state),
      fences: {
        nft: nftFence(this.#timing),
        lifetime: lifetimeFence(vipLifetimeSeconds(config.wd_lease_time)),
        none: NO_FENCE,
      },
      onArmed: () => this.#runner.deliver({ type: "vip-armed", id: this.#armId }),
      onLost: () => this.#runner.deliver({ type: "vip-lost" }),
      onNewHash: (hash) => this.#runner.deliver({ type: "release-hash-made", hash }),
      onReleased: (secret) => this.#sockets?.spreadRelease(secret),
      onChange: () => this.#publish(),
    });
    if (!vip.ok) return vip;
    this.#vip = vip.value;
    if (vip.value !== null) {
      this.#runner.deliver({ type: "fence-known", fence: vip.value.fence });
      this.#runner.deliver({ type: "release-hash-made", hash: vip.value.hash });
    }
    const sockets = await this.#openSockets();
    if (!sockets.ok) return sockets;
    this.#sockets = sockets.value;
    this.#lifecheck = await Lifecheck.start({
      prepared: this.#prepared,
      view: () => this.#view(),
      committed: () => this.#runner.state.durable.entry.value,
      onPeer: (event) => this.#peers.step(event),
      onFitness: (unfit) => {
        this.#runner.deliver({ type: "fitness", isFit: unfit === null && !this.#isRetiring });
        this.#publish();
      },
    });
    this.#looking = setInterval(() => this.#look(), LOOK_LATE_MS);
    tell({ type: "ready" });
    this.#publish();
    return succeed(undefined);
  }

  onMessage(message: ToWatchdog): void {
    switch (message.type) {
      case "propose":
        this.#runner.deliver({ ...message, type: "proposed" });
        return;
      case "vote":
        this.#votes.cast(message.request);
        return;
      case "applied":
        this.#runner.deliver(message);
        return;
      case "retire":
        this.#isRetiring = true;
        this.#runner.deliver({ type: "fitness", isFit: false });
        return;
      case "fitness":
        this.#lifecheck?.supervised(message.unfit);
        return;
      case "reload":
        this.#reload();
        return;
      case "stop":
        void this.stop("the node stops");
        return;
      default:
        unreachable(message);
    }
  }

  /** Takes what a reload may change; mistakes and what waits for a restart the supervisor tells. */
  #reload(): void {
    const { config } = loadProcessConfig(process.env);
    if (config === null) return;
    const changed = reloadChanges(this.#prepared.config, config).config;
    const settings = sharedSettings(changed);
    this.#escalation.configure({
      up: changed.wd_escalation_command,
      down: changed.wd_de_escalation_command,
    });
    this.#peers.configure(settings, removalPolicyOf(changed));
    this.#sockets?.announceSettings(settings);
    this.#publish();
  }

  /** Hands over; gives up the VIP, proves it, and only then says goodbye. */
  async stop(detail: string): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#prepared.log.write("log", "Watchdog is shutting down", { detail });
    await this.#handOver();
    // Before the administrator's command, which may take long: meanwhile nobody must elect us.
    this.#runner.deliver({ type: "stop-requested" });
    await this.#vip?.stop();
    await Promise.all([this.#escalation.close(), this.#lifecheck?.stop()]);
    await this.#sockets?.stop();
    this.#runner.stop();
    await this.#prepared.stateFile.close();
    process.exit(0);
  }

  /** Resolves when another leads, elected with a vote of ours should it need one, or cannot. */
  async #handOver(): Promise<void> {
    if (this.#runner.state.leading === null) return;
    this.#runner.deliver({ type: "transfer-requested", to: null });
    const limitMs = monotonicNowMs() + HAND_OVER_MS;
    while (monotonicNowMs() < limitMs) {
      const { leading, leaderId } = this.#runner.state;
      if (leading === null ? leaderId !== null : leading.transfer === null) return;
      await delay(STOP_LOOK_MS);
    }
  }

  /** A connection on which nothing is heard for so long is given up. */
  get #silenceMs(): Ms {
    return Math.max(this.#timing.promiseMs, 1000);
  }

  async #openSockets(): Promise<Result<ClusterSockets, Refusal>> {
    const { id } = this.#prepared.membership.self;
    return await ClusterSockets.open({
      ...this.#prepared,
      silenceMs: this.#silenceMs,
      onHeartbeat: (heartbeat) => this.#peers.onHeartbeat(heartbeat),
      onRelease: (secret) => this.#runner.deliver({ type: "release-proven", secret }),
      onConnected: (peer, hello) => {
        this.#vip?.announceAgain();
        this.#peers.onConnected(peer, hello);
      },
      onDisconnected: (peer, isTimeout) =>
        this.#peers.step({ type: "disconnected", id: peer, isTimeout }),
      onMessage: (from, message) => this.#onPeerMessage(from, message),
      onRefused: (byPeer) => {
        this.#peers.onRefused(byPeer);
        this.#publish();
      },
      onDuplicateId: (byPeer) => {
        if (!this.#peers.isDuplicate()) return;
        const message = `another running node has the id ${id}, says node ${byPeer}`;
        endWith({ message, hint: "Give each node its own number in the file pgpool_node_id." });
      },
    });
  }

  #perform(action: Action): void | Promise<Event | void> {
    switch (action.type) {
      case "persist":
        return this.#persist(action.durable);
      case "send":
        this.#sockets?.send(action.to, action.message);
        return;
      case "commit":
        tell({ type: "committed", ...action.entry });
        return;
      case "refuse-proposal":
        tell({ type: "proposal-refused", id: action.id, reason: action.reason });
        return;
      case "settled":
        tell(action);
        return;
      case "arm-vip":
        this.#armId = action.id;
        this.#vip?.arm();
        return;
      case "renew-vip":
        if (this.#escalation.mayRaiseVip) this.#vip?.renew();
        return;
      case "close-vip":
        void this.#vip?.close();
        return;
      default:
        unreachable(action);
    }
  }

  /** Whoever cannot remember its vote must not vote. */
  async #persist(durable: Durable): Promise<Event | void> {
    const written = await this.#prepared.stateFile.write(durable);
    if (written.ok) return;
    this.#prepared.log.write("error", "this node votes no more", {
      detail: `cannot store the watchdog's vote and state: ${written.error}`,
      hint: "Make room or repair work_dir, then start the node again.",
    });
    return { type: "disk-failed", reason: written.error };
  }

  #onState(): void {
    const untilMs = confirmedUntilMs(this.#runner.state);
    if (untilMs !== this.#confirmedUntilMs) {
      this.#confirmedUntilMs = untilMs;
      tell({ type: "confirmed", untilMs });
    }
    this.#publishIfChanged();
    if (this.#looking === null || monotonicNowMs() - this.#lookedAtMs < LOOK_EVERY_MS) return;
    this.#looking.refresh();
    this.#look();
  }

  /** At what changes by the passing of time alone. */
  #look(): void {
    this.#lookedAtMs = monotonicNowMs();
    this.#peers.step({ type: "tick" });
    this.#steer();
    this.#publishIfChanged();
  }

  #onPeerMessage(from: number, message: PeerMessage): void {
    // Whoever comes back from a freeze or a cut may have spoken for the VIP as it did before.
    const heardMs = this.#heardMs.get(from) ?? 0;
    this.#heardMs.set(from, monotonicNowMs());
    if (monotonicNowMs() - heardMs > this.#timing.promiseMs) this.#vip?.announceAgain();
    if (message.type === "failover-vote") {
      this.#votes.onPeerVote(from, message.request);
    } else if (message.type === "failover-verdict") {
      this.#votes.onVerdict(message.request, message.verdict);
    } else if (message.type === "settings") {
      this.#peers.onSettings(from, message.settings);
      this.#publish();
    } else {
      if (message.type === "leaving" && message.stops) this.#peers.step({ type: "left", id: from });
      this.#runner.deliver({ type: "message", from, message });
    }
  }

  /** Tells consensus what priorities and the rules for absent nodes make of the peers' lives. */
  #steer(): void {
    const { state } = this.#runner;
    const { order } = this.#peers;
    if (order.join() !== state.order.join()) this.#runner.deliver({ type: "ranked", order });
    if (state.leading === null) return;
    const voters = votersOf(state);
    const memberIds = this.#peers.membersWanted(voters);
    const isListed = voters.includes(state.selfId);
    if (memberIds !== voters || !isListed)
      this.#runner.deliver({ type: "members-wanted", memberIds });
  }

  #view(): WatchdogView {
    const { nodes, delegate_ip } = this.#prepared.config;
    const facts = {
      ...this.#peers.shown,
      members: nodes,
      vip: delegate_ip === "" ? null : delegate_ip,
      holdsVip: this.#vip?.isHeld ?? false,
      fenceReason: this.#vip?.fenceReason ?? "",
      conflict: this.#vip?.conflict ?? null,
      trouble: this.#lifecheck?.unfit ?? null,
      guardianPid: this.#vip?.guardianPid ?? null,
    };
    return watchdogView(this.#runner.state, this.#peers.lifecheck, facts, monotonicNowMs());
  }

  /** Called after each step: what is seen then has seldom changed. */
  #publishIfChanged(): void {
    if (this.#publisher.isDue(this.#runner.state, monotonicNowMs())) this.#publish();
  }

  #publish(): void {
    const view = this.#view();
    this.#publisher.publish(view, monotonicNowMs());
    void this.#escalation.follow(view.isLeader && view.hasQuorum);
  }
}

async function runWatchdog(): Promise<void> {
  process.title = "pgpool: watchdog";
  const prepared = await prepare(process.env);
  if (!prepared.ok) return endWith(prepared.error);
  try {
    setPriority(-10); // A busy machine must not delay a heartbeat.
  } catch {
    const message = "the watchdog's priority could not be raised; it needs CAP_SYS_NICE";
    prepared.value.log.write("debug1", message);
  }
  endLoudly(prepared.value.log);
  const watchdog = new Watchdog(prepared.value);
  process.on("message", (message: ToWatchdog) => watchdog.onMessage(message));
  // Without its supervisor this node serves nobody: the VIP must go where somebody does.
  const onOrphaned = (): void => void watchdog.stop("its supervisor has ended");
  process.on("disconnect", onOrphaned);
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const) {
    process.on(signal, () => undefined); // The supervisor says when to stop.
  }
  const started = await watchdog.start();
  if (!started.ok) endWith(started.error);
  if (!process.connected) onOrphaned(); // It ended before anybody listened for that.
}

await runWatchdog();
