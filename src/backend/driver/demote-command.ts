/** Tries demote_command: whether it reaches the servers, before anything depends on it. */
import { runCommand } from "../../os/index.ts";
import { formatCommand, mayAskFor, type CommandFacts } from "../core/failover/index.ts";
import type { DemoteFacts } from "../core/switchover/index.ts";

/** A checkpoint takes its time. */
const TRY_MS_MAX = { check: 8000, prepare: 60_000 };
const SAID_CHARACTERS_MAX = 300;

/**
 * Runs it with `check` or `prepare` for `%a`. One without `%a` would stop the server, and is not run.
 *
 * @param facts null while the servers are not known.
 */
export async function tryDemoteCommand(
  template: string,
  action: "check" | "prepare",
  facts: Omit<CommandFacts, "action"> | null,
): Promise<DemoteFacts> {
  const isSet = template !== "";
  const saysWhat = mayAskFor({ demoteCommand: template }, "check");
  if (!saysWhat || facts === null) return { isSet, saysWhat, tried: null };
  const outcome = await runCommand({
    command: formatCommand(template, { ...facts, action }),
    timeoutMs: TRY_MS_MAX[action],
    killGroup: true,
  });
  if (outcome.exitCode === 0) return { isSet, saysWhat, tried: { ok: true, value: null } };
  const how = outcome.timedOut
    ? `not ended after ${TRY_MS_MAX[action] / 1000} s`
    : outcome.exitCode === null
      ? (outcome.startError ?? `ended by ${outcome.signal}`)
      : `status ${outcome.exitCode}`;
  const said = outcome.lines.join("; ").slice(-SAID_CHARACTERS_MAX);
  return { isSet, saysWhat, tried: { ok: false, error: said === "" ? how : `${how}: ${said}` } };
}
