/** Waits, while clients are held, for what a switchover needs of its two servers. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Ms } from "../../base/index.ts";
import type { WatchOrder, WatchOutcome } from "../core/switchover/index.ts";
import { KeptSessions, type KeptSessionsOptions } from "./kept-sessions.ts";
import { probeBackend } from "./probe.ts";
import type { Ask, ServerAddress, ServerSession } from "./server-session.ts";
import { RUNNING_SQL } from "./switchover-look.ts";

/** Short beside what clients wait for, long beside what a look costs the server. */
const LOOK_EVERY_MS: Ms = 5;
const LOOK_MS_MAX: Ms = 3000;
const PRIMARY_EVERY_MS: Ms = 100;
/** What was under way to the server at the first look has arrived at the second. */
const CALM_LOOKS = 2;

const DRAINED_SQL = `SELECT pg_catalog.count(*) ${RUNNING_SQL}`;

const NOT_PROMOTED = "pg_catalog.pg_wal_replay_resume()";
const STANDBY_SQL = `
  SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.has_function_privilege('${NOT_PROMOTED}', 'EXECUTE')`;
/** Nothing is paused, so this does nothing; it is an error as soon as a promotion has begun. */
const NOT_PROMOTED_SQL = `SELECT ${NOT_PROMOTED}`;

type Find = (id: number) => ServerAddress | null;

/** Keeps a session to each server that it was told of beforehand: a login costs time. */
export class SwitchoverWatch {
  readonly #find: Find;
  #options: KeptSessionsOptions;
  readonly #sessions: KeptSessions;

  constructor(find: Find, options: KeptSessionsOptions) {
    this.#find = find;
    this.#options = options;
    this.#sessions = new KeptSessions(find, options);
  }

  change(options: KeptSessionsOptions): void {
    this.#options = options;
    this.#sessions.change(options);
  }

  /** Opens sessions to these servers, as far as that is possible; they stay until `close`. */
  async open(ids: readonly number[]): Promise<void> {
    await this.#sessions.open(ids);
  }

  /** Resolves when what is waited for has come, or cannot be watched any more, or nobody waits. */
  async wait(order: WatchOrder, signal: AbortSignal): Promise<WatchOutcome> {
    switch (order.what) {
      case "drained":
        return await this.#repeat(order.backendId, CALM_LOOKS, signal, async (ask) => {
          const [row] = await ask(DRAINED_SQL);
          return row?.[0] === "0";
        });
      case "replayed": {
        const sql = `SELECT pg_catalog.pg_last_wal_replay_lsn() > '${order.lsn}'::pg_catalog.pg_lsn`;
        return await this.#repeat(order.backendId, 1, signal, async (ask) => {
          const [row] = await ask(sql);
          return row?.[0] === "t";
        });
      }
      case "primary":
        return await this.#untilPrimary(order.backendId, order.besideId, signal);
      case "standby":
        return await this.#askStandby(order.backendId);
      case "roles":
        return { problem: null, primaries: await this.#primariesAmong(order.backendIds) };
    }
  }

  async close(): Promise<void> {
    await this.#sessions.close();
  }

  async #repeat(
    id: number,
    looks: number,
    signal: AbortSignal,
    look: (ask: Ask) => Promise<boolean>,
  ): Promise<WatchOutcome> {
    const outcome = await this.#sessions.use(id, (session) => repeat(session, looks, signal, look));
    return typeof outcome === "string" ? { problem: outcome, primaries: [] } : outcome;
  }

  async #askStandby(id: number): Promise<WatchOutcome> {
    const isStandby = await this.#sessions.use(id, (session) =>
      session.ask(async (ask) => {
        const [row] = await ask(STANDBY_SQL);
        if (row?.[0] !== "t") return false;
        if (row[1] === "t") await ask(NOT_PROMOTED_SQL);
        return true;
      }, LOOK_MS_MAX),
    );
    if (typeof isStandby === "string") return { problem: isStandby, primaries: [] };
    if (!isStandby.ok) return { problem: isStandby.error.message, primaries: [] };
    return { problem: isStandby.value ? null : "it is a primary", primaries: [] };
  }

  async #untilPrimary(
    id: number,
    besideId: number | null,
    signal: AbortSignal,
  ): Promise<WatchOutcome> {
    const ids = [id, besideId].filter((one) => one !== null);
    while (!signal.aborted) {
      const primaries = await this.#primariesAmong(ids);
      if (primaries.some((primary) => primary.id === id)) return { problem: null, primaries };
      await sleep(PRIMARY_EVERY_MS);
    }
    return { problem: "nobody waits any more", primaries: [] };
  }

  async #primariesAmong(ids: readonly number[]): Promise<WatchOutcome["primaries"]> {
    const answers = await Promise.all(
      ids.map(async (id) => {
        const server = this.#find(id);
        if (server === null) return null;
        const { hostname, port } = server;
        const session = { hostname, port, timeoutMs: LOOK_MS_MAX, ask: "role" as const };
        const { login, connectTimeoutMs } = this.#options;
        const answer = await probeBackend({ ...session, ...login, connectTimeoutMs });
        if (!answer.ok || answer.value.isInRecovery !== false) return null;
        return { id, identity: answer.value.identity };
      }),
    );
    return answers.filter((answer) => answer !== null);
  }
}

async function repeat(
  session: ServerSession,
  looks: number,
  signal: AbortSignal,
  look: (ask: Ask) => Promise<boolean>,
): Promise<WatchOutcome> {
  for (let count = 0; !signal.aborted;) {
    const seen = await session.ask(look, LOOK_MS_MAX);
    if (!seen.ok) return { problem: seen.error.message, primaries: [] };
    count = seen.value ? count + 1 : 0;
    if (count === looks) return { problem: null, primaries: [] };
    await sleep(LOOK_EVERY_MS);
  }
  return { problem: "nobody waits any more", primaries: [] };
}
