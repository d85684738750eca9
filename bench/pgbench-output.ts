/** What pgbench said. Pure. */
import { fail, succeed, type Result } from "../src/base/index.ts";

export interface PgbenchResult {
  readonly queries: number;
  readonly tps: number;
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
  if (queries === null || tps === null) return fail("pgbench printed no result");
  if (queries === 0) return fail("pgbench got no query through");
  if (failed !== null && failed > 0) return fail(`${failed} of ${queries} queries failed`);
  return succeed({ queries, tps });
}

function figure(output: string, pattern: RegExp): number | null {
  const text = pattern.exec(output)?.[1];
  return text === undefined ? null : Number(text);
}

/** One line of `pgbench -P`. */
export interface Progress {
  /** Since all clients were connected. */
  readonly seconds: number;
  /** Since the line before. */
  readonly tps: number;
}

/** Null for any other line. */
export function parseProgress(line: string): Progress | null {
  const found = /^progress: ([\d.]+) s, ([\d.]+) tps/.exec(line);
  return found === null ? null : { seconds: Number(found[1]), tps: Number(found[2]) };
}

/** The queries between the first of the lines and the last. */
export function queriesBetween(lines: readonly Progress[]): number {
  return lines
    .slice(1)
    .reduce((sum, one, at) => sum + one.tps * (one.seconds - (lines[at]?.seconds ?? 0)), 0);
}

/**
 * Times of single queries from the files of `pgbench -l`, in µs, ascending, without what a query
 * was late for because the one before it took longer.
 */
export function parseLatencies(text: string): readonly number[] {
  const times = text.split("\n").flatMap((line) => {
    // client, number of the query, time, script, seconds, µs, and with -R: lag behind the schedule.
    const fields = line.split(" ").map(Number);
    const [time, lag = 0] = [fields[2], fields[6]];
    return time === undefined || !Number.isFinite(time - lag) ? [] : time - lag;
  });
  return times.sort((left, right) => left - right);
}

const REASON_CHARS_MAX = 160;

/** The first complaint in pgbench's standard error, for a remark below the table. */
export function complaintOf(errors: string): string {
  const lines = errors
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => !line.startsWith("progress: "));
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
