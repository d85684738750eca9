/**
 * What the processes of one node tell each other: plain values, sent as JSON over the channel
 * that Node opens to a forked child. The supervisor is the hub; workers and the watchdog talk to
 * nobody else. The control socket, by which commands ask a running node, is here too. It never
 * decides anything. Read `view.ts` first.
 */
export * from "./view.ts";
export * from "./worker.ts";
export * from "./doors.ts";
export * from "./places.ts";
export * from "./caps.ts";
export * from "./clients.ts";
export * from "./activity.ts";
export * from "./route-question.ts";
export * from "./watchdog.ts";
export * from "./control.ts";
export * from "./switchover.ts";
export * from "./recovery.ts";
