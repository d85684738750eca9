import { Socket } from "node:net";
import { encodeCancelRequest } from "../../wire/postgres/index.ts";
import type { BackendConnection } from "./backend-connection.ts";

const CANCEL_WITHIN_MS = 10_000;

/**
 * Asks the server to cancel what runs on this connection. PostgreSQL closes the socket after it
 * has sent the signal, so `done` means: whatever is cancelled has been hit.
 */
export function sendCancel(connection: BackendConnection, done: () => void): void {
  const { hostname, port } = connection.target;
  const socket = new Socket();
  const timer = setTimeout(() => socket.destroy(), CANCEL_WITHIN_MS);
  socket.on("error", () => undefined); // The client sees that its query goes on.
  socket.on("close", () => {
    clearTimeout(timer);
    done();
  });
  socket.on("data", () => undefined);
  const request = encodeCancelRequest(connection.processId, connection.cancelKey);
  if (hostname.startsWith("/")) socket.connect({ path: `${hostname}/.s.PGSQL.${port}` });
  else socket.connect({ host: hostname || "127.0.0.1", port });
  socket.write(request);
}
