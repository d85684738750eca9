/**
 * Effects that drivers share: the clock, durable files, child commands, the log. It never decides
 * and knows no pillar. Read `log.ts` first.
 */
export * from "./log.ts";
