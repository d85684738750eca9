/** Faults of one host: its disk, clock, timers, the servers behind it, and who operates it. */
import type { Ms } from "../../../src/base/index.ts";
import type { Host } from "../model/host.ts";
import type { Random } from "../random.ts";
import type { World } from "../world.ts";

export function cutFromClients(world: World, host: Host, lengthMs: Ms): void {
  world.clients.cut(host.id);
  world.after(lengthMs, () => world.clients.join(host.id));
}

export function cutFromPostgres(world: World, host: Host, lengthMs: Ms): void {
  host.isCutFromPostgres = true;
  world.after(lengthMs, () => {
    host.isCutFromPostgres = false;
  });
}

export function slowDisk(world: World, host: Host, lengthMs: Ms, random: Random): void {
  host.disk.slowMs = random.magnitude(5, 10_000);
  host.disk.slowUntilMs = world.nowMs + lengthMs;
}

export function failDisk(world: World, host: Host, lengthMs: Ms): void {
  host.disk.failsUntilMs = world.nowMs + lengthMs;
}

export function crashInWrite(host: Host, tears: Host["disk"]["tearsNext"]): void {
  host.disk.tearsNext = tears;
  if (host.watchdog !== null) host.watchdog.diesInWrite = true;
}

export function flipBit(host: Host, lengthMs: Ms): void {
  host.disk.flipBit();
  host.killWatchdog(lengthMs, false);
}

export function lateTimers(world: World, host: Host, lengthMs: Ms, random: Random): void {
  host.slowTimersMs = random.magnitude(5, 5000);
  world.after(lengthMs, () => {
    host.slowTimersMs = 0;
  });
}

export function slowChildren(world: World, host: Host, lengthMs: Ms, random: Random): void {
  host.slowChildrenMs = random.magnitude(5, 5000);
  world.after(lengthMs, () => {
    host.slowChildrenMs = 0;
  });
}

export function stepClock(host: Host, random: Random): void {
  const byMs = random.magnitude(100, 100_000_000);
  host.stepWallClock(random.chance(0.5) ? byMs : -byMs);
}

/** Mostly a primary, since that is what failovers are made of. */
export function backendDown(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  const { servers } = world.postgres;
  const primary = servers.find(({ isUp, isPrimary }) => isUp && isPrimary);
  const server = random.chance(0.7) ? (primary ?? random.pick(servers)) : random.pick(servers);
  server.isUp = false;
  world.after(lengthMs, () => world.postgres.start(server.id));
}

export function operate(world: World, host: Host, _lengthMs: Ms, random: Random): void {
  const backendId = random.below(world.postgres.servers.length);
  const kind = random.pick(["attach", "attach", "attach", "detach", "promote"] as const);
  if (kind === "attach") world.postgres.followNewest(backendId);
  host.supervisor?.request(kind, backendId);
}

/** By somebody who does not look who the primary is. */
export function switchOver(world: World, host: Host, _lengthMs: Ms, random: Random): void {
  host.supervisor?.switchOver(random.below(world.postgres.servers.length));
}
