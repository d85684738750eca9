/**
 * Synchronous replication as the primary was last seen to run it, and what it tells about who may
 * take over without losing a commit that a client was told of. It asks nobody. Read
 * `choose-candidate.ts` first.
 */
export * from "./standby-names.ts";
export * from "./observe-synchronous.ts";
export * from "./choose-candidate.ts";
