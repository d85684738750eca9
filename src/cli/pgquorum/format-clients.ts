import type { ClientRow, NodeList } from "../../wire/ipc/index.ts";
import { formatLength } from "./format-status.ts";
import { formatTable, visible } from "./table.ts";

/**
 * What `pgquorum clients` prints: those inside first, then those that wait for a place, in turn.
 *
 * @param nowMs wall clock, milliseconds since 1970.
 */
export function formatClients(list: NodeList<ClientRow>, nowMs: number): string {
  const { rows: clients, silentWorkers } = list;
  const waiting = clients.filter(isWaiting).toSorted(byAge);
  const inside = clients.filter((client) => !isWaiting(client)).toSorted(byAge);
  const rows = [...inside, ...waiting].map((client) => [
    `${client.worker} (${client.workerPid})`,
    client.address === null ? "[local]" : `${client.address}:${client.port ?? ""}`,
    visible(client.user),
    visible(client.database),
    visible(client.application),
    client.state,
    formatLength(nowMs - client.stateSince),
    client.keeps,
    client.backends.map(({ id, processId }) => `${id}:${processId}`).join(" "),
  ]);
  const titles = ["worker", "client", "user", "database", "application", "state", "for"];
  const silent = silentWorkers.map(
    (id) => `worker ${id} does not answer: its clients are missing\n`,
  );
  const counts = `${inside.length} clients, ${waiting.length} waiting for a place\n`;
  return `${formatTable([...titles, "keeps", "backends"], rows)}${counts}${silent.join("")}`;
}

function isWaiting({ state }: ClientRow): boolean {
  return state === "waiting for a place";
}

function byAge(one: ClientRow, other: ClientRow): number {
  return one.connectedAt - other.connectedAt;
}
