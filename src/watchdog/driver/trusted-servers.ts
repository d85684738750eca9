import type { Ms } from "../../base/index.ts";
import { runCommand, type Log } from "../../os/index.ts";
import { testCommand, type TrustedServers } from "../core/fitness/index.ts";

/** `unknown`: no command could be run, which says nothing of the servers. */
export type ServersOutcome = "reachable" | "unreachable" | "unknown";

/** What a shell ends with when it cannot run a command: not executable, not found. */
const NOT_RUN_STATUS = new Set([126, 127]);

/**
 * Tests all trusted servers at the same time; one that answers suffices, and ends the tests of the
 * others. Never rejects. Each command has `timeoutMs`.
 */
export async function testTrustedServers(
  { hosts, command }: TrustedServers,
  timeoutMs: Ms,
  log: Log,
): Promise<ServersOutcome> {
  const enough = new AbortController();
  const outcomes = await Promise.all(
    hosts.map(async (host) => {
      const outcome = await testOne(host, command, timeoutMs, enough.signal);
      if (outcome === "reachable") enough.abort();
      return outcome;
    }),
  );
  if (outcomes.includes("reachable")) return "reachable";
  for (const [index, outcome] of outcomes.entries()) {
    const host = hosts[index] ?? "";
    if (outcome === "unreachable") {
      log.write("warning", `watchdog failed to ping host: "${host}"`);
    } else {
      const hint = "Correct trusted_server_command, or install what it calls.";
      const message = `trusted_server_command could not be run for host "${host}"`;
      log.write("warning", message, { detail: command, hint });
    }
  }
  return outcomes.includes("unreachable") ? "unreachable" : "unknown";
}

async function testOne(
  host: string,
  template: string,
  timeoutMs: Ms,
  signal: AbortSignal,
): Promise<ServersOutcome> {
  const command = testCommand(template, host);
  if (command === null) return "unknown";
  const ended = await runCommand({ command, timeoutMs, signal });
  if (ended.exitCode === 0) return "reachable";
  const wasRun = ended.startError === null && !NOT_RUN_STATUS.has(ended.exitCode ?? 0);
  return wasRun ? "unreachable" : "unknown";
}
