/**
 * The supervisor of a node, as far as a failover goes: the production conductor with its commands
 * and looks, health checks that ask for failovers, and the one worker of the model.
 */
import type { Ms, Step } from "../../../src/base/index.ts";
import {
  conductor,
  newConductor,
  type ConductorAction,
  type ConductorEvent,
  type ConductorState,
  type FailoverSettings,
} from "../../../src/backend/core/failover/index.ts";
import {
  decodeClusterState,
  firstClusterState,
  isLive,
  type ClusterState,
} from "../../../src/backend/core/status/index.ts";
import type { ClusterRequest, CountedVote } from "../../../src/wire/ipc/index.ts";
import type { Entry } from "../../../src/wire/watchdog/index.ts";
import {
  appliedViews,
  NOTHING_APPLIED,
  type AppliedViewsEvent,
  type AppliedViewsState,
} from "../../../src/supervisor/core/applied-views.ts";
import { Command } from "./command.ts";
import type { AnyStep } from "./failover-step.ts";
import type { Host } from "./host.ts";
import { Pipe } from "./pipe.ts";
import { Process } from "./process.ts";
import { Watch } from "./watch.ts";
import { Worker } from "./worker.ts";

export type ConductorStep = (
  state: ConductorState,
  event: ConductorEvent,
  nowMs: Ms,
) => Step<ConductorState, ConductorAction>;

const stepConductor: ConductorStep = (state, event, nowMs) => conductor.step(state, event, nowMs);

const ASKED = { confirmed: true, reason: "an operator asks" } as const;
const MISSED = { confirmed: false, reason: "it does not answer" } as const;
const CHECK_EVERY_MS = 500;
const MISSES_MAX = 2;

export class Supervisor {
  readonly process: Process;
  readonly worker: Worker;
  readonly #watch: Watch;
  readonly #host: Host;
  readonly #step: ConductorStep;
  readonly #fromWatchdog: Pipe;
  readonly #fromWorker: Pipe;
  #state: ConductorState;
  #cluster: ClusterState | null = null;
  /** The watchdog said so last. */
  #isLeader = false;
  /** Until when the majority stands behind what this node is. */
  #leadUntilMs: Ms = -Infinity;
  #leads = false;
  #beginsNothing = false;
  #onIdle: () => void = () => undefined;
  #inbox: ConductorEvent[] = [];
  #isRunning = false;
  #timerAtMs: Ms | null = null;
  readonly #commands = new Map<number, Command>();
  readonly #misses = new Map<number, number>();
  readonly #killedIds = new Set<number>();
  #applied: AppliedViewsState = NOTHING_APPLIED;
  #countAtMs: Ms | null = null;

  constructor(host: Host, bootNumber: number) {
    this.#host = host;
    this.process = new Process(host.world);
    this.#step = host.world.planted.conduct?.(stepConductor) ?? stepConductor;
    this.worker = new Worker(host, this);
    this.#watch = new Watch(host, this.process, (watchId, outcome) => {
      this.#deliver({ type: "watched", watchId, outcome });
    });
    const silentUntilMs = host.localMs + host.world.profile.promiseMs;
    this.#applied = { ...NOTHING_APPLIED, silentUntilMs };
    this.#count({ type: "worker-joined", id: 0 });
    this.#fromWatchdog = new Pipe(host, this.process);
    this.#fromWorker = new Pipe(host, this.process);
    const backendIds = host.world.postgres.servers.map(({ id }) => id);
    this.#state = newConductor({
      settings: settingsFor(backendIds),
      origin: `${host.id}.${bootNumber}`,
      initial: firstClusterState(backendIds, new Set(), Math.round(host.wallMs)),
    });
    host.after(host.random.between(0, CHECK_EVERY_MS), () => this.#check());
  }

  /** The newest committed state that it knows. */
  get cluster(): ClusterState | null {
    return this.#cluster;
  }

  /** By the pipe from its watchdog. */
  tell(deliver: (supervisor: Supervisor) => void): void {
    this.#fromWatchdog.send(() => deliver(this));
  }

  /** By the pipe from its worker. */
  hear(deliver: (supervisor: Supervisor) => void): void {
    this.#fromWorker.send(() => deliver(this));
  }

  onLeadership(isLeader: boolean): void {
    this.#isLeader = isLeader;
    this.#lead();
  }

  /** A watchdog has started: it knows nothing of what the one before was told. */
  onWatchdogReady(): void {
    this.#count({ type: "watchdog-started" });
  }

  onCommitted(entry: Entry): void {
    const decoded = entry.value === null ? null : decodeClusterState(entry.value);
    if (decoded?.ok === false) return this.#host.world.broken("states can be read", decoded.error);
    const state = decoded?.value ?? null;
    this.#deliver({ type: "committed", index: entry.index, state });
    this.#count({ type: "committed", index: entry.index });
    // Before the first state there is nothing to route by.
    if (state === null) return this.onWorkerApplied(entry.index);
    this.#cluster = state;
    this.worker.onView(entry.index, state);
  }

  /** The routing lease. */
  onConfirmed(untilMs: Ms): void {
    this.#leadUntilMs = Math.max(this.#leadUntilMs, untilMs);
    this.#lead();
    this.#count({ type: "confirmed", untilMs });
  }

  /** Its worker routes by the view of this index. */
  onWorkerApplied(index: number): void {
    this.#count({ type: "worker-applied", id: 0, index });
  }

  /** No node routes by an older state. */
  onSettled(index: number): void {
    this.#host.world.trace?.(`${this.#host.id} settled ${index}`);
    this.#deliver({ type: "settled", index });
  }

  onRefused(id: number): void {
    this.#deliver({ type: "proposal-refused", id, reason: "refused" });
  }

  onGranted(request: ClusterRequest, votes: readonly CountedVote[]): void {
    const primaryId = this.#cluster?.primaryId ?? null;
    const isFailover = request.kind === "detach" && primaryId !== null;
    if (isFailover && request.backendIds.includes(primaryId)) this.#tellStep("before the intent");
    this.#deliver({ type: "granted", request, votes, wallMs: this.#host.wallMs });
  }

  onWatchdogDied(): void {
    this.tell((supervisor) => supervisor.onLeadership(false));
  }

  /** An operator asks for it here. */
  request(kind: ClusterRequest["kind"], backendId: number): void {
    this.process.run(() => this.#vote({ kind, backendIds: [backendId], ...ASKED }));
  }

  /** An operator wants that server as the primary. */
  switchOver(targetId: number): void {
    const { world, random } = this.#host;
    const switchover = {
      id: `wish-${this.#host.id}-${Math.round(world.nowMs)}`,
      drainTimeoutMs: Math.round(random.magnitude(50, 2000)),
      onTimeout: random.pick(["abort", "cancel"] as const),
    };
    const wish = { kind: "switchover", backendIds: [targetId], switchover } as const;
    this.process.run(() => this.#vote({ ...wish, ...ASKED }));
  }

  /** SIGKILL: its commands are killed by the kernel, its workers end. */
  die(): void {
    this.process.kill();
    this.worker.process.kill();
    for (const command of this.#commands.values()) command.kill();
    this.#commands.clear();
  }

  /** Its commands end before the lead is given up. */
  stop(onEnd: () => void): void {
    this.#beginsNothing = true;
    if (this.#commands.size === 0) return onEnd();
    this.#onIdle = onEnd;
    for (const [commandId, command] of this.#commands) {
      this.#killedIds.add(commandId);
      command.stop("ask");
    }
    this.#count({ type: "command-ending", isEnding: true });
  }

  onCommandEnded(commandId: number, exitCode: number | null, signal: string | null): void {
    const { action, outputTail = "" } = this.#commands.get(commandId) ?? {};
    this.#commands.delete(commandId);
    if (action?.kind === "failover" && this.#isReplacing()) this.#tellStep("after the command");
    if (action?.kind === "demote") this.#tellStep("after the old primary is stopped");
    this.process.run(() => {
      if (this.#commands.size === 0) this.#onIdle();
      this.#deliver({ type: "command-finished", commandId, exitCode, signal, outputTail });
      if (!this.#killedIds.delete(commandId) || this.#killedIds.size > 0) return;
      this.#count({ type: "command-ending", isEnding: false });
    });
  }

  #check(): void {
    if (this.process.isDead) return;
    this.process.run(() => {
      for (const { id, isUp } of this.#host.world.postgres.servers) {
        const isSeen = isUp && !this.#host.isCutFromPostgres;
        const misses = isSeen ? 0 : (this.#misses.get(id) ?? 0) + 1;
        this.#misses.set(id, misses);
        const standing = this.#cluster?.backends.find((backend) => backend.id === id);
        if (misses >= MISSES_MAX && standing !== undefined && isLive(standing)) {
          this.#vote({ kind: "detach", backendIds: [id], ...MISSED });
        }
      }
    });
    this.#host.after(CHECK_EVERY_MS * this.#host.random.between(0.9, 1.1), () => this.#check());
  }

  #vote(wish: Omit<ClusterRequest, "switchoverTo">): void {
    const request: ClusterRequest = { ...wish, switchoverTo: null };
    this.#toWatchdog((watchdog) => watchdog.castVote(request));
  }

  #toWatchdog(deliver: (watchdog: NonNullable<Host["watchdog"]>) => void): void {
    const { watchdog } = this.#host;
    if (watchdog === null) return;
    this.#host.after(this.#host.random.between(0.02, 0.4), () =>
      watchdog.process.run(() => deliver(watchdog)),
    );
  }

  #deliver(event: ConductorEvent): void {
    if (this.#beginsNothing) {
      const isLost = event.type === "leadership" && !event.leads;
      if (isLost) for (const commandId of this.#commands.keys()) this.#stop(commandId, "kill");
      return;
    }
    this.#inbox.push(event);
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
      const before = this.#state.task?.intent.eventId;
      const { state, actions } = this.#step(this.#state, next, this.#host.localMs);
      this.#state = state;
      const isBegun = state.task !== null && state.task.intent.eventId !== before;
      if (isBegun && this.#isReplacing()) this.#tellStep("after the intent");
      this.#host.world.stats.conductorSteps += 1;
      for (const action of actions) this.#perform(action);
    }
    this.#isRunning = false;
    this.#setTimer();
  }

  #perform(action: ConductorAction): void {
    const { world } = this.#host;
    switch (action.type) {
      case "propose":
        if (this.#state.proposal?.purpose === "finish" && this.#isReplacing()) {
          this.#tellStep("before the new primary is published");
        }
        return this.#propose(action);
      case "run-command": {
        const intent = this.#state.task?.intent ?? null;
        world.promises.oneIntent.onCommand(this.#host.id, action, this.#cluster);
        this.#run(action, intent?.primaryChanges === true ? intent.epoch : null);
        if (action.kind === "failover" && this.#isReplacing()) this.#tellStep("during the command");
        if (action.kind === "demote") this.#tellStep("while the old primary is stopped");
        return;
      }
      case "stop-command":
        this.#stop(action.commandId, action.how);
        return;
      case "search-primary": {
        const { searchId, among, known } = action;
        this.#host.after(this.#host.random.between(1, 30), () =>
          this.process.run(() => {
            const seen = world.postgres.look(among, known);
            const isProbe = world.planted.neverProbes === true;
            const choice = isProbe && this.#state.task?.stage === "probing" ? null : seen;
            const found = choice ?? { primaryId: null, identity: null };
            this.#deliver({ type: "primary-found", searchId, ...found });
          }),
        );
        return;
      }
      case "prepare-switchover": {
        const { preparationId, targetId } = action;
        this.#host.after(this.#host.random.between(5, 60), () =>
          this.process.run(() => {
            const refusal = world.postgres.mayBePromoted(targetId) ? null : "it is no standby";
            this.#deliver({ type: "switchover-prepared", preparationId, refusal });
          }),
        );
        return;
      }
      case "watch":
        return this.#watch.begin(action.watchId, action.order);
      case "end-watch":
        return this.#watch.end();
      // Nobody asks for online recovery here.
      case "recover":
      case "permit-recovery":
      case "stop-recovery":
      // Only compared, for the log: nobody waits for it.
      case "ask-candidates":
        return undefined;
      case "log":
        world.trace?.(`${this.#host.id} says: ${action.message}`);
        return undefined;
    }
  }

  /** Whether what is carried out replaces the primary by another server. */
  #isReplacing(): boolean {
    const intent = this.#state.task?.intent;
    if (intent === undefined || !intent.primaryChanges) return false;
    return intent.kind === "detach" || intent.kind === "switchover";
  }

  #tellStep(step: AnyStep): void {
    this.#host.world.atFailoverStep?.(step, this.#host);
  }

  #propose(action: Extract<ConductorAction, { type: "propose" }>): void {
    const { id, afterIndex, state } = action;
    this.#toWatchdog((watchdog) =>
      watchdog.deliver({ type: "proposed", id, afterIndex, value: state }),
    );
    if (this.#host.world.planted.actsOnUncommitted !== true) return;
    this.#host.after(0.5, () =>
      this.process.run(() => {
        const index = (this.#state.index ?? 0) + 1;
        this.#deliver({ type: "committed", index, state });
        this.#deliver({ type: "settled", index });
      }),
    );
  }

  #run(
    action: Extract<ConductorAction, { type: "run-command" }>,
    promotionEpoch: number | null,
  ): void {
    const start = (): void => {
      const command = new Command(this.#host, action, promotionEpoch, (exitCode, signal) =>
        this.onCommandEnded(action.commandId, exitCode, signal),
      );
      command.mayRunUntil(this.#leadUntilMs);
      this.#commands.set(action.commandId, command);
    };
    start();
    if (this.#host.world.planted.repeatsCommand === true) {
      this.#host.after(400, () => this.process.run(start));
    }
  }

  /** Without news this node leads no longer than its lease, whatever it was told before. */
  #lead(): void {
    const { localMs, rate, wallMs } = this.#host;
    const untilMs = this.#leadUntilMs;
    const leads = this.#isLeader && untilMs > localMs;
    if (leads) {
      for (const command of this.#commands.values()) command.mayRunUntil(untilMs);
      this.#host.after((untilMs - localMs) / rate + 1, () =>
        this.process.run(() => {
          if (this.#leads && this.#leadUntilMs === untilMs) this.#lead();
        }),
      );
    }
    if (leads === this.#leads) return;
    this.#leads = leads;
    this.#deliver({ type: "leadership", leads, wallMs });
  }

  #stop(commandId: number, how: "ask" | "kill"): void {
    const command = this.#commands.get(commandId);
    if (command === undefined) return;
    if (how === "kill") {
      this.#killedIds.add(commandId);
      this.#count({ type: "command-ending", isEnding: true });
    }
    command.stop(how);
  }

  /** Which index all of this node routes by, and until when its worker may route at all. */
  #count(event: AppliedViewsEvent): void {
    const { localMs, rate } = this.#host;
    const { state, actions } = appliedViews.step(this.#applied, event, localMs);
    this.#applied = state;
    for (const action of actions) {
      const { world, id } = this.#host;
      const what =
        action.type === "grant-lease"
          ? `lease for ${(action.untilMs - localMs).toFixed(1)} ms`
          : `applied ${action.index}`;
      world.trace?.(`${id} supervisor: ${what}`);
      if (action.type === "grant-lease") this.worker.onLease(action.untilMs);
      else this.#toWatchdog((watchdog) => watchdog.onApplied(action.index));
    }
    const wakeMs = appliedViews.wakeAtMs(state);
    if (wakeMs === null || wakeMs === this.#countAtMs) return;
    this.#countAtMs = wakeMs;
    this.#host.after(Math.max(1, wakeMs - localMs) / rate, () =>
      this.process.run(() => {
        if (this.#countAtMs === wakeMs) this.#countAtMs = null;
        this.#count({ type: "tick" });
      }),
    );
  }

  #setTimer(): void {
    const wakeMs = conductor.wakeAtMs(this.#state);
    if (wakeMs === null) return;
    const { world, rate, localMs } = this.#host;
    const atMs = world.nowMs + Math.max(1, wakeMs - localMs) / rate;
    if (this.#timerAtMs !== null && this.#timerAtMs <= atMs) return;
    this.#timerAtMs = atMs;
    world.after(atMs - world.nowMs, () => {
      if (this.#timerAtMs !== atMs) return;
      this.#timerAtMs = null;
      this.process.run(() => this.#deliver({ type: "tick" }));
    });
  }
}

function settingsFor(backendIds: readonly number[]): FailoverSettings {
  return {
    backends: backendIds.map((id) => ({
      id,
      hostname: `db${id}`,
      port: 5432,
      dataDirectory: "/data",
      mayFailover: true,
      alwaysPrimary: false,
    })),
    isStreaming: true,
    failoverCommand: "promote %m %d %P",
    failbackCommand: "",
    demoteCommand: "demote %a %d %m",
    followPrimaryCommand: "follow %d",
    commandTimeoutMs: 60_000,
    followTimeoutMs: 0,
    commandRetriesMax: 2,
    candidate: "id",
    candidateTimeoutMs: 3000,
    searchPrimaryTimeoutMs: 5000,
    compatVersion: "",
  };
}
