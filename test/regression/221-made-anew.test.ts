/** Servers that are made anew under a node that knew those before: by mistake, and on purpose. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { NodeHistory } from "../../src/wire/ipc/index.ts";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import {
  programPath,
  runAsPostgres,
  startPostgres,
  type PostgresCluster,
} from "../support/postgres.ts";
import { run } from "../support/programs.ts";

const PGQUORUM = join(import.meta.dirname, "../../bin/pgquorum");

let postgres: PostgresCluster;
let node: LoneNode;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  node = await LoneNode.start({
    postgres,
    config: [
      "sr_check_period = 1",
      "health_check_period = 0",
      "failover_on_backend_error = off",
      "backend_flag0 = 'DISALLOW_TO_FAILOVER'",
      "backend_flag1 = 'DISALLOW_TO_FAILOVER'",
    ],
  });
  await until("the primary is known", async () => (await node.status()).view.primaryId === 0);
}, 120_000);

afterAll(async () => {
  await node?.remove();
  await postgres?.stop();
});

/** Its configuration stays. */
async function makeAnew(index: number, command: string): Promise<void> {
  const data = postgres.servers[index]?.dataDirectory ?? "";
  await postgres.stopServer(index);
  const script = `mv ${data} ${data}.old && ${command} -D ${data} &&
    cp ${data}.old/postgresql.conf ${data}.old/pg_hba.conf ${data}/`;
  await runAsPostgres("sh", ["-c", script]);
  await postgres.startServer(index);
}

async function statusText(): Promise<string> {
  const words = ["status", "-f", join(node.home, "pgpool.conf")];
  return (await run(PGQUORUM, words)).stdout;
}

it("says that the primary was made anew, as long as another has what was there before", async () => {
  await makeAnew(0, `${programPath("initdb")} -A trust -U postgres -N --no-locale`);
  await until("the status says so", async () => {
    return /^backend 0 is the primary, but was made anew \(system identifier/m.test(
      await statusText(),
    );
  });
  const { view } = await node.status();
  expect(view.backends[1]?.problem).toBeNull();
});

it("takes the new ones for the cluster when all were made anew", async () => {
  const source = `-h 127.0.0.1 -p ${postgres.servers[0]?.port} -U postgres`;
  await makeAnew(1, `${programPath("pg_basebackup")} ${source} -R -c fast -X stream`);
  await until("nothing is wrong with any", async () => {
    const { view, cluster } = await node.status();
    const isWell = cluster?.primaryProblem === null && view.backends[1]?.problem === null;
    return isWell && view.backends[1]?.pgRole === "standby";
  });
  const words = ["history", "--json", "-f", join(node.home, "pgpool.conf")];
  const { entries } = JSON.parse((await run(PGQUORUM, words)).stdout) as NodeHistory;
  expect(JSON.stringify(entries)).toContain("all servers were made anew: system identifier");
});
