/**
 * What the admin server answers: logging in, and one request after another. It never performs a
 * command, reads no file and knows no socket. Read `connection.ts` first.
 */
export * from "./connection.ts";
export type { Answer, Command } from "./answer.ts";
export { viewOfDeadWatchdog, watchdogViewAt } from "./watchdog-at.ts";
