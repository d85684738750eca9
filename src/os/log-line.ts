/**
 * The text form of a log line: Pgpool-II's, byte for byte where it is the same event, because
 * monitors match on it.
 *
 *     2026-01-31 13:05:59.123: main pid 4711: LOG:  health check failed on node 1 (timeout:0)
 */
import { formatLocalTime } from "./local-time.ts";
import type { LogDetails, LogLevel } from "./log.ts";

/** What the escapes of `log_line_prefix` stand for on one line. */
export interface LineFacts {
  readonly nowMs: number;
  /** `%a` when the line is not about a client. */
  readonly application: string;
  /** `%P`: the kind of process, such as MAIN. */
  readonly processKind: string;
  readonly pid: number;
  readonly client: LogDetails["client"];
  /** `%l`: each line, DETAIL and HINT too, has its own number. */
  nextLineNumber(): number;
}

const NO_CLIENT = "[No Connection]";

/** The lines of one message, each ended with a line feed. `terse` leaves DETAIL and HINT away. */
export function formatLogLines(
  prefix: string,
  facts: LineFacts,
  level: LogLevel,
  message: string,
  details: LogDetails & { readonly terse?: boolean } = {},
): string {
  const line = (tag: string, text: string): string =>
    `${formatPrefix(prefix, facts)}${tag}:  ${guardText(text)}\n`;
  let lines = line(severityTag(level), message);
  if (details.terse === true) return lines;
  if (details.detail !== undefined) lines += line("DETAIL", details.detail);
  if (details.hint !== undefined) lines += line("HINT", details.hint);
  return lines;
}

/** The five debug levels share one tag. */
function severityTag(level: LogLevel): string {
  return level.startsWith("debug") ? "DEBUG" : level.toUpperCase();
}

/** Unknown escapes vanish, as in Pgpool-II. */
export function formatPrefix(prefix: string, facts: LineFacts): string {
  return prefix.replace(/%(.?)/gsu, (_, escape: string) => {
    switch (escape) {
      case "a":
        return guardText(facts.client?.application ?? facts.application);
      case "p":
        return String(facts.pid);
      case "P":
        return facts.processKind;
      case "t":
        return formatMoment(facts.nowMs).slice(0, -4);
      case "m":
        return formatMoment(facts.nowMs);
      case "d":
        return guardText(facts.client?.database ?? NO_CLIENT);
      case "u":
        return guardText(facts.client?.user ?? NO_CLIENT);
      case "l":
        return String(facts.nextLineNumber());
      case "%":
        return "%";
      default:
        return "";
    }
  });
}

/**
 * Text from outside may hold line feeds and terminal escapes. A second line begins with a tab, as
 * PostgreSQL writes it, so that nobody can forge a line of ours.
 */
function guardText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (!/[\u0000-\u001f\u007f]/u.test(text)) return text;
  // oxlint-disable-next-line no-control-regex -- as above
  return text.replaceAll("\n", "\n\t").replace(/[\u0000-\u0008\u000b-\u001f\u007f]/gu, "?");
}

let secondNow = Number.NaN;
let secondText = "";

/** `2026-01-31 13:05:59.123`, local time, no zone. The part up to the second is kept for reuse. */
export function formatMoment(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== secondNow) {
    secondText = formatLocalTime(second * 1000);
    secondNow = second;
  }
  return `${secondText}.${String(Math.floor(nowMs) - second * 1000).padStart(3, "0")}`;
}
