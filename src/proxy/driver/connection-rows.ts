import type { ConnectionRow } from "../../wire/ipc/index.ts";
import { BackendConnection } from "./backend-connection.ts";

/** As PostgreSQL shortens names. */
const NAME_LENGTH_MAX = 63;

/** The server connections of this worker, used or not. */
export function connectionRows(): ConnectionRow[] {
  return [...BackendConnection.all].map((connection) => ({
    backendId: connection.target.backendId,
    user: connection.user.slice(0, NAME_LENGTH_MAX),
    database: connection.database.slice(0, NAME_LENGTH_MAX),
    processId: connection.processId,
    openedAt: connection.openedAt,
    usedCount: connection.usedCount,
    leftAt: connection.leftAt,
  }));
}
