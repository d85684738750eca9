import type { Ms } from "../../../base/index.ts";

/**
 * How long a connection may wait for its next client; 0 for ever. In Pgpool-II it ends with its
 * slot after `connection_life_time`, or with its idle process after `child_life_time`.
 */
export function idleLifeMs(config: {
  readonly connection_life_time: number;
  readonly child_life_time: number;
}): Ms {
  const { connection_life_time: ofConnection, child_life_time: ofChild } = config;
  if (ofConnection === 0 || ofChild === 0) return Math.max(ofConnection, ofChild) * 1000;
  return Math.min(ofConnection, ofChild) * 1000;
}
