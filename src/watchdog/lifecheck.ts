/**
 * Part of the watchdog's root: all by which this node learns, beside consensus, how it and the
 * others are: lifecheck's rounds, the trusted servers, the links, and external programs by the
 * command socket.
 */
import { decodeClusterState } from "../backend/core/status/index.ts";
import type { Ms } from "../base/index.ts";
import { ownPassword } from "../os/index.ts";
import type { WatchdogView } from "../wire/ipc/index.ts";
import type { LeaderData, Report } from "./core/commands/index.ts";
import type { Unfit } from "./core/fitness/index.ts";
import type { LifecheckEvent } from "./core/lifecheck/index.ts";
import { openCommandSocket, type CommandSocket } from "./driver/command-socket.ts";
import { NodeFitness, type ProxyQuestion } from "./driver/node-fitness.ts";
import type { Prepared } from "./driver/prepare.ts";

export interface LifecheckOptions {
  readonly prepared: Prepared;
  readonly view: () => WatchdogView;
  /** The cluster's state as committed; null before the first. */
  readonly committed: () => unknown;
  /** What was found of another node. */
  readonly onPeer: (event: LifecheckEvent) => void;
  /** Null: this node would do as a leader. */
  readonly onFitness: (unfit: Unfit | null) => void;
}

export class Lifecheck {
  readonly #options: LifecheckOptions;
  readonly #fitness: NodeFitness;
  #socket: CommandSocket | null = null;

  /** A socket that cannot be served is told to the log; the node does its work without. */
  static async start(options: LifecheckOptions): Promise<Lifecheck> {
    const lifecheck = new Lifecheck(options);
    await lifecheck.#openSocket();
    options.prepared.log.named("life_check").write("log", "watchdog: lifecheck started");
    return lifecheck;
  }

  private constructor(options: LifecheckOptions) {
    const { config, membership, log } = options.prepared;
    const { wd_lifecheck_user, wd_lifecheck_password } = config;
    this.#options = options;
    this.#fitness = new NodeFitness({
      config,
      membership,
      log: log.named("life_check"),
      password: () => ownPassword(config, wd_lifecheck_user, wd_lifecheck_password),
      askProxy,
      onPeer: options.onPeer,
      onChange: options.onFitness,
    });
  }

  get unfit(): Unfit | null {
    return this.#fitness.unfit;
  }

  supervised(trouble: string | null): void {
    this.#fitness.supervised(trouble);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#fitness.stop(), this.#socket?.stop()]);
  }

  async #openSocket(): Promise<void> {
    const { prepared, view, committed } = this.#options;
    const { config, membership, log } = prepared;
    const opened = await openCommandSocket({
      directory: config.wd_ipc_socket_dir,
      port: membership.self.wdPort,
      key: config.wd_authkey,
      log,
      facts: () => ({
        view: view(),
        layout: config.pgpool_compat_version,
        leaderData: leaderData(committed()),
      }),
      onReport: (report) => this.#onReport(report),
    });
    if (opened.ok) this.#socket = opened.value;
    else {
      const { message, hint } = opened.error;
      log.write("error", `external lifechecks and wd_cli cannot reach this node: ${message}`, {
        hint,
      });
    }
  }

  #onReport({ nodeId, isAlive, message }: Report): void {
    const { log } = this.#options.prepared;
    const what = `node ${nodeId} is reported ${isAlive ? "alive" : "dead"}`;
    const details = message === "" ? {} : { detail: message };
    log.write("log", `received node status change ipc message: ${what}`, details);
    this.#fitness.report(nodeId, isAlive);
  }
}

const CONNECT_TIMEOUT_MS: Ms = 0;

/** Any error is a failure, one of SQL too, as in Pgpool-II. */
async function askProxy(question: ProxyQuestion): Promise<string | null> {
  // Loaded when first needed: most nodes never ask by SQL.
  const { withServerSession } = await import("../backend/index.ts");
  const session = { ...question, connectTimeoutMs: CONNECT_TIMEOUT_MS };
  const answer = await withServerSession(session, (ask) => ask(question.query));
  return answer.ok ? null : answer.error.message;
}

const STATUS_NUMBERS = { waiting: 1, up: 2, down: 3 } as const;

function leaderData(value: unknown): LeaderData | null {
  const state = decodeClusterState(value);
  if (!state.ok) return null;
  const { backends, primaryId } = state.value;
  return { statuses: backends.map((backend) => STATUS_NUMBERS[backend.state]), primaryId };
}
