/**
 * The state of the backends, as the cluster agrees on it and as one node sees it. It never asks
 * a server and never runs a command. Read `cluster-state.ts` first.
 */
export * from "./cluster-state.ts";
export * from "./history.ts";
export * from "./decode-cluster-state.ts";
export * from "./history-lines.ts";
export * from "./local-marks.ts";
export * from "./status-text.ts";
export * from "./choose-primary.ts";
export * from "./synchronous-set.ts";
