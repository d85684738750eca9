/** `pgquorum` as a person or a script meets it: its checks, its small helps, its wrappers. */
import { chmodSync, copyFileSync, existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildPrograms, run, testDirectory, type Ended } from "../support/programs.ts";

const DEBIAN_SAMPLE = "/etc/pgpool2/pgpool.conf";
let directory: Awaited<ReturnType<typeof testDirectory>>;

beforeAll(async () => {
  directory = await testDirectory();
  const programs = { pgquorum: "src/cli/pgquorum.ts", pcp: "src/cli/pcp.ts" };
  await buildPrograms(directory.path, programs, ["pgquorum", "pcp_node_info"]);
});

afterAll(async () => {
  await directory.remove();
});

function pgquorum(...args: readonly string[]): Promise<Ended> {
  return run(join(directory.path, "bin/pgquorum"), args);
}

function write(name: string, text: string): string {
  const path = join(directory.path, name);
  writeFileSync(path, text);
  return path;
}

describe("pgquorum check-config", () => {
  it("finds no error in Debian's configuration of 4.3.5", async () => {
    if (!existsSync(DEBIAN_SAMPLE)) throw new Error(`${DEBIAN_SAMPLE} is missing: install pgpool2`);
    const checked = await pgquorum("check-config", "-f", DEBIAN_SAMPLE);
    expect(checked.stdout).toMatch(
      /pgpool\.conf: the configuration is usable: 0 errors, \d+ warning/,
    );
    expect(checked.exitCode).toBe(0);
    expect(checked.stdout).not.toContain("unknown");
  });

  it("names all three mistakes of a copy, with their lines, and exits with 1", async () => {
    const path = join(directory.path, "mistakes.conf");
    copyFileSync(DEBIAN_SAMPLE, path);
    chmodSync(path, 0o600);
    const { stdout: lines } = await run("wc", ["-l", path]);
    const last = Number(lines.split(" ")[0]);
    writeFileSync(path, "port = many\nnum_init_childen = 5\nbackend_weight0 = heavy\n", {
      flag: "a",
    });
    const checked = await pgquorum("check-config", "-f", path);
    expect(checked.exitCode).toBe(1);
    expect(checked.stdout).toContain(`${path}:${last + 1}: error: `);
    expect(checked.stdout).toMatch(
      new RegExp(`:${last + 2}: warning: .*num_init_childen.*num_init_children`),
    );
    expect(checked.stdout).toContain(`${path}:${last + 3}: error: `);
    expect(checked.stdout).toContain("the node would not start: 2 errors");
  });

  it("looks into pool_hba.conf and pool_passwd as well", async () => {
    const config = write(
      "pgpool.conf",
      "backend_hostname0 = 'h'\nbackend_port0 = 5432\nenable_pool_hba = on\n",
    );
    write("pool_passwd", "no colon here\n");
    const hba = write("other_hba.conf", "host all all 10.0.0.0/8 trust\nhost all\n");
    const checked = await pgquorum("check-config", "-f", config, "-a", hba);
    expect(checked.exitCode).toBe(1);
    expect(checked.stdout).toContain(`${hba}:2: error: `);
    expect(checked.stdout).toContain(`${join(directory.path, "pool_passwd")}:1: warning: `);
    const missing = await pgquorum("check-config", "-f", config);
    expect(missing.stdout).toContain("pool_hba.conf: error: cannot be read: No such file");
  });

  it("names the commands whose program cannot be started", async () => {
    const script = write("not-executable.sh", "#!/bin/sh\n");
    chmodSync(script, 0o600);
    const lines = [
      "failover_command = '/nowhere/failover.sh %d \"%h\"'",
      `demote_command = '${script} %a'`,
      `follow_primary_command = '${directory.path} %d'`,
      "failback_command = '/bin/true %d'",
      "wd_escalation_command = 'test -x /nowhere/x && /nowhere/x'",
    ];
    const path = write("commands.conf", `${lines.join("\n")}\n`);
    const { stdout, exitCode } = await pgquorum("check-config", "-f", path);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(
      "failover_command cannot be started by this user: /nowhere/failover.sh: No such file",
    );
    expect(stdout).toContain(
      `demote_command cannot be started by this user: ${script}: Permission`,
    );
    expect(stdout).toContain(`${directory.path}: Is a directory`);
    expect(stdout.match(/cannot be started/g)).toHaveLength(3);
  });

  it("says so when there is no such file", async () => {
    const path = join(directory.path, "absent.conf");
    const checked = await pgquorum("check-config", "-f", path);
    expect(checked.exitCode).toBe(1);
    expect(checked.stdout).toContain(path);
  });
});

describe("pgquorum", () => {
  it("prints a sample configuration that its own check accepts", async () => {
    const sample = await pgquorum("sample-config");
    expect(sample.stdout).toContain("num_init_children");
    const path = write("sample.conf", sample.stdout);
    const checked = await pgquorum("check-config", "-f", path);
    expect(checked.exitCode).toBe(0);
  });

  it("makes another key each time, long enough for wd_authkey", async () => {
    const [one, two] = [await pgquorum("gen-authkey"), await pgquorum("gen-authkey")];
    expect(one.stdout).toMatch(/^wd_authkey = '[0-9a-f]{64}'\n$/);
    expect(one.stdout).not.toBe(two.stdout);
    const three = JSON.parse((await pgquorum("gen-authkey", "--json")).stdout) as unknown;
    expect(three).toEqual({ wd_authkey: expect.stringMatching(/^[0-9a-f]{64}$/) });
    const help = await pgquorum("gen-authkey", "--help");
    expect([help.exitCode, help.stdout]).toEqual([0, expect.stringContaining("pgpool.conf")]);
  });

  it("says which socket it tried when the node does not run, and exits with 3", async () => {
    const path = write("down.conf", `pcp_socket_dir = '${directory.path}'\npcp_port = 9899\n`);
    const status = await pgquorum("status", "-f", path);
    expect(status.exitCode).toBe(3);
    expect(status.stderr).toContain(`${directory.path}/.s.PGQUORUM.9899`);
    expect(status.stderr).toContain(`pgpool -f ${path}`);
  });

  it("shows its commands, and complains of others", async () => {
    const help = await pgquorum("--help");
    expect(help.exitCode).toBe(0);
    const commands = "status nodes clients queues check-config gen-authkey sample-config";
    for (const command of commands.split(" ")) {
      expect(help.stdout).toContain(command);
    }
    expect((await pgquorum("--version")).stdout).toMatch(/^pgquorum \d+\.\d+\.\d+\n$/);
    const unknown = await pgquorum("stauts");
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toContain("Did you mean status?");
  });
});

describe("a wrapper in bin/", () => {
  it("finds its program through symbolic links", async () => {
    const link = join(directory.path, "link");
    symlinkSync(join(directory.path, "bin/pcp_node_info"), link);
    expect((await run(link, ["-V"])).stderr).toMatch(/^pcp_node_info \(pgquorum\)/);
  });

  it("says what to do when Node.js is too old or missing", async () => {
    const old = write("old-node", "#!/bin/sh\necho v20.18.3\n");
    chmodSync(old, 0o755);
    const wrapper = join(directory.path, "bin/pgquorum");
    expect(await run(wrapper, ["--version"], { env: { PGQUORUM_NODE: old } })).toMatchObject({
      exitCode: 1,
      stderr: "pgquorum: Node.js v20.18.3 is too old: install version 20.19 or later\n",
    });
    const missing = await run(wrapper, ["--version"], { env: { PGQUORUM_NODE: "/absent/node" } });
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toContain("Node.js is missing: install version 20.19 or later");
  });

  it("says what to do when the project was not built", async () => {
    const empty = await testDirectory();
    await buildPrograms(empty.path, { pcp: "src/cli/pcp.ts" }, ["pgquorum"]);
    rmSync(join(empty.path, "dist"), { recursive: true });
    const ended = await run(join(empty.path, "bin/pgquorum"), []);
    expect(ended.exitCode).toBe(1);
    expect(ended.stderr).toContain('is missing: run "npm ci && npm run build" in');
    await empty.remove();
  });
});
