/** `npm run test:routing`: prints statements compared, equal and documented, for each rule. */
import { writeFileSync } from "node:fs";
import { judge, type Compared } from "./compare.ts";
import { CONFIGURATIONS } from "./configurations.ts";
import { readCorpus } from "./corpus-files.ts";
import { DIFFERENCES } from "./differences.ts";
import { HELP, parseOptions, type Options } from "./options.ts";
import { formatLog, formatTable, formatWrong, vanished, type Judged } from "./report.ts";
import { ServerLogs } from "./server-logs.ts";
import { Stage } from "./stage.ts";
import { compareUnder } from "./suite.ts";

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
  const units = readCorpus(root);
  const stage = await Stage.start(root);
  const stopped = stopOnSignal(stage);
  const judged: Judged[] = [];
  let failed = 0;
  try {
    const logs = new ServerLogs(stage.postgres);
    for (const configuration of CONFIGURATIONS) {
      if (!options.configurations.includes(configuration.name)) continue;
      const started = performance.now();
      let compared: readonly Compared[] = [];
      try {
        compared = await compareUnder(configuration, { stage, logs, options, units });
      } catch (error) {
        failed += 1;
        say(
          `FAILED ${configuration.name}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
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
  return failed > 0 ? Math.max(1, report(options, judged)) : report(options, judged);
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
