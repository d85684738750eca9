/**
 * Which backend connections are kept for the next client, and how they are made like new. It
 * holds connections as opaque values: it opens, closes and times nothing. `pool.ts` is for
 * connections that belong to a session for its life, `shared-pool.ts` for those that sessions share.
 */
export { ConnectionClaims, isInRoom, type Claim } from "./connection-claims.ts";
export { idleLifeMs } from "./idle-life.ts";
export { isPooledDatabase, Pool, poolKey } from "./pool.ts";
export { SessionReset } from "./session-reset.ts";
export { Lane, LaneWait, type LaneKey } from "./lane.ts";
export { SharedPool, type SharedPoolPort, type SharedPoolSizes } from "./shared-pool.ts";
