import { fail, failure, succeed, type Failure, type Result } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import { formatLocalTime } from "../../os/index.ts";
import { formatLsn } from "../core/replay/index.ts";
import type { Session } from "../core/session/index.ts";
import {
  answerCacheDelete,
  answerParameter,
  answerShow,
  columnsOf,
  needsList,
  type OwnCommand,
  type ParameterCommand,
  type ShowAnswer,
  type ShowData,
} from "../core/show/index.ts";
import type { WorkerContext } from "./worker-context.ts";

/** Answers a session's own commands, SHOW POOL_NODES and the like, from what the worker knows or asks. */
export class OwnAnswers {
  readonly #context: WorkerContext;
  readonly #session: Session;
  readonly #configured: (config: Config, file: Config) => void;
  /** What holds in this session. */
  #config: Config;
  #isOver = false;

  /** @param o.configured told when the client has SET something, or RESET it. */
  constructor(o: {
    readonly context: WorkerContext;
    readonly session: Session;
    readonly configured: (config: Config, file: Config) => void;
  }) {
    this.#context = o.context;
    this.#session = o.session;
    this.#configured = o.configured;
    this.#config = o.context.settings().config;
  }

  /** The session has ended: answers that are still to come are told nobody. */
  end(): void {
    this.#isOver = true;
  }

  /** See `SessionPort.columnsOf`. */
  columnsOf(command: OwnCommand): readonly string[] | null {
    return columnsOf(command, this.#context.settings().config.pgpool_compat_version);
  }

  /** See `SessionPort.answerOwn`. */
  answer(command: OwnCommand): Result<ShowAnswer, Failure> | null {
    switch (command.kind) {
      case "show-pool":
        return this.#answerShow(command.name);
      case "show-parameter":
      case "set":
      case "reset":
        return this.#answerParameter(command);
      case "cache-delete":
        return succeed(answerCacheDelete(command.query));
      case "show-lsn":
        return this.#answerLsn();
      case "show-wait-for-lsn":
        return succeed(oneValue("wait_for_lsn", this.#session.namedPosition));
      case "wait-for-lsn":
        this.#session.namedPosition = command.lsn;
        return succeed({ columns: null, rows: [], tag: command.tag });
      case "explain-route":
      case "deallocate":
      case "wrong":
        throw new Error("the session answers it itself");
    }
  }

  #answerLsn(): null {
    this.#context.replay.askPrimary((lsn) => {
      if (this.#isOver) return;
      if (lsn !== null) return this.#session.ownAnswered(succeed(oneValue("lsn", lsn)));
      const detail = "The primary does not say how far it has come.";
      const hint = "The log says why. Can sr_check_user log in there?";
      this.#session.ownAnswered(fail(failure("no-primary", { detail, hint })));
    });
    return null;
  }

  #answerParameter(command: ParameterCommand): Result<ShowAnswer, Failure> {
    const file = this.#context.settings().config;
    const answered = answerParameter(command, this.#config, file);
    if (!answered.ok) return answered;
    const { answer, config } = answered.value;
    if (config !== this.#config) this.#configured(config, file);
    this.#config = config;
    return succeed(answer);
  }

  #answerShow(name: string): Result<ShowAnswer, Failure> | null {
    const context = this.#context;
    const { config } = context.settings();
    const data: ShowData = {
      view: context.wholeView(),
      loadBalanceNode: this.#session.loadBalanceNode,
      version: context.version(),
      poolStatus: name === "pool_status" ? context.poolStatus() : [],
      formatTime: formatLocalTime,
      compat: config.pgpool_compat_version,
      placesMax: config.num_init_children,
      idleSecondsMax: config.client_idle_limit,
      nowMs: Date.now(),
      clients: null,
      queues: null,
      activity: null,
    };
    const told = (got: Partial<ShowData> | null): void => {
      if (!this.#isOver) this.#session.ownAnswered(answerShow(name, { ...data, ...got }));
    };
    switch (needsList(name)) {
      case null:
        return answerShow(name, data);
      case "clients":
        context.askForClients((list) => told(list && { clients: list.rows }));
        return null;
      case "queues":
        context.askForQueues((list) => told(list && { queues: list.rows }));
        return null;
      case "activity":
        context.askForActivity("activity", (activity) => told({ activity }));
        return null;
      case "statistics":
        context.askForActivity("statistics", (activity) => told({ activity }));
        return null;
    }
  }
}

function oneValue(column: string, lsn: number): ShowAnswer {
  return { columns: [column], rows: [[lsn === 0 ? "" : formatLsn(lsn)]], tag: "SHOW" };
}
