/** The leader is lost at a chosen step of a failover of the primary. */
import type { Ms } from "../../../src/base/index.ts";
import { FAILOVER_STEPS, SWITCHOVER_STEPS, type AnyStep } from "../model/failover-step.ts";
import type { Host } from "../model/host.ts";
import type { Random } from "../random.ts";
import type { World } from "../world.ts";
import { backendDown } from "./hosts.ts";
import { bothWays, cutLinks, peersOf } from "./links.ts";

export const WAYS_TO_LOSE = [
  "its node is killed",
  "its node and its guardian are killed",
  "its host loses power",
  "its watchdog is killed",
  "its node is frozen",
  "it is cut off",
] as const;
export type WayToLose = (typeof WAYS_TO_LOSE)[number];

/** Does it to whoever comes to the step next. Nothing of the step has left its process by then. */
export function loseAtStep(world: World, wanted: AnyStep, lose: (host: Host) => void): void {
  world.atFailoverStep = (step, host) => {
    if (step !== wanted) return;
    world.atFailoverStep = null;
    world.trace?.(`${host.id} is lost ${step}`);
    // At the same moment, but not from within the process that is about to die.
    world.after(0, () => lose(host));
  };
}

export function loseLeader(world: World, host: Host, way: WayToLose, lengthMs: Ms): void {
  switch (way) {
    case "its node is killed":
      return host.killNode(lengthMs, false);
    case "its node and its guardian are killed":
      return host.killNode(lengthMs, true);
    case "its host loses power":
      return host.losePower(lengthMs);
    case "its watchdog is killed":
      return host.killWatchdog(lengthMs, false);
    case "its node is frozen":
      return host.pauseAll(lengthMs);
    case "it is cut off":
      return cutLinks(world, lengthMs, bothWays([host.id], peersOf(world, host)));
  }
}

/** A primary is lost, and its failover loses its leader, sometimes the next one at the same step. */
export function strikeAtStep(world: World, host: Host, lengthMs: Ms, random: Random): void {
  loseLeaders(world, random.pick(FAILOVER_STEPS), lengthMs, random);
  backendDown(world, host, lengthMs, random);
}

/** The same while somebody moves the primary to another server. */
export function strikeAtSwitchoverStep(
  world: World,
  host: Host,
  lengthMs: Ms,
  random: Random,
): void {
  loseLeaders(world, random.pick(SWITCHOVER_STEPS), lengthMs, random);
  const standbys = world.postgres.servers.filter(({ id }) => world.postgres.mayBePromoted(id));
  if (standbys.length > 0) host.supervisor?.switchOver(random.pick(standbys).id);
}

function loseLeaders(world: World, step: AnyStep, lengthMs: Ms, random: Random): void {
  const { era } = world.network;
  const way = random.pick(WAYS_TO_LOSE);
  const isTwice = random.chance(0.3);
  loseAtStep(world, step, (leader) => {
    if (era !== world.network.era) return;
    loseLeader(world, leader, way, lengthMs);
    if (!isTwice) return;
    loseAtStep(world, step, (next) => {
      if (era === world.network.era) loseLeader(world, next, way, lengthMs);
    });
  });
}
