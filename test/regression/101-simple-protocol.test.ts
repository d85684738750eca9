import { afterAll, beforeAll, expect, test } from "vitest";
import {
  programPath,
  runAsPostgres,
  startPostgres,
  type PostgresCluster,
} from "../support/postgres.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;
let worker: WorkerHarness;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 2 });
  await postgres.query(0, "create database bench");
  await postgres.caughtUp();
  worker = await startWorker({ postgres });
});

afterAll(async () => {
  await worker?.stop();
  await postgres?.stop();
});

const at = (): string[] => ["-h", "127.0.0.1", "-p", `${worker.port}`, "-U", "postgres"];

test("psql gets its answer", async () => {
  const { stdout } = await runAsPostgres(programPath("psql"), [
    ...at(),
    "-At",
    "-c",
    "select 1",
    "bench",
  ]);
  expect(stdout).toBe("1\n");
});
