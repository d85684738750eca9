/**
 * The sockets of the admin server: PCP for the pcp_* clients, the control socket for `pgquorum`.
 * It never decides what an answer is: PCP connections ask the pcp core, and the supervisor's
 * handlers do the work. Read `handlers.ts` first.
 */
export type { PcpHandlers } from "./handlers.ts";
export { PCP_CONNECTIONS_MAX, startPcpServer } from "./server.ts";
export type { PcpServer, PcpServerOptions } from "./server.ts";
export { startControlServer } from "./control-server.ts";
export type { ControlServer, ControlServerOptions } from "./control-server.ts";
export { askControlSocket } from "./control-client.ts";
export type { ControlFailure } from "./control-client.ts";
