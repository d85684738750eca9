/** Severities from the least to the most important; LOG ranks between ERROR and FATAL. */
export const LOG_LEVELS = [
  "debug5",
  "debug4",
  "debug3",
  "debug2",
  "debug1",
  "info",
  "notice",
  "warning",
  "error",
  "log",
  "fatal",
  "panic",
] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogDetails {
  readonly detail?: string;
  readonly hint?: string;
  /** Of a session that has SET these for itself, instead of those of the process. */
  readonly own?:
    | {
        readonly minLevel: LogLevel;
        readonly errorVerbosity: "terse" | "default" | "verbose";
      }
    | undefined;
  /** Set on lines about a client's session, for `%a`, `%u` and `%d` of the line prefix. */
  readonly client?: {
    readonly application: string;
    readonly user: string;
    readonly database: string;
  };
}

/** One line (with DETAIL and HINT lines below it) in the log of this node. */
export interface Log {
  write(level: LogLevel, message: string, details?: LogDetails): void;
  /** The same log under another `%a`, such as `health_check1`. */
  named(application: string): Log;
}
