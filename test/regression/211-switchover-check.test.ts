/** What `pgquorum switchover --dry-run` says of real servers. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SwitchoverReport } from "../../src/wire/ipc/index.ts";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import type { PostgresCluster } from "../support/postgres.ts";
import { run, type Ended } from "../support/programs.ts";
import { scriptedConfig, startScriptedPostgres } from "../support/switchover-lab.ts";

let postgres: PostgresCluster;
let node: LoneNode;

beforeAll(async () => {
  postgres = await startScriptedPostgres(2);
  node = await LoneNode.start({
    postgres,
    config: [...scriptedConfig(postgres), "sr_check_period = 1", "health_check_period = 1"],
  });
}, 120_000);

afterAll(async () => {
  await node.remove();
  await postgres.stop();
});

function switchover(...args: readonly string[]): Promise<Ended> {
  const words = ["switchover", "-f", join(node.home, "pgpool.conf"), ...args];
  return run(resolve(import.meta.dirname, "../../bin/pgquorum"), words);
}

async function refusals(...args: readonly string[]): Promise<readonly string[]> {
  const ended = await switchover("--dry-run", "--json", ...args);
  const { isReady, checks } = JSON.parse(ended.stdout) as SwitchoverReport;
  const refused = checks.filter(({ result }) => result === "refused").map(({ name }) => name);
  expect([ended.exitCode, isReady]).toEqual(refused.length === 0 ? [0, true] : [1, false]);
  return refused;
}

describe("pgquorum switchover --dry-run", () => {
  it("finds all well, says each check, and changes nothing", async () => {
    const timelines = await positions();
    const ended = await switchover("--dry-run", "--to", "2");
    expect(ended.stderr).toBe("");
    expect(ended.stdout).toMatch(/^ok +wal receiver +the target streams from 127.0.0.1:\d+$/m);
    expect(ended.stdout).toMatch(/^ok +demote_command +reaches both servers$/m);
    expect(ended.stdout).toContain("backend 2 can take over from backend 0 now\n");
    expect(ended.exitCode).toBe(0);
    expect(await positions()).toEqual(timelines);
    const { view, cluster } = await node.status();
    expect(view.primaryId).toBe(0);
    expect(cluster?.intent).toBeNull();
    expect(readFileSync(join(node.home, "log"), "utf8")).not.toContain("degeneration");
  });

  it("takes the synchronous standby when nobody is named", async () => {
    await postgres.query(0, "ALTER SYSTEM SET synchronous_standby_names = 'node2'");
    await postgres.query(0, "SELECT pg_reload_conf()");
    await until("node 2 is synchronous", async () => {
      const { view } = await node.status();
      return view.backends[2]?.replicationSyncState === "sync";
    });
    expect((await switchover("--dry-run")).stdout).toContain("backend 2 can take over");
    await postgres.query(0, "ALTER SYSTEM RESET synchronous_standby_names");
    await postgres.query(0, "SELECT pg_reload_conf()");
  });

  it("refuses the primary itself, and a backend that there is not", async () => {
    expect(await refusals("--to", "0")).toEqual(["target"]);
    expect(await refusals("--to", "9")).toEqual(["target"]);
    const mistake = await switchover("--dry-run", "--to", "n2");
    expect(mistake.stderr).toContain("must be the number of a backend");
    expect(mistake.exitCode).toBe(1);
  });

  it("refuses a target whose replay is paused", async () => {
    await postgres.query(1, "SELECT pg_wal_replay_pause()");
    expect(await refusals("--to", "1")).toContain("replay");
    await postgres.query(1, "SELECT pg_wal_replay_resume()");
    expect(await refusals("--to", "1")).toEqual([]);
  });

  it("refuses a target that does not stream, and one that is down", async () => {
    await postgres.query(1, "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'");
    await postgres.query(1, "SELECT pg_reload_conf()");
    await until("the receiver has ended", async () => {
      const rows = await postgres.query(1, "SELECT 1 FROM pg_stat_wal_receiver");
      return rows.length === 0;
    });
    expect(await refusals("--to", "1")).toEqual(["wal receiver"]);
    await postgres.stopServer(1);
    await until("it is down", async () => (await node.status()).view.backends[1]?.state === "down");
    expect(await refusals("--to", "1")).toEqual(["target", "demote_command"]);
  });

  /** Of all servers that run: what a promotion or a checkpoint would change. */
  async function positions(): Promise<readonly unknown[]> {
    const ask = "SELECT pg_is_in_recovery(), timeline_id, redo_lsn FROM pg_control_checkpoint()";
    return await Promise.all([0, 1, 2].map((server) => postgres.query(server, ask)));
  }
});
