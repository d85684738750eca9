/** Who takes over from a killed primary, with real synchronous standbys. */
import { afterEach, describe, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { programPath, startPostgres, type PostgresCluster } from "../support/postgres.ts";

let postgres: PostgresCluster | null = null;
let node: LoneNode | null = null;

afterEach(async () => {
  await node?.remove();
  await postgres?.stop();
});

/** Node 2 is synchronous; node 1, the lowest standby, does not stream any more. */
async function start(candidate: "id" | "lsn"): Promise<[PostgresCluster, LoneNode]> {
  const servers = await startPostgres({ standbys: 2 });
  postgres = servers;
  await servers.query(0, "create table acknowledged (n int)");
  await servers.query(0, "alter system set synchronous_standby_names = 'FIRST 1 (node2)'");
  await servers.query(0, "select pg_reload_conf()");
  await servers.caughtUp();
  const asPostgres = process.getuid?.() === 0 ? "runuser -u postgres -- " : "";
  const backends = servers.servers.flatMap(({ dataDirectory }, id) => [
    `backend_data_directory${id} = '${dataDirectory}'`,
    `backend_application_name${id} = 'node${id}'`,
  ]);
  const started = await LoneNode.start({
    postgres: servers,
    config: [
      ...backends,
      "num_workers = 1",
      "sr_check_period = 1",
      "health_check_period = 1",
      `failover_candidate = ${candidate}`,
      `failover_command = '${asPostgres}${programPath("pg_ctl")} promote -D %R -w'`,
    ],
  });
  node = started;
  await until("the synchronous standby is published", async () => {
    const ids = (await started.status()).cluster?.synchronous?.backendIds;
    return ids?.length === 1 && ids[0] === 2;
  });
  await servers.query(1, "alter system set primary_conninfo = ''");
  await servers.query(1, "select pg_reload_conf()");
  await until("node 1 does not stream", async () => {
    const rows = await servers.query(0, "select 1 from pg_stat_replication");
    return rows.length === 1;
  });
  return [servers, started];
}

async function loseThePrimary(servers: PostgresCluster, started: LoneNode): Promise<number> {
  const client = await started.client({ database: "postgres" });
  for (let n = 0; n < 20; n += 1) await client.query(`insert into acknowledged values (${n})`);
  await client.end();
  await servers.stopServer(0, "immediate");
  await until("there is a new primary", async () => {
    const { primaryId } = (await started.status()).view;
    return primaryId !== null && primaryId !== 0;
  });
  const primaryId = (await started.status()).view.primaryId ?? -1;
  const rows = await servers.query(primaryId, "select count(*)::int as count from acknowledged");
  expect(rows).toHaveLength(1);
  return Number(rows[0]?.["count"]);
}

describe("a primary with one synchronous standby, which is not the lowest", () => {
  test("is followed by that one with failover_candidate = lsn, and nothing is lost", async () => {
    const [servers, started] = await start("lsn");
    expect((await started.ask("status")).stdout).toContain(
      "synchronous, as last seen: backend 2 (synchronous_standby_names FIRST 1 (node2))",
    );
    expect(await loseThePrimary(servers, started)).toBe(20);
    expect((await started.status()).view.primaryId).toBe(2);
    expect(started.log).toContain("failover: node 2 is the most advanced");
    const said = await started.ask("history", "--json");
    expect(said.stdout).toContain("node 2 was chosen, at");
  });

  test("is followed by the lowest with failover_candidate = id, and what is lost is said", async () => {
    const [servers, started] = await start("id");
    expect(await loseThePrimary(servers, started)).toBe(0);
    expect((await started.status()).view.primaryId).toBe(1);
    expect(started.log).toMatch(
      /WARNING: {2}failover: node 1 takes over although node 2 has \d+ bytes more/u,
    );
  });

  test("has no successor while that one is lost too, and has it when that returns", async () => {
    const [servers, started] = await start("lsn");
    await servers.stopServer(2, "immediate");
    await servers.stopServer(0, "immediate");
    await until("it is said why nobody is promoted", () =>
      started.log.includes("failover: nobody is promoted yet, for commits would be lost"),
    );
    expect((await started.status()).view.primaryId).toBeNull();
    await servers.startServer(2);
    await until("node 2 takes over", async () => (await started.status()).view.primaryId === 2);
  });
});
