import type { PoolSecret } from "../../auth/index.ts";
import type { Ms } from "../../base/index.ts";
import type { BackendView } from "../../wire/ipc/index.ts";
import { readRows } from "../../wire/postgres/index.ts";
import { NOBODY, type ParameterSets } from "../core/session/index.ts";
import { BackendConnection, type ConnectionUser } from "./backend-connection.ts";
import type { SocketIo } from "./byte-socket.ts";

/** As whom this node itself logs in. */
export interface OwnLogin {
  readonly user: string;
  readonly database: string;
  readonly secret: PoolSecret | null;
}

/** The values of the first row, or why there are none. */
export type LineAnswer =
  | { readonly kind: "row"; readonly values: readonly (string | null)[] }
  | { readonly kind: "none"; readonly why: string };

/** A connection of our own to one backend, for one short question after another. */
export class QuestionLine implements ConnectionUser {
  readonly target: Pick<BackendView, "id" | "hostname" | "port">;
  readonly #connection: BackendConnection;
  readonly #withinMs: Ms;
  readonly #closed: () => void;
  #isOpen = false;
  #waiting: { readonly query: string; readonly done: (answer: LineAnswer) => void } | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(o: {
    readonly io: SocketIo;
    readonly sets: ParameterSets;
    readonly backend: BackendView;
    readonly login: OwnLogin;
    /** For each answer, and for the login. */
    readonly withinMs: Ms;
    /** The server may be another one by the next question. */
    readonly closed: () => void;
  }) {
    const { id, hostname, port } = o.backend;
    this.target = { id, hostname, port };
    this.#withinMs = o.withinMs;
    this.#closed = o.closed;
    this.#connection = new BackendConnection({
      io: o.io,
      target: { backendId: id, hostname, port },
      key: "",
      sets: o.sets,
      parameters: new Map([
        ["user", o.login.user],
        ["database", o.login.database],
        ["application_name", "pgquorum"],
      ]),
      connectTimeoutMs: o.withinMs,
      listener: {
        asked: () => this.#connection.proceed(o.login.secret),
        opened: () => this.#opened(),
        refused: (_, fields) => this.#fail(fields.get("M") ?? "it refused the login"),
        failed: (why) => this.#fail(`${why.message}: ${why.detail ?? ""}`),
      },
    });
  }

  /** No more questions can be asked. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isBusy(): boolean {
    return this.#waiting !== null;
  }

  /** One at a time. `done` is never called during the call. */
  ask(query: string, done: (answer: LineAnswer) => void): void {
    this.#waiting = { query, done };
    this.#timer = setTimeout(
      () => this.#fail(`no answer within ${this.#withinMs} ms`),
      this.#withinMs,
    );
    if (this.#isOpen) this.#send(query);
  }

  close(): void {
    this.#fail("it is not in use any more");
  }

  // ---- what the connection tells ----------------------------------------------------------

  received(connection: BackendConnection, bytes: Buffer): void {
    const complaint = connection.link.push(bytes);
    if (complaint !== null) this.#fail(complaint);
  }

  drained(): void {
    // Short questions.
  }

  closed(_: BackendConnection, why: string): void {
    this.#fail(why);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #opened(): void {
    if (this.#isClosed) return this.#connection.close();
    this.#isOpen = true;
    this.#connection.use(this);
    this.#connection.link.owner = NOBODY;
    if (this.#waiting !== null) this.#send(this.#waiting.query);
  }

  #send(query: string): void {
    this.#connection.link.ask([query], ({ rows, error }) => {
      if (error !== null) this.#answer({ kind: "none", why: error.get("M") ?? "" });
      else this.#answer({ kind: "row", values: readRows(rows)[0] ?? [] });
    });
  }

  #fail(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connection.close();
    this.#closed();
    this.#answer({ kind: "none", why });
  }

  #answer(answer: LineAnswer): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) setImmediate(waiting.done, answer);
  }
}
