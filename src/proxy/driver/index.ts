/**
 * The sockets of a proxy worker: it accepts clients, opens and keeps backend connections, and
 * carries bytes between them and the session core. It decides nothing about a statement. Read
 * `client-connection.ts` first, then `client-session.ts` and `byte-socket.ts`.
 */
export { BackendPauses } from "./backend-pauses.ts";
export { BackendPool } from "./backend-pool.ts";
export { connectionRows } from "./connection-rows.ts";
export { explainRouting } from "./route-question.ts";
export { IdleGiver } from "./idle-giver.ts";
export { kindRows, laneRows } from "./lane-rows.ts";
export { Listener } from "./listener.ts";
export { NodeListQuestions } from "./node-list.ts";
export { readSettings, type SettingsRead } from "./settings.ts";
export type { AcceptedClient } from "./byte-socket.ts";
export { chooseSocketIo } from "./socket-io.ts";
export { ReplayWatch } from "./replay-watch.ts";
export { TableWrites } from "./table-writes.ts";
export { PrimaryWatch } from "./primary-watch.ts";
export type { OwnLogin } from "./question-line.ts";
export { SyncWaits } from "./sync-waits.ts";
export { StandbyWatch } from "./standby-watch.ts";
export { TimedGate } from "./timed-gate.ts";
export type { Settings, WorkerContext } from "./worker-context.ts";
export { SharedConnections, sharedSettings, sharedSizes } from "./shared-connections.ts";
