import {
  BACKEND,
  buildQuery,
  FrameWalker,
  READY,
  readParameterStatus,
  TAKE,
  type FrameSink,
  type Take,
} from "../../../wire/postgres/index.ts";

/**
 * Makes a connection like new for the next client, by `reset_query_list`. ABORT is left out when
 * no transaction is open, as it would only draw a warning. All queries go in one write.
 */
export class SessionReset implements FrameSink {
  readonly #walker = new FrameWalker(this);
  readonly #learn: (name: string, value: string) => void;
  readonly #done: (isClean: boolean) => void;
  readonly #bytes: Buffer;
  #open: number;
  #status: number;
  #hasFailed = false;

  /**
   * @param o.status of the connection's last ReadyForQuery.
   * @param o.learn a parameter that the queries changed back.
   * @param o.done false: close the connection.
   */
  constructor(o: {
    readonly queries: readonly string[];
    readonly status: number;
    readonly learn: (name: string, value: string) => void;
    readonly done: (isClean: boolean) => void;
  }) {
    const plan = o.status === READY.idle ? planOfIdle(o.queries) : planOf(o.queries);
    this.#bytes = plan.bytes;
    this.#open = plan.count;
    this.#status = o.status;
    this.#learn = o.learn;
    this.#done = o.done;
  }

  /** @returns what to send; empty when nothing has to be done, and `done` was called. */
  start(): Buffer {
    if (this.#open === 0) this.#done(this.#status === READY.idle);
    return this.#bytes;
  }

  push(bytes: Buffer): void {
    if (this.#walker.push(bytes) !== null) this.#finish(false);
  }

  frameBegan(type: number): Take {
    if (type === BACKEND.error) this.#hasFailed = true;
    return type === BACKEND.parameterStatus ? TAKE.hold : TAKE.swallow;
  }

  frameEnded(type: number, lastByte: number): void {
    if (type !== BACKEND.ready || this.#open === 0) return;
    this.#status = lastByte;
    this.#open -= 1;
    if (this.#open === 0) this.#finish(!this.#hasFailed && this.#status === READY.idle);
  }

  frameHeld(_type: number, frame: Buffer): void {
    const parameter = readParameterStatus(frame);
    if (parameter !== null) this.#learn(parameter.name, parameter.value);
  }

  passed(): void {
    // Nothing is passed on.
  }

  #finish(isClean: boolean): void {
    this.#open = 0;
    this.#done(isClean);
  }
}

interface Plan {
  readonly count: number;
  readonly bytes: Buffer;
}

/** The same for nearly every connection. */
const plansOfIdle = new WeakMap<readonly string[], Plan>();

function planOfIdle(queries: readonly string[]): Plan {
  let plan = plansOfIdle.get(queries);
  if (plan === undefined) {
    plan = planOf(queries.filter((query) => !/^\s*abort\s*;?\s*$/i.test(query)));
    plansOfIdle.set(queries, plan);
  }
  return plan;
}

function planOf(queries: readonly string[]): Plan {
  return { count: queries.length, bytes: Buffer.concat(queries.map(buildQuery)) };
}
