/** The leader is killed in the middle of a switchover of real servers: its successor ends it. */
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, expect, it } from "vitest";
import type { HistoryEntry } from "../../src/backend/index.ts";
import type { NodeHistory } from "../../src/wire/ipc/index.ts";
import { LoopbackCluster, until, type LoopbackNode } from "../support/loopback-cluster.ts";
import type { ThrowawayPostgres } from "../support/throwaway-postgres.ts";

const SCRIPTS = resolve(import.meta.dirname, "../../scripts");
const SETTLE_MS_MAX = 60_000;

let cluster: LoopbackCluster;

/** `held` does its work and then does not end; every run leaves a line. */
async function start(held: "failover" | "stop" | "nothing"): Promise<void> {
  const words = '%d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S';
  cluster = await LoopbackCluster.start({
    standbysCount: 1,
    nodesCount: 3,
    config: [
      "wd_lease_time = 1000",
      "health_check_period = 1",
      "sr_check_period = 1",
      "failover_command_retries = 0",
      `failover_command = 'DIRECTORY/held failover ${SCRIPTS}/failover.sh ${words}'`,
      `demote_command = 'DIRECTORY/held %a ${SCRIPTS}/demote.sh %a %d "%h" %p "%D" %m "%H" %r "%R"'`,
    ],
  });
  const { directory } = cluster;
  const asOwner = process.getuid?.() === 0 ? "runuser -u postgres -- " : "";
  putScript("ssh", `exec ${asOwner}bash -c "\${!#}"`);
  putScript(
    "held",
    `export PGQUORUM_SSH=${directory}/ssh PGQUORUM_SSH_KEEP=0
name=$1; shift
"$@" || exit
[[ $name == check || $name == prepare ]] || echo $name >>${directory}/runs
[[ $name == ${held} && ! -e ${directory}/reached ]] || exit 0
touch ${directory}/reached; sleep 60`,
  );
  await until("all nodes know the primary and its standby", async () => {
    const known = await Promise.all(cluster.nodes.map((node) => node.status()));
    return known.every((status) => {
      const states = status?.view.backends.map(({ state }) => state) ?? ["down"];
      return status?.view.primaryId === 0 && !states.includes("down");
    });
  });
}

function putScript(name: string, text: string): void {
  const path = join(cluster.directory, name);
  writeFileSync(path, `#!/bin/bash\n${text}\n`);
  chmodSync(path, 0o755);
}

afterEach(async () => await cluster.stop());

/** Writes one row after another through a node until it is told to end. */
class Writer {
  readonly acknowledged: number[] = [];
  readonly #node: LoopbackNode;
  #isEnding = false;
  readonly #ended: Promise<void>;

  constructor(node: LoopbackNode) {
    this.#node = node;
    this.#ended = this.#run();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }

  async #run(): Promise<void> {
    for (let number = 0; !this.#isEnding;) {
      const client = this.#node.client();
      try {
        await client.connect();
        for (; !this.#isEnding; number += 1) {
          await client.query("INSERT INTO ledger VALUES ($1)", [number]);
          this.acknowledged.push(number);
        }
      } catch {
        number += 1; // What became of it is not known.
      }
      await client.end().catch(() => undefined);
    }
  }
}

async function switchoverOn(node: LoopbackNode): Promise<HistoryEntry | undefined> {
  const { stdout, exitCode } = await node.ask("history", "--json", "--limit", "100");
  if (exitCode !== 0) return undefined;
  const entries = (JSON.parse(stdout) as NodeHistory).entries as readonly HistoryEntry[];
  return entries.find(({ kind }) => kind === "switchover");
}

/**
 * Kills the leader when `isTime`, and waits until everything is over.
 *
 * @returns what the history says of the switchover.
 */
async function killLeaderWhen(
  isTime: (leader: LoopbackNode) => Promise<boolean> | boolean,
  primaryId: number,
): Promise<HistoryEntry> {
  const [old] = cluster.servers as [ThrowawayPostgres];
  await old.sql("CREATE TABLE ledger (number int)");
  const leader = await cluster.leader();
  const [other, asked] = cluster.nodes.filter((node) => node !== leader) as [
    LoopbackNode,
    LoopbackNode,
  ];
  const writer = new Writer(other);
  await until("rows are written", () => writer.acknowledged.length > 20);
  const running = asked.ask("switchover", "--to", "1", "--drain-timeout", "30");
  await until("it is time", () => isTime(leader), SETTLE_MS_MAX);
  leader.kill();
  const isOver = async (node: LoopbackNode): Promise<boolean> => {
    const status = await node.status();
    const isKnown = status?.view.primaryId === primaryId && status.cluster?.intent === null;
    return isKnown && (await switchoverOn(node)) !== undefined;
  };
  await until(
    "both nodes that are left know the end of it",
    async () => (await isOver(other)) && (await isOver(asked)),
    SETTLE_MS_MAX,
  );
  await running;
  const before = writer.acknowledged.length;
  await until("rows are written again", () => writer.acknowledged.length > before + 5);
  await writer.end();
  const primary = cluster.servers[primaryId] as ThrowawayPostgres;
  const stored = new Set(await primary.sql("SELECT number FROM ledger"));
  expect(writer.acknowledged.filter((number) => !stored.has(String(number)))).toEqual([]);
  expect(await primariesCount()).toBe(1);
  const entry = await switchoverOn(asked);
  if (entry === undefined) throw new Error("the history has no switchover");
  return entry;
}

async function primariesCount(): Promise<number> {
  const ask = "SELECT pg_is_in_recovery()";
  const told = await Promise.all(
    cluster.servers.map((server) => server.sql(ask).catch(() => ["down"])),
  );
  return told.filter(([answer]) => answer === "f").length;
}

const isReached = (): boolean => existsSync(join(cluster.directory, "reached"));

it("leaves the old primary what it is when its leader is lost before that is stopped", async () => {
  await start("nothing");
  const [old] = cluster.servers as [ThrowawayPostgres];
  // It keeps the switchover waiting for transactions to end.
  const open = old.sql("BEGIN; SELECT pg_sleep(20); COMMIT").catch(() => []);
  await until("it runs", async () => {
    const [count] = await old.sql(
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    return count === "1";
  });
  const entry = await killLeaderWhen(async (leader) => {
    return (await leader.status())?.view.drainingId === 0;
  }, 0);
  expect(entry).toMatchObject({ outcome: "failed", newPrimaryId: 0 });
  expect(entry.problem).toBe("the leader that carried it out was lost");
  expect(existsSync(join(cluster.directory, "runs"))).toBe(false);
  await open;
}, 120_000);

it("ends in a failover when its leader is lost while the old primary is being stopped", async () => {
  await start("stop");
  const entry = await killLeaderWhen(isReached, 1);
  expect(entry.problem).toContain("the leader that carried it out was lost");
}, 120_000);

it("is carried on when its leader is lost while the standby is being promoted", async () => {
  await start("failover");
  const entry = await killLeaderWhen(isReached, 1);
  expect(entry).toMatchObject({ outcome: "done", oldPrimaryId: 0, newPrimaryId: 1 });
}, 120_000);
