/** Second primaries and returned ones. ROUNDS=100 lags and cascades so often; CI is content with two. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseLsn } from "../../src/backend/index.ts";
import type { BackendView } from "../../src/wire/ipc/index.ts";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { programPath, startPostgres, type PostgresCluster } from "../support/postgres.ts";

/** Seconds; also that of the health check. */
const PERIOD = 1;
const ROUNDS = Number(process.env.ROUNDS ?? "2");

let postgres: PostgresCluster;
let node: LoneNode;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 2 });
  await postgres.query(0, "create database bench");
  await postgres.caughtUp();
  const asPostgres = process.getuid?.() === 0 ? "runuser -u postgres -- " : "";
  const promote = `${asPostgres}${programPath("pg_ctl")} promote -D %R -w`;
  const backends = postgres.servers.flatMap(({ dataDirectory }, id) => [
    `backend_data_directory${id} = '${dataDirectory}'`,
    `backend_application_name${id} = 'node${id}'`,
  ]);
  node = await LoneNode.start({
    postgres,
    config: [
      ...backends,
      "num_workers = 1",
      `sr_check_period = ${PERIOD}`,
      `health_check_period = ${PERIOD}`,
      "detach_false_primary = on",
      "auto_failback = on",
      "auto_failback_interval = 0",
      // A second primary that is detached is no reason to promote anybody.
      `failover_command = 'test %d = %P && ${promote}; true'`,
    ],
  });
}, 120_000);

afterAll(async () => {
  await node?.remove();
  await postgres?.stop();
});

async function backend(id: number): Promise<BackendView> {
  const found = (await node.status()).view.backends.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no backend ${id}`);
  return found;
}

async function untilState(id: number, state: BackendView["state"]): Promise<void> {
  await until(`backend ${id} is ${state}`, async () => (await backend(id)).state === state);
}

/** The primary says what it has written since. */
async function untilLookedAt(times: number): Promise<void> {
  for (let look = 0; look < times; look += 1) {
    await postgres.query(0, "create table if not exists written ()");
    await postgres.query(0, "insert into written default values");
    const [row] = await postgres.query(0, "select pg_current_wal_lsn()::text as lsn");
    await until("the primary was looked at", async () => {
      const seen = parseLsn((await backend(0)).walLsn) ?? 0n;
      return seen >= (parseLsn(String(row?.["lsn"])) ?? 0n);
    });
  }
}

describe("standbys that lag, cascade and lose their receivers", () => {
  const reload = "select pg_reload_conf()";
  const follow = async (standby: number, source: number | null): Promise<void> => {
    const port = source === null ? null : postgres.servers[source]?.port;
    const from = port === null ? "" : `host=127.0.0.1 port=${port} user=postgres`;
    await postgres.query(standby, `alter system set primary_conninfo = '${from}'`);
    await postgres.query(standby, reload);
  };
  const steps = [
    () => follow(2, 1),
    async () => void (await postgres.query(1, "select pg_wal_replay_pause()")),
    () => follow(1, null),
    () => follow(2, null),
    async () => void (await postgres.query(1, "select pg_wal_replay_resume()")),
    () => follow(1, 0),
    () => follow(2, 0),
  ];

  test(
    "are not detached",
    async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const step of steps) {
          await step();
          await untilLookedAt(1);
        }
      }
      const { view } = await node.status();
      expect(view.backends.map(({ state }) => state)).toEqual(["up", "up", "up"]);
      expect(node.log).not.toContain("false primary");
      expect(node.log).not.toContain("Starting degeneration");
      await postgres.caughtUp();
    },
    60_000 + ROUNDS * 30_000,
  );
});

describe("a standby that streams", () => {
  test("is shown with its delay, its positions and its timeline", async () => {
    await until("it was looked at", async () => (await backend(1)).timeline === 1);
    const one = await backend(1);
    expect(one).toMatchObject({ pgRole: "standby", replicationState: "streaming" });
    expect(one.receivedLsn).toMatch(/^[\dA-F]+\/[\dA-F]+$/u);
    expect(one.problem).toBeNull();
  });

  test("is attached again by auto_failback", async () => {
    await node.pcp("pcp_detach_node", "-n", "2");
    await until("it was asked for", () =>
      Promise.resolve(node.log.includes("request auto failback, node id:2")),
    );
    await untilState(2, "up");
    expect((await backend(2)).stateReason).toContain("auto_failback");
  });
});

describe("a standby that is promoted beside the primary", () => {
  test("is detached within two periods, and named with what brings it back", async () => {
    const startedMs = performance.now();
    await postgres.promote(1);
    await untilState(1, "down");
    const tookMs = performance.now() - startedMs;
    // The promotion and the questions of this test take their time too.
    expect(tookMs).toBeLessThan(2 * PERIOD * 1000 + 1500);
    const { view } = await node.status();
    expect(view.primaryId).toBe(0);
    const one = await backend(1);
    expect(one.stateReason).toContain("detach_false_primary: it is a primary of its own");
    expect(one.problem?.text).toBe("is a primary of its own beside node 0 (timeline 2, not 1)");
    expect(one.problem?.remedy).toContain("pg_rewind -R --target-pgdata=");
    expect(one.problem?.remedy).toMatch(/; pcp_attach_node -n 1$/u);
  });

  test("is not brought back by auto_failback", async () => {
    await untilLookedAt(2);
    expect((await backend(1)).state).toBe("down");
  });
});

describe("a primary that returns after its successor was promoted", () => {
  test("is kept out, and named with what brings it back", async () => {
    await postgres.stopServer(0, "immediate");
    await until("node 2 is the primary", async () => (await node.status()).view.primaryId === 2);
    await postgres.startServer(0);
    await until("it is recognized", async () => (await backend(0)).problem !== null);
    const old = await backend(0);
    expect(old.state).toBe("down");
    expect(old.problem?.text).toBe("is a primary of its own beside node 2 (timeline 1, not 2)");
    const client = await node.client();
    for (let count = 0; count < 20; count += 1) {
      const { rows } = await client.query<{ port: number }>("select inet_server_port() as port");
      expect(rows[0]?.port).toBe(postgres.servers[2]?.port);
    }
    await client.end();
    const said = await node.ask("status");
    expect(said.stdout).toContain("backend 0 is a primary of its own beside node 2");
    expect(said.stdout).toContain("pg_rewind");
  });
});
