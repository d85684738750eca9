/** The words after `npm run test:cluster -- vip`, as a value. Pure. */
import { LAB_PROFILES, type LabProfile } from "../../../scripts/lab.d/layout.ts";
import { fail, succeed, type Result } from "../../../src/base/index.ts";
import { FAULT_NAMES, FAULTS, type FaultName } from "./faults.ts";

export const FENCES = ["auto", "nft", "lifetime", "none"] as const;
export type Fence = (typeof FENCES)[number];

export interface VipOptions {
  readonly rounds: number;
  readonly hostsCount: 3 | 5;
  readonly profile: LabProfile;
  readonly fence: Fence;
  readonly faults: readonly FaultName[];
  readonly seed: number;
  readonly isJson: boolean;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

const ROUNDS_MAX = 100_000;

export const HELP = `Usage: npm run test:cluster -- vip [OPTIONS]

Whole nodes on hosts that are network namespaces, a client that asks the virtual IP a thousand times
a second, and an observer on the switch that sees every frame with the virtual IP as its source.
Round after round something is done to the cluster, and undone; two holders at once fail the run.
Before it counts, the observer has to see two holders where there is no fence. Needs root.

  --rounds N         how many (60)
  --hosts 3|5        nodes (3)
  --profile P        ${LAB_PROFILES.join(", ")}: a silent leader is trusted for 300, 600 or 3000 ms (fast)
  --fence F          ${FENCES.join(", ")}: vip_fence (auto)
  --faults A,B,…     only these (all)
  --seed N           the order of the faults and all choices (of the moment)
  --json             print all figures as JSON instead

${FAULT_NAMES.map((name) => `  ${name.padEnd(17)}  ${FAULTS[name].about}`).join("\n")}

Exit status: 0 when no round failed; 1 when two held the address at once, nobody held it, or a
returning node disturbed the leader; 2 for wrong words. With --fence none, two holders are what has
to be seen: 0 when they were, 1 when not.
`;

/** "help", or the options. Errors: the wrong word and what was expected. */
export function parseVipOptions(
  words: readonly string[],
  momentSeed: number,
): Result<VipOptions | "help", string> {
  const options: Mutable<VipOptions> = {
    rounds: 60,
    hostsCount: 3,
    profile: "fast",
    fence: "auto",
    faults: FAULT_NAMES,
    seed: momentSeed,
    isJson: false,
  };
  return readWords(words, options, VALUED);
}

/** What a word's value changes. Errors: what was expected of it. */
export type Change<Options> = Result<Partial<Options>, string>;

/** "help", or the options after all words. `options` is changed. */
export function readWords<Options extends { isJson: boolean }>(
  words: readonly string[],
  options: Options,
  valued: Readonly<Record<string, (value: string) => Change<Options>>>,
): Result<Options | "help", string> {
  const rest = [...words];
  while (rest.length > 0) {
    const word = rest.shift() ?? "";
    if (word === "--help" || word === "-h") return succeed("help");
    if (word === "--json") {
      options.isJson = true;
      continue;
    }
    const read = valued[word];
    if (read === undefined) return fail(`unknown option "${word}"; --help lists them`);
    const change = read(rest.shift() ?? "");
    if (!change.ok) return fail(`${word}: ${change.error}`);
    Object.assign(options, change.value);
  }
  return succeed(options);
}

const VALUED: Readonly<Record<string, (value: string) => Change<VipOptions>>> = {
  "--rounds": (value) => wholeNumber(value, 1, ROUNDS_MAX, (rounds) => ({ rounds })),
  "--seed": (value) => wholeNumber(value, 0, 2 ** 32 - 1, (seed) => ({ seed })),
  "--hosts": readHosts,
  "--profile": (value) => oneOf(value, LAB_PROFILES, (profile) => ({ profile })),
  "--fence": (value) => oneOf(value, FENCES, (fence) => ({ fence })),
  "--faults"(value) {
    const wanted = value.split(",");
    const strange = wanted.find((name) => !FAULT_NAMES.some((known) => known === name));
    if (strange !== undefined) return fail(`"${strange}" is none of ${FAULT_NAMES.join(", ")}`);
    return succeed({ faults: FAULT_NAMES.filter((name) => wanted.includes(name)) });
  },
};

export function wholeNumber<Options>(
  value: string,
  min: number,
  max: number,
  change: (value: number) => Partial<Options>,
): Change<Options> {
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return succeed(change(number));
  return fail(`"${value}" is not a whole number from ${min} to ${max}`);
}

export function readHosts(value: string): Result<{ hostsCount: 3 | 5 }, string> {
  if (value !== "3" && value !== "5") return fail(`"${value}" is neither 3 nor 5`);
  return succeed({ hostsCount: value === "3" ? 3 : 5 });
}

export function oneOf<T extends string, Options>(
  value: string,
  known: readonly T[],
  change: (value: T) => Partial<Options>,
): Change<Options> {
  const found = known.find((each) => each === value);
  if (found !== undefined) return succeed(change(found));
  return fail(`"${value}" is none of ${known.join(", ")}`);
}
