/**
 * A planned change of the primary: who should take over, and whether that can be done now. It asks
 * no server itself and changes nothing; how a switchover is carried out stands with the failovers
 * (`../failover/`), because both change the same state. Read `pre-checks.ts` first.
 */
export * from "./facts.ts";
export { chooseTarget } from "./choose-target.ts";
export { checkSwitchover } from "./pre-checks.ts";
export * from "./watch.ts";
