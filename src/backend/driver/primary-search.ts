/** One look around: who of the servers is the primary. */
import type { Ms, Result } from "../../base/index.ts";
import {
  choosePrimary,
  type PrimaryChoice,
  type RoleAnswer,
  type ServerIdentity,
} from "../core/status/index.ts";
import type { KeptSessions } from "./kept-sessions.ts";
import { askRole, probeBackend, type ProbeAnswer } from "./probe.ts";
import type { ProbeFailure, ServerAddress, ServerLogin } from "./server-session.ts";

export interface SearchOptions {
  readonly servers: readonly (ServerAddress & { readonly id: number })[];
  /** `sr_check_user` and its kin. */
  readonly login: ServerLogin;
  readonly known: ServerIdentity | null;
  readonly connectTimeoutMs: Ms;
  /** Asked before a new session is opened. */
  readonly kept?: KeptSessions;
}

/** A server that has not answered by then is left out of this look. */
const LOOK_MS_MAX = 3000;
/** When a primary has answered, the others are waited for only so long. */
const OTHERS_MS = 200;

/** Asks all of them at once. Null when none of those that answered is a primary of ours. */
export async function searchPrimary(options: SearchOptions): Promise<PrimaryChoice | null> {
  const answers: RoleAnswer[] = [];
  let onPrimary: () => void = () => undefined;
  const primaryAnswered = new Promise<void>((resolve) => {
    onPrimary = resolve;
  });
  const all = Promise.all(
    options.servers.map(async (server) => {
      const answer = await probeRole(server, options);
      if (answer === null) return;
      answers.push(answer);
      if (!answer.isInRecovery) onPrimary();
    }),
  );
  let timer: NodeJS.Timeout | undefined;
  const enough = primaryAnswered.then(
    () =>
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, OTHERS_MS);
      }),
  );
  await Promise.race([all, enough]);
  clearTimeout(timer);
  return choosePrimary([...answers], options.known);
}

async function probeRole(
  server: ServerAddress & { readonly id: number },
  options: SearchOptions,
): Promise<RoleAnswer | null> {
  const kept = await askKept(server.id, options);
  // Silent once is silent twice; any other trouble may be that of the old session alone.
  const isSilent = kept !== null && !kept.ok && kept.error.cause === "timeout";
  const answer = kept?.ok === true || isSilent ? kept : await askAnew(server, options);
  if (!answer.ok) return null;
  const { isInRecovery, identity } = answer.value;
  return { id: server.id, isInRecovery: isInRecovery ?? true, identity };
}

type Answer = Result<ProbeAnswer, ProbeFailure>;

/** Null: no session to it is open. */
async function askKept(id: number, { kept }: SearchOptions): Promise<Answer | null> {
  return (await kept?.useOpen(id, (session) => session.ask(askRole, LOOK_MS_MAX))) ?? null;
}

async function askAnew(
  { hostname, port }: ServerAddress,
  { login, connectTimeoutMs }: SearchOptions,
): Promise<Answer> {
  const session = { hostname, port, ...login, connectTimeoutMs, timeoutMs: LOOK_MS_MAX };
  return await probeBackend({ ...session, ask: "role" });
}
