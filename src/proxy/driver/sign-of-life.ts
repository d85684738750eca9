import type { Ms } from "../../base/index.ts";
import type { BackendView } from "../../wire/ipc/index.ts";
import type { ParameterSets } from "../core/session/index.ts";
import { BackendConnection } from "./backend-connection.ts";
import type { SocketIo } from "./byte-socket.ts";

/** SQLSTATEs of a server that takes no connections: it starts, stops, or has just crashed. */
export const CLOSED_STATES: ReadonlySet<string> = new Set(["57P01", "57P02", "57P03"]);

export interface LifeQuestion {
  readonly io: SocketIo;
  readonly sets: ParameterSets;
  /** As whom the server is asked; it need not let us in. */
  readonly login: () => { readonly user: string; readonly database: string };
}

/**
 * Asks a server whether it lives. Any word of it will do: it is not asked for more than its answer
 * to a start-up packet.
 *
 * @param told null: it takes connections; else why not. Called once, never during the call.
 */
export function askForLife(
  { io, sets, login }: LifeQuestion,
  backend: BackendView,
  withinMs: Ms,
  told: (why: string | null) => void,
): void {
  let isOver = false;
  const over = (why: string | null): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    connection.close();
    told(why);
  };
  const timer = setTimeout(() => over(`no answer within ${withinMs} ms`), withinMs);
  const { user, database } = login();
  const connection = new BackendConnection({
    io,
    target: { backendId: backend.id, hostname: backend.hostname, port: backend.port },
    key: "",
    sets,
    parameters: new Map([
      ["user", user],
      ["database", database],
    ]),
    connectTimeoutMs: 0,
    // Never during the call that makes it.
    listener: {
      asked: () => setImmediate(over, null),
      opened: () => setImmediate(over, null),
      refused: (_, fields) => {
        const isClosed = CLOSED_STATES.has(fields.get("C") ?? "");
        setImmediate(over, isClosed ? (fields.get("M") ?? "") : null);
      },
      failed: (why) => setImmediate(over, `${why.message}: ${why.detail ?? ""}`),
    },
  });
}
