/**
 * Which backend connections are kept for the next client, and how they are made like new. It
 * holds connections as opaque values: it opens, closes and times nothing. Read `pool.ts` first.
 */
export { isPooledDatabase, Pool, poolKey } from "./pool.ts";
export { SessionReset } from "./session-reset.ts";
