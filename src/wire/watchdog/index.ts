/**
 * What watchdogs say to each other, as values and as bytes: frames on the encrypted connection,
 * datagrams for the heartbeat; and what programs of the same host say to one. It never decides what
 * a message means. Read `messages.ts` first.
 */
export * from "./messages.ts";
export * from "./heartbeat.ts";
export * from "./ipc.ts";
