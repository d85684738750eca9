/**
 * What goes wrong in a run, drawn from the seed before it begins: each fault carries all that it
 * does, so that leaving one out changes no other.
 *
 * Within the promise: all kinds below. Outside it, and so not drawn: a state file of yesterday put
 * back (only its checksum is known, not its age), damaged files on a majority, clocks that differ
 * in rate by more than 1e-3, a hypervisor that stops a guest's clock.
 */
import type { Ms } from "../../src/base/index.ts";
import type { ConsensusMessage } from "../../src/wire/watchdog/index.ts";
import type { Host } from "./model/host.ts";
import type { Server } from "./model/postgres.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

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
  "crash after a vote": [4, crashAfterVote],
  "crash at a commit": [2, crashAtCommit],
  "restart the others": [3, restartOthers],
  "swap the sides": [2, swapSides],
  "strike at a command": [4, strikeAtCommand],
  "slow disk": [3, slowDisk],
  "failing disk": [1, failDisk],
  "crash in a write": [4, (_world, host) => crashInWrite(host, null)],
  "torn write": [2, (_world, host) => crashInWrite(host, "sectors")],
  "torn sector": [1, (_world, host) => crashInWrite(host, "bytes")],
  "flipped bit": [1, (_world, host, lengthMs) => flipBit(host, lengthMs)],
  "late timers": [2, lateTimers],
  "slow commands": [2, slowChildren],
  "clock step": [2, (_world, host, _lengthMs, random) => stepClock(host, random)],
  "backend down": [8, backendDown],
  operator: [4, operate],
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
const GAPS_MS = [150, 400, 400, 1000, 2500];
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
  for (const server of world.postgres.servers) startServer(world, server);
  for (const host of hosts) {
    world.clients.join(host.id);
    host.isCutFromPostgres = false;
    host.slowTimersMs = 0;
    host.slowChildrenMs = 0;
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

function cutLinks(
  world: World,
  lengthMs: Ms,
  links: readonly (readonly [from: number, to: number])[],
): void {
  for (const [from, to] of links) world.network.cut(from, to);
  const { era } = world.network;
  world.after(lengthMs, () => {
    if (era !== world.network.era) return;
    for (const [from, to] of links) world.network.join(from, to);
  });
}

function peersOf(world: World, host: { readonly id: number }): readonly number[] {
  return world.hosts.map(({ id }) => id).filter((id) => id !== host.id);
}

/** The host, sometimes with one other, from the rest. */
function cutOff(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const group = new Set([host.id]);
  if (random.chance(0.3)) group.add(random.below(world.nodeCount));
  const links = world.hosts.flatMap(({ id: from }) =>
    world.hosts
      .filter(({ id: to }) => group.has(from) !== group.has(to))
      .map(({ id: to }) => [from, to] as const),
  );
  cutLinks(world, lengthMs, links);
}

function cutOneWay(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const isOutward = random.chance(0.5);
  const share = random.pick([0.5, 1]);
  const links = peersOf(world, host)
    .filter(() => random.next() < share)
    .map((id) => (isOutward ? ([host.id, id] as const) : ([id, host.id] as const)));
  cutLinks(world, lengthMs, links);
}

/** Each host hears its two neighbours only. */
function cutToRing(world: World, _host: Host, lengthMs: Ms): void {
  const count = world.nodeCount;
  const isNear = (from: number, to: number): boolean =>
    (from + 1) % count === to || (to + 1) % count === from;
  const links = world.hosts.flatMap(({ id: from }) =>
    world.hosts.filter(({ id: to }) => !isNear(from, to)).map(({ id: to }) => [from, to] as const),
  );
  cutLinks(world, lengthMs, links);
}

function cutFromClients(world: World, host: Host, lengthMs: Ms): void {
  world.clients.cut(host.id);
  world.after(lengthMs, () => world.clients.join(host.id));
}

function cutFromPostgres(world: World, host: Host, lengthMs: Ms): void {
  host.isCutFromPostgres = true;
  world.after(lengthMs, () => {
    host.isCutFromPostgres = false;
  });
}

function loseMessages(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  const share = random.pick([0.01, 0.1, 0.3, 0.6, 0.95]);
  world.network.lossShare = share;
  world.after(lengthMs, () => {
    if (world.network.lossShare === share) world.network.lossShare = 0;
  });
}

function delayMessages(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  const delayMaxMs = random.magnitude(1, 10_000);
  world.network.delayMaxMs = delayMaxMs;
  world.after(lengthMs, () => {
    if (world.network.delayMaxMs === delayMaxMs) world.network.delayMaxMs = 0;
  });
}

function reorderMessages(world: World, host: Host, lengthMs: Ms, random: Random): void {
  world.network.isUnordered = true;
  delayMessages(world, host, lengthMs, random);
  world.after(lengthMs, () => {
    world.network.isUnordered = false;
  });
}

function doubleMessages(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  world.network.doubledShare = random.between(0.01, 0.3);
  world.after(lengthMs, () => {
    world.network.doubledShare = 0;
  });
}

function stall(_world: World, host: Host, lengthMs: Ms, random: Random): void {
  host.watchdog?.stallBefore(1 + random.below(12), lengthMs);
}

/** Frozen between the answers of a quorum and the renewal, and again right after it. */
function pauseAroundRenewal(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const { watchdog } = leaderOr(world, host);
  if (watchdog === null) return;
  const shortMs = random.between(0.05, 1.1) * world.profile.promiseMs;
  watchdog.setTrap({
    isFor: ({ type }) => type === "renew-vip",
    before: () => watchdog.process.pause(shortMs),
    after: () => watchdog.process.pause(lengthMs),
  });
}

/** Nobody answers any more; whatever is renewed then is the last that it does. */
function cutOffBeforeRenewal(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const { watchdog, id } = leaderOr(world, host);
  if (watchdog === null) return;
  cutLinks(world, lengthMs, bothWays([id], peersOf(world, { id })));
  let restCount = 1 + random.below(6);
  watchdog.setTrap({
    isFor: ({ type }) => type === "renew-vip" && (restCount -= 1) === 0,
    before: null,
    after: () => watchdog.process.pause(lengthMs),
  });
}

/** All wake at the same moment, and stand at the same moment. */
function pauseAll(world: World, _host: Host, _lengthMs: Ms, random: Random): void {
  const lengthMs = random.between(0.2, 3) * world.profile.promiseMs;
  for (const { watchdog } of world.hosts) watchdog?.process.pause(lengthMs);
}

/** A new entry leaves the leader for some of the others, or for none. */
function cutOffAtProposal(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const struck = leaderOr(world, host);
  const share = random.pick([0.5, 0.8, 1]);
  const cutIds = peersOf(world, struck).filter(() => random.next() < share);
  const links = bothWays([struck.id], cutIds);
  struck.watchdog?.setTrap({
    isFor: (action) => action.type === "send" && bringsEntry(action.message),
    before: () => cutLinks(world, lengthMs, links),
    after: null,
  });
}

function bringsEntry(message: ConsensusMessage): boolean {
  return (
    message.type === "round" &&
    message.entry !== null &&
    message.entry.index > message.committedIndex &&
    message.committedIndex > 0
  );
}

/** It has voted, is started again at once, and hears once more what it heard before. */
function crashAfterVote(world: World, host: Host, _lengthMs: Ms, random: Random): void {
  const downMs = random.between(0, 30);
  host.watchdog?.setTrap({
    isFor: (action) =>
      action.type === "send" && action.message.type === "vote-reply" && action.message.granted,
    before: null,
    after: () => {
      host.killWatchdog(downMs, random.chance(0.5));
      world.network.replayTo(host.id, downMs + 10 + world.profile.promiseMs);
    },
  });
}

function crashAtCommit(world: World, host: Host, lengthMs: Ms): void {
  const struck = leaderOr(world, host);
  struck.watchdog?.setTrap({
    isFor: ({ type }) => type === "commit",
    before: () => struck.killWatchdog(lengthMs, true),
    after: null,
  });
}

/** All but one have forgotten what they promised it, and it is cut off. */
function restartOthers(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const spared = leaderOr(world, host);
  cutLinks(world, lengthMs, bothWays([spared.id], peersOf(world, spared)));
  for (const other of world.hosts) {
    if (other !== spared) other.killWatchdog(random.between(0, 30), true);
  }
}

/**
 * A minority is away until it is taken off the list. As the list without it goes out, it comes
 * back, and some of the others go: now a majority of all stands against one of the new list.
 */
function swapSides(world: World, host: Host, lengthMs: Ms): void {
  const leader = leaderOr(world, host);
  const peers = peersOf(world, leader);
  const away = peers.slice(0, Math.floor((world.nodeCount - 1) / 2));
  const present = peers.filter((id) => !away.includes(id));
  const listLength = 1 + present.length;
  const allies = present.slice(0, Math.floor(listLength / 2));
  const others = [...present.filter((id) => !allies.includes(id)), ...away];
  const awayMs = (world.profile.removesAfterMs ?? 0) + 1000 * away.length;
  const { network } = world;
  const links = bothWays(away, [leader.id, ...present]);
  cutLinks(world, awayMs, links);
  leader.watchdog?.setTrap({
    isFor: (action) =>
      action.type === "send" &&
      action.message.type === "round" &&
      action.message.entry?.members.length === listLength,
    before: () => {
      for (const [from, to] of links) network.restore(from, to);
      cutLinks(world, lengthMs, bothWays([leader.id, ...allies], others));
    },
    after: null,
  });
}

/** The leader loses its lead, or is thought to have lost it, while its command runs. */
function strikeAtCommand(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  const how = random.below(5);
  const afterMs = random.magnitude(1, 500);
  const { era } = world.network;
  world.atNextCommand = (host) =>
    world.after(afterMs, () => {
      if (era !== world.network.era) return;
      if (how === 0) cutLinks(world, lengthMs, bothWays([host.id], peersOf(world, host)));
      else if (how === 1) host.watchdog?.process.pause(lengthMs);
      else if (how === 2) host.pauseAll(lengthMs);
      else if (how === 3) host.killWatchdog(lengthMs, random.chance(0.5));
      else host.watchdog?.handOver();
    });
}

function bothWays(
  some: readonly number[],
  others: readonly number[],
): readonly (readonly [number, number])[] {
  return some.flatMap((one) =>
    others.flatMap((other) => [[one, other] as const, [other, one] as const]),
  );
}

function leaderOr(world: World, host: Host): Host {
  return world.hosts.find(({ watchdog }) => watchdog?.leads === true) ?? host;
}

function slowDisk(world: World, host: Host, lengthMs: Ms, random: Random): void {
  host.disk.slowMs = random.magnitude(5, 10_000);
  host.disk.slowUntilMs = world.nowMs + lengthMs;
}

function failDisk(world: World, host: Host, lengthMs: Ms): void {
  host.disk.failsUntilMs = world.nowMs + lengthMs;
}

function crashInWrite(host: Host, tears: Host["disk"]["tearsNext"]): void {
  host.disk.tearsNext = tears;
  if (host.watchdog !== null) host.watchdog.diesInWrite = true;
}

function flipBit(host: Host, lengthMs: Ms): void {
  host.disk.flipBit();
  host.killWatchdog(lengthMs, false);
}

function lateTimers(world: World, host: Host, lengthMs: Ms, random: Random): void {
  host.slowTimersMs = random.magnitude(5, 5000);
  world.after(lengthMs, () => {
    host.slowTimersMs = 0;
  });
}

function slowChildren(world: World, host: Host, lengthMs: Ms, random: Random): void {
  host.slowChildrenMs = random.magnitude(5, 5000);
  world.after(lengthMs, () => {
    host.slowChildrenMs = 0;
  });
}

function stepClock(host: Host, random: Random): void {
  const byMs = random.magnitude(100, 100_000_000);
  host.stepWallClock(random.chance(0.5) ? byMs : -byMs);
}

/** Mostly a primary, since that is what failovers are made of. */
function backendDown(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  const { servers } = world.postgres;
  const primary = servers.find(({ isUp, isPrimary }) => isUp && isPrimary);
  const server = random.chance(0.7) ? (primary ?? random.pick(servers)) : random.pick(servers);
  server.isUp = false;
  world.after(lengthMs, () => startServer(world, server));
}

function startServer({ nowMs }: World, server: Server): void {
  if (server.isUp) return;
  server.isUp = true;
  server.upSinceMs = nowMs;
}

function operate(world: World, host: Host, _lengthMs: Ms, random: Random): void {
  const backendId = random.below(world.postgres.servers.length);
  const kind = random.pick(["attach", "attach", "attach", "detach", "promote"] as const);
  if (kind === "attach") world.postgres.followNewest(backendId);
  host.supervisor?.request(kind, backendId);
}
