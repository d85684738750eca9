import { setTimeout as sleep } from "node:timers/promises";
import { fail, succeed, type Result } from "../../base/index.ts";
import { isPgpoolAlive, readPidFile, removePidFile, systemErrorText } from "../../os/index.ts";
import type { PgpoolOptions } from "./options.ts";

/** What a person is told, in the words of a log line. */
export interface SignalFailure {
  readonly message: string;
  readonly detail: string;
}

const STOP_SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

const DOT_EVERY_MS = 1000;
/** A signal may come while the node is still starting; then it would be lost. */
const DOTS_BETWEEN_SIGNALS = 5;
const LOOK_EVERY_MS = 100;

/**
 * Stops the node whose pid the file holds and waits until it has ended, for as long as that takes:
 * a smart stop waits for clients. Shows a dot a second.
 */
export async function stopNode(
  pidFile: string,
  mode: PgpoolOptions["stopMode"],
  show: (text: string) => void,
): Promise<Result<void, SignalFailure>> {
  const signal = STOP_SIGNALS[mode];
  const found = findNode(pidFile, "stop process with");
  if (!found.ok) return found;
  const pid = found.value;
  const sent = send(pid, signal, "stop process with");
  if (!sent.ok) return sent;
  show(`LOG:  stop request sent to pgpool (pid: ${pid}). waiting for termination...\n`);
  for (let dots = 1; isPgpoolAlive(pid); dots += 1) {
    show(".");
    await waitForEnd(pid, DOT_EVERY_MS);
    // Not answered: it may have ended in between.
    if (dots % DOTS_BETWEEN_SIGNALS === 0 && isPgpoolAlive(pid)) send(pid, signal, "stop");
  }
  removePidFile(pidFile, pid);
  show("done.\n");
  return succeed(undefined);
}

/** Makes the node read its configuration again; does not wait for it. */
export function reloadNode(pidFile: string): Result<void, SignalFailure> {
  const found = findNode(pidFile, "reload configuration file");
  return found.ok ? send(found.value, "SIGHUP", "reload configuration file") : found;
}

function findNode(pidFile: string, what: string): Result<number, SignalFailure> {
  const pid = readPidFile(pidFile);
  if (!pid.ok) return fail({ message: "could not read pid file", detail: pid.error });
  if (isPgpoolAlive(pid.value)) return succeed(pid.value);
  return fail({
    message: `could not ${what} pid: ${pid.value}`,
    detail: `no pgpool with this pid runs; "${pidFile}" is left from one that ended without cleaning up`,
  });
}

function send(pid: number, signal: NodeJS.Signals, what: string): Result<void, SignalFailure> {
  try {
    process.kill(pid, signal);
    return succeed(undefined);
  } catch (error) {
    return fail({ message: `could not ${what} pid: ${pid}`, detail: systemErrorText(error) });
  }
}

async function waitForEnd(pid: number, atMostMs: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < atMostMs && isPgpoolAlive(pid); waitedMs += LOOK_EVERY_MS) {
    await sleep(LOOK_EVERY_MS);
  }
}
