/** Faults of the network between the hosts. */
import type { Ms } from "../../../src/base/index.ts";
import type { Host } from "../model/host.ts";
import type { Random } from "../random.ts";
import type { World } from "../world.ts";

export function cutLinks(
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

export function bothWays(
  some: readonly number[],
  others: readonly number[],
): readonly (readonly [number, number])[] {
  return some.flatMap((one) =>
    others.flatMap((other) => [[one, other] as const, [other, one] as const]),
  );
}

export function peersOf(world: World, host: { readonly id: number }): readonly number[] {
  return world.hosts.map(({ id }) => id).filter((id) => id !== host.id);
}

/** The host, sometimes with one other, from the rest. */
export function cutOff(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const group = new Set([host.id]);
  if (random.chance(0.3)) group.add(random.below(world.nodeCount));
  const links = world.hosts.flatMap(({ id: from }) =>
    world.hosts
      .filter(({ id: to }) => group.has(from) !== group.has(to))
      .map(({ id: to }) => [from, to] as const),
  );
  cutLinks(world, lengthMs, links);
}

export function cutOneWay(world: World, host: Host, lengthMs: Ms, random: Random): void {
  const isOutward = random.chance(0.5);
  const share = random.pick([0.5, 1]);
  const links = peersOf(world, host)
    .filter(() => random.next() < share)
    .map((id) => (isOutward ? ([host.id, id] as const) : ([id, host.id] as const)));
  cutLinks(world, lengthMs, links);
}

/** Each host hears its two neighbours only. */
export function cutToRing(world: World, _host: Host, lengthMs: Ms): void {
  const count = world.nodeCount;
  const isNear = (from: number, to: number): boolean =>
    (from + 1) % count === to || (to + 1) % count === from;
  const links = world.hosts.flatMap(({ id: from }) =>
    world.hosts.filter(({ id: to }) => !isNear(from, to)).map(({ id: to }) => [from, to] as const),
  );
  cutLinks(world, lengthMs, links);
}

export function loseMessages(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  const share = random.pick([0.01, 0.1, 0.3, 0.6, 0.95]);
  world.network.lossShare = share;
  world.after(lengthMs, () => {
    if (world.network.lossShare === share) world.network.lossShare = 0;
  });
}

export function delayMessages(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  const delayMaxMs = random.magnitude(1, 10_000);
  world.network.delayMaxMs = delayMaxMs;
  world.after(lengthMs, () => {
    if (world.network.delayMaxMs === delayMaxMs) world.network.delayMaxMs = 0;
  });
}

export function reorderMessages(world: World, host: Host, lengthMs: Ms, random: Random): void {
  world.network.isUnordered = true;
  delayMessages(world, host, lengthMs, random);
  world.after(lengthMs, () => {
    world.network.isUnordered = false;
  });
}

export function doubleMessages(world: World, _host: Host, lengthMs: Ms, random: Random): void {
  world.network.doubledShare = random.between(0.01, 0.3);
  world.after(lengthMs, () => {
    world.network.doubledShare = 0;
  });
}
