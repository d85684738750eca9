/** One look around: who of the servers is the primary. */
import { succeed, type Ms } from "../../base/index.ts";
import {
  choosePrimary,
  type PrimaryChoice,
  type RoleAnswer,
  type ServerIdentity,
} from "../core/status/index.ts";
import { probeBackend } from "./probe.ts";
import type { ServerAddress, ServerLogin } from "./server-session.ts";

export interface SearchOptions {
  readonly servers: readonly (ServerAddress & { readonly id: number })[];
  /** `sr_check_user` and its kin. */
  readonly login: ServerLogin;
  readonly known: ServerIdentity | null;
  readonly connectTimeoutMs: Ms;
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
      if (!answer.ok) return;
      answers.push(answer.value);
      if (!answer.value.isInRecovery) onPrimary();
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
  { login, connectTimeoutMs }: SearchOptions,
): Promise<
  | { readonly ok: true; readonly value: RoleAnswer }
  | Extract<Awaited<ReturnType<typeof probeBackend>>, { readonly ok: false }>
> {
  const outcome = await probeBackend({
    hostname: server.hostname,
    port: server.port,
    ...login,
    connectTimeoutMs,
    timeoutMs: LOOK_MS_MAX,
    ask: "role",
  });
  if (!outcome.ok) return outcome;
  const { isInRecovery, identity } = outcome.value;
  return succeed({ id: server.id, isInRecovery: isInRecovery ?? true, identity });
}
