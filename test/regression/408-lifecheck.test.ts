import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../../src/cli/wd-cli/ask.ts";
import { encodeNodesRequest } from "../../src/wire/watchdog/index.ts";
import {
  buildPrograms,
  NODE_PROGRAMS,
  oracle,
  programDirectory,
  run,
  testDirectory,
} from "../support/programs.ts";
import { ThrowawayPostgres } from "../support/throwaway-postgres.ts";

/**
 * Three whole nodes in a network namespace of their own, in front of a real PostgreSQL. What they
 * find of each other, and of themselves, is asked of their command sockets.
 */
const NAMESPACE = `pql-${process.pid}`;
const IDS = [0, 1, 2];
const KEY = "the key of this test";
const isRoot = process.getuid?.() === 0;
/** In the name, so that whoever skips them reads it. */
const WHY = isRoot ? "" : " (skipped: only root may make network namespaces)";

interface Shown {
  readonly state: string;
  readonly lostReason: string;
}

interface View {
  readonly leader: string;
  readonly unfit: string;
  /** By id. */
  readonly nodes: readonly Shown[];
}

interface Node {
  readonly child: ChildProcess;
  log: string;
}

let programs: Awaited<ReturnType<typeof programDirectory>>;
let directory: Awaited<ReturnType<typeof testDirectory>>;
let postgres: ThrowawayPostgres;
let nodes: readonly Node[] = [];

function sh(line: string): string {
  const [command = "", ...args] = line.split(" ");
  return spawnSync(command, args, { encoding: "utf8" }).stdout;
}

function home(id: number): string {
  return join(directory.path, `n${id}`);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** What node `id` shows; null while it cannot be asked. */
async function viewOf(id: number): Promise<View | null> {
  const path = join(home(id), `.s.PGPOOLWD_CMD.${9000 + id}`);
  const answer = await ask(path, encodeNodesRequest(-1, KEY), 2000);
  if (!answer.ok || answer.value.type !== "done") return null;
  const body = answer.value.body ?? {};
  const records = (body["WatchdogNodes"] ?? []) as readonly Record<string, unknown>[];
  const shown = records.toSorted((one, other) => Number(one["ID"]) - Number(other["ID"]));
  return {
    leader: text(body["LeaderHostName"]),
    unfit: text(body["Unfit"]),
    nodes: shown.map((node) => ({
      state: text(node["StateName"]),
      lostReason: text(node["LostReason"]),
    })),
  };
}

/** The first view of node `id` that fits. */
async function until(
  id: number,
  what: string,
  fits: (view: View) => boolean,
  limitMs = 20_000,
): Promise<View> {
  const deadlineMs = performance.now() + limitMs;
  let view: View | null = null;
  while (performance.now() < deadlineMs) {
    view = await viewOf(id);
    if (view !== null && fits(view)) return view;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const logs = nodes.map(({ log }, index) => `--- ${index}\n${log.slice(-1500)}`).join("\n");
  throw new Error(
    `node ${id}, not within ${limitMs} ms: ${what}\n${JSON.stringify(view)}\n${logs}`,
  );
}

/** Waits for a leader that all know, and whom nothing troubles. */
async function wholeLeader(): Promise<number> {
  for (const id of IDS) {
    await until(id, "it is fit and sees a whole cluster", ({ unfit, nodes: seen }) => {
      const states = seen.map(({ state }) => state).toSorted();
      return unfit === "" && states.join() === "LEADER,STANDBY,STANDBY";
    });
  }
  const view = await until(0, "there is a leader", ({ leader }) => leader !== "Not Set");
  return Number(view.leader.at(-1)) - 1;
}

function writeNode(id: number, own: string): void {
  const listed = IDS.map(
    (node) => `hostname${node} = '127.0.0.${node + 1}'
wd_port${node} = ${9000 + node}
pgpool_port${node} = ${9900 + node}
heartbeat_hostname${node} = '127.0.0.${node + 1}'
heartbeat_port${node} = ${9690 + node}
`,
  );
  mkdirSync(join(home(id), "reach"), { recursive: true });
  for (const host of ["gateway", "switch"]) writeFileSync(join(home(id), "reach", host), "");
  writeFileSync(join(home(id), "pgpool_node_id"), `${id}\n`);
  writeFileSync(join(home(id), "pcp.conf"), "");
  writeFileSync(join(home(id), "pool_hba.conf"), "host all all 127.0.0.0/8 scram-sha-256\n");
  writeFileSync(join(home(id), "pool_passwd"), "lifecheck:TEXTof pool_passwd\n");
  writeFileSync(
    join(home(id), "pgpool.conf"),
    `listen_addresses = '127.0.0.${id + 1}'
port = ${9900 + id}
pcp_listen_addresses = ''
pcp_socket_dir = '${home(id)}'
unix_socket_directories = '${home(id)}'
pid_file_name = '${home(id)}/pgpool.pid'
work_dir = '${home(id)}'
num_workers = 1
enable_pool_hba = on
backend_hostname0 = '${postgres.directory}'
backend_port0 = ${postgres.port}
use_watchdog = on
wd_authkey = '${KEY}'
wd_ipc_socket_dir = '${home(id)}'
wd_lease_time = 1000
wd_interval = 1
wd_life_point = 2
wd_lifecheck_user = 'lifecheck'
wd_lifecheck_dbname = 'postgres'
wd_heartbeat_keepalive = 1
${listed.join("")}${own}`,
  );
}

function startNode(id: number): Node {
  const args = ["netns", "exec", NAMESPACE, join(programs.path, "bin/pgpool"), "-n", "-f"];
  const child = spawn("ip", [...args, join(home(id), "pgpool.conf")]);
  const node: Node = { child, log: "" };
  const onText = (chunk: Buffer): void => void (node.log += chunk.toString("utf8"));
  child.stdout.on("data", onText);
  child.stderr.on("data", onText);
  return node;
}

/** Starts three nodes, each with these lines of its own. */
async function startAll(own: (id: number) => string): Promise<void> {
  for (const id of IDS) writeNode(id, own(id));
  nodes = IDS.map(startNode);
  await wholeLeader();
}

async function stopAll(): Promise<void> {
  await Promise.all(
    nodes.map(async ({ child }) => {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      const tooLong = setTimeout(() => child.kill("SIGKILL"), 10_000);
      child.kill("SIGINT");
      await ended;
      clearTimeout(tooLong);
    }),
  );
  nodes = [];
}

function workersOf(id: number): readonly number[] {
  const parent = nodes[id]?.child.pid ?? 0;
  return sh(`ps -o pid=,args= --ppid ${parent}`)
    .split("\n")
    .filter((line) => line.includes("worker"))
    .map((line) => Number(line.trim().split(" ")[0]));
}

function signalWorkers(id: number, signal: NodeJS.Signals): void {
  const pids = workersOf(id);
  expect(pids.length, sh(`ps -ef --forest`).slice(-2000)).toBeGreaterThan(0);
  for (const pid of pids) process.kill(pid, signal);
}

describe.runIf(isRoot)(`three nodes${WHY}`, () => {
  beforeAll(async () => {
    programs = await programDirectory();
    await buildPrograms(programs.path, NODE_PROGRAMS, ["pgpool"]);
    directory = await testDirectory();
    postgres = await ThrowawayPostgres.start();
    await postgres.sql("CREATE ROLE lifecheck LOGIN");
    sh(`ip netns add ${NAMESPACE}`);
    sh(`ip -n ${NAMESPACE} link set lo up`);
    for (const id of IDS) {
      sh(`ip -n ${NAMESPACE} link add cable${id} type veth peer name socket${id}`);
      sh(`ip -n ${NAMESPACE} link set cable${id} up`);
      sh(`ip -n ${NAMESPACE} link set socket${id} up`);
    }
  }, 60_000);

  afterAll(async () => {
    await stopAll();
    for (const pid of sh(`ip netns pids ${NAMESPACE}`).split("\n").filter(Boolean)) {
      sh(`kill -KILL ${pid}`); // It may have ended meanwhile.
    }
    sh(`ip netns del ${NAMESPACE}`);
    await postgres.remove();
    await directory.remove();
    await programs.remove();
  }, 60_000);

  describe("that ask each other by SQL", () => {
    beforeAll(() => startAll(() => "wd_lifecheck_method = 'query'\n"), 60_000);
    afterAll(stopAll, 30_000);

    it("log in with the password in pool_passwd, and find nothing wrong", async () => {
      const logins = `SELECT count(*) FROM pg_stat_activity WHERE usename = 'lifecheck'`;
      await expect.poll(() => postgres.sql(logins), { timeout: 15_000 }).not.toEqual(["0"]);
      expect(nodes.map(({ log }) => log).join("")).not.toContain("seems not to be working");
    });

    it("show one whose proxy hangs as lost, and as alive when it answers again", async () => {
      const leader = await wholeLeader();
      const frozen = (leader + 1) % 3;
      signalWorkers(frozen, "SIGSTOP");
      const view = await until(leader, "the frozen one is lost", (seen) => {
        return seen.nodes[frozen]?.state === "LOST";
      });
      expect(view.nodes[frozen]?.lostReason).toBe("REPORTED BY LIFECHECK");
      expect(nodes[leader]?.log).toContain(
        `lifecheck failed 2 times. pgpool ${frozen} (127.0.0.${frozen + 1}:${9900 + frozen}) seems not to be working`,
      );
      const own = await until(frozen, "it says why itself", ({ unfit }) => unfit !== "");
      expect(own.unfit).toContain("own proxy does not answer wd_lifecheck_query");
      signalWorkers(frozen, "SIGCONT");
      expect(await wholeLeader()).toBe(leader);
    });

    it("have another leader when the leader's own proxy hangs", async () => {
      const leader = await wholeLeader();
      signalWorkers(leader, "SIGSTOP");
      const other = (leader + 1) % 3;
      await until(other, "another leads", ({ leader: host }) => {
        return host !== "Not Set" && host !== `127.0.0.${leader + 1}`;
      });
      signalWorkers(leader, "SIGCONT");
      expect(await wholeLeader()).not.toBe(leader);
    });

    it("keep their leader when PostgreSQL is down, for then nobody would do better", async () => {
      const leader = await wholeLeader();
      const before = nodes.map(({ log }) => log.length);
      await postgres.stop("fast");
      for (const [index, node] of nodes.entries()) {
        await expect
          .poll(() => node.log.slice(before[index]), { timeout: 20_000 })
          .toContain("lifecheck failed 2 times");
      }
      for (const id of IDS) {
        const view = await until(id, "it answers", () => true);
        expect(view.leader).toBe(`127.0.0.${leader + 1}`);
      }
      await postgres.start();
    });
  });

  describe("that an external program watches", () => {
    beforeAll(() => startAll(() => "wd_lifecheck_method = 'external'\n"), 60_000);
    afterAll(stopAll, 30_000);

    function inform(at: number, status: string, about: number): Promise<{ exitCode: number }> {
      const config = join(home(at), "theirs.conf");
      // Pgpool-II's client does not know all of our parameters.
      writeFileSync(
        config,
        `use_watchdog = on\nwd_authkey = '${KEY}'\nwd_ipc_socket_dir = '${home(at)}'\nhostname0 = 'n'\nwd_port0 = 9000\nhostname1 = 'n'\nwd_port1 = 9001\nhostname2 = 'n'\nwd_port2 = 9002\n`,
      );
      const args = ["-f", config, "-I", status, "-n", String(about), "-m", "said by a test"];
      return run(oracle("wd_cli"), args);
    }

    it("show a node as lost once Pgpool-II's wd_cli says so, until it takes that back", async () => {
      const leader = await wholeLeader();
      const other = (leader + 1) % 3;
      expect((await inform(leader, "DEAD", other)).exitCode).toBe(0);
      const view = await until(leader, "it is lost", (seen) => seen.nodes[other]?.state === "LOST");
      expect(view.nodes[other]?.lostReason).toBe("REPORTED BY LIFECHECK");
      // Only who was told believes it; the one reported follows its leader on.
      const third = await until(3 - leader - other, "it answers", () => true);
      expect(third.nodes[other]?.state).toBe("STANDBY");
      expect(nodes[leader]?.log).toContain("said by a test");
      await inform(leader, "ALIVE", other);
      expect(await wholeLeader()).toBe(leader);
    });

    it("have another leader when the leader is told that it is dead, and none of them ends", async () => {
      const leader = await wholeLeader();
      await inform(leader, "DEAD", leader);
      const view = await until(leader, "another leads", ({ leader: host }) => {
        return host !== "Not Set" && host !== `127.0.0.${leader + 1}`;
      });
      expect(view.unfit).toBe("an external lifecheck reports this node dead");
      expect(view.nodes[leader]?.state).toBe("LOST");
      await inform(leader, "ALIVE", leader);
      expect(await wholeLeader()).not.toBe(leader);
      expect(nodes.map(({ child }) => child.exitCode)).toEqual([null, null, null]);
    });
  });

  describe("with trusted servers and watched links", () => {
    beforeAll(
      () =>
        startAll(
          (id) => `trusted_servers = 'gateway,switch'
trusted_server_command = 'test -e ${home(id)}/reach/%h'
wd_monitoring_interfaces_list = 'cable${id}'
`,
        ),
      60_000,
    );
    afterAll(stopAll, 30_000);

    it("have another leader when the leader reaches none of the servers, not when it misses one", async () => {
      const leader = await wholeLeader();
      const reach = join(home(leader), "reach");
      rmSync(join(reach, "gateway"));
      // Two rounds, each of which would have told.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      expect(await wholeLeader()).toBe(leader);
      rmSync(join(reach, "switch"));
      const view = await until(leader, "another leads", ({ leader: host }) => {
        return host !== "Not Set" && host !== `127.0.0.${leader + 1}`;
      });
      expect(view.unfit).toContain("none of the trusted_servers (gateway, switch)");
      expect(nodes[leader]?.log).toContain('watchdog failed to ping host: "switch"');
      writeFileSync(join(reach, "gateway"), "");
      expect(await wholeLeader()).not.toBe(leader);
    });

    it("have another leader when the leader's cable is pulled", async () => {
      const leader = await wholeLeader();
      const pulledMs = performance.now();
      sh(`ip -n ${NAMESPACE} link set socket${leader} down`);
      const view = await until(leader, "another leads", ({ leader: host }) => {
        return host !== "Not Set" && host !== `127.0.0.${leader + 1}`;
      });
      expect(performance.now() - pulledMs).toBeLessThan(4000);
      expect(view.unfit).toContain(`(cable${leader}) has a link`);
      expect(view.nodes[leader]?.state).toBe("IN NETWORK TROUBLE");
      sh(`ip -n ${NAMESPACE} link set socket${leader} up`);
      expect(await wholeLeader()).not.toBe(leader);
    });

    it("keep their leader over a short flap of its cable", async () => {
      const leader = await wholeLeader();
      const before = nodes.map(({ log }) => log.length);
      for (let flap = 0; flap < 5; flap++) {
        sh(`ip -n ${NAMESPACE} link set socket${leader} down`);
        await new Promise((resolve) => setTimeout(resolve, 200));
        sh(`ip -n ${NAMESPACE} link set socket${leader} up`);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(await wholeLeader()).toBe(leader);
      const logs = nodes.map(({ log }, index) => log.slice(before[index])).join("");
      expect(logs).not.toContain("not fit to lead");
    });
  });
});
