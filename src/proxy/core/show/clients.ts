import type { ClientRow } from "../../../wire/ipc/index.ts";

/**
 * Rows of SHOW POOL_CLIENTS: those that wait for a place last, and of these who came first first.
 *
 * @param formatTime milliseconds since 1970 -> local time.
 */
export function clientRows(
  clients: readonly ClientRow[],
  formatTime: (wallMs: number) => string,
): readonly string[][] {
  return clients
    .toSorted(byTurn)
    .map((client) => [
      String(client.worker),
      String(client.workerPid),
      client.processId === 0 ? "" : String(client.processId),
      client.address ?? "[local]",
      client.port === null ? "" : String(client.port),
      client.user,
      client.database,
      client.application,
      client.state,
      formatTime(client.stateSince),
      formatTime(client.connectedAt),
      client.keeps,
      client.backends.map(({ id, processId }) => `${id}:${processId}`).join(" "),
    ]);
}

function byTurn(one: ClientRow, other: ClientRow): number {
  const waits = (client: ClientRow): number => (client.state === "waiting for a place" ? 1 : 0);
  return waits(one) - waits(other) || one.connectedAt - other.connectedAt;
}
