/**
 * PostgreSQL's frontend/backend protocol 3.x as bytes: cutting a stream into frames, reading the
 * few fields that a proxy must know, building the messages that it sends itself. It decides
 * nothing, keeps no connection and never decodes a row. Read `frame-walker.ts` first.
 *
 * Source: PostgreSQL manual, chapter "Frontend/Backend Protocol".
 */
export * from "./codes.ts";
export * from "./frame-walker.ts";
export * from "./start-up.ts";
export * from "./read.ts";
export * from "./build.ts";
