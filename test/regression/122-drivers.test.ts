import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DRIVERS } from "../drivers/drivers.ts";
import { featureNames, type Feature } from "../drivers/features.ts";
import { placeNames, startStage, type Stage } from "../drivers/places.ts";
import { formatFound, runCase } from "../drivers/suite.ts";

/** What takes long is left to `npm run test:drivers`, as are the other drivers. */
const SHORT = ["node-postgres", "postgres.js", "psql", "psycopg2", "psycopg3"];
const LONG = new Set<Feature>(["big", "cancel", "timeouts", "many-prepared", "connect"]);

let stage: Stage;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "pgquorum-drivers-"));
  stage = await startStage({ places: placeNames, programs: 1 });
});

afterAll(async () => {
  await stage?.stop();
  await rm(directory, { recursive: true, force: true });
});

describe.each(placeNames)("in %s mode", (place) => {
  for (const driver of SHORT) {
    const missing = DRIVERS[driver]?.missing() ?? null;
    test.skipIf(missing !== null)(`${driver} sees what PostgreSQL itself shows it`, async () => {
      const command = DRIVERS[driver]?.prepare(directory);
      if (command === undefined) throw new Error(`${driver} is no driver`);
      const features = featureNames.filter((feature) => !LONG.has(feature));
      const result = await runCase(stage, { driver, command, place, features, programs: 1 });
      expect(result.found.map(formatFound)).toEqual([]);
      expect(result.cells.filter((cell) => cell.isSupported).length).toBeGreaterThan(10);
    });
  }
});
