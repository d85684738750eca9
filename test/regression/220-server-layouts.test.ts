/**
 * The ready scripts with a server as Debian lays one out, whose postgresql.conf is in
 * /etc/postgresql, and whose data directory has a name that a shell would take apart; and with one
 * whose postgresql.conf is between its data.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresCluster, PostgresServer } from "../support/postgres.ts";
import { programPath, runAsPostgres } from "../support/postgres.ts";
import { run, type Ended } from "../support/programs.ts";
import { sshStandIn, startScriptedPostgres } from "../support/switchover-lab.ts";

const SCRIPTS = resolve(import.meta.dirname, "../../scripts");
const isRoot = process.getuid?.() === 0;
const WHY = isRoot ? "" : " (skipped: it needs root, for an /etc/postgresql of its own)";

describe.runIf(isRoot)(`a standby with its configuration in /etc/postgresql${WHY}`, () => {
  let postgres: PostgresCluster;
  let primary: PostgresServer;
  let standby: PostgresServer;
  let data: string;
  /** Stands for /etc/postgresql. */
  let configs: string;
  let versioned: string;

  beforeAll(async () => {
    postgres = await startScriptedPostgres(1);
    [primary, standby] = postgres.servers as [PostgresServer, PostgresServer];
    await postgres.stopServer(1);
    await postgres.stopServer(0);
    data = join(postgres.directory, `it's "$(touch injected)" & more`);
    renameSync(standby.dataDirectory, data);
    configs = join(postgres.directory, "etc");
    versioned = join(configs, readFileSync(join(data, "PG_VERSION"), "utf8").trim());
    moveConfiguration(data, "it's main");
    const file = moveConfiguration(primary.dataDirectory, "primary");
    execFileSync("chown", ["-R", "postgres", configs]);
    const options = [
      "-o",
      `-c config_file=${file}`,
      "-l",
      join(primary.dataDirectory, "log"),
      "-w",
      "start",
    ];
    await runAsPostgres(programPath("pg_ctl"), ["-D", primary.dataDirectory, ...options]);
  }, 120_000);

  afterAll(async () => {
    await stop();
    renameSync(data, standby.dataDirectory);
    await postgres.stop();
  });

  function moveConfiguration(from: string, name: string): string {
    const own = join(versioned, name);
    mkdirSync(own, { recursive: true });
    for (const file of ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"]) {
      renameSync(join(from, file), join(own, file));
    }
    const places = [
      ["data_directory", from],
      ["hba_file", join(own, "pg_hba.conf")],
      ["ident_file", join(own, "pg_ident.conf")],
    ].map(([parameter, path]) => `${parameter} = '${path?.replaceAll("'", "''")}'\n`);
    const file = join(own, "postgresql.conf");
    writeFileSync(file, places.join(""), { flag: "a" });
    return file;
  }

  async function stop(): Promise<void> {
    const words = ["-D", data, "-m", "fast", "-w", "stop"];
    await runAsPostgres(programPath("pg_ctl"), words).catch(() => undefined);
  }

  function inLayout(script: string, words: readonly string[]): Promise<Ended> {
    const mounted = 'mount --bind "$1" /etc/postgresql && shift && exec "$@"';
    const program = ["bash", "-c", mounted, "bash", configs, join(SCRIPTS, script), ...words];
    const env = { ...scriptSettings(postgres), PGQUORUM_FOLLOW_STOPPED: "on" };
    return run("unshare", ["--mount", ...program], { env });
  }

  async function streams(): Promise<unknown> {
    return await postgres.query(0, "SELECT state FROM pg_stat_replication");
  }

  /** The words of follow_primary_command. */
  function followWords(): readonly string[] {
    const node = ["1", "127.0.0.1", String(standby.port), data];
    const main = ["0", "127.0.0.1", "0", "0", String(primary.port), primary.dataDirectory];
    return [...node, ...main];
  }

  it("is started by pgpool_remote_start", async () => {
    const started = await inLayout("pgpool_remote_start", ["127.0.0.1", `${data}/`]);
    expect(started.stderr).toContain("runs");
    expect(started.exitCode).toBe(0);
    await expect.poll(streams, { timeout: 20_000 }).toEqual([{ state: "streaming" }]);
  });

  it("is taken back and follows the primary, when it had gone its own way", async () => {
    await runAsPostgres(programPath("pg_ctl"), ["-D", data, "-w", "promote"]);
    await postgres.query(0, "CREATE TABLE kept ()");
    const followed = await inLayout("follow_primary.sh", followWords());
    expect(followed.stderr).toContain("taken back and pointed");
    expect(followed.exitCode).toBe(0);
    expect(await streams()).toEqual([{ state: "streaming" }]);
  });

  it("is copied anew when that is not possible", async () => {
    await stop();
    rmSync(join(data, "global/pg_control"));
    const followed = await inLayout("follow_primary.sh", followWords());
    expect(followed.stderr).toContain("copied anew and pointed");
    expect(followed.exitCode).toBe(0);
    expect(await streams()).toEqual([{ state: "streaming" }]);
  });

  it("is left as it is where nobody knows its configuration", async () => {
    await stop();
    renameSync(join(versioned, "it's main"), join(configs, "away"));
    const followed = await inLayout("follow_primary.sh", followWords());
    renameSync(join(configs, "away"), join(versioned, "it's main"));
    expect(followed.exitCode).toBe(1);
    expect(followed.stderr).toContain(`there is no postgresql.conf in ${data}, and none for it in`);
  });
});

describe("a standby with its configuration between its data", () => {
  let postgres: PostgresCluster;
  let primary: PostgresServer;
  let standby: PostgresServer;

  beforeAll(async () => {
    postgres = await startScriptedPostgres(1);
    [primary, standby] = postgres.servers as [PostgresServer, PostgresServer];
  }, 120_000);

  afterAll(async () => {
    await postgres.stop();
  });

  async function follow(): Promise<Ended> {
    const node = ["1", "127.0.0.1", String(standby.port), standby.dataDirectory];
    const main = ["0", "127.0.0.1", "0", "0", String(primary.port), primary.dataDirectory];
    const env = { ...scriptSettings(postgres), PGQUORUM_FOLLOW_STOPPED: "on" };
    return await run(join(SCRIPTS, "follow_primary.sh"), [...node, ...main], { env });
  }

  async function expectOwnPort(): Promise<void> {
    const port = [{ port: String(standby.port) }];
    expect(await postgres.query(1, "SELECT current_setting('port') AS port")).toEqual(port);
    expect(await postgres.query(1, "SELECT pg_is_in_recovery() AS is")).toEqual([{ is: true }]);
  }

  it("keeps it when it is taken back", async () => {
    // Where the two part, and the WAL since their last common checkpoint, must still be there.
    await postgres.query(0, "CHECKPOINT");
    await postgres.caughtUp();
    await postgres.query(1, "CHECKPOINT");
    await runAsPostgres(programPath("pg_ctl"), ["-D", standby.dataDirectory, "-w", "promote"]);
    await postgres.query(1, "CREATE TABLE gone ()");
    await postgres.query(0, "CREATE TABLE kept ()");
    const followed = await follow();
    expect(followed.stderr).toContain("taken back and pointed");
    expect(followed.exitCode).toBe(0);
    await expectOwnPort();
  });

  it("keeps it when it is copied anew", async () => {
    await postgres.stopServer(1);
    rmSync(join(standby.dataDirectory, "global/pg_control"));
    const followed = await follow();
    expect(followed.stderr).toContain("copied anew and pointed");
    expect(followed.exitCode).toBe(0);
    await expectOwnPort();
  });
});

function scriptSettings(postgres: PostgresCluster): Record<string, string> {
  return {
    PGQUORUM_SSH: sshStandIn(postgres),
    PGQUORUM_SSH_KEEP: "0",
    PGQUORUM_REPLICATION_USER: "postgres",
    PGQUORUM_ATTACH: "off",
  };
}
