/** Replays the corpus under one configuration, in all lanes at once, and brings together what they did. */
import { placesOf, type Compared, type Place } from "./compare.ts";
import type { Configuration } from "./configurations.ts";
import { isSkipped, markOf, textOf, type Protocol, type Unit } from "./corpus.ts";
import type { Options } from "./options.ts";
import { play, type Played } from "./replay.ts";
import type { ServerLogs } from "./server-logs.ts";
import type { Lane, ProductName, Stage } from "./stage.ts";

export interface Part {
  readonly stage: Stage;
  readonly logs: ServerLogs;
  readonly options: Pick<Options, "protocols" | "only">;
  readonly units: readonly Unit[];
}

/** What one lane did: how each statement ended, and where it ran. */
interface LaneResult {
  readonly played: ReadonlyMap<Unit, readonly Played[]>;
  readonly placeOf: (unit: Unit, index: number) => Place;
}

export async function compareUnder(
  configuration: Configuration,
  { stage, logs, options, units: all }: Part,
): Promise<readonly Compared[]> {
  const units = all.filter((unit) => isWanted(unit, configuration, options.only));
  return stage.during(configuration, options.protocols, async (lanes) => {
    await logs.read(); // What was before is nobody's.
    const played = await Promise.all(lanes.map((lane) => playAll(stage, lane, units)));
    const seen = await logs.read();
    const results = lanes.map((lane, at): LaneResult => {
      const own = played[at] ?? new Map<Unit, readonly Played[]>();
      return { played: own, placeOf: placesOf(lane, own, seen) };
    });
    const resultOf = (product: ProductName, protocol: Protocol): LaneResult | undefined =>
      results[lanes.findIndex((lane) => lane.product === product && lane.protocol === protocol)];
    return options.protocols.flatMap((protocol) => {
      const [theirs, ours] = [resultOf("pgpool2", protocol), resultOf("pgquorum", protocol)];
      if (theirs === undefined || ours === undefined) return [];
      const where = { configuration: configuration.name, protocol };
      return units
        .filter((unit) => unit.protocols.includes(protocol))
        .flatMap((unit) => compareUnit(unit, where, { pgpool2: theirs, pgquorum: ours }));
    });
  });
}

function isWanted(unit: Unit, { files, rules }: Configuration, only: string | null): boolean {
  if (!files.includes(unit.file) || rules?.includes(unit.rule) === false) return false;
  if (only === null) return true;
  const texts = unit.steps.map((_, index) => textOf(unit, index) ?? "");
  return [unit.rule, unit.title ?? "", ...texts].some((text) => text.includes(only));
}

async function playAll(
  stage: Stage,
  lane: Lane,
  units: readonly Unit[],
): Promise<ReadonlyMap<Unit, readonly Played[]>> {
  const played = new Map<Unit, readonly Played[]>();
  for (const unit of units) {
    if (!unit.protocols.includes(lane.protocol)) continue;
    const steps = await play(lane, unit, () => stage.postgres.caughtUp());
    played.set(unit, steps);
    // What hangs would hold its locks for ever.
    if (steps.some(({ outcome }) => outcome === "silent")) await stage.endSessions(lane.database);
  }
  return played;
}

function textIn(unit: Unit, index: number): string {
  const step = unit.steps[index];
  const mark = markOf(unit, index);
  return step?.kind === "run" ? `@run ${step.name} /*${mark}*/` : (textOf(unit, index) ?? "");
}

/** Where Pgpool-II ended the session, what would have followed cannot be compared. */
function compareUnit(
  unit: Unit,
  where: Pick<Compared, "configuration" | "protocol">,
  results: Readonly<Record<ProductName, LaneResult>>,
): readonly Compared[] {
  const ran = ({ played, placeOf }: LaneResult, index: number): Compared["pgpool2"] => ({
    place: placeOf(unit, index),
    outcome: played.get(unit)?.[index]?.outcome ?? "closed",
  });
  const compared: Compared[] = [];
  for (const [index, step] of unit.steps.entries()) {
    // A Parse alone is in no log.
    if (step.kind === "settle" || step.kind === "parse" || isSkipped(step, where.protocol))
      continue;
    const text = textIn(unit, index);
    const [pgpool2, pgquorum] = [ran(results.pgpool2, index), ran(results.pgquorum, index)];
    const inTransaction = results.pgpool2.played.get(unit)?.[index]?.inTransaction ?? false;
    compared.push({ ...where, unit, index, text, inTransaction, pgpool2, pgquorum });
    if (pgpool2.outcome === "closed" || pgpool2.outcome === "silent") break;
  }
  return compared;
}
