/** The words after `npm run bench -- vip`, as a value. Pure. */
import { LAB_PROFILES, type LabProfile } from "../scripts/lab.d/layout.ts";
import { fail, succeed, type Result } from "../src/base/index.ts";
import {
  FENCES,
  oneOf,
  readHosts,
  readWords,
  type Change,
  type Fence,
} from "../test/cluster/vip/options.ts";

export interface VipBenchOptions {
  /** Of each fault. */
  readonly rounds: number;
  readonly hostsCount: 3 | 5;
  readonly profile: LabProfile;
  readonly fence: Fence;
  readonly busyMinutes: number;
  readonly partitionMinutes: number;
  readonly idleSeconds: number;
  /** 0: the simulator is left out. */
  readonly seeds: number;
  readonly isJson: boolean;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export const HELP = `Usage: npm run bench -- vip [OPTIONS]

Measures what is promised about the virtual IP on whole nodes in network namespaces, and prints a
table of targets, measured figures and verdicts. Needs root.

  --rounds N             of each fault (20)
  --hosts 3|5            nodes (3)
  --profile P            ${LAB_PROFILES.join(", ")} (fast)
  --fence F              ${FENCES.join(", ")} (auto)
  --minutes M            idle cluster while all processors are kept busy by other work (1)
  --partition-minutes M  how long a node is away before it returns (1)
  --idle-seconds S       over which the watchdogs' processor time is measured (20)
  --seeds N              simulator runs; 0 leaves it out (500)
  --json                 print all figures as JSON instead

Exit status: 0 when every target was met, 1 when not, 2 for wrong words.
`;

/** "help", or the options. Errors: the wrong word and what was expected. */
export function parseVipBenchOptions(
  words: readonly string[],
): Result<VipBenchOptions | "help", string> {
  const options: Mutable<VipBenchOptions> = {
    rounds: 20,
    hostsCount: 3,
    profile: "fast",
    fence: "auto",
    busyMinutes: 1,
    partitionMinutes: 1,
    idleSeconds: 20,
    seeds: 500,
    isJson: false,
  };
  return readWords(words, options, VALUED);
}

const VALUED: Readonly<Record<string, (value: string) => Change<VipBenchOptions>>> = {
  "--rounds": (value) => bounded(value, 1, 10_000, (rounds) => ({ rounds })),
  "--hosts": readHosts,
  "--profile": (value) => oneOf(value, LAB_PROFILES, (profile) => ({ profile })),
  "--fence": (value) => oneOf(value, FENCES, (fence) => ({ fence })),
  "--minutes": (value) => bounded(value, 0, 1440, (busyMinutes) => ({ busyMinutes })),
  "--partition-minutes": (value) =>
    bounded(value, 0, 1440, (partitionMinutes) => ({ partitionMinutes })),
  "--idle-seconds": (value) => bounded(value, 1, 3600, (idleSeconds) => ({ idleSeconds })),
  "--seeds": (value) => bounded(value, 0, 1_000_000, (seeds) => ({ seeds })),
};

/** Fractions too: half a minute is a time. */
function bounded(
  value: string,
  min: number,
  max: number,
  change: (value: number) => Partial<VipBenchOptions>,
): Change<VipBenchOptions> {
  const number = /^\d{1,7}(\.\d{1,3})?$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return succeed(change(number));
  return fail(`"${value}" is not a number from ${min} to ${max}`);
}
