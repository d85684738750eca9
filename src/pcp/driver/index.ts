/**
 * The sockets of the admin server: PCP for the pcp_* clients, the control socket for `pgquorum`.
 * It never decides what an answer is: PCP connections ask the pcp core, and the supervisor's
 * handlers do the work. Read `handlers.ts` first.
 */
export * from "./handlers.ts";
