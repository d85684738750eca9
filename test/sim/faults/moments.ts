/** Faults that wait for the worst moment: an action of the core, or a command that begins. */
import type { Ms } from "../../../src/base/index.ts";
import type { Action } from "../../../src/watchdog/core/consensus/index.ts";
import type { ConsensusMessage, Entry } from "../../../src/wire/watchdog/index.ts";
import type { Host } from "../model/host.ts";
import type { Random } from "../random.ts";
import type { World } from "../world.ts";
import { bothWays, cutLinks, peersOf } from "./links.ts";

export function stall(_world: World, host: Host, lengthMs: Ms, random: Random): void {
  host.watchdog?.stallBefore(1 + random.below(12), lengthMs);
}

/** Frozen between the answers of a quorum and the renewal, and again right after it. */
export function pauseAroundRenewal(world: World, host: Host, lengthMs: Ms, random: Random): void {
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
export function cutOffBeforeRenewal(world: World, host: Host, lengthMs: Ms, random: Random): void {
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
export function pauseAll(world: World, _host: Host, _lengthMs: Ms, random: Random): void {
  const lengthMs = random.between(0.4, 2) * world.profile.promiseMs;
  for (const { watchdog } of world.hosts) watchdog?.process.pause(lengthMs);
}

/** A new entry leaves the leader for some of the others, or for none; mostly there is one soon. */
export function cutOffAtProposal(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const struck = leaderOr(world, host);
  const share = random.pick([0.5, 0.8, 1]);
  const cutIds = peersOf(world, struck).filter(() => random.next() < share);
  const links = bothWays([struck.id], cutIds);
  struck.watchdog?.setTrap({
    isFor: (action) => action.type === "send" && bringsEntry(action.message),
    before: () => cutLinks(world, lengthMs + world.profile.promiseMs, links),
    after: null,
  });
  // One of the two asks for something.
  const backendId = random.below(world.postgres.servers.length);
  world.postgres.followNewest(backendId);
  for (const kind of ["attach", "detach"] as const) struck.supervisor?.request(kind, backendId);
}

/**
 * A worker goes on by the old view while its node hears that the primary is replaced. It has a
 * lease, and whatever it is about to write it writes first when it wakes.
 */
export function pauseWorkerAtCommit(world: World, host: Host, _lengthMs: Ms, random: Random): void {
  const lengthMs = random.between(0.05, 1.1) * world.profile.promiseMs;
  host.watchdog?.setTrap({
    isFor: ({ type }) => type === "commit",
    before: () => host.supervisor?.worker.process.pause(lengthMs),
    after: null,
  });
  const primaryId = leaderOr(world, host).supervisor?.cluster?.primaryId ?? null;
  if (primaryId !== null) host.supervisor?.request("detach", primaryId);
}

/** A follower says that a state is applied when it has not heard the leader for a while. */
export function sayAppliedLate(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const { watchdog } = host;
  const { promiseMs } = world.profile;
  const { era } = world.network;
  const lateMs = random.between(0.2, 0.9) * promiseMs;
  watchdog?.setTrap({
    isFor: (action) => action.type === "send" && answersNoRound(action.message),
    before: () => {
      if (era !== world.network.era) return;
      const leader = leaderOr(world, host);
      const links = peersOf(world, leader).map((id): [number, number] => [leader.id, id]);
      cutLinks(world, lengthMs + promiseMs, links);
      watchdog.process.pause(lateMs);
    },
    after: null,
  });
  const backendId = random.below(world.postgres.servers.length);
  world.postgres.followNewest(backendId);
  for (const kind of ["attach", "detach"] as const) host.supervisor?.request(kind, backendId);
}

function answersNoRound(message: ConsensusMessage): boolean {
  return message.type === "round-reply" && message.round === 0;
}

function bringsEntry(message: ConsensusMessage): boolean {
  return (
    message.type === "round" &&
    message.entry !== null &&
    message.entry.index > message.committedIndex &&
    message.committedIndex > 0
  );
}

/**
 * Who has voted is started again at once and hears once more what it heard before, and the one it
 * voted for does not run. Sometimes all wake at the same moment and stand together, so that there
 * are two to vote for.
 */
export function crashAfterVote(world: World, host: Host, _lengthMs: Ms, random: Random): void {
  const { promiseMs } = world.profile;
  const downMs = random.between(0, 30);
  const hasRivals = random.chance(0.8);
  if (hasRivals) pauseAll(world, host, 0, random);
  let isSprung = false;
  for (const voter of hasRivals ? world.hosts : [host]) {
    voter.watchdog?.setTrap({
      isFor: (action) => !isSprung && isVote(action),
      before: null,
      after: (action) => {
        isSprung = true;
        voter.killWatchdog(downMs, random.chance(0.5));
        world.network.replayTo(voter.id, downMs + 5 + promiseMs, 0.2 * promiseMs);
        if (action.type !== "send" || random.chance(0.3)) return;
        world.hosts[action.to]?.watchdog?.process.pause(random.between(1, 4) * promiseMs);
      },
    });
  }
}

function isVote(action: Action): boolean {
  return action.type === "send" && action.message.type === "vote-reply" && action.message.granted;
}

/** A candidate's vote for itself is not stored, and others vote for it meanwhile. */
export function failDiskAtVote(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const { watchdog, disk } = host;
  const downMs = random.between(0, 30);
  watchdog?.setTrap({
    isFor: (action) => action.type === "persist" && action.durable.votedFor === host.id,
    before: () => {
      disk.failsUntilMs = world.nowMs + 5 + SLOW_SYNC_MS;
      disk.slowMs = SLOW_SYNC_MS;
      disk.slowUntilMs = world.nowMs + 1;
    },
    after: () =>
      world.after(SLOW_SYNC_MS + random.between(10, lengthMs), () => {
        if (host.watchdog === watchdog) host.killWatchdog(downMs, false);
      }),
  });
}

const SLOW_SYNC_MS = 40;

export function crashAtCommit(world: World, host: Host, lengthMs: Ms): void {
  const struck = leaderOr(world, host);
  struck.watchdog?.setTrap({
    isFor: ({ type }) => type === "commit",
    before: () => struck.killWatchdog(lengthMs, true),
    after: null,
  });
}

/** All but one have forgotten what they promised it, and it is cut off. */
export function restartOthers(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const spared = leaderOr(world, host);
  cutLinks(world, lengthMs, bothWays([spared.id], peersOf(world, spared)));
  for (const other of world.hosts) {
    if (other !== spared) other.killWatchdog(random.between(0, 30), true);
  }
}

/**
 * A minority is away until it is taken off the list. As the first list without one of it goes
 * out, it comes back, and some of the others go: now a majority of all stands against one of the
 * list that the leader is about to make.
 */
export function swapSides(world: World, host: Host, lengthMs: Ms): void {
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
      isShortened(action.message.entry, world.nodeCount),
    before: () => {
      for (const [from, to] of links) network.restore(from, to);
      cutLinks(world, lengthMs, bothWays([leader.id, ...allies], others));
    },
    after: null,
  });
}

function isShortened(entry: Entry | null, nodeCount: number): boolean {
  return entry !== null && entry.members.length > 0 && entry.members.length < nodeCount;
}

/** The leader loses its lead, or is thought to have lost it, while its command runs. */
export function strikeAtCommand(world: World, _host: Host, lengthMs: Ms, random: Random): void {
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

function leaderOr(world: World, host: Host): Host {
  return world.hosts.find(({ watchdog }) => watchdog?.leads === true) ?? host;
}
