/** Where log lines end up. A sink never throws and never waits without a bound. */
import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import { systemErrorText } from "./files.ts";
import type { LogLevel } from "./log.ts";

export interface LogSink {
  /** `lines` are whole lines, with their line feeds. */
  write(lines: string, level: LogLevel): void;
  close(): void;
}

/** A full pipe is tried again so often, a millisecond apart, before the lines are given up. */
const FULL_ATTEMPTS_MAX = 50;
/** Lines that `logger` has not taken yet. */
const SYSLOG_WAITING_BYTES_MAX = 1024 * 1024;

/** Writes at once. Lines that a full pipe refuses are dropped and counted in the next one. */
export function openDescriptorSink(fd: number): LogSink {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let droppedCount = 0;
  const writeAll = (text: string, attemptsMax: number): boolean => {
    let rest = Buffer.from(text, "utf8");
    for (let attempt = 0; attempt < attemptsMax;) {
      try {
        rest = rest.subarray(writeSync(fd, rest));
        if (rest.length === 0) return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== "EAGAIN") return false; // The reader has gone: nobody is left to tell.
        attempt += 1;
        if (attempt < attemptsMax) Atomics.wait(sleeper, 0, 0, 1);
      }
    }
    return false;
  };
  return {
    write(lines) {
      // A reader that hung a line ago is not waited for again until it has read something.
      const attemptsMax = droppedCount === 0 ? FULL_ATTEMPTS_MAX : 1;
      const notice = droppedCount === 0 ? "" : `(${droppedCount} log messages were lost here)\n`;
      droppedCount = writeAll(notice + lines, attemptsMax) ? 0 : droppedCount + 1;
    },
    close: () => undefined,
  };
}

const SYSLOG_SEVERITIES: Readonly<Record<LogLevel, number>> = {
  debug5: 7,
  debug4: 7,
  debug3: 7,
  debug2: 7,
  debug1: 7,
  info: 6,
  notice: 5,
  warning: 5,
  error: 4,
  log: 6,
  fatal: 3,
  panic: 2,
};
const LOCAL0_CODE = 16;

/**
 * Syslog by way of the program `logger`, kept open: Node has no datagrams to /dev/log.
 *
 * @param onLost told once, when `logger` could not be started or has ended.
 */
export function openSyslogSink(
  facility: string,
  ident: string,
  onLost: (reason: string) => void,
): LogSink {
  const code = LOCAL0_CODE + Number.parseInt(facility.replace(/^LOCAL/iu, ""), 10);
  let isOpen = true;
  let message = "";
  const child = spawn(
    "logger",
    ["--socket-errors=on", "--prio-prefix", "--tag", `${ident}[${process.pid}]`],
    {
      stdio: ["pipe", "ignore", "pipe"],
    },
  );
  const lose = (reason: string): void => {
    if (isOpen) onLost(reason);
    isOpen = false;
  };
  child.on("error", (error) => lose(`cannot start "logger": ${systemErrorText(error)}`));
  child.on("close", (status) => lose(message.trim() || `"logger" ended with status ${status}`));
  child.stdin.on("error", () => undefined);
  child.stderr.on("data", (text: Buffer) => {
    message = (message + text.toString("utf8")).slice(0, 500);
  });
  child.unref();
  (child.stderr as Socket).unref();
  return {
    write(lines, level) {
      if (!isOpen || child.stdin.writableLength > SYSLOG_WAITING_BYTES_MAX) return;
      const priority = `<${code * 8 + SYSLOG_SEVERITIES[level]}>`;
      const texts = lines.split("\n").filter((line) => line !== "");
      child.stdin.write(texts.map((line) => `${priority}${line}\n`).join(""));
    },
    close() {
      isOpen = false;
      child.stdin.end();
    },
  };
}
