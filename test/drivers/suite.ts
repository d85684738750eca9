/** Runs the programs of one driver at one place and compares them with PostgreSQL's own answers. */
import type { Feature } from "./features.ts";
import type { PlaceName, Stage } from "./places.ts";
import { difference, faultOfOracle, isNotSupported, type Output } from "./program-output.ts";
import { runFeatures, type Command } from "./program-run.ts";
import { startStirrer } from "./stirrer.ts";
import type { Cell } from "./matrix.ts";

export interface Found {
  readonly place: PlaceName;
  readonly driver: string;
  /** Null: it befell the other clients of the pool. */
  readonly feature: Feature | null;
  readonly text: string;
}

export interface Result {
  readonly place: PlaceName;
  readonly cells: readonly Cell[];
  readonly found: readonly Found[];
  /** What PostgreSQL itself answered. */
  readonly oracle: Output;
}

export interface Case {
  readonly driver: string;
  readonly command: Command;
  readonly place: PlaceName;
  readonly features: readonly Feature[];
  readonly programs: number;
}

let tags = 0;

/** Names of one length, so that tables which programs draw have one width. */
function nextTag(): string {
  tags += 1;
  return `q${String(tags).padStart(5, "0")}`;
}

export async function runCase(stage: Stage, one: Case): Promise<Result> {
  const { command, place, features } = one;
  const direct = await runFeatures(command, stage.direct(place), { features, nextTag });
  const isShared = place.startsWith("transaction");
  const stirrer = isShared ? startStirrer(stage.through(place)) : null;
  const runs = await Promise.all(
    Array.from({ length: one.programs }, (_, index) =>
      // Each begins elsewhere, so that different features meet.
      runFeatures(command, stage.through(place), { features: rotated(features, index), nextTag }),
    ),
  );
  const found: Found[] = [];
  for (const error of (await stirrer?.stop()) ?? []) {
    found.push({ place, driver: one.driver, feature: null, text: error });
  }
  const lastWords = await stage.died(place);
  if (lastWords !== null) {
    const text = `the node died:\n${lastWords}`;
    found.push({ place, driver: one.driver, feature: null, text });
  }
  const cells = features.map((feature) => {
    const expected = direct.output.get(feature);
    const outputs = runs.map((run) => run.output.get(feature));
    const texts = judge(expected, outputs, feature === "killed" ? untoldEnd : difference);
    found.push(...texts.map((text) => ({ place, driver: one.driver, feature, text })));
    const isSupported = !isNotSupported(expected ?? []);
    return { driver: one.driver, feature, runs: runs.length, differing: texts.length, isSupported };
  });
  return { place, cells, found, oracle: direct.output };
}

function judge(
  expected: readonly string[] | undefined,
  actual: readonly (readonly string[] | undefined)[],
  differ: typeof difference,
): string[] {
  const fault = faultOfOracle(expected);
  if (fault !== null) return [`directly against PostgreSQL: ${fault}`];
  return actual.map((lines) => differ(expected ?? [], lines)).filter((text) => text !== null);
}

const ADMIN_SHUTDOWN = "57P01";

/** Through a node the client keeps its connection; what it is told of its statement is the same error. */
function untoldEnd(
  expected: readonly string[],
  actual: readonly string[] | undefined,
): string | null {
  const isTold = (lines: readonly string[]): boolean => lines.join("\n").includes(ADMIN_SHUTDOWN);
  if (actual === undefined) return "nothing was printed";
  return isTold(expected) && !isTold(actual) ? `no ${ADMIN_SHUTDOWN}: ${actual.join(" | ")}` : null;
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const at = Math.floor((by * list.length) / 2) % Math.max(1, list.length);
  return [...list.slice(at), ...list.slice(0, at)];
}

export function formatFound(one: Found): string {
  return `DIFFERS ${one.driver}, ${one.place}, ${one.feature ?? "other clients"}: ${one.text}`;
}
