/** Roles and delays of the backends. It asks nobody. Read `replication-delay.ts`. */
export * from "./replication-delay.ts";
export * from "./told-delays.ts";
