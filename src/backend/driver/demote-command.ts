/** Tries demote_command: whether it reaches the servers, without doing anything. */
import type { Ms } from "../../base/index.ts";
import { runCommand } from "../../os/index.ts";
import { formatCommand, type CommandFacts } from "../core/failover/index.ts";
import type { DemoteFacts } from "../core/switchover/index.ts";

const TRY_MS_MAX: Ms = 8000;
const SAID_CHARACTERS_MAX = 300;

/**
 * Runs it with `check` for `%a`. One without `%a` would stop the server, and is not run.
 *
 * @param facts null while the servers are not known.
 */
export async function tryDemoteCommand(
  template: string,
  facts: Omit<CommandFacts, "action"> | null,
): Promise<DemoteFacts> {
  const isSet = template !== "";
  const saysWhat = saysDemoteAction(template);
  if (!saysWhat || facts === null) return { isSet, saysWhat, tried: null };
  const outcome = await runCommand({
    command: formatCommand(template, { ...facts, action: "check" }),
    timeoutMs: TRY_MS_MAX,
    killGroup: true,
  });
  if (outcome.exitCode === 0) return { isSet, saysWhat, tried: { ok: true, value: null } };
  const how = outcome.timedOut
    ? `not ended after ${TRY_MS_MAX / 1000} s`
    : outcome.exitCode === null
      ? (outcome.startError ?? `ended by ${outcome.signal}`)
      : `status ${outcome.exitCode}`;
  const said = outcome.lines.join("; ").slice(-SAID_CHARACTERS_MAX);
  return { isSet, saysWhat, tried: { ok: false, error: said === "" ? how : `${how}: ${said}` } };
}

/** `%%a` is a percent sign and an a. */
export function saysDemoteAction(template: string): boolean {
  return template.replaceAll("%%", "").includes("%a");
}
