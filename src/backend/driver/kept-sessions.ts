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

/** At most one session to each server. Whoever uses one has it alone. */
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
    await Promise.all(ids.map((id) => this.use(id, () => Promise.resolve(null))));
  }

  /**
   * @param work is given the open session to that server, or a new one.
   * @returns what `work` makes of it; a text: why there is no session.
   */
  async use<T extends object | null>(
    id: number,
    work: (session: ServerSession) => Promise<T>,
  ): Promise<T | string> {
    const generation = this.#generation;
    const session = this.#takeOpen(id) ?? (await this.#connect(id));
    return typeof session === "string" ? session : await this.#lend(id, session, generation, work);
  }

  /** The same, but null when none is open. */
  async useOpen<T extends object>(
    id: number,
    work: (session: ServerSession) => Promise<T>,
  ): Promise<T | null> {
    const session = this.#takeOpen(id);
    return session === null ? null : await this.#lend(id, session, this.#generation, work);
  }

  async close(): Promise<void> {
    this.#generation += 1;
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.close()));
  }

  #takeOpen(id: number): ServerSession | null {
    const kept = this.#sessions.get(id);
    this.#sessions.delete(id);
    return kept?.isOpen === true ? kept : null;
  }

  async #connect(id: number): Promise<ServerSession | string> {
    const server = this.#find(id);
    if (server === null) return `backend ${id} is not configured any more`;
    const { hostname, port } = server;
    const { login, connectTimeoutMs } = this.#options;
    const options = { hostname, port, ...login, connectTimeoutMs, timeoutMs: OPEN_MS_MAX };
    const opened = await openServerSession(options);
    return opened.ok ? opened.value : opened.error.message;
  }

  /** @param generation as it was when the session was taken. */
  async #lend<T>(
    id: number,
    session: ServerSession,
    generation: number,
    work: (session: ServerSession) => Promise<T>,
  ): Promise<T> {
    const made = await work(session);
    const isWanted = generation === this.#generation && !this.#sessions.has(id);
    if (isWanted && session.isOpen) this.#sessions.set(id, session);
    else void session.close();
    return made;
  }
}
