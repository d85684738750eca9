/** One machine: its clock, kernel, disk and the processes of a node. */
import type { Ms } from "../../../src/base/index.ts";
import type { Random } from "../random.ts";
import type { World } from "../world.ts";
import { Disk } from "./disk.ts";
import { Guardian } from "./guardian.ts";
import { Kernel } from "./kernel.ts";
import { Supervisor } from "./supervisor.ts";
import { Watchdog } from "./watchdog.ts";

/** Two clocks differ in rate by up to 1e-3. */
const RATE_HALF_SPREAD = 4.99e-4;
const CHILD_MS_MIN = 1;
const CHILD_MS_MAX = 8;
const GUARDIAN_RESTART_MS = 20;
const GUARDIAN_ANSWERS_MS = 1000;
/** Until a supervisor starts a watchdog again that ended by itself. */
const RESTART_MS = 50;

export class Host {
  readonly world: World;
  readonly id: number;
  readonly random: Random;
  readonly rate: number;
  readonly kernel: Kernel;
  readonly disk: Disk;
  watchdog: Watchdog | null = null;
  supervisor: Supervisor | null = null;
  #guardian: Guardian | null = null;
  /** What the guardian was told last, and who waits for its answer. */
  #guarded: { readonly secret: string; readonly onArmed: () => void } | null = null;
  #clockSinceMs: Ms;
  #wallStepMs: Ms = 0;
  #bootCount = 0;
  /** Children of dead or living watchdogs that still have something to do. */
  readonly #children = new Set<() => void>();
  #onNoChildren: (() => void)[] = [];
  #restartMs: Ms = RESTART_MS;
  /** Children (`nft`, `ip`) take up to this long. */
  slowChildrenMs: Ms = 0;
  slowTimersMs: Ms = 0;
  isCutFromPostgres = false;
  /** Its state file cannot be trusted any more: it listens, and never votes. */
  isMute = false;

  constructor(world: World, id: number, random: Random) {
    this.world = world;
    this.id = id;
    this.random = random;
    this.rate = 1 + (random.next() * 2 - 1) * RATE_HALF_SPREAD;
    this.#clockSinceMs = random.next() * 1e6;
    this.disk = new Disk(random.fork(1), world);
    this.kernel = new Kernel({
      random: random.fork(2),
      realPerLocal: 1 / this.rate,
      nowMs: () => world.nowMs,
      onOpening: () => world.promises.oneOpenVip.onOpening(this),
      hasNft: world.profile.fence.kernelLeaseMs !== null,
      isRevivable: world.planted.isRevivable === true,
    });
  }

  get hasWholeDisk(): boolean {
    return this.disk.read() !== null;
  }

  /** Others would find its watchdog running and reachable. */
  isReachableFrom(other: Host): boolean {
    const { network } = this.world;
    const isCut = network.isCut(this.id, other.id) || network.isCut(other.id, this.id);
    return this.watchdog?.process.canRun === true && !isCut;
  }

  /** CLOCK_MONOTONIC of this host, or what is planted for it. */
  get localMs(): Ms {
    const monotonicMs = this.#clockSinceMs + this.world.nowMs * this.rate;
    return this.world.planted.usesWallClock === true ? monotonicMs + this.#wallStepMs : monotonicMs;
  }

  get wallMs(): number {
    return 1_700_000_000_000 + this.world.nowMs * this.rate + this.#wallStepMs;
  }

  stepWallClock(byMs: Ms): void {
    this.#wallStepMs += byMs;
  }

  after(delayMs: Ms, run: () => void): void {
    this.world.after(delayMs, run);
  }

  /** Everything of the node that does not run is started. */
  start(): void {
    if (this.supervisor !== null) return;
    this.#bootCount += 1;
    this.supervisor = new Supervisor(this, this.#bootCount);
    this.startWatchdog();
  }

  /** It removes what an earlier run left of the VIP, and then takes part. */
  startWatchdog(): void {
    if (this.watchdog !== null || this.supervisor === null) return;
    const durable = this.disk.read();
    const isDamaged = durable === null && this.world.planted.forgetsDamagedFile !== true;
    this.isMute = isDamaged;
    this.#bootCount += 1;
    const watchdog = new Watchdog(this, this.#bootCount, durable);
    this.watchdog = watchdog;
    this.startChild(
      () => {
        this.kernel.loadTable(watchdog.bootNumber);
        this.kernel.deleteAddress();
      },
      () => watchdog.process.run(() => watchdog.open()),
    );
    this.#startGuardian();
  }

  /** SIGKILL of the watchdog; the supervisor starts another after `downMs`. */
  killWatchdog(downMs: Ms, withGuardian: boolean): void {
    if (withGuardian) this.#killGuardian();
    this.#restartMs = downMs;
    this.watchdog?.die();
  }

  onWatchdogDead(): void {
    this.watchdog = null;
    this.#guardian?.onPipeEnded();
    this.#guardian = null;
    this.#guarded = null;
    this.supervisor?.onWatchdogDied();
    const restartMs = this.#restartMs;
    this.#restartMs = RESTART_MS;
    this.after(Math.min(restartMs, this.world.absenceMsMax), () => this.startWatchdog());
  }

  /** SIGKILL of the supervisor: its commands die with it, its watchdog stops in order. */
  killSupervisor(downMs: Ms): void {
    this.supervisor?.die();
    this.supervisor = null;
    this.watchdog?.stop();
    this.#startAfter(downMs);
  }

  /** SIGKILL of every process of the node, perhaps but the guardian. */
  killNode(downMs: Ms, withGuardian: boolean): void {
    this.supervisor?.die();
    this.supervisor = null;
    this.killWatchdog(0, withGuardian);
    this.#startAfter(downMs);
  }

  /** SIGTERM. */
  stopNode(downMs: Ms): void {
    const { supervisor, watchdog } = this;
    if (supervisor === null) return;
    watchdog?.handOver();
    supervisor.process.run(() =>
      supervisor.stop(() => {
        supervisor.die();
        this.supervisor = null;
        watchdog?.stop();
        this.#startAfter(downMs);
      }),
    );
  }

  /** No process survives and the kernel forgets; the disk stays. */
  losePower(downMs: Ms): void {
    this.#children.clear();
    this.#onNoChildren = [];
    this.#killGuardian();
    this.supervisor?.die();
    this.supervisor = null;
    this.watchdog?.die();
    this.watchdog = null;
    this.kernel.loadTable(0);
    this.kernel.deleteAddress();
    this.#clockSinceMs = this.random.next() * 1e6 - this.world.nowMs * this.rate;
    this.#startAfter(downMs);
  }

  pauseAll(lengthMs: Ms): void {
    this.#guardian?.process.pause(lengthMs);
    this.watchdog?.process.pause(lengthMs);
    this.supervisor?.process.pause(lengthMs);
    this.supervisor?.worker.process.pause(lengthMs);
  }

  resumeAll(): void {
    this.#guardian?.process.resume();
    this.watchdog?.process.resume();
    this.supervisor?.process.resume();
    this.supervisor?.worker.process.resume();
  }

  pauseGuardian(lengthMs: Ms): void {
    this.#guardian?.process.pause(lengthMs);
  }

  /** Its watchdog notices, starts another and tells it what to guard. */
  killGuardian(): void {
    const { watchdog } = this;
    this.#killGuardian();
    if (watchdog === null) return;
    this.after(GUARDIAN_RESTART_MS, () =>
      watchdog.process.run(() => {
        if (this.#guardian !== null) return;
        this.#startGuardian();
        if (this.#guarded !== null) this.armGuardian(this.#guarded.secret, this.#guarded.onArmed);
      }),
    );
  }

  get hasGuardian(): boolean {
    return this.#guardian !== null;
  }

  /** One that does not answer is replaced, and asked again. */
  armGuardian(secret: string, onArmed: () => void): void {
    const { watchdog } = this;
    let isAnswered = false;
    const answer = (): void => {
      if (isAnswered) return;
      isAnswered = true;
      this.#guarded = { secret, onArmed: () => undefined };
      onArmed();
    };
    this.#guarded = { secret, onArmed: answer };
    const guardian = this.#guardian;
    this.after(this.random.between(0.1, 1), () =>
      guardian?.arm(secret, () =>
        this.after(this.random.between(0.1, 1), () => watchdog?.process.run(answer)),
      ),
    );
    this.after(GUARDIAN_ANSWERS_MS, () =>
      watchdog?.process.run(() => {
        if (!isAnswered && guardian !== null && guardian === this.#guardian) this.killGuardian();
      }),
    );
  }

  disarmGuardian(): void {
    this.#guarded = null;
    const guardian = this.#guardian;
    this.after(0.2, () => guardian?.disarm());
  }

  /** A child of the watchdog: it does its work even when its parent is stopped or dead. */
  startChild(effect: () => void, onEnd: () => void): void {
    const end = (): void => {
      if (!this.#children.delete(end)) return;
      effect();
      onEnd();
      if (this.#children.size > 0) return;
      for (const run of this.#onNoChildren.splice(0)) run();
    };
    this.#children.add(end);
    const extraMs = this.random.next() * this.slowChildrenMs;
    this.after(this.random.between(CHILD_MS_MIN, CHILD_MS_MAX) + extraMs, end);
  }

  /** Nothing holds them up any more. */
  hurryChildren(): void {
    this.slowChildrenMs = 0;
    for (const end of this.#children) this.after(CHILD_MS_MAX, end);
  }

  whenNoChildren(run: () => void): void {
    if (this.#children.size === 0) run();
    else this.#onNoChildren.push(run);
  }

  /** Each peer is told by datagram, three times over, and on its connection. */
  spreadSecret(secret: string): void {
    this.world.trace?.(`${this.id} shows ${secret.slice(0, 8)}`);
    for (const peer of this.world.hosts) {
      if (peer === this) continue;
      this.world.network.send(this.id, peer.id, () => peer.watchdog?.onSecret(secret));
    }
  }

  #startAfter(downMs: Ms): void {
    this.after(Math.min(downMs, this.world.absenceMsMax), () => this.start());
  }

  #startGuardian(): void {
    this.#guardian ??= new Guardian(this, this.watchdog?.bootNumber ?? 0);
  }

  #killGuardian(): void {
    this.#guardian?.process.kill();
    this.#guardian = null;
  }
}
