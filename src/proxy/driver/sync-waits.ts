import type { Ms } from "../../base/index.ts";
import type { BackendView } from "../../wire/ipc/index.ts";
import type { ParameterSets } from "../core/session/index.ts";
import type { SocketIo } from "./byte-socket.ts";
import { QuestionLine, type OwnLogin } from "./question-line.ts";

const ANSWER_WITHIN_MS: Ms = 1000;
/** Further ones are answered with no. */
const WAITING_MAX = 1000;

interface Asker {
  readonly processId: number;
  readonly done: (isWaiting: boolean) => void;
}

/**
 * Asks a primary whether what a server process runs is a commit that waits for the synchronous
 * standby: then a cancel request would only make it a success that it is not.
 */
export class SyncWaits {
  readonly #io: SocketIo;
  readonly #sets: ParameterSets;
  readonly #login: () => OwnLogin;
  #line: QuestionLine | null = null;
  #askers: Asker[] = [];

  constructor(io: SocketIo, sets: ParameterSets, login: () => OwnLogin) {
    this.#io = io;
    this.#sets = sets;
    this.#login = login;
  }

  /** @param done never during the call; false as well when nobody says it in time. */
  ask(backend: BackendView, processId: number, done: Asker["done"]): void {
    if (this.#askers.length >= WAITING_MAX) {
      setImmediate(done, false);
      return;
    }
    this.#askers.push({ processId, done });
    this.#goOn(backend);
  }

  /** All that wait have one question. */
  #goOn(backend: BackendView): void {
    const line = this.#lineTo(backend);
    if (line.isBusy || this.#askers.length === 0) return;
    const asked = this.#askers;
    this.#askers = [];
    const pids = asked.map(({ processId }) => processId).join(", ");
    const query = `SELECT pg_catalog.array_agg(pid) FROM pg_catalog.pg_stat_get_activity(NULL)
      WHERE wait_event OPERATOR(pg_catalog.=) 'SyncRep' AND pid OPERATOR(pg_catalog.=) ANY (ARRAY[${pids}])`;
    line.ask(query, (answer) => {
      const found = answer.kind === "row" ? (answer.values[0] ?? "{}") : "{}";
      const waiting = new Set(found.slice(1, -1).split(",").map(Number));
      for (const { processId, done } of asked) done(waiting.has(processId));
      this.#goOn(backend);
    });
  }

  #lineTo(backend: BackendView): QuestionLine {
    const target = this.#line?.target;
    const { id, hostname, port } = backend;
    const isSame = target?.id === id && target.hostname === hostname && target.port === port;
    if (this.#line !== null && isSame && !this.#line.isClosed) return this.#line;
    this.#line?.close();
    this.#line = new QuestionLine({
      io: this.#io,
      sets: this.#sets,
      backend,
      login: this.#login(),
      withinMs: ANSWER_WITHIN_MS,
      closed: () => undefined,
    });
    return this.#line;
  }
}
