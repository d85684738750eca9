/**
 * PCP, the protocol of Pgpool-II's admin clients: packets to values and back, for both ends. It
 * decides nothing, knows no password and opens no socket. Read `frames.ts` first.
 */
export * from "./frames.ts";
export * from "./errors.ts";
export * from "./requests.ts";
export * from "./replies.ts";
export * from "./replies-read.ts";
export * from "./watchdog-json.ts";
