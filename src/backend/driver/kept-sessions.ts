/** Sessions to servers that will be asked soon: a login costs time that clients would wait for. */
import type { Ms } from "../../base/index.ts";
import {
  openServerSession,
  type ServerAddress,
  type ServerLogin,
  type ServerSession,
} from "./server-session.ts";

export interface KeptSessionsOptions {
  readonly login: ServerLogin;
  readonly connectTimeoutMs: Ms;
}

/** A server that takes longer to let us in is not worth more waiting. */
const OPEN_MS_MAX: Ms = 3000;

/** At most one session to each server. Whoever takes one has it alone, and gives it back. */
export class KeptSessions {
  readonly #find: (id: number) => ServerAddress | null;
  #options: KeptSessionsOptions;
  readonly #sessions = new Map<number, ServerSession>();
  /** What was asked for before the last `close` is not kept any more. */
  #generation = 0;

  /** @param find null: the server is not configured any more. */
  constructor(find: (id: number) => ServerAddress | null, options: KeptSessionsOptions) {
    this.#find = find;
    this.#options = options;
  }

  change(options: KeptSessionsOptions): void {
    this.#options = options;
  }

  /** Opens sessions to these servers, as far as that is possible; they stay until `close`. */
  async open(ids: readonly number[]): Promise<void> {
    await Promise.all(
      ids.map(async (id) => {
        const generation = this.#generation;
        const session = await this.take(id);
        if (typeof session !== "string") this.giveBack(id, session, generation);
      }),
    );
  }

  /** The open session, or a new one; a text: why there is none. */
  async take(id: number): Promise<ServerSession | string> {
    const kept = this.takeOpen(id);
    if (kept !== null) return kept;
    const server = this.#find(id);
    if (server === null) return `backend ${id} is not configured any more`;
    const { hostname, port } = server;
    const { login, connectTimeoutMs } = this.#options;
    const options = { hostname, port, ...login, connectTimeoutMs, timeoutMs: OPEN_MS_MAX };
    const opened = await openServerSession(options);
    return opened.ok ? opened.value : opened.error.message;
  }

  /** The session that is open already, or null. */
  takeOpen(id: number): ServerSession | null {
    const kept = this.#sessions.get(id);
    this.#sessions.delete(id);
    return kept?.isOpen === true ? kept : null;
  }

  get generation(): number {
    return this.#generation;
  }

  /** @param generation as it was when the session was taken. */
  giveBack(id: number, session: ServerSession, generation: number): void {
    const isWanted = generation === this.#generation && !this.#sessions.has(id);
    if (isWanted && session.isOpen) this.#sessions.set(id, session);
    else void session.close();
  }

  async close(): Promise<void> {
    this.#generation += 1;
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.close()));
  }
}
