/** The promises about the virtual IP as numbers: target, measured, verdict. Pure. */
import type { LabProfile } from "../scripts/lab.d/layout.ts";
import type { FaultName } from "../test/cluster/vip/faults.ts";
import {
  inMs,
  overlapsCount,
  smallestGapMs,
  spreadOf,
  type RoundFigures,
} from "../test/cluster/vip/figures.ts";

export interface Measured {
  readonly profile: LabProfile;
  readonly leaseMs: number;
  readonly rounds: readonly RoundFigures[];
  readonly partition: { readonly minutes: number; readonly leaderChanges: number };
  readonly busy: { readonly minutes: number; readonly leaderChanges: number };
  readonly idle: {
    readonly seconds: number;
    /** Of one processor; of the node that needs most. */
    readonly cpuPercent: number;
    readonly rssMib: number;
  };
  /** Null: not run. */
  readonly simulator: { readonly seedsPerHour: number; readonly timesRealTime: number } | null;
}

export interface NumberRow {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  /** Null: there is no target, or nothing was measured. */
  readonly isMet: boolean | null;
}

/** What a target is about; a bound is in milliseconds, null: none. */
interface Bound {
  readonly figure: (round: RoundFigures) => number | null;
  readonly p50: number | null;
  readonly p99: number | null;
}

/** The faults that no proof of release shortens: only time ends the old holder's right. */
const SILENT: readonly [FaultName, string][] = [
  ["freeze-watchdog", "leader's watchdog frozen"],
  ["freeze-node", "leader's node frozen"],
  ["cut", "leader cut off"],
  ["cut-in", "leader hears nothing"],
  ["cut-out", "leader is not heard"],
  ["kill-all", "all processes of the leader killed, guardian included"],
];

export const MEASURED_FAULTS: readonly FaultName[] = [
  "stop",
  "kill-node",
  ...SILENT.map(([name]) => name),
];

export function numbersOf(measured: Measured): NumberRow[] {
  const { profile, leaseMs, rounds } = measured;
  const bounds = silentBounds(profile, leaseMs);
  return [
    row("planned move: VIP gap", rounds, "stop", { figure: gapOf, p50: 15, p99: 50 }),
    row("leader's node killed, guardian alive: first query", rounds, "kill-node", {
      figure: (round) => round.queryMs,
      p50: 60,
      p99: 250,
    }),
    ...SILENT.flatMap(([name, what]) => [
      row(`${what}: new holder`, rounds, name, { figure: (round) => round.takenMs, ...bounds }),
      row(`${what}: client dark`, rounds, name, { figure: (round) => round.darkMs, ...bounds }),
      row(`${what}: client dark after`, rounds, name, { figure: darkAfterOf, ...bounds }),
    ]),
    ...clusterRows(measured),
    ...processRows(measured),
  ];
}

function gapOf(round: RoundFigures): number | null {
  return round.gapMs;
}

function darkAfterOf(round: RoundFigures): number {
  return round.darkAfterMs;
}

function silentBounds(profile: LabProfile, leaseMs: number): Pick<Bound, "p50" | "p99"> {
  switch (profile) {
    case "fast":
      return { p50: leaseMs + 100, p99: leaseMs + 400 };
    case "default":
      return { p50: leaseMs + 500, p99: leaseMs + 500 };
    case "lan":
      return { p50: leaseMs + 50, p99: null };
  }
}

function row(
  what: string,
  rounds: readonly RoundFigures[],
  fault: FaultName,
  { figure, p50, p99 }: Bound,
): NumberRow {
  const spread = spreadOf(rounds.filter((round) => round.fault === fault).map(figure));
  const target = [p50 === null ? [] : `p50 ≤ ${p50} ms`, p99 === null ? [] : `p99 ≤ ${p99} ms`];
  if (spread === null)
    return { what, target: target.flat().join(", "), measured: "-", isMet: null };
  return {
    what,
    target: target.flat().join(", "),
    measured: `p50 ${inMs(spread.p50)}, p99 ${inMs(spread.p99)}, max ${inMs(spread.max)} ms (${spread.count} rounds)`,
    isMet: spread.p50 <= (p50 ?? Infinity) && spread.p99 <= (p99 ?? Infinity),
  };
}

function clusterRows({ rounds, partition, busy }: Measured): NumberRow[] {
  const overlaps = overlapsCount(rounds);
  const gap = smallestGapMs(rounds);
  return [
    {
      what: `overlaps in ${rounds.length} rounds`,
      target: "0",
      measured: `${overlaps}, smallest gap ${gap === null ? "-" : `${gap.toFixed(3)} ms`}`,
      isMet: overlaps === 0,
    },
    {
      what: `leader changes by a node that returns after ${partition.minutes} min of partition`,
      target: "0",
      measured: String(partition.leaderChanges),
      isMet: partition.leaderChanges === 0,
    },
    {
      what: `false leader changes, ${busy.minutes} min idle, all processors busy with other work`,
      target: "0",
      measured: String(busy.leaderChanges),
      isMet: busy.leaderChanges === 0,
    },
  ];
}

function processRows({ idle, simulator }: Measured): NumberRow[] {
  const simulated = (count: number, unit: string): string =>
    `${Math.round(count).toLocaleString("en")} ${unit}`;
  return [
    {
      what: `idle watchdog over ${idle.seconds} s: processor`,
      target: "≤ 0.5 % of a core",
      measured: `${idle.cpuPercent.toFixed(2)} %`,
      isMet: idle.cpuPercent <= 0.5,
    },
    {
      what: "idle watchdog: resident memory",
      target: "≤ 70 MiB",
      measured: `${idle.rssMib.toFixed(1)} MiB`,
      isMet: idle.rssMib <= 70,
    },
    {
      what: "simulator: speed",
      target: "≥ 1000 × real time",
      measured: simulator === null ? "-" : simulated(simulator.timesRealTime, "×"),
      isMet: simulator === null ? null : simulator.timesRealTime >= 1000,
    },
    {
      what: "simulator: seeds",
      target: "≥ 30 000 an hour",
      measured: simulator === null ? "-" : simulated(simulator.seedsPerHour, "an hour"),
      isMet: simulator === null ? null : simulator.seedsPerHour >= 30_000,
    },
  ];
}

/** Out of what `npm run sim` prints. Null when it says something else. */
export function readSimulator(text: string): Measured["simulator"] {
  const seedsPerHour = numberBefore(" an hour", text);
  const timesRealTime = numberBefore(" × real time", text);
  if (seedsPerHour === null || timesRealTime === null) return null;
  return { seedsPerHour, timesRealTime };
}

/** The whole number right before these words; its digits may stand in groups. */
function numberBefore(words: string, text: string): number | null {
  const found = new RegExp(`(\\d+(?:[ ,]\\d{3})*)${words}`).exec(text)?.[1];
  return found === undefined ? null : Number(found.replaceAll(/\D/g, ""));
}
