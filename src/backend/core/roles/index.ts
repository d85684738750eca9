/**
 * Which servers are what they should be, judged from what each of them says: who replicates from
 * whom, which server must not be routed to, which second primary is to be detached and which
 * standby may come back. It asks nobody and changes nothing. Read `server-problems.ts` first.
 */
export * from "./upstreams.ts";
export * from "./server-problems.ts";
export * from "./false-primary.ts";
export * from "./auto-failback.ts";
