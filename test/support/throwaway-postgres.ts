/** Real PostgreSQL servers for tests: made in a directory of their own, removed at the end. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { appendFile, chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./ports.ts";

const run = promisify(execFile);
const BIN = process.env["PGQUORUM_TEST_PG_BIN"] ?? "/usr/lib/postgresql/15/bin";

export interface PostgresOptions {
  /** Lines for postgresql.conf. */
  readonly settings?: readonly string[];
  /** Of all connections over TCP; local ones are trusted. */
  readonly auth?: "trust" | "scram-sha-256";
  /** Makes a streaming standby of this server. */
  readonly standbyOf?: ThrowawayPostgres;
  readonly applicationName?: string;
}

/** Superuser `postgres`, database `postgres`, address 127.0.0.1. */
export class ThrowawayPostgres {
  readonly hostname = "127.0.0.1";
  readonly directory: string;
  readonly port: number;

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.port = port;
  }

  static async start(options: PostgresOptions = {}): Promise<ThrowawayPostgres> {
    const directory = await mkdtemp(join(tmpdir(), "pgquorum-pg-"));
    await chmod(directory, 0o755);
    if (process.getuid?.() === 0) await run("chown", ["postgres", directory]);
    const server = new ThrowawayPostgres(directory, await freePort());
    await server.#make(options);
    await server.start();
    return server;
  }

  get data(): string {
    return join(this.directory, "data");
  }

  /** Of the postmaster. */
  get pid(): number {
    return Number(readFileSync(join(this.data, "postmaster.pid"), "utf8").split("\n")[0]);
  }

  async start(): Promise<void> {
    const log = join(this.directory, "log");
    await this.#asPostgres("pg_ctl", ["-D", this.data, "-w", "-l", log, "start"]);
  }

  async stop(mode: "fast" | "immediate" = "immediate"): Promise<void> {
    await this.#asPostgres("pg_ctl", ["-D", this.data, "-m", mode, "-w", "stop"]);
  }

  /** Stops the postmaster in its tracks: connections are accepted by the kernel alone. */
  freeze(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  thaw(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** One column of the rows of one statement, by way of the socket file. */
  async sql(text: string): Promise<readonly string[]> {
    const args = ["-h", this.directory, "-p", String(this.port), "-U", "postgres"];
    const { stdout } = await run(join(BIN, "psql"), [...args, "-AtqXc", text, "postgres"]);
    return stdout.split("\n").slice(0, -1);
  }

  /** A shell command that promotes it, for a failover_command. */
  get promoteCommand(): string {
    const command = `${BIN}/pg_ctl -D ${this.data} -w promote`;
    return process.getuid?.() === 0 ? `runuser -u postgres -- ${command}` : command;
  }

  async remove(): Promise<void> {
    await this.stop().catch(() => undefined); // It may be down already.
    await rm(this.directory, { recursive: true, force: true });
  }

  async #make({
    standbyOf,
    auth = "trust",
    applicationName,
    settings = [],
  }: PostgresOptions): Promise<void> {
    if (standbyOf === undefined) {
      await this.#asPostgres("initdb", ["-D", this.data, "-A", "trust", "-U", "postgres", "-N"]);
    } else {
      const name = applicationName ?? "walreceiver";
      const from = `host=${standbyOf.directory} port=${standbyOf.port} user=postgres application_name=${name}`;
      await this.#asPostgres("pg_basebackup", ["-D", this.data, "-d", from, "-c", "fast", "-R"]);
    }
    const lines = [
      `port = ${this.port}`,
      "listen_addresses = '127.0.0.1'",
      `unix_socket_directories = '${this.directory}'`,
      "fsync = off",
      "wal_keep_size = '64MB'",
      ...settings,
    ];
    await appendFile(join(this.data, "postgresql.conf"), `${lines.join("\n")}\n`);
    const hba = `local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 ${auth}\n`;
    await writeFile(join(this.data, "pg_hba.conf"), hba);
  }

  /** PostgreSQL refuses to run as root. */
  async #asPostgres(program: string, args: readonly string[]): Promise<void> {
    const command = [join(BIN, program), ...args];
    const prefix = process.getuid?.() === 0 ? ["runuser", "-u", "postgres", "--"] : [];
    const [file = "", ...rest] = [...prefix, ...command];
    await run(file, rest, { cwd: this.directory });
  }
}
