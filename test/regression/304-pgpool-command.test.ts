/** `pgpool` starts, reloads and stops a real node; no PostgreSQL is needed for that. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ClusterView, NodeStatus } from "../../src/wire/ipc/index.ts";
import { isPgpoolAlive } from "../../src/os/index.ts";
import { freePort } from "../support/ports.ts";
import {
  buildPrograms,
  NODE_PROGRAMS,
  oracle,
  programDirectory,
  run,
  testDirectory,
  type Ended,
} from "../support/programs.ts";

let programs: Awaited<ReturnType<typeof programDirectory>>;
let directory: Awaited<ReturnType<typeof testDirectory>>;
let ports: { readonly client: number; readonly pcp: number; readonly backend: number };
let configFile: string;
let pidFile: string;

beforeAll(async () => {
  programs = await programDirectory();
  await buildPrograms(programs.path, NODE_PROGRAMS, ["pgpool", "pgquorum"]);
});

afterAll(async () => {
  await programs.remove();
});

beforeEach(async () => {
  directory = await testDirectory();
  ports = { client: await freePort(), pcp: await freePort(), backend: await freePort() };
  configFile = join(directory.path, "pgpool.conf");
  pidFile = join(directory.path, "pgpool.pid");
  writeConfig("");
  const hash = createHash("md5").update("secret").digest("hex");
  writeFileSync(join(directory.path, "pcp.conf"), `pcp:${hash}\n`);
});

afterEach(async () => {
  if (existsSync(pidFile)) await pgpool("-m", "fast", "stop");
  await directory.remove();
});

function writeConfig(more: string): void {
  writeFileSync(
    configFile,
    `listen_addresses = '127.0.0.1'
port = ${ports.client}
unix_socket_directories = '${directory.path}'
pcp_listen_addresses = '127.0.0.1'
pcp_port = ${ports.pcp}
pcp_socket_dir = '${directory.path}'
backend_hostname0 = '127.0.0.1'
backend_port0 = ${ports.backend}
backend_weight0 = 1
pid_file_name = '${pidFile}'
work_dir = '${directory.path}'
num_workers = 1
search_primary_node_timeout = 1
pgpool_compat_version = '4.3'
${more}
`,
  );
}

function pgpool(...args: readonly string[]): Promise<Ended> {
  return run(join(programs.path, "bin/pgpool"), ["-f", configFile, ...args]);
}

function pgquorum(...args: readonly string[]): Promise<Ended> {
  return run(join(programs.path, "bin/pgquorum"), [...args, "-f", configFile]);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("pgpool", () => {
  it("starts a node that is seen by every command, and stops it without leaving anything", async () => {
    expect(await pgpool()).toMatchObject({ exitCode: 0, stdout: "" });
    const pid = Number(/^(\d+)\0$/.exec(readFileSync(pidFile, "latin1"))?.[1]);
    expect(isAlive(pid)).toBe(true);

    const status = await pgquorum("status", "--json");
    const seen = JSON.parse(status.stdout) as NodeStatus;
    expect(seen).toMatchObject({
      node: { state: "STANDALONE", configFile, pgpoolPort: ports.client },
      pids: { supervisor: pid, watchdog: null },
      watchdog: null,
    });
    expect(seen.pids.workers).toHaveLength(1);
    expect((await pgquorum("status")).stdout).toContain(`supervisor ${pid},`);
    const nodes = JSON.parse((await pgquorum("nodes", "--json")).stdout) as ClusterView;
    expect(nodes.backends).toMatchObject([{ id: 0, port: ports.backend }]);
    expect((await pgquorum("nodes")).stdout).toContain(` ${ports.backend} `);

    const passFile = join(directory.path, "pcppass");
    writeFileSync(passFile, "*:*:*:secret\n", { mode: 0o600 });
    const options = ["-h", "127.0.0.1", "-p", String(ports.pcp), "-U", "pcp", "-w"];
    const info = await run(oracle("pcp_node_info"), options, { env: { PCPPASSFILE: passFile } });
    expect(info.stdout).toContain(`127.0.0.1 ${ports.backend} `);

    expect(await pgpool()).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: `ERROR: pid file found. is another pgpool(${pid}) is running?\n`,
    });
    expect(await pgpool("reload")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(isAlive(pid)).toBe(true);

    const stopped = await pgpool("-m", "fast", "stop");
    expect(stopped.exitCode).toBe(0);
    expect(stopped.stderr).toMatch(
      new RegExp(
        `^LOG:  stop request sent to pgpool \\(pid: ${pid}\\)\\. waiting for termination\\.\\.\\.\n\\.*done\\.\n$`,
      ),
    );
    // The workers end by themselves when their supervisor has; a zombie has ended.
    await expect.poll(() => [pid, ...seen.pids.workers].filter(isPgpoolAlive)).toEqual([]);
    const left = [".s.PGQUORUM." + ports.pcp, ".s.PGSQL." + ports.pcp, ".s.PGSQL." + ports.client];
    expect(left.filter((name) => existsSync(join(directory.path, name)))).toEqual([]);
    expect(existsSync(pidFile)).toBe(false);
  });

  it("stays in the foreground with -n, writes its log there, and ends by a signal", async () => {
    const child = spawn(join(programs.path, "bin/pgpool"), ["-n", "-f", configFile]);
    let log = "";
    const serves = new Promise<void>((resolve) => {
      child.stderr.on("data", (chunk) => {
        log += String(chunk);
        if (log.includes("serves clients")) resolve();
      });
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    await serves;
    expect(readFileSync(pidFile, "latin1")).toBe(`${child.pid}\0`);
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    expect(existsSync(pidFile)).toBe(false);
  });

  it("starts over a pid file whose process is gone, or is no pgpool", async () => {
    const stranger = spawn("sleep", ["60"]);
    writeFileSync(pidFile, `${stranger.pid}\0`);
    const started = await pgpool();
    expect(started.exitCode).toBe(0);
    expect(started.stderr).toContain("pid file found but it seems bogus");
    stranger.kill("SIGKILL");
  });

  it("says on the terminal which port is taken, and exits with 3", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(ports.pcp, "127.0.0.1", resolve));
    const started = await pgpool();
    server.close();
    expect(started.exitCode).toBe(3);
    expect(started.stderr).toContain(`could not listen on 127.0.0.1 port ${ports.pcp}`);
    expect(existsSync(pidFile)).toBe(false);
  });

  it("says on the terminal when its watchdog cannot be the node that pgpool_node_id names", async () => {
    writeFileSync(join(directory.path, "pgpool_node_id"), "0\n");
    // An address for documentation (RFC 5737): no host has it.
    writeConfig(`use_watchdog = on
wd_authkey = 'a key for this test'
hostname0 = '192.0.2.1'
wd_port0 = 9000
pgpool_port0 = ${ports.client}
heartbeat_port0 = 9694`);
    const started = await pgpool();
    expect(started.exitCode).toBe(3);
    expect(started.stderr).toContain("cannot receive heartbeats on 192.0.2.1:9694");
    expect(started.stderr).toContain("pgpool_node_id");
    expect(existsSync(pidFile)).toBe(false);
  });

  it("does not start with a wrong configuration, and names all that is wrong", async () => {
    writeConfig("num_init_children = many\nport = 99999999\n");
    const started = await pgpool();
    expect(started.exitCode).toBe(3);
    expect(started.stderr).toContain("num_init_children");
    expect(started.stderr).toContain("port");
    expect(started.stderr).toContain("FATAL:  the configuration has errors");
  });

  it("says what it needs when there is no node to stop or reload", async () => {
    const text = `FATAL:  could not read pid file\nDETAIL:  could not read pid file as "${pidFile}": No such file or directory\n`;
    expect(await pgpool("stop")).toEqual({ exitCode: 3, stdout: "", stderr: text });
    expect(await pgpool("reload")).toEqual({ exitCode: 1, stdout: "", stderr: text });
  });

  it("sends no signal to a process that is no pgpool", async () => {
    const stranger = spawn("sleep", ["60"]);
    writeFileSync(pidFile, `${stranger.pid}\0`);
    const stopped = await pgpool("-m", "fast", "stop");
    expect(stopped.exitCode).toBe(3);
    expect(stopped.stderr).toContain(`could not stop process with pid: ${stranger.pid}\n`);
    expect(isAlive(stranger.pid ?? 0)).toBe(true);
    stranger.kill("SIGKILL");
    writeFileSync(pidFile, "");
  });

  it.each([["start"], ["stop", "now"], ["-m", "quick", "stop"], ["--foo"]])(
    "shows its usage and exits with 1 for %s %s",
    async (...args) => {
      const ended = await pgpool(...args);
      expect(ended.exitCode).toBe(1);
      expect(ended.stderr).toContain("Usage:\n  pgpool [ -f CONFIG_FILE ]");
    },
  );

  it("tells its usage and version on standard error, as ever", async () => {
    expect(await pgpool("--help")).toMatchObject({ exitCode: 0, stdout: "" });
    const version = await pgpool("-v");
    expect(version.exitCode).toBe(0);
    expect(version.stderr).toMatch(/^pgpool-II version \d+\.\d+\.\d+ \(pgquorum\)\n$/);
  });
});
