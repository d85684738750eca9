/** What pgbench said. Pure. */
import { fail, succeed, type Result } from "../src/base/index.ts";

export interface PgbenchResult {
  readonly queries: number;
  readonly tps: number;
  /** Mean time of one query as the client sees it. */
  readonly latencyMs: number;
}

/**
 * @param output of PostgreSQL 14 or newer.
 * Errors: which of the figures is not there, or that queries failed.
 */
export function parsePgbench(output: string): Result<PgbenchResult, string> {
  // With -t the number that was wanted follows after a slash.
  const queries = figure(output, /^number of transactions actually processed: (\d+)/m);
  const failed = figure(output, /^number of failed transactions: (\d+)/m);
  const tps = figure(output, /^tps = ([\d.]+)/m);
  const latencyMs = figure(output, /^latency average = ([\d.]+) ms/m);
  if (queries === null || tps === null || latencyMs === null) {
    return fail("pgbench printed no result");
  }
  if (queries === 0) return fail("pgbench got no query through");
  if (failed !== null && failed > 0) return fail(`${failed} of ${queries} queries failed`);
  return succeed({ queries, tps, latencyMs });
}

function figure(output: string, pattern: RegExp): number | null {
  const text = pattern.exec(output)?.[1];
  return text === undefined ? null : Number(text);
}

const REASON_CHARS_MAX = 160;

/** The first complaint in pgbench's standard error, for a remark below the table. */
export function complaintOf(errors: string): string {
  const lines = errors.split("\n").map((line) => line.trim());
  const worst = lines.find((line) => /\b(error|fatal|panic)\b/i.test(line));
  const line = worst ?? lines.find((one) => one !== "") ?? "it said nothing";
  const short = line
    .replace(/^pgbench: /, "")
    .replace(/^(error|fatal): /, "")
    .replace(
      /client \d+ (script \d+ )?aborted in command \d+ (\(SQL\) )?(of script \d+; |query \d+: )/,
      "",
    );
  return short.length > REASON_CHARS_MAX ? `${short.slice(0, REASON_CHARS_MAX)}…` : short;
}
