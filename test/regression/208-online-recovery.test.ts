/** Online recovery with Pgpool-II's own extension, on three nodes in front of real servers. */
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LoopbackCluster, until, type LoopbackNode } from "../support/loopback-cluster.ts";
import type { ThrowawayPostgres } from "../support/throwaway-postgres.ts";

const BIN = process.env["PGQUORUM_TEST_PG_BIN"] ?? "/usr/lib/postgresql/15/bin";

let cluster: LoopbackCluster;
let primary: ThrowawayPostgres;
let standby: ThrowawayPostgres;
let first: LoopbackNode;

beforeAll(async () => {
  cluster = await LoopbackCluster.start({
    standbysCount: 1,
    nodesCount: 3,
    config: [
      "pgpool_compat_version = '4.3'",
      "recovery_user = 'postgres'",
      "recovery_1st_stage_command = 'recovery_1st_stage'",
      "recovery_timeout = 20",
      "health_check_period = 1",
      "health_check_max_retries = 0",
    ],
  });
  [first] = cluster.nodes as [LoopbackNode];
  [primary, standby] = cluster.servers as [ThrowawayPostgres, ThrowawayPostgres];
  await primary.sql("CREATE EXTENSION pgpool_recovery");
  await primary.sql("CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS number");
  await cluster.leader();
  await until("the primary is known everywhere", async () => {
    const known = await Promise.all(cluster.nodes.map((node) => node.status()));
    return known.every((status) => status?.view.primaryId === 0);
  });
  putScript(
    "pgpool_remote_start",
    `${BIN}/pg_ctl -D "$2" -w -l "$(dirname "$2")/log" start >/dev/null`,
  );
}, 120_000);

afterAll(async () => {
  await cluster.stop();
});

/** Runs as the server's owner, in the primary's data directory. */
function putScript(name: string, text: string): void {
  const path = join(primary.data, name);
  writeFileSync(path, `#!/bin/sh\nset -e\n${text}\n`);
  chmodSync(path, 0o755);
}

function putFirstStage(before = ""): void {
  const conf = `port = $6\\nunix_socket_directories = '${standby.directory}'\\n`;
  putScript(
    "recovery_1st_stage",
    `${before}
rm -rf "$3"
${BIN}/pg_basebackup -h ${primary.directory} -p "$4" -U postgres -D "$3" -c fast -R
printf "${conf}" >>"$3/postgresql.conf"`,
  );
}

/** As a disk that is lost: server and data are gone. */
async function loseStandby(): Promise<void> {
  await standby.stop();
  rmSync(standby.data, { recursive: true });
  await untilState("down");
}

async function untilState(wanted: "down" | "live"): Promise<void> {
  await until(`the standby is ${wanted} on every node, and that is over`, async () => {
    const known = await Promise.all(
      cluster.nodes.filter(({ isRunning }) => isRunning).map((node) => node.status()),
    );
    return known.every((status) => {
      const state = status?.view.backends[1]?.state;
      const isSettled = status?.cluster?.intent === null;
      return isSettled && state !== undefined && (state === "down") === (wanted === "down");
    });
  });
}

describe("Debian's pcp_recovery_node", () => {
  it("is told in Pgpool-II's words why there can be no recovery", async () => {
    putFirstStage();
    const [alive, ofPrimary, unknown] = [
      await first.pcp("pcp_recovery_node", 1, "debian"),
      await first.pcp("pcp_recovery_node", 0, "debian"),
      await first.pcp("pcp_recovery_node", 7, "debian"),
    ];
    expect(alive.stderr).toContain("node recovery failed, node id: 1 is alive");
    expect(ofPrimary.stderr).toContain("primary server cannot be recovered by online recovery.");
    expect(unknown.stderr).toContain("invalid node ID : 7");
  });

  it("brings back a server whose data are gone, whichever node it asks", async () => {
    await loseStandby();
    const leader = await cluster.leader();
    const other = cluster.nodes.find((node) => node !== leader) ?? first;
    const ended = await other.pcp("pcp_recovery_node", 1, "debian");
    expect(ended.stderr).toBe("");
    expect(ended.stdout).toContain("pcp_recovery_node -- Command Successful");
    expect(await standby.sql("SELECT pg_is_in_recovery(), count(*) FROM numbers")).toEqual([
      "t|1000",
    ]);
    await untilState("live");
  });
});

describe("pgquorum recover", () => {
  it("tells that a script failed, and leaves the next one free to try", async () => {
    await loseStandby();
    putFirstStage("exit 3");
    const failed = await first.ask("recover", "1");
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toContain('execution of command failed at "1st stage"');
    putFirstStage();
    const done = await first.ask("recover", "1", "--json");
    expect(JSON.parse(done.stdout)).toMatchObject({ backendId: 1, recovered: true });
    await untilState("live");
  });

  it("outlives a lapse of the right to lead", async () => {
    await loseStandby();
    const gate = join(dirname(primary.data), "lapse");
    putFirstStage(`touch ${gate}.reached; while [ ! -e ${gate} ]; do sleep 0.1; done; rm ${gate}`);
    const leader = await cluster.leader();
    const others = cluster.nodes.filter((node) => node !== leader);
    const running = leader.ask("recover", "1");
    await until("the script runs", () => existsSync(`${gate}.reached`));
    for (const node of others) node.freeze();
    await until("the leader leads no longer", async () => {
      return (await leader.status())?.watchdog?.hasQuorum !== true;
    });
    for (const node of others) node.thaw();
    const next = await cluster.leader();
    writeFileSync(gate, "");
    // Another one takes it up anew, and runs the script again.
    if (next !== leader) {
      await until("its own copy waits", () => !existsSync(gate));
      writeFileSync(gate, "");
    }
    const ended = await running;
    expect(ended.stderr).not.toContain("was not recovered");
    expect(ended.stdout).toContain("node 1 was recovered and attached");
    await untilState("live");
  });

  it("is taken up by the next leader, and lets nobody begin a second one meanwhile", async () => {
    await loseStandby();
    const gate = join(dirname(primary.data), "gate");
    const runs = join(dirname(primary.data), "runs");
    putFirstStage(
      `echo >>${runs}; touch ${gate}.reached; while [ ! -e ${gate} ]; do sleep 0.1; done; echo >>${runs}`,
    );
    const leader = await cluster.leader();
    const rest = cluster.nodes.filter((node) => node !== leader);
    const [asked = leader, other = leader] = rest;
    const running = asked.ask("recover", "1");
    await until("the script runs", () => existsSync(`${gate}.reached`));
    await until("the other node knows of it", async () => {
      return (await other.status())?.cluster?.recovery?.backendId === 1;
    });
    const second = await other.pcp("pcp_recovery_node", 1, "debian");
    expect(second.stderr).toContain("pgpool-II is already processing another recovery request.");
    leader.kill();
    await until("another leader has taken it up", async () => {
      return (await other.status())?.cluster?.recovery?.attempt === 2;
    });
    // What the lost leader had begun still runs on the primary, and must not meet another.
    await until("it waits for the earlier one", () =>
      rest.some((node) => node.log.includes("recovery waits")),
    );
    expect(readFileSync(runs, "utf8")).toBe("\n");
    writeFileSync(gate, "");
    const ended = await running;
    expect(ended.stderr).not.toContain("was not recovered");
    expect(ended.stdout).toContain("node 1 was recovered and attached");
    expect(readFileSync(runs, "utf8")).toBe("\n\n\n\n");
    await untilState("live");
  });
});
