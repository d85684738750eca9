import type { Socket } from "node:net";
import { fail, succeed, type Result } from "../../base/index.ts";
import { listenOnPath, type Log, type SocketProblem } from "../../os/index.ts";
import type { ControlReply, ControlRequest } from "../../wire/ipc/index.ts";
import { CONTROL_REQUEST_BYTES_MAX, parseControlRequest } from "../../wire/ipc/index.ts";
import { readLine } from "./line-socket.ts";

export interface ControlServerOptions {
  /** See `controlSocketPath`. */
  readonly path: string;
  /** Gives the `value` of the reply, which must survive JSON, or says no. A rejection is a bug. */
  readonly handle: (request: ControlRequest) => Promise<Result<unknown, string>>;
  readonly log: Log;
}

export interface ControlServer {
  stop(): Promise<void>;
}

const CONNECTIONS_MAX = 32;
const REQUEST_TIMEOUT_MS = 10_000;
/** Only the user that runs the node may ask: there is no password here. */
const SOCKET_MODE = 0o600;

/**
 * Starts the socket that `pgquorum status` and its kin ask. Errors: see `listenOnPath`.
 */
export async function startControlServer(
  options: ControlServerOptions,
): Promise<Result<ControlServer, SocketProblem>> {
  const open = new Set<Socket>();
  const listener = await listenOnPath(options.path, SOCKET_MODE, {
    onConnection(socket) {
      if (open.size >= CONNECTIONS_MAX) {
        socket.destroy();
        return;
      }
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      void serve(socket, options);
    },
  });
  if (!listener.ok) return fail(listener.error);
  return succeed({
    async stop() {
      await listener.value.close();
      for (const socket of open) socket.destroySoon();
    },
  });
}

async function serve(socket: Socket, options: ControlServerOptions): Promise<void> {
  // The line reader tells of a broken connection; later the answer has nobody to go to.
  socket.on("error", () => undefined);
  const line = await readLine(socket, CONTROL_REQUEST_BYTES_MAX, REQUEST_TIMEOUT_MS);
  const request = line.ok ? parseControlRequest(line.value) : line;
  if (!request.ok) options.log.write("debug1", `control request refused: ${request.error}`);
  const reply: ControlReply = request.ok ? await options.handle(request.value) : request;
  if (!socket.writable) return;
  socket.end(`${JSON.stringify(reply)}\n`);
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
  socket.resume(); // So that the other end's close is seen.
}
