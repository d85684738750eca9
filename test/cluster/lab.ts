/** scripts/lab for tests: run to its end, with what it printed. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

export interface LabRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const LAB = resolve(import.meta.dirname, "../../scripts/lab");
const RUN_MS = 110_000;

export function tryLab(...words: string[]): LabRun {
  const ran = spawnSync(LAB, words, { encoding: "utf8", timeout: RUN_MS });
  return { code: ran.status ?? 128, stdout: ran.stdout, stderr: ran.stderr };
}

/** Throws what the command said, unless it ended with 0. Returns its output without blank ends. */
export function lab(...words: string[]): string {
  const ran = tryLab(...words);
  if (ran.code === 0) return ran.stdout.trim();
  throw new Error(`scripts/lab ${words.join(" ")} ended with ${ran.code}:\n${ran.stderr}`);
}

/** Rows of a statement that a superuser runs on one server, past every node. */
export function sqlOn(host: string, statement: string): string {
  return lab(
    "exec",
    host,
    "--",
    "psql",
    "-XAtq",
    "-h",
    addressOf(host),
    "-U",
    "postgres",
    "-c",
    statement,
  );
}

export function addressOf(host: string): string {
  return `10.77.0.${10 + Number(host.slice(1))}`;
}

export function dataOf(host: string): string {
  return `${process.env["PGQ_LAB_DIR"] ?? "/var/tmp/pgquorum-lab"}/${host}/pgdata`;
}
