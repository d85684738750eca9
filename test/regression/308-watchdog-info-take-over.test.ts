/**
 * Three whole nodes on the loopback, seen by Debian's `pcp_watchdog_info` (4.3.5) on each of them
 * while the leader's watchdog is frozen and another node takes over. No PostgreSQL is needed.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeStatus } from "../../src/wire/ipc/index.ts";
import { freePorts } from "../support/ports.ts";
import {
  buildPrograms,
  NODE_PROGRAMS,
  oracle,
  programDirectory,
  run,
  testDirectory,
} from "../support/programs.ts";

const IDS = [0, 1, 2] as const;
type Id = (typeof IDS)[number];

let programs: Awaited<ReturnType<typeof programDirectory>>;
let directory: Awaited<ReturnType<typeof testDirectory>>;
let pcpPorts: readonly number[] = [];
let frozen: number | null = null;

const homeOf = (id: Id): string => join(directory.path, `n${id}`);
const configOf = (id: Id): string => join(homeOf(id), "pgpool.conf");
const logOf = (id: Id): string => readFileSync(join(homeOf(id), "log"), "utf8");

beforeAll(async () => {
  programs = await programDirectory();
  directory = await testDirectory();
  await buildPrograms(programs.path, NODE_PROGRAMS, ["pgpool", "pgquorum"]);
  const ports = await freePorts(5 * IDS.length);
  pcpPorts = IDS.map((id) => ports[id] ?? 0);
  const nodes = IDS.map((id) => {
    const [client, wd, heartbeat] = [3, 6, 9].map((from) => ports[from + id]);
    return { id, client, text: nodeText(id, client, wd, heartbeat) };
  });
  const members = nodes.map(({ text }) => text).join("");
  for (const { id, client } of nodes) writeNode(id, `port = ${client}\n${members}`, ports[12] ?? 0);
  await Promise.all(IDS.map(startNode));
}, 60_000);

afterAll(async () => {
  if (frozen !== null) process.kill(frozen, "SIGCONT");
  await Promise.all(IDS.map((id) => pgpool(id, "-m", "fast", "stop")));
  await directory.remove();
  await programs.remove();
});

function nodeText(id: number, client = 0, wd = 0, heartbeat = 0): string {
  return `hostname${id} = '127.0.0.1'
pgpool_port${id} = ${client}
wd_port${id} = ${wd}
heartbeat_hostname${id} = '127.0.0.1'
heartbeat_port${id} = ${heartbeat}
`;
}

function writeNode(id: Id, text: string, backendPort: number): void {
  mkdirSync(homeOf(id), { recursive: true });
  writeFileSync(join(homeOf(id), "pgpool_node_id"), `${id}\n`);
  const hash = createHash("md5").update("secret").digest("hex");
  writeFileSync(join(homeOf(id), "pcp.conf"), `pcp:${hash}\n`);
  const passFile = join(homeOf(id), "pcppass");
  writeFileSync(passFile, "*:*:pcp:secret\n", { mode: 0o600 });
  writeFileSync(
    configOf(id),
    `${text}listen_addresses = '127.0.0.1'
unix_socket_directories = '${homeOf(id)}'
pcp_listen_addresses = '127.0.0.1'
pcp_port = ${pcpPorts[id]}
pcp_socket_dir = '${homeOf(id)}'
wd_ipc_socket_dir = '${homeOf(id)}'
pid_file_name = '${homeOf(id)}/pgpool.pid'
work_dir = '${homeOf(id)}'
backend_hostname0 = '127.0.0.1'
backend_port0 = ${backendPort}
backend_weight0 = 1
num_workers = 1
max_pool = ${id === 2 ? 7 : 4}
search_primary_node_timeout = 1
use_watchdog = on
wd_authkey = 'a key for the nodes of one test'
wd_lease_time = 600
wd_priority = ${id === 1 ? 5 : 1}
wd_remove_shutdown_nodes = on
pgpool_compat_version = '4.3'
`,
  );
}

function pgpool(id: Id, ...args: readonly string[]): ReturnType<typeof run> {
  return run(join(programs.path, "bin/pgpool"), ["-f", configOf(id), ...args]);
}

/** In the background, its log into a file. */
async function startNode(id: Id): Promise<void> {
  const command = `"$0" -n -f "$1" </dev/null >"$2" 2>&1 &`;
  const pgpoolPath = join(programs.path, "bin/pgpool");
  await run("/bin/sh", ["-c", command, pgpoolPath, configOf(id), join(homeOf(id), "log")]);
}

async function statusOf(id: Id): Promise<NodeStatus | null> {
  const args = ["status", "--json", "-f", configOf(id)];
  const { exitCode, stdout } = await run(join(programs.path, "bin/pgquorum"), args);
  return exitCode === 0 ? (JSON.parse(stdout) as NodeStatus) : null;
}

/** The states that a node tells, its own first; empty while it does not answer. */
async function statesOf(id: Id): Promise<readonly string[]> {
  return [...(await infoOf(id)).matchAll(/^Status Name {7}: (.*)$/gm)].map(
    (found) => found[1] ?? "",
  );
}

async function infoOf(id: Id): Promise<string> {
  const options = ["-h", "127.0.0.1", "-p", String(pcpPorts[id]), "-U", "pcp", "-w", "-v"];
  const env = { PCPPASSFILE: join(homeOf(id), "pcppass") };
  return (await run(oracle("pcp_watchdog_info"), options, { env })).stdout;
}

async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const endMs = performance.now() + 20_000;
  while (performance.now() < endMs) {
    const seen = await look();
    if (seen !== null) return seen;
  }
  throw new Error(`not within 20 s: ${what}\n${IDS.map(logOf).join("\n---\n").slice(-6000)}`);
}

/** The node that all three, it first of all, say to lead. */
function untilAgreed(): Promise<Id> {
  return until("all agree on one leader", async () => {
    const seen = await Promise.all(IDS.map(statesOf));
    const leaders = IDS.filter((_, at) => seen[at]?.[0] === "LEADER");
    const rest = seen.filter((states) => states[0] !== "LEADER");
    const agree = rest.every((states) => states[0] === "STANDBY" && states.includes("LEADER"));
    return leaders.length === 1 && agree ? (leaders[0] ?? null) : null;
  });
}

describe("three nodes, asked by Pgpool-II's own client", () => {
  it("elect one on whom all agree", async () => {
    const leader = await untilAgreed();
    const { watchdog } = (await statusOf(leader)) ?? {};
    expect(watchdog).toMatchObject({ leaderId: leader, isLeader: true, quorumStatus: 1 });
    expect(watchdog?.nodes.find(({ id }) => id === 1)?.priority).toBe(5);
  });

  it("name what one of them configures differently, once", async () => {
    const told = await until("the difference is in the status", async () => {
      const differences = (await statusOf(0))?.watchdog?.differences ?? [];
      return differences.length > 0 ? differences : null;
    });
    expect(told).toEqual([{ nodeId: 2, name: "max_pool", here: "4", there: "7" }]);
    const lines = logOf(0)
      .split("\n")
      .filter((line) => line.includes('configurations value for "max_pool"'));
    expect(lines).toHaveLength(1);
    expect(logOf(0)).toMatch(
      /DETAIL: {2}"max_pool" on this node is 4 while on "127.0.0.1:\d+ .*" is 7/,
    );
  });

  it("never show two leaders while a frozen one is replaced and comes back", async () => {
    const old = await untilAgreed();
    const others = IDS.filter((id) => id !== old);
    const before = await statusOf(old);
    frozen = before?.pids.watchdog ?? null;
    if (frozen === null) throw new Error("the leader has no watchdog");
    const seen: { id: Id; beganMs: number; endedMs: number }[] = [];
    const over = new AbortController();
    const watch = async (id: Id): Promise<void> => {
      while (!over.signal.aborted) {
        const beganMs = performance.now();
        const states = await statesOf(id);
        expect(states.filter((state) => state === "LEADER").length).toBeLessThanOrEqual(1);
        if (states[0] === "LEADER") seen.push({ id, beganMs, endedMs: performance.now() });
      }
    };
    const watching = IDS.map(watch);
    process.kill(frozen, "SIGSTOP");
    const successor = await until("another leads", async () => {
      const states = await Promise.all(others.map(statesOf));
      return others.find((_, at) => states[at]?.[0] === "LEADER") ?? null;
    });
    await until("the frozen node says that it is lost", async () =>
      (await statesOf(old))[0] === "LOST" ? true : null,
    );
    const during = await statusOf(old);
    expect(during).toMatchObject({ node: { state: "LOST" }, watchdog: { leaderId: null } });
    const after = await statusOf(successor);
    expect(after?.watchdog?.term).toBeGreaterThan(before?.watchdog?.term ?? 0);
    process.kill(frozen, "SIGCONT");
    frozen = null;
    await until("the thawed node follows", async () =>
      (await statesOf(old))[0] === "STANDBY" ? true : null,
    );
    over.abort();
    await Promise.all(watching);
    const first = seen.find(({ id }) => id === successor);
    const late = seen.filter(({ id, beganMs }) => id === old && beganMs > (first?.endedMs ?? 0));
    expect(first).toBeDefined();
    expect(late).toEqual([]);
  });

  it("notice a difference that a reload makes, and one that it mends", async () => {
    const text = readFileSync(configOf(0), "utf8");
    const differing = async (isDifferent: boolean): Promise<true | null> => {
      const differences = (await statusOf(1))?.watchdog?.differences ?? [];
      const found = differences.find(({ name }) => name === "wd_lost_node_removal_timeout");
      return (found !== undefined) === isDifferent ? true : null;
    };
    writeFileSync(configOf(0), `${text}wd_lost_node_removal_timeout = 90\n`);
    await pgpool(0, "reload");
    await until("the other node says so", () => differing(true));
    expect(logOf(1)).toContain(
      '"wd_lost_node_removal_timeout" on this node is 0 while on "127.0.0.1:',
    );
    writeFileSync(configOf(0), text);
    await pgpool(0, "reload");
    await until("the other node says no more", () => differing(false));
  });

  it("count a node no more that was shut down, and count it again when it is back", async () => {
    const leader = await untilAgreed();
    const [standby, other] = IDS.filter((id) => id !== leader);
    if (standby === undefined || other === undefined) throw new Error("three nodes");
    await pgpool(standby, "-m", "fast", "stop");
    await until("it is removed", async () => {
      const infos = await Promise.all([leader, other].map(infoOf));
      const isRemoved = infos.every((info) => info.includes(": REVOKED-SHUTDOWN\n"));
      return isRemoved && infos.every((info) => /^Member Remote Nodes {6}: 1$/m.test(info))
        ? true
        : null;
    });
    expect(await statusOf(leader)).toMatchObject({
      watchdog: {
        members: [leader, other].sort((a, b) => a - b),
        neededForQuorum: 2,
      },
    });
    await startNode(standby);
    await until("it counts again", async () => {
      const infos = await Promise.all(IDS.map(infoOf));
      return infos.every((info) => /^Member Remote Nodes {6}: 2$/m.test(info)) ? true : null;
    });
    await untilAgreed();
  });

  it("show a node that they refuse for its wd_lease_time, as it shows them", async () => {
    const leader = await untilAgreed();
    const refused = IDS.find((id) => id !== leader);
    if (refused === undefined) throw new Error("three nodes");
    const text = readFileSync(configOf(refused), "utf8");
    await pgpool(refused, "-m", "fast", "stop");
    writeFileSync(configOf(refused), text.replace("wd_lease_time = 600", "wd_lease_time = 700"));
    await startNode(refused);
    await until("it shows two nodes that do not add it", async () =>
      (await statesOf(refused)).filter((state) => state === "ADD MESSAGE SENT").length === 2
        ? true
        : null,
    );
    expect((await statesOf(refused))[0]).not.toBe("LEADER");
    await until("the leader shows it so too", async () =>
      (await statesOf(leader)).includes("ADD MESSAGE SENT") ? true : null,
    );
    expect(logOf(leader)).toContain('wd_lease_time is "600 ms" here and "700 ms" there');
    await pgpool(refused, "-m", "fast", "stop");
    writeFileSync(configOf(refused), text);
    await startNode(refused);
    await untilAgreed();
  });
});
