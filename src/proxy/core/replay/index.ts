/**
 * How far the standbys have replayed what the primary has written: from answers of both, which
 * somebody else asks for. It decides nothing about a statement. Read `replay-clock.ts`.
 */
export { formatLsn, parseLsn } from "./lsn.ts";
export { ReplayClock } from "./replay-clock.ts";
export { PRIMARY_QUERY, STANDBY_PROOF_QUERY, STANDBY_QUERY } from "./questions.ts";
