/**
 * What goes wrong in a run, drawn from the seed before it begins: each fault carries all that it
 * does, so that leaving one out changes no other.
 *
 * Within the promise: all kinds below. Outside it, and so not drawn: a state file of yesterday put
 * back (only its checksum is known, not its age), damaged files on a majority, clocks that differ
 * in rate by more than 1e-3, a hypervisor that stops a guest's clock.
 */
import type { Ms } from "../../../src/base/index.ts";
import type { Host } from "../model/host.ts";
import { Random } from "../random.ts";
import type { World } from "../world.ts";
import { strikeAtStep, strikeAtSwitchoverStep } from "./failover-steps.ts";
import {
  backendDown,
  crashInWrite,
  cutFromClients,
  cutFromPostgres,
  failDisk,
  flipBit,
  lateTimers,
  operate,
  slowChildren,
  slowDisk,
  stepClock,
  switchOver,
} from "./hosts.ts";
import {
  cutOff,
  cutOneWay,
  cutToRing,
  delayMessages,
  doubleMessages,
  loseMessages,
  reorderMessages,
} from "./links.ts";
import {
  crashAfterVote,
  crashAtCommit,
  cutOffAtProposal,
  cutOffBeforeRenewal,
  failDiskAtVote,
  pauseAll,
  pauseAroundRenewal,
  pauseWorkerAtCommit,
  restartOthers,
  sayAppliedLate,
  stall,
  strikeAtCommand,
  swapSides,
} from "./moments.ts";

export interface Fault {
  readonly number: number;
  readonly atMs: Ms;
  readonly kind: FaultKind;
  readonly hostId: number;
  readonly lengthMs: Ms;
  /** Its own numbers come from this. */
  readonly salt: number;
}

type Strike = (world: World, host: Host, lengthMs: Ms, random: Random) => void;

/** How often each is drawn, and what it does. */
const KINDS = {
  "cut off": [6, cutOff],
  "cut one way": [6, cutOneWay],
  "cut to a ring": [2, cutToRing],
  "cut from clients": [1, cutFromClients],
  "cut from PostgreSQL": [1, cutFromPostgres],
  loss: [3, loseMessages],
  delay: [3, delayMessages],
  reorder: [2, reorderMessages],
  duplicate: [2, doubleMessages],
  replay: [2, (world, _host, _lengthMs, random) => world.network.replay(1 + random.below(30))],
  "kill watchdog": [6, (_world, host, lengthMs) => host.killWatchdog(lengthMs, false)],
  "kill watchdog and guardian": [4, (_world, host, lengthMs) => host.killWatchdog(lengthMs, true)],
  "kill guardian": [2, (_world, host) => host.killGuardian()],
  "kill supervisor": [2, (_world, host, lengthMs) => host.killSupervisor(lengthMs)],
  "stop node": [2, (_world, host, lengthMs) => host.stopNode(lengthMs)],
  "lose power": [3, (_world, host, lengthMs) => host.losePower(lengthMs)],
  "pause watchdog": [6, (_world, host, lengthMs) => host.watchdog?.process.pause(lengthMs)],
  "pause node": [4, (_world, host, lengthMs) => host.pauseAll(lengthMs)],
  "pause guardian": [1, (_world, host, lengthMs) => host.pauseGuardian(lengthMs)],
  "pause supervisor": [1, (_world, host, lengthMs) => host.supervisor?.process.pause(lengthMs)],
  "pause worker": [1, (_world, host, lengthMs) => host.supervisor?.worker.process.pause(lengthMs)],
  "pause between actions": [8, stall],
  "pause around a renewal": [5, pauseAroundRenewal],
  "cut off before a renewal": [3, cutOffBeforeRenewal],
  "pause all nodes": [2, pauseAll],
  "cut off at a proposal": [5, cutOffAtProposal],
  "pause worker at a commit": [4, pauseWorkerAtCommit],
  "say applied late": [4, sayAppliedLate],
  "crash after a vote": [14, crashAfterVote],
  "crash at a commit": [2, crashAtCommit],
  "restart the others": [3, restartOthers],
  "swap the sides": [6, swapSides],
  "strike at a command": [4, strikeAtCommand],
  "lose the leader at a step": [4, strikeAtStep],
  "slow disk": [3, slowDisk],
  "failing disk": [1, failDisk],
  "disk full at a vote": [3, failDiskAtVote],
  "crash in a write": [4, (_world, host) => crashInWrite(host, null)],
  "torn write": [2, (_world, host) => crashInWrite(host, "sectors")],
  "torn sector": [1, (_world, host) => crashInWrite(host, "bytes")],
  "flipped bit": [1, (_world, host, lengthMs) => flipBit(host, lengthMs)],
  "late timers": [2, lateTimers],
  "slow commands": [2, slowChildren],
  "clock step": [2, (_world, host, _lengthMs, random) => stepClock(host, random)],
  "backend down": [8, backendDown],
  operator: [4, operate],
  "switch over": [4, switchOver],
  "lose the leader at a step of a switchover": [4, strikeAtSwitchoverStep],
  "hand over": [3, (_world, host) => host.watchdog?.handOver()],
} as const satisfies Readonly<Record<string, readonly [number, Strike]>>;

export type FaultKind = keyof typeof KINDS;

const KIND_NAMES = Object.keys(KINDS) as FaultKind[];
/** Damage that a node cannot heal by itself strikes a minority only. */
const LASTING: ReadonlySet<FaultKind> = new Set(["torn sector", "flipped bit"]);
const WEIGHT_SUM = KIND_NAMES.reduce((sum, kind) => sum + KINDS[kind][0], 0);
const LENGTH_MS_MIN = 4;
const LENGTH_MS_MAX = 16_000;
/** Mean time between two faults: stormy, mixed and calm seeds find different things. */
const GAPS_MS = [300, 600, 900, 1200, 2500];
const FIRST_AT_MS = 500;

export function planFaults(seed: number, nodeCount: number, untilMs: Ms): readonly Fault[] {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  const gapMs = random.pick(GAPS_MS);
  const lastingMax = Math.floor((nodeCount - 1) / 2);
  const faults: Fault[] = [];
  for (let atMs = FIRST_AT_MS; ;) {
    atMs += random.next() * 2 * gapMs;
    if (atMs >= untilMs) return faults;
    const kind = pickKind(random);
    faults.push({
      number: faults.length + 1,
      atMs,
      kind,
      hostId: random.below(LASTING.has(kind) ? lastingMax : nodeCount),
      lengthMs: random.magnitude(LENGTH_MS_MIN, LENGTH_MS_MAX),
      salt: random.below(2 ** 31),
    });
  }
}

export function strike(world: World, fault: Fault): void {
  const host = world.hosts[fault.hostId];
  // Where absent nodes lose their vote, those that are left may be the damaged ones.
  const isPastRepair = LASTING.has(fault.kind) && world.profile.removesAfterMs !== null;
  if (host === undefined || isPastRepair) return;
  const lengthText = fault.lengthMs.toFixed(0);
  world.trace?.(`fault ${fault.number}: ${fault.kind}, node ${fault.hostId}, ${lengthText} ms`);
  const act: Strike = KINDS[fault.kind][1];
  act(world, host, fault.lengthMs, new Random(fault.salt));
}

export function describeFault({ number, atMs, kind, hostId, lengthMs }: Fault): string {
  return `${number}: at ${atMs.toFixed(0)} ms ${kind}, node ${hostId}, for ${lengthMs.toFixed(0)} ms`;
}

/** Everything that can be repaired without a person is repaired now. */
export function repairAll(world: World, hosts: readonly Host[]): void {
  world.network.heal();
  for (const { id } of world.postgres.servers) world.postgres.start(id);
  for (const host of hosts) {
    world.clients.join(host.id);
    host.isCutFromPostgres = false;
    host.slowTimersMs = 0;
    host.hurryChildren();
    host.disk.repair();
    host.watchdog?.forgetStalls();
    host.resumeAll();
    // A process whose write failed trusts its disk no more; the next one looks again.
    if (host.isMute && host.hasWholeDisk) host.killWatchdog(0, false);
    host.start();
    host.startWatchdog();
  }
}

function pickKind(random: Random): FaultKind {
  let rest = random.next() * WEIGHT_SUM;
  for (const kind of KIND_NAMES) {
    rest -= KINDS[kind][0];
    if (rest < 0) return kind;
  }
  return "loss";
}
