/**
 * Effects that drivers share: the clock, durable files, locks, child commands, the log, and the
 * loop that runs a core. It never decides and knows no pillar. Read `core-runner.ts` first.
 */
export * from "./log.ts";
export * from "./clock.ts";
export * from "./files.ts";
export * from "./lock-file.ts";
export * from "./child-command.ts";
export * from "./command-program.ts";
export * from "./command-right.ts";
export * from "./core-runner.ts";
export * from "./open-log.ts";
export * from "./unix-socket.ts";
export * from "./host-lookup.ts";
export * from "./listen.ts";
export * from "./listen-error.ts";
export * from "./stream-handles.ts";
export * from "./socket-calls.ts";
export * from "./pid-file.ts";
export * from "./priority.ts";
export * from "./process-config.ts";
export * from "./pool-passwd.ts";
export * from "./local-time.ts";
