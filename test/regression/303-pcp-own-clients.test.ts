/** Our pcp_* programs print and exit as Pgpool-II's own, byte for byte, wherever both know how. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PCP_TOOLS } from "../../src/cli/pcp/tools.ts";
import { PCP_PASSWORD, startTestPcpServer, type TestPcpServer } from "../support/pcp-server.ts";
import { buildPrograms, oracle, run, testDirectory, type Ended } from "../support/programs.ts";

const NAMES = PCP_TOOLS.map(({ name }) => name);
let directory: Awaited<ReturnType<typeof testDirectory>>;
let pcp: TestPcpServer;
let newer: TestPcpServer;

beforeAll(async () => {
  directory = await testDirectory();
  await buildPrograms(directory.path, { pcp: "src/cli/pcp.ts" }, NAMES);
  pcp = await startTestPcpServer(directory.path, "4.3");
  newer = await startTestPcpServer(directory.path, "4.7");
});

afterAll(async () => {
  await pcp.server.stop();
  await newer.server.stop();
  await directory.remove();
});

function own(name: string, args: readonly string[], input = ""): Promise<Ended> {
  const env = { PCPPASSFILE: pcp.passFile };
  return run(join(directory.path, "bin", name), args, { env, input });
}

async function theirs(name: string, args: readonly string[]): Promise<Ended> {
  const ended = await run(oracle(name), args, { env: { PCPPASSFILE: pcp.passFile } });
  // Getopt says the program's whole path, which differs by where it is installed.
  return { ...ended, stderr: ended.stderr.replaceAll(oracle(name), name) };
}

describe("our pcp_* programs print and exit as Pgpool-II's", () => {
  it.each(
    [
      "pcp_node_count",
      "pcp_node_count -v",
      "pcp_node_info",
      "pcp_node_info -a",
      "pcp_node_info -v 1",
      "pcp_node_info -n 1",
      "pcp_node_info 7",
      "pcp_node_info 0 1 2",
      "pcp_proc_count",
      "pcp_proc_count -v",
      "pcp_proc_info",
      "pcp_proc_info -a",
      "pcp_proc_info -v -a",
      "pcp_proc_info 6030",
      "pcp_proc_info -P 6031",
      "pcp_proc_info 9999",
      "pcp_health_check_stats 0",
      "pcp_health_check_stats -v -n 0",
      "pcp_health_check_stats 7",
      "pcp_pool_status",
      "pcp_pool_status -v",
      "pcp_watchdog_info",
      "pcp_watchdog_info 1",
      "pcp_watchdog_info 7",
      "pcp_attach_node 1",
      "pcp_detach_node -g 1",
      "pcp_recovery_node 1",
      "pcp_recovery_node -v 7",
      "pcp_promote_node -s -n 1",
      "pcp_promote_node 7",
      "pcp_reload_config",
      "pcp_stop_pgpool -m fast",
    ].map((line) => [line]),
  )("%s", async (line) => {
    const [name = "", ...args] = line.split(" ");
    const all = [...pcp.options, ...args];
    const ours = await own(name, all);
    expect(ours).toEqual(await theirs(name, all));
    // The same refusal on both sides would prove little.
    expect(ours.stderr).not.toContain("authentication");
    expect(ours.exitCode).toBe(0);
  });

  it("and so on the Unix socket, and with a trace", async () => {
    const args = ["-h", directory.path, "-p", String(pcp.port), "-U", "pcp", "-w", "-d"];
    const ours = await own("pcp_node_count", args);
    expect(ours).toEqual(await theirs("pcp_node_count", args));
    expect(ours.stdout).toContain("\n2\n");
  });

  it.each([
    ["a wrong password", ["-h", "127.0.0.1", "-U", "nobody", "-w"]],
    ["no password for a name", ["-h", "127.0.0.1", "-U", "pcp", "-w", "-v"]],
  ])("with %s", async (_what, args) => {
    const env = { PCPPASSFILE: join(directory.path, "absent") };
    const all = [...args, "-p", String(pcp.port)];
    const ours = await run(join(directory.path, "bin/pcp_node_count"), all, { env });
    expect(ours).toEqual(await run(oracle("pcp_node_count"), all, { env }));
    expect(ours.exitCode).toBe(1);
  });

  it.each([
    ["nobody listening", ["-h", "127.0.0.1", "-p", "2222", "-w"]],
    ["no such socket", ["-h", "/nowhere", "-p", "2222", "-w"]],
    ["a port out of range", ["-h", "127.0.0.1", "-p", "1", "-w"]],
  ])("with %s", async (_what, args) => {
    expect(await own("pcp_node_count", args)).toEqual(await theirs("pcp_node_count", args));
  });

  it.each([
    "pcp_attach_node",
    "pcp_node_info --foo",
    "pcp_stop_pgpool -m q",
    "pcp_stop_pgpool -s q",
  ])("for the mistake in %j", async (line) => {
    const [name = "", ...args] = line.split(" ");
    expect(await own(name, args)).toEqual(await theirs(name, args));
  });
});

describe("our pcp_* programs", () => {
  it("read the newer layout as well", async () => {
    const options = ["-h", "127.0.0.1", "-p", String(newer.port), "-U", "pcp", "-w"];
    const env = { PCPPASSFILE: newer.passFile };
    const info = await run(join(directory.path, "bin/pcp_node_info"), options, { env });
    expect(info.stdout).toContain(" standby standby 30 streaming async ");
    const watchdog = await run(join(directory.path, "bin/pcp_watchdog_info"), options, { env });
    expect(watchdog.stdout).toContain(" 4 LEADER 0 MEMBER YES\n");
  });

  it("ask for the password when no file knows it, and read it from a pipe", async () => {
    const args = ["-h", "127.0.0.1", "-p", String(pcp.port), "-U", "pcp"];
    const env = { PCPPASSFILE: join(directory.path, "absent") };
    const program = join(directory.path, "bin/pcp_node_count");
    expect(await run(program, args, { env, input: `${PCP_PASSWORD}\n` })).toEqual({
      exitCode: 0,
      stdout: "2\n",
      stderr: "Password: ",
    });
  });

  it("do not use a password file that others can read, and say so", async () => {
    const path = join(directory.path, "open-pcppass");
    writeFileSync(path, `*:*:*:${PCP_PASSWORD.replace(":", "\\:")}\n`);
    chmodSync(path, 0o644);
    const ended = await run(join(directory.path, "bin/pcp_node_count"), pcp.options, {
      env: { PCPPASSFILE: path },
    });
    expect(ended.exitCode).toBe(1);
    expect(ended.stderr).toContain(`password file "${path}" has group or world access`);
  });

  it("tell their version and their options", async () => {
    expect((await own("pcp_node_info", ["-V"])).stderr).toMatch(/^pcp_node_info \(pgquorum\) \d/);
    for (const name of NAMES) {
      const help = await own(name, ["--help"]);
      expect(help.exitCode).toBe(0);
      expect(help.stderr).toContain(`${name} [OPTION...]`);
    }
  });
});
