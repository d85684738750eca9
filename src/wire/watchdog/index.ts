/**
 * What watchdogs say to each other, as values and as bytes: frames on the encrypted connection,
 * datagrams for the heartbeat. It never decides what a message means. Read `messages.ts` first.
 */
export * from "./messages.ts";
export * from "./heartbeat.ts";
