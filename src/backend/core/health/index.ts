/**
 * When a backend is asked whether it lives, and what follows from its answers. It opens no
 * connection. Read `health-check.ts`.
 */
export * from "./down-requests.ts";
export * from "./health-check.ts";
export * from "./health-statistics.ts";
export * from "./quarantine.ts";
