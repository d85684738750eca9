import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { fail, succeed, type Result } from "../../base/index.ts";
import { systemErrorText } from "../../os/index.ts";

const asked = new Map<string, Promise<Result<string, string>>>();
let lastAnswer: Promise<unknown> = Promise.resolve();

/**
 * The address of a host. Questions wait for each other, and the same is asked once: each occupies a
 * thread of the few that write files too, and a name server that hangs must not keep a vote from
 * being stored.
 *
 * Errors: what the system says.
 */
export async function resolveHost(hostname: string): Promise<Result<string, string>> {
  if (isIP(hostname) !== 0) return succeed(hostname);
  const before = asked.get(hostname);
  if (before !== undefined) return await before;
  const answer = lastAnswer.then(() => ask(hostname));
  lastAnswer = answer;
  asked.set(hostname, answer);
  return await answer;
}

async function ask(hostname: string): Promise<Result<string, string>> {
  try {
    return succeed((await lookup(hostname)).address);
  } catch (error) {
    return fail(systemErrorText(error));
  } finally {
    asked.delete(hostname);
  }
}
