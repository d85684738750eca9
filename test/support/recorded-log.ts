import type { Log, LogLevel } from "../../src/os/index.ts";

/** A log that keeps its lines, as `LEVEL message | detail`. */
export class RecordedLog implements Log {
  readonly lines: string[];
  readonly #application: string;

  constructor(lines: string[] = [], application = "main") {
    this.lines = lines;
    this.#application = application;
  }

  write(level: LogLevel, message: string, details?: { readonly detail?: string }): void {
    const detail = details?.detail === undefined ? "" : ` | ${details.detail}`;
    this.lines.push(`${this.#application} ${level.toUpperCase()} ${message}${detail}`);
  }

  named(application: string): Log {
    return new RecordedLog(this.lines, application);
  }
}
