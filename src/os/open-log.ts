/**
 * The log of a process. Lines are written before the call returns, so that the last words of a
 * process that ends are not lost; a reader of ours that hangs costs lines, never our life.
 */
import { pino, type Logger } from "pino";
import { assert } from "../base/index.ts";
import { formatLogLines, type LineFacts } from "./log-line.ts";
import { openDescriptorSink, openSyslogSink, type LogSink } from "./log-sinks.ts";
import { LOG_LEVELS, type Log, type LogDetails, type LogLevel } from "./log.ts";

export interface LogOptions {
  /** `log_destination`: a comma list of `stderr`, `syslog`, `jsonlog`; empty means `stderr`. */
  readonly destination: string;
  /** `log_line_prefix`. */
  readonly linePrefix: string;
  /** `log_min_messages`. */
  readonly minLevel: LogLevel;
  /** `%a`, such as `main`. */
  readonly application: string;
  /** `%P`, such as `MAIN`; empty unless told. */
  readonly processKind?: string;
  /** `log_error_verbosity`. */
  readonly errorVerbosity: "terse" | "default" | "verbose";
  readonly syslogFacility?: string;
  readonly syslogIdent?: string;
  /** Instead of descriptor 2. */
  readonly descriptor?: number;
}

export interface OpenLog extends Log {
  /** Takes the parameters of a reload; logs made by `named` follow. */
  change(options: LogOptions): void;
  close(): void;
}

export function openLog(options: LogOptions): OpenLog {
  return new NamedLog(new LogCore(options), null);
}

class NamedLog implements OpenLog {
  readonly #core: LogCore;
  readonly #application: string | null;

  constructor(core: LogCore, application: string | null) {
    this.#core = core;
    this.#application = application;
  }

  write(level: LogLevel, message: string, details?: LogDetails): void {
    if (this.#core.isOn(level, details))
      this.#core.write(this.#application, level, message, details);
  }

  named(application: string): Log {
    return new NamedLog(this.#core, application);
  }

  change(options: LogOptions): void {
    this.#core.change(options);
  }

  close(): void {
    this.#core.close();
  }
}

const RANKS = new Map<LogLevel, number>(LOG_LEVELS.map((level, index) => [level, index]));

/** Shared by a log and all logs named from it: destinations, level, line numbers. */
class LogCore {
  #options: LogOptions;
  #minRank: number;
  #lineNumber = 0;
  readonly #stderr: LogSink;
  #syslog: LogSink | null = null;
  #json: Logger<LogLevel> | null = null;
  #isText = true;

  constructor(options: LogOptions) {
    this.#stderr = openDescriptorSink(options.descriptor ?? 2);
    this.#options = options;
    this.#minRank = rankOf(options.minLevel);
    this.change(options);
  }

  isOn(level: LogLevel, details: LogDetails | undefined): boolean {
    const own = details?.own;
    return rankOf(level) >= (own === undefined ? this.#minRank : rankOf(own.minLevel));
  }

  change(options: LogOptions): void {
    this.close();
    this.#options = options;
    this.#minRank = rankOf(options.minLevel);
    const names = new Set(options.destination.split(",").map((name) => name.trim().toLowerCase()));
    this.#json = names.has("jsonlog") ? makeJsonLogger(this.#stderr) : null;
    this.#syslog = names.has("syslog") ? this.#openSyslog(options) : null;
    this.#isText = names.has("stderr") || (this.#json === null && this.#syslog === null);
  }

  close(): void {
    this.#syslog?.close();
    this.#syslog = null;
  }

  write(
    application: string | null,
    level: LogLevel,
    message: string,
    details: LogDetails | undefined,
  ): void {
    const own = application ?? this.#options.application;
    if (this.#json !== null) writeJson(this.#json, this.#options, own, level, message, details);
    if (!this.#isText && this.#syslog === null) return;
    const facts: LineFacts = {
      nowMs: Date.now(),
      application: own,
      processKind: this.#options.processKind ?? "",
      pid: process.pid,
      client: details?.client,
      nextLineNumber: () => (this.#lineNumber += 1),
    };
    const text = formatLogLines(this.#options.linePrefix, facts, level, message, {
      ...details,
      terse: verbosityOf(this.#options, details) === "terse",
    });
    this.#syslog?.write(text, level);
    if (this.#isText) this.#stderr.write(text, level);
  }

  /** A syslog that cannot be had is said once; its lines go to standard error instead. */
  #openSyslog(options: LogOptions): LogSink {
    const facility = options.syslogFacility ?? "LOCAL0";
    return openSyslogSink(facility, options.syslogIdent ?? "pgpool", (reason) => {
      this.#syslog = null;
      this.#isText = true;
      this.write(null, "warning", "syslog is not available, logging to standard error", {
        detail: reason,
        hint: 'Start a syslog service, or set log_destination to "stderr".',
      });
    });
  }
}

function verbosityOf(
  options: LogOptions,
  details: LogDetails | undefined,
): LogOptions["errorVerbosity"] {
  return details?.own?.errorVerbosity ?? options.errorVerbosity;
}

function rankOf(level: LogLevel): number {
  const rank = RANKS.get(level);
  assert(rank !== undefined, `log level ${level} must be in the table`);
  return rank;
}

/** One object a line: time, level, pid, application, msg, and detail, hint, user, database if any. */
function makeJsonLogger(sink: LogSink): Logger<LogLevel> {
  const customLevels = Object.fromEntries(
    LOG_LEVELS.map((level, index) => [level, (index + 1) * 10]),
  ) as Record<LogLevel, number>;
  return pino<LogLevel, true>(
    {
      customLevels,
      useOnlyCustomLevels: true,
      level: "debug5", // What is off has not come this far.
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => sink.write(line, "log") },
  );
}

function writeJson(
  json: Logger<LogLevel>,
  options: LogOptions,
  application: string,
  level: LogLevel,
  message: string,
  details: LogDetails | undefined,
): void {
  const isTerse = verbosityOf(options, details) === "terse";
  const fields: Record<string, string> = {
    application: details?.client?.application ?? application,
  };
  if (details?.client !== undefined) {
    fields["user"] = details.client.user;
    fields["database"] = details.client.database;
  }
  if (!isTerse && details?.detail !== undefined) fields["detail"] = details.detail;
  if (!isTerse && details?.hint !== undefined) fields["hint"] = details.hint;
  json[level](fields, message);
}
