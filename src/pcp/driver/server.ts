import type { Socket } from "node:net";
import { join } from "node:path";
import { fail, succeed, type Result } from "../../base/index.ts";
import {
  listenOnAddress,
  listenOnPath,
  type AcceptOptions,
  type Listener,
  type SocketProblem,
} from "../../os/index.ts";
import { servePcpConnection, type PcpConnectionOptions } from "./connection.ts";

export interface PcpServerOptions extends PcpConnectionOptions {
  readonly listen: {
    /** Host names, addresses, or `*`; none means Unix sockets only. */
    readonly addresses: readonly string[];
    readonly port: number;
    /** Each gets a socket `.s.PGSQL.<port>`. */
    readonly socketDirectories: readonly string[];
  };
}

export interface PcpServer {
  /**
   * Stops listening and ends the connections, each after what it was sent so far. Commands that
   * run go on without anybody to tell.
   */
  stop(): Promise<void>;
}

/** Administrators are few; more than these are turned away without a word. */
export const PCP_CONNECTIONS_MAX = 32;

/** As Pgpool-II's: whoever can reach the socket must still know a password. */
const SOCKET_MODE = 0o777;

/**
 * Starts the admin server. Resolves when every place is listened on.
 *
 * Errors: an address, port or socket path that cannot be used; nothing stays open then.
 */
export async function startPcpServer(
  options: PcpServerOptions,
): Promise<Result<PcpServer, SocketProblem>> {
  const open = new Set<Socket>();
  const accept: AcceptOptions = {
    portParameter: "pcp_port",
    onConnection(socket) {
      if (open.size >= PCP_CONNECTIONS_MAX) {
        socket.destroy();
        return;
      }
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      servePcpConnection(socket, options);
    },
  };
  const { addresses, port, socketDirectories } = options.listen;
  const listeners: Listener[] = [];
  const places = [
    ...addresses.map((address) => () => listenOnAddress(address, port, accept)),
    ...socketDirectories.map((directory) => () => {
      return listenOnPath(join(directory, `.s.PGSQL.${port}`), SOCKET_MODE, accept);
    }),
  ];
  for (const listen of places) {
    const listener = await listen();
    if (!listener.ok) {
      await closeAll(listeners);
      return fail(listener.error);
    }
    listeners.push(listener.value);
  }
  return succeed({
    async stop() {
      await closeAll(listeners);
      for (const socket of open) socket.destroySoon();
    },
  });
}

async function closeAll(listeners: readonly Listener[]): Promise<void> {
  for (const listener of listeners) await listener.close();
}
