/**
 * Two nodes that disagree for a moment must not harm the data: three whole nodes in front of real
 * servers, of which one is replaced while it lives on, and processes are frozen meanwhile.
 */
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LoopbackCluster, until, type LoopbackNode } from "../support/loopback-cluster.ts";

const LEASE_MS = 2000;

let cluster: LoopbackCluster;
/** Each failover promotes the next standby. */
let primaryId = 0;

/**
 * Each run writes a line of its own, then one more every 20 ms for as long as it lives, by a
 * grandchild that would survive it. It goes on to promote when there is no file `hang`.
 */
const FAILOVER_SCRIPT = `
run=$1/run.$$
echo "$PGQUORUM_EPOCH $PGQUORUM_EVENT_ID" > "$run.is"
( while :; do date +%s%N >> "$run.alive"; sleep 0.02; done ) &
until [ -s "$run.alive" ]; do sleep 0.01; done
while [ -e "$1/hang" ]; do sleep 0.05; done
. "$1/promote.$2"
kill %1 2>/dev/null || kill $!
`;

beforeAll(async () => {
  cluster = await LoopbackCluster.start({
    standbysCount: 5,
    nodesCount: 3,
    config: [
      `wd_lease_time = ${LEASE_MS}`,
      "wd_heartbeat_keepalive = 1",
      "wd_heartbeat_deadtime = 5",
      "health_check_period = 0",
      "sr_check_period = 1",
      "failover_command = 'sh DIRECTORY/failover.sh DIRECTORY %m'",
    ],
  });
  writeFileSync(join(cluster.directory, "failover.sh"), FAILOVER_SCRIPT);
  for (const [id, server] of cluster.servers.entries()) {
    writeFileSync(join(cluster.directory, `promote.${id}`), `${server.promoteCommand}\n`);
  }
  await cluster.servers[0]?.sql("create table writes (node int, at timestamptz)");
  await until("every node has a primary", async () => {
    const all = await Promise.all(cluster.nodes.map((node) => node.status()));
    return all.every((status) => status?.view.primaryId === 0);
  });
  await cluster.leader();
}, 180_000);

afterAll(() => cluster.stop());

/** Writes through one node, one row after another, and comes again when it is thrown out. */
class Writer {
  readonly #node: LoopbackNode;
  readonly #id: number;
  isOver = false;
  readonly ended: Promise<void>;

  constructor(id: number) {
    const node = cluster.nodes[id];
    if (node === undefined) throw new Error("no such node");
    this.#id = id;
    this.#node = node;
    this.ended = this.#run();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.ended;
  }

  async #run(): Promise<void> {
    while (!this.isOver) {
      const client = this.#node.client({ query_timeout: 20_000 });
      try {
        await client.connect();
        while (!this.isOver) {
          await client.query(`insert into writes values (${this.#id}, clock_timestamp())`);
        }
      } catch {
        await new Promise((resolve) => {
          setTimeout(resolve, 20);
        });
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }
}

/** Wall clock, milliseconds, of the newest row that came by this node to this server; 0: none. */
async function newestWriteMs(serverId: number, nodeId: number): Promise<number> {
  const [text] =
    (await cluster.servers[serverId]?.sql(
      `select coalesce(extract(epoch from max(at)) * 1000, 0) from writes where node = ${nodeId}`,
    )) ?? [];
  return Number(text);
}

interface Run {
  readonly is: string;
  readonly beganMs: number;
  readonly lastAliveMs: number;
}

/** All runs of failover_command so far, in their order. */
function runs(): readonly Run[] {
  const names = readdirSync(cluster.directory).filter((name) => name.endsWith(".alive"));
  return names
    .flatMap((name) => {
      const path = join(cluster.directory, name);
      const times = readFileSync(path, "utf8").split("\n").slice(0, -1).map(Number);
      const [first] = times;
      if (first === undefined) return [];
      const is = readFileSync(path.replace(/alive$/, "is"), "utf8").trim();
      return [{ is, beganMs: first / 1e6, lastAliveMs: (times.at(-1) ?? first) / 1e6 }];
    })
    .toSorted((one, other) => one.beganMs - other.beganMs);
}

async function pidsOf(
  node: LoopbackNode,
  names: readonly ("supervisor" | "watchdog" | "workers")[],
): Promise<readonly number[]> {
  const pids = (await node.status())?.pids;
  return names.flatMap((name) => pids?.[name] ?? []);
}

/** What a process has not read yet of all that came from this port. */
function unreadBytes(pid: number, port: number): number {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)),
  );
  const rows = readFileSync(`/proc/${pid}/net/tcp`, "utf8").trim().split("\n").slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , remote = "", , , , , , , inode]) => {
      return sockets.has(`socket:[${inode}]`) && parseInt(remote.split(":")[1] ?? "", 16) === port;
    })
    .reduce((sum, [, , , , queues = ""]) => sum + parseInt(queues.split(":")[1] ?? "0", 16), 0);
}

function signalAll(pids: readonly number[], signal: "SIGSTOP" | "SIGCONT"): void {
  for (const pid of pids) process.kill(pid, signal);
}

async function untilPrimaryIs(id: number, nodes: readonly LoopbackNode[]): Promise<void> {
  await until(`server ${id} is the primary of all`, async () => {
    const all = await Promise.all(nodes.map((node) => node.status()));
    return all.every((status) => status?.view.primaryId === id && status.cluster?.intent === null);
  });
  primaryId = id;
}

describe("a watchdog that cannot be started again", () => {
  it("leaves its node running, which says why it refuses statements, until it can", async () => {
    const leader = await cluster.leader();
    const node = cluster.nodes.find((other) => other !== leader);
    if (node === undefined) throw new Error("all lead");
    const before = await node.status();
    const idFile = join(node.home, "pgpool_node_id");
    const id = readFileSync(idFile, "utf8");
    writeFileSync(idFile, "99\n");
    process.kill(before?.pids.watchdog ?? 0, "SIGKILL");
    const client = node.client();
    await client.connect();
    try {
      await until("statements are refused", async () => {
        const outcome = await client.query("select 1").catch((error: unknown) => error);
        return outcome instanceof Error && outcome.message.includes("watchdog of this pgquorum");
      });
      writeFileSync(idFile, id); // It is tried again only after a while.
      const now = await node.status();
      expect(now?.pids.supervisor).toBe(before?.pids.supervisor);
      expect(now?.pids.workers).toEqual(before?.pids.workers);
      expect(now?.watchdog).toMatchObject({
        hasQuorum: false,
        unfit: expect.stringContaining("99"),
      });
    } finally {
      writeFileSync(idFile, id);
    }
    await until("statements run again", async () => {
      return await client.query("select 1").then(
        () => true,
        () => false,
      );
    });
    await client.end();
  });
});

describe("a failover that a frozen follower does not hear of", () => {
  it.each([["supervisor"], ["watchdog"]] as const)(
    "promotes only when nothing goes to the old primary through it any more (its %s is frozen)",
    async (frozen) => {
      const leader = await cluster.leader();
      const follower = cluster.nodes.find((node) => node !== leader);
      if (follower === undefined) throw new Error("all lead");
      const followerId = cluster.nodes.indexOf(follower);
      const others = cluster.nodes.filter((node) => node !== follower);
      const before = runs().length;
      const [oldId, newId] = [primaryId, primaryId + 1];
      const writers = cluster.nodes.map((_, id) => new Writer(id));
      await until("all write", async () => {
        const newest = await Promise.all(cluster.nodes.map((_, id) => newestWriteMs(oldId, id)));
        return newest.every((ms) => ms > 0);
      });
      const pids = await pidsOf(follower, [frozen]);
      signalAll(pids, "SIGSTOP");
      const frozenAtMs = Date.now();
      try {
        expect((await leader.pcp("pcp_detach_node", oldId)).stderr).toBe("");
        await untilPrimaryIs(newId, others);
        const run = runs()[before];
        const lastMs = await newestWriteMs(oldId, followerId);
        // The server lives on, so writes could have reached it; and the worker did go on writing.
        expect(lastMs).toBeGreaterThan(frozenAtMs);
        expect(lastMs).toBeLessThan(run?.beganMs ?? 0);
        const leaderId = cluster.nodes.indexOf(leader);
        await until("others write to the new primary", async () => {
          return (await newestWriteMs(newId, leaderId)) > 0;
        });
        // What came by it was replicated before the promotion.
        expect(await newestWriteMs(newId, followerId)).toBeLessThan(run?.beganMs ?? 0);
      } finally {
        signalAll(pids, "SIGCONT");
      }
      await until("the follower writes to the new primary", async () => {
        return (await newestWriteMs(newId, followerId)) > frozenAtMs;
      });
      for (const writer of writers) await writer.stop();
      expect(await newestWriteMs(oldId, followerId)).toBeLessThan(runs()[before]?.beganMs ?? 0);
      expect(runs()).toHaveLength(before + 1);
    },
    90_000,
  );
});

describe("a failover_command whose leader is frozen", () => {
  it.each([[["watchdog"]], [["supervisor", "watchdog"]]] as const)(
    "is dead with all its children before the next leader runs it again (%s)",
    async (frozen) => {
      const leader = await cluster.leader();
      const others = cluster.nodes.filter((node) => node !== leader);
      const before = runs().length;
      const hang = join(cluster.directory, "hang");
      writeFileSync(hang, "");
      expect((await leader.pcp("pcp_detach_node", primaryId)).stderr).toBe("");
      await until("the command runs", () => runs().length === before + 1);
      const pids = await pidsOf(leader, frozen);
      signalAll(pids, "SIGSTOP");
      const frozenAtMs = Date.now();
      try {
        await until("the next leader runs it", () => runs().length === before + 2);
        const [first, second] = runs().slice(before);
        expect(first?.lastAliveMs).toBeGreaterThan(frozenAtMs - 1000);
        expect(first?.lastAliveMs).toBeLessThan(second?.beganMs ?? 0);
        const [firstEpoch, firstEvent] = (first?.is ?? "").split(" ");
        const [secondEpoch, secondEvent] = (second?.is ?? "").split(" ");
        expect(secondEvent).toBe(firstEvent);
        expect(secondEvent).toMatch(/^[\da-f]+-\d+$/);
        expect(Number(secondEpoch)).toBeGreaterThan(Number(firstEpoch));
        rmSync(hang, { force: true });
        await untilPrimaryIs(primaryId + 1, others);
        expect(runs()[before]).toEqual(first);
      } finally {
        rmSync(hang, { force: true });
        signalAll(pids, "SIGCONT");
      }
      await untilPrimaryIs(primaryId, cluster.nodes);
      expect(runs()).toHaveLength(before + 2);
    },
    90_000,
  );
});

describe("an answer of the old primary that a worker reads after the failover", () => {
  it("is not passed on as a success", async () => {
    const leader = await cluster.leader();
    const follower = cluster.nodes.find((node) => node !== leader);
    if (follower === undefined) throw new Error("all lead");
    const others = cluster.nodes.filter((node) => node !== follower);
    const { port = 0 } = cluster.servers[primaryId] ?? {};
    const blocker = new pg.Client({ host: "127.0.0.1", port, user: "postgres" });
    await blocker.connect();
    await blocker.query("begin; lock table writes");
    const client = follower.client();
    await client.connect();
    const told = client
      .query("insert into writes values (-1, clock_timestamp())")
      .then(() => "success")
      .catch((error: unknown) => (error as { code?: string }).code);
    await until("it waits", async () => {
      const text = "select 1 from pg_stat_activity where wait_event_type = 'Lock'";
      return (await blocker.query(text)).rows.length === 1;
    });
    const [worker = 0] = await pidsOf(follower, ["workers"]);
    // Without its supervisor it is not told of the failover when it goes on.
    const supervisor = await pidsOf(follower, ["supervisor"]);
    signalAll([worker, ...supervisor], "SIGSTOP");
    try {
      await blocker.query("commit");
      await until("the answer lies in the worker's socket", () => unreadBytes(worker, port) > 0);
      expect((await leader.pcp("pcp_detach_node", primaryId)).stderr).toBe("");
      await untilPrimaryIs(primaryId + 1, others);
      signalAll([worker], "SIGCONT");
      await until("the worker has read it", () => unreadBytes(worker, port) === 0);
    } finally {
      signalAll([worker, ...supervisor], "SIGCONT");
    }
    expect(await told).toBe("08007");
    // The session goes on, with the new primary.
    await client.query("insert into writes values (-2, clock_timestamp())");
    expect(await cluster.servers[primaryId]?.sql("select 1 from writes where node = -2")).toEqual([
      "1",
    ]);
    await client.end();
    await blocker.end();
  }, 90_000);
});
