import { join } from "node:path";
import { expect, test } from "vitest";
import { judge } from "./routing/compare.ts";
import { CONFIGURATIONS, type Configuration } from "./routing/configurations.ts";
import { DIFFERENCES } from "./routing/differences.ts";
import { readCorpus } from "./routing/corpus-files.ts";
import { formatWrong } from "./routing/report.ts";
import { ServerLogs } from "./routing/server-logs.ts";
import { Stage } from "./routing/stage.ts";
import { compareUnder } from "./routing/suite.ts";

const ROOT = join(import.meta.dirname, "../..");

/** `npm run test:routing` replays all of the corpus, under all configurations. */
const SLICE = {
  configurations: ["default", "write dml_adaptive"],
  files: ["sample"],
};

test("a sample of statements runs where Pgpool-II 4.3.5 runs it, but for documented differences", async () => {
  const stage = await Stage.start(ROOT);
  try {
    const logs = new ServerLogs(stage.postgres);
    const part = {
      stage,
      logs,
      options: { protocols: ["simple", "extended"], only: null },
      units: readCorpus(ROOT),
    } as const;
    for (const name of SLICE.configurations) {
      const found = CONFIGURATIONS.find((one) => one.name === name);
      expect(found, name).toBeDefined();
      const configuration: Configuration = { ...(found as Configuration), files: SLICE.files };
      const compared = await compareUnder(configuration, part);
      expect(compared.length).toBeGreaterThan(150);
      const judged = compared.map((one) => ({
        compared: one,
        verdict: judge(one, configuration, DIFFERENCES),
      }));
      expect(formatWrong(judged)).toBe("");
    }
  } finally {
    await stage.stop();
  }
}, 240_000);
