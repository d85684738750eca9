/** The words after `npm run test:cluster -- failover`, as a value. Pure. */
import { LAB_PROFILES, type LabProfile } from "../../../scripts/lab.d/layout.ts";
import { fail, succeed, type Result } from "../../../src/base/index.ts";
import { oneOf, readWords, wholeNumber, type Change } from "../vip/options.ts";
import { CASE_NAMES, CASES, type CaseName } from "./cases/index.ts";

export interface FailoverOptions {
  /** Of each case; null: as many as each usually has. */
  readonly rounds: number | null;
  readonly cases: readonly CaseName[];
  /** After so many seconds no further round is begun; null: all are played. */
  readonly seconds: number | null;
  readonly profile: LabProfile;
  /** TPC-B-like transactions a second, of all 64 clients together. */
  readonly rate: number;
  /** Of each storm of cancels. */
  readonly cancels: number;
  readonly seed: number;
  /** Of which rounds logs are kept. */
  readonly logs: LogsKept;
  readonly isJson: boolean;
}

const LOGS_KEPT = ["all", "failed"] as const;
export type LogsKept = (typeof LOGS_KEPT)[number];

const ROUNDS_MAX = 100_000;
const SECONDS_MAX = 7 * 24 * 3600;
const CANCELS_MAX = 100_000;
const RATE_MAX = 100_000;

export const HELP = `Usage: npm run test:cluster -- failover [OPTIONS]

Three hosts that are network namespaces, each with a node and a PostgreSQL, and a crowd of clients
behind the virtual IP: 64 with TPC-B-like transactions, 4 that write single rows, idle sessions and
open transactions. Round after round something is done to servers or nodes; then every row whose
write was acknowledged has to be on the primary, and every run of failover_command is counted in a
file that all hosts share. Needs root.

  --rounds N         of each case (as many as stand below)
  --cases A,B,…      only these (all)
  --seconds S        begin no further round after so long (no limit)
  --profile P        ${LAB_PROFILES.join(", ")} (fast)
  --rate N           transactions a second of the 64 clients together (120)
  --cancels N        of a storm of cancels (300)
  --seed N           of all choices (of the moment)
  --logs all|failed  keep the logs of these rounds (failed)
  --json             print all figures as JSON instead

${CASE_NAMES.map((name) => `  ${name.padEnd(13)} ${String(CASES[name].roundsUsual).padStart(4)}  ${CASES[name].about}`).join("\n")}

Speeds are printed beside what the project aims at; a busy machine misses them, and that fails
nothing. Exit status: 0 when every promise held, 1 when one did not, 2 for wrong words. Logs of
rounds that failed are kept in /var/tmp/pgquorum-failover-*.
`;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** "help", or the options. Errors: the wrong word and what was expected. */
export function parseFailoverOptions(
  words: readonly string[],
  momentSeed: number,
): Result<FailoverOptions | "help", string> {
  const options: Mutable<FailoverOptions> = {
    rounds: null,
    cases: CASE_NAMES,
    seconds: null,
    profile: "fast",
    rate: 120,
    cancels: 300,
    seed: momentSeed,
    logs: "failed",
    isJson: false,
  };
  return readWords(words, options, VALUED);
}

const VALUED: Readonly<Record<string, (value: string) => Change<FailoverOptions>>> = {
  "--rounds": (value) => wholeNumber(value, 1, ROUNDS_MAX, (rounds) => ({ rounds })),
  "--seconds": (value) => wholeNumber(value, 1, SECONDS_MAX, (seconds) => ({ seconds })),
  "--rate": (value) => wholeNumber(value, 1, RATE_MAX, (rate) => ({ rate })),
  "--cancels": (value) => wholeNumber(value, 1, CANCELS_MAX, (cancels) => ({ cancels })),
  "--seed": (value) => wholeNumber(value, 0, 2 ** 32 - 1, (seed) => ({ seed })),
  "--logs": (value) => oneOf(value, LOGS_KEPT, (logs) => ({ logs })),
  "--profile": (value) => oneOf(value, LAB_PROFILES, (profile) => ({ profile })),
  "--cases"(value) {
    const wanted = value.split(",");
    const strange = wanted.find((name) => !CASE_NAMES.some((known) => known === name));
    if (strange !== undefined) return fail(`"${strange}" is none of ${CASE_NAMES.join(", ")}`);
    return succeed({ cases: CASE_NAMES.filter((name) => wanted.includes(name)) });
  },
};
