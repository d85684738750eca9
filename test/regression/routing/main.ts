/** `npm run test:routing`: prints statements compared, equal and documented, for each rule. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { judge, placesOf, type Compared } from "./compare.ts";
import { CONFIGURATIONS, type Configuration } from "./configurations.ts";
import { parseCorpus, textOf, type Unit } from "./corpus.ts";
import { DIFFERENCES } from "./differences.ts";
import { HELP, parseOptions, type Options } from "./options.ts";
import { play, type Played } from "./replay.ts";
import { formatLog, formatTable, formatWrong, vanished, type Judged } from "./report.ts";
import { ServerLogs } from "./server-logs.ts";
import { Stage, type Lane, type ProductName } from "./stage.ts";

/** @returns the exit code. */
export async function main(words: readonly string[], root: string): Promise<number> {
  if (words.includes("--help") || words.includes("-h")) {
    say(HELP);
    return 0;
  }
  const options = parseOptions(words);
  if (typeof options === "string") {
    process.stderr.write(`${options}\n${HELP}`);
    return 2;
  }
  const units = readCorpus(join(root, "test/regression/routing/corpus"));
  const stage = await Stage.start(root);
  const stopped = stopOnSignal(stage);
  const judged: Judged[] = [];
  try {
    const logs = new ServerLogs(stage.postgres);
    for (const configuration of CONFIGURATIONS) {
      if (!options.configurations.includes(configuration.name)) continue;
      const started = performance.now();
      const compared = await compare({ stage, logs, options, units, configuration });
      judged.push(
        ...compared.map((one) => ({
          compared: one,
          verdict: judge(one, configuration, DIFFERENCES),
        })),
      );
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      say(`${configuration.name}: ${compared.length} statements, ${seconds} s`);
    }
  } finally {
    stopped();
    await stage.stop();
  }
  if (options.log !== null) writeFileSync(options.log, formatLog(judged));
  return report(options, judged);
}

function readCorpus(directory: string): readonly Unit[] {
  const names = readdirSync(directory).sort();
  const texts = names.map((name) => {
    const text = readFileSync(join(directory, name), "utf8");
    return [name.replace(/\.sql$/, ""), text] as const;
  });
  return parseCorpus(new Map(texts));
}

interface Part {
  readonly stage: Stage;
  readonly logs: ServerLogs;
  readonly options: Options;
  readonly units: readonly Unit[];
  readonly configuration: Configuration;
}

async function compare(part: Part): Promise<readonly Compared[]> {
  const { stage, logs, options, configuration } = part;
  const units = part.units.filter((unit) => isWanted(unit, configuration, options));
  return stage.during(configuration, options.protocols, async (lanes) => {
    await logs.read(); // What was before is nobody's.
    const played = new Map<Lane, Map<Unit, readonly Played[]>>();
    await Promise.all(
      lanes.map(async (lane) => {
        const own = new Map<Unit, readonly Played[]>();
        played.set(lane, own);
        for (const unit of units) {
          if (!unit.protocols.includes(lane.protocol)) continue;
          own.set(unit, await play(lane, unit, () => stage.postgres.caughtUp()));
        }
      }),
    );
    const seen = await logs.read();
    const found = new Map(
      [...played].map(([lane, own]) => [lane, placesOf(lane, own, seen)] as const),
    );
    return options.protocols.flatMap((protocol) => {
      const laneOf = (product: ProductName): Lane | undefined =>
        lanes.find((lane) => lane.product === product && lane.protocol === protocol);
      const [theirs, ours] = [laneOf("pgpool2"), laneOf("pgquorum")];
      if (theirs === undefined || ours === undefined) return [];
      const ranAt = (lane: Lane, unit: Unit, index: number): Compared["pgpool2"] => ({
        place: found.get(lane)?.(unit, index) ?? "none",
        outcome: played.get(lane)?.get(unit)?.[index]?.outcome ?? "closed",
      });
      return units
        .filter((unit) => unit.protocols.includes(protocol))
        .flatMap((unit) =>
          unit.steps.flatMap((step, index): Compared[] => {
            if (step.kind === "settle") return [];
            const text = step.kind === "run" ? `@run ${step.name}` : (textOf(unit, index) ?? "");
            const [pgpool2, pgquorum] = [ranAt(theirs, unit, index), ranAt(ours, unit, index)];
            const common = { configuration: configuration.name, protocol, unit, index, text };
            return [{ ...common, pgpool2, pgquorum }];
          }),
        );
    });
  });
}

function isWanted(unit: Unit, { files }: Configuration, { only }: Options): boolean {
  if (!files.includes(unit.file)) return false;
  if (only === null) return true;
  const texts = unit.steps.map((_, index) => textOf(unit, index) ?? "");
  return [unit.rule, unit.title ?? "", ...texts].some((text) => text.includes(only));
}

function report(options: Options, judged: readonly Judged[]): number {
  const wrong = formatWrong(judged);
  if (wrong !== "") say(`\n${wrong}`);
  say(`\n${formatTable(judged)}`);
  // A part of the corpus need not show all of them.
  const isWhole = options.only === null && options.configurations.length === CONFIGURATIONS.length;
  const gone = isWhole && options.protocols.length === 2 ? vanished(judged, DIFFERENCES) : [];
  for (const { name } of gone) say(`GONE the documented difference "${name}" shows nowhere`);
  const isRight = wrong === "" && gone.length === 0 && judged.length > 0;
  return isRight ? 0 : 1;
}

/** Ctrl-C leaves no server behind. */
function stopOnSignal(stage: Stage): () => void {
  const stop = (): void => {
    void stage.stop().finally(() => process.exit(130));
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  return () => {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
