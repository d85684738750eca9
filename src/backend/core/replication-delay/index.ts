/** Roles and delays of the backends. It asks nobody. Read `replication-delay.ts`. */
export * from "./lsn.ts";
export * from "./replication-answer.ts";
export * from "./replication-delay.ts";
export * from "./told-delays.ts";
export * from "./written-positions.ts";
