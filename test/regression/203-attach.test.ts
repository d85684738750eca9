/** What may be attached again, asked of a real node in front of real servers. */
import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClusterView } from "../../src/wire/ipc/index.ts";
import { freePort } from "../support/ports.ts";
import {
  buildPrograms,
  NODE_PROGRAMS,
  programDirectory,
  run,
  testDirectory,
  type Ended,
} from "../support/programs.ts";
import { ThrowawayPostgres } from "../support/throwaway-postgres.ts";

let programs: Awaited<ReturnType<typeof programDirectory>>;
let directory: Awaited<ReturnType<typeof testDirectory>>;
const servers: ThrowawayPostgres[] = [];
let configFile: string;
let pcpPort: number;

beforeAll(async () => {
  programs = await programDirectory();
  const wrappers = ["pgpool", "pgquorum", "pcp_attach_node", "pcp_detach_node"];
  await buildPrograms(programs.path, NODE_PROGRAMS, wrappers);
  directory = await testDirectory();
  const primary = await ThrowawayPostgres.start();
  servers.push(primary);
  servers.push(await ThrowawayPostgres.start({ standbyOf: primary, applicationName: "s1" }));
  servers.push(await ThrowawayPostgres.start());
  pcpPort = await freePort();
  configFile = join(directory.path, "pgpool.conf");
  const backends = servers.map(
    ({ port }, id) =>
      `backend_hostname${id} = '127.0.0.1'\nbackend_port${id} = ${port}\nbackend_weight${id} = 1\n`,
  );
  writeFileSync(
    configFile,
    `listen_addresses = '127.0.0.1'
port = ${await freePort()}
unix_socket_directories = '${directory.path}'
pcp_listen_addresses = '127.0.0.1'
pcp_port = ${pcpPort}
pcp_socket_dir = '${directory.path}'
pid_file_name = '${join(directory.path, "pgpool.pid")}'
work_dir = '${directory.path}'
num_workers = 1
health_check_period = 1
health_check_user = 'postgres'
sr_check_user = 'postgres'
sr_check_period = 1
${backends.join("")}`,
  );
  const hash = createHash("md5").update("secret").digest("hex");
  writeFileSync(join(directory.path, "pcp.conf"), `pcp:${hash}\n`);
  writeFileSync(join(directory.path, "pcppass"), `*:*:pcp:secret\n`, { mode: 0o600 });
  // The foreign server must not be taken for the primary at the first look.
  await servers[2]?.stop();
  const started = await program("pgpool", ["-f", configFile]);
  expect(started.stderr).toBe("");
  await until(async () => (await view()).primaryId === 0, "the primary is found");
}, 120_000);

afterAll(async () => {
  if (existsSync(join(directory.path, "pgpool.pid"))) {
    await program("pgpool", ["-f", configFile, "-m", "fast", "stop"]);
  }
  for (const server of servers) await server.remove();
  await directory.remove();
  await programs.remove();
});

function program(name: string, args: readonly string[]): Promise<Ended> {
  const env = { PCPPASSFILE: join(directory.path, "pcppass") };
  return run(join(programs.path, "bin", name), args, { env });
}

function pcp(name: string, id: number): Promise<Ended> {
  const where = ["-h", "127.0.0.1", "-p", String(pcpPort), "-U", "pcp", "-w"];
  return program(name, [...where, "-n", String(id)]);
}

async function view(): Promise<ClusterView> {
  const asked = await program("pgquorum", ["nodes", "--json", "-f", configFile]);
  return JSON.parse(asked.stdout) as ClusterView;
}

async function stateOf(id: number): Promise<string | undefined> {
  return (await view()).backends.find((backend) => backend.id === id)?.state;
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe("attaching a server", () => {
  it("takes a standby back", async () => {
    expect((await pcp("pcp_detach_node", 1)).stderr).toBe("");
    await until(async () => (await stateOf(1)) === "down", "detached");
    expect((await pcp("pcp_attach_node", 1)).stdout).toContain("Command Successful");
    await until(async () => (await stateOf(1)) === "up", "attached");
  });

  it("refuses one that was promoted beside the primary, and says so", async () => {
    await pcp("pcp_detach_node", 1);
    await until(async () => (await stateOf(1)) === "down", "detached");
    await run("/bin/sh", ["-c", servers[1]?.promoteCommand ?? "false"]);
    const refused = await pcp("pcp_attach_node", 1);
    expect(refused.stderr).toContain("backend node 1 is a primary of its own beside node 0");
    expect(await stateOf(1)).toBe("down");
  });

  it("refuses a server of another database cluster", async () => {
    await until(async () => (await stateOf(2)) === "down", "the stopped server is detached");
    await servers[2]?.start();
    const refused = await pcp("pcp_attach_node", 2);
    expect(refused.stderr).toContain("backend node 2 is of another database cluster");
    expect(await stateOf(2)).toBe("down");
  });
});
