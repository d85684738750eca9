/** The conductor of failovers, joined to commands and probes. Proposals go to the caller. */
import type { Ms } from "../../base/index.ts";
import { CommandRight, CoreRunner, type Log } from "../../os/index.ts";
import {
  conductor,
  newConductor,
  type ConductorAction,
  type ConductorEvent,
  type ConductorState,
  type FailoverBackend,
  type FailoverSettings,
} from "../core/failover/index.ts";
import type { ReplicationAnswer } from "../core/replication-delay/index.ts";
import { liveIds, type ClusterState } from "../core/status/index.ts";
import { askCandidates } from "./candidate-search.ts";
import { runFailoverCommand } from "./failover-command.ts";
import { KeptSessions } from "./kept-sessions.ts";
import { searchPrimary } from "./primary-search.ts";
import type { RecoverySettings } from "./recover-server.ts";
import { RecoveryRunner } from "./recovery-runner.ts";
import type { ServerLogin } from "./server-session.ts";
import { SwitchoverWatch } from "./switchover-watch.ts";

export interface FailoverRunnerOptions {
  readonly settings: FailoverSettings;
  /** Unique to this run of this node; at most 60 characters. */
  readonly origin: string;
  /** What is proposed where the cluster has no state yet. */
  readonly initial: ClusterState;
  /** `sr_check_user` and its kin. */
  readonly login: ServerLogin;
  readonly connectTimeoutMs: Ms;
  readonly recovery: RecoverySettings;
  readonly log: Log;
  /**
   * Answered by a `committed` event with this state or a newer one, by `proposal-refused` with
   * the id, or by the loss of leadership.
   */
  readonly propose: (proposal: {
    readonly id: number;
    readonly afterIndex: number;
    readonly state: ClusterState;
  }) => void;
  /** Why this server cannot take over now; null when it can, and all is ready for it. */
  readonly prepareSwitchover: (targetId: number) => Promise<string | null>;
  /** Commands of a lost leadership, or of a node that stops, have not ended, or all of them have. */
  readonly onKilling?: (isKilling: boolean) => void;
}

/** What a reload may change. */
export type FailoverRunnerSettings = Pick<
  FailoverRunnerOptions,
  "settings" | "login" | "connectTimeoutMs" | "recovery"
>;

export interface FailoverRunner {
  deliver(event: ConductorEvent): void;
  /**
   * This node may lead until then, by the monotonic clock (Infinity: for ever). Commands that run
   * are killed at that moment, unless it was put off before.
   */
  mayLeadUntil(untilMs: Ms): void;
  /** Takes the parameters of a reload. */
  change(change: FailoverRunnerSettings): void;
  /** The intent, queue and search, for people. */
  readonly state: ConductorState;
  /** Begins nothing more. Resolves when the commands that ran have ended: they are asked to. */
  stop(): Promise<void>;
}

interface RunningCommand {
  /** Asks it to end. */
  readonly stop: AbortController;
  readonly right: CommandRight;
  readonly ended: Promise<unknown>;
}

function isKilled(right: CommandRight): boolean {
  return right.untilMs === -Infinity;
}

export function startFailoverRunner(options: FailoverRunnerOptions): FailoverRunner {
  let { settings, login, connectTimeoutMs, recovery } = options;
  const { log } = options;
  const recoveries = new RecoveryRunner({ log, deliver: (event) => runner.deliver(event) });
  const running = new Map<number, RunningCommand>();
  let leadUntilMs: Ms = -Infinity;
  let isStopping = false;
  const isEnding = ({ right }: Pick<RunningCommand, "right">): boolean =>
    isStopping || isKilled(right);

  const run = async (action: Extract<ConductorAction, { type: "run-command" }>): Promise<void> => {
    const { commandId } = action;
    const { cluster } = runner.state;
    // What it promotes is looked for when it has ended.
    if (action.kind === "failover" && cluster?.primaryId === null) {
      void looks.open(liveIds(cluster));
    }
    const stop = new AbortController();
    const right = new CommandRight(leadUntilMs);
    // With its end: no other begins like it.
    const runName = `${options.origin}-${commandId}-end`;
    const ended = runFailoverCommand({ ...action, runName }, log, right, stop.signal);
    running.set(commandId, { stop, right, ended });
    const end = await ended;
    running.delete(commandId);
    if (isEnding({ right }) && ![...running.values()].some(isEnding)) {
      options.onKilling?.(false);
    }
    runner.deliver({ type: "command-finished", commandId, ...end });
  };
  const kill = (commandId: number): void => {
    const command = running.get(commandId);
    if (command === undefined || isKilled(command.right)) return;
    command.right.end();
    options.onKilling?.(true);
  };
  const search = async (
    action: Extract<ConductorAction, { type: "search-primary" }>,
  ): Promise<void> => {
    const { searchId, among, known } = action;
    const servers = settings.backends.filter(({ id }) => among.includes(id));
    const choice = await searchPrimary({
      servers,
      login,
      known,
      connectTimeoutMs,
      kept: looks,
    });
    const found = choice ?? { primaryId: null, identity: null };
    runner.deliver({ type: "primary-found", searchId, ...found });
  };
  const find = (id: number): FailoverBackend | null =>
    settings.backends.find((backend) => backend.id === id) ?? null;
  /** For the search that follows a failover_command. */
  const looks = new KeptSessions(find, { login, connectTimeoutMs });
  const switchoverWatch = new SwitchoverWatch(find, { login, connectTimeoutMs });
  let watching = new AbortController();
  const prepare = async (
    action: Extract<ConductorAction, { type: "prepare-switchover" }>,
  ): Promise<void> => {
    const { preparationId, targetId } = action;
    const refusal = await options.prepareSwitchover(targetId);
    const { primaryId = null } = runner.state.cluster ?? {};
    const ids = [primaryId, targetId].filter((id) => id !== null);
    if (refusal === null) await switchoverWatch.open(ids);
    runner.deliver({ type: "switchover-prepared", preparationId, refusal });
  };
  const watch = async (action: Extract<ConductorAction, { type: "watch" }>): Promise<void> => {
    const { watchId, order } = action;
    watching.abort();
    watching = new AbortController();
    const outcome = await switchoverWatch.wait(order, watching.signal);
    runner.deliver({ type: "watched", watchId, outcome });
  };
  const ask = async (
    action: Extract<ConductorAction, { type: "ask-candidates" }>,
  ): Promise<void> => {
    const { askId, among } = action;
    const servers = settings.backends.filter(({ id }) => among.includes(id));
    const onAnswers = (answers: readonly ReplicationAnswer[], isOver: boolean): void => {
      runner.deliver({ type: "candidates-answered", askId, answers, isOver });
    };
    await askCandidates({ servers, login, connectTimeoutMs, onAnswers });
  };
  const perform = (action: ConductorAction): void => {
    switch (action.type) {
      case "propose":
        options.propose(action);
        return;
      case "run-command":
        void run(action);
        return;
      case "stop-command":
        if (action.how === "ask") running.get(action.commandId)?.stop.abort();
        else kill(action.commandId);
        return;
      case "search-primary":
        void search(action);
        return;
      case "recover":
        recoveries.begin(action, settings.backends, recovery, leadUntilMs);
        return;
      case "permit-recovery":
        recoveries.permit(action.runId, action.stage);
        return;
      case "stop-recovery":
        recoveries.stop(action.runId, action.why);
        return;
      case "prepare-switchover":
        void prepare(action);
        return;
      case "watch":
        void watch(action);
        return;
      case "end-watch":
        watching.abort();
        void switchoverWatch.close();
        return;
      case "ask-candidates":
        void ask(action);
        return;
      case "log":
        log.write(action.level, action.message, action);
    }
  };
  const runner = new CoreRunner<ConductorState, ConductorEvent, ConductorAction>(
    conductor,
    newConductor({ settings, origin: options.origin, initial: options.initial }),
    { perform },
  );
  return {
    deliver(event) {
      // The conductor is stopped; without the lead there is no time to clean up.
      const isLost = event.type === "leadership" && !event.leads;
      if (isStopping && isLost) for (const commandId of running.keys()) kill(commandId);
      runner.deliver(event);
      if (runner.state.task === null) void looks.close();
    },
    mayLeadUntil(untilMs) {
      leadUntilMs = Math.max(leadUntilMs, untilMs);
      for (const { right } of running.values()) right.extend(untilMs);
      recoveries.mayRunUntil(untilMs);
    },
    change(change) {
      ({ settings, login, connectTimeoutMs, recovery } = change);
      switchoverWatch.change({ login, connectTimeoutMs });
      looks.change({ login, connectTimeoutMs });
      runner.deliver({ type: "configured", settings });
    },
    get state() {
      return runner.state;
    },
    async stop() {
      isStopping = true;
      runner.stop();
      watching.abort();
      if (running.size > 0) options.onKilling?.(true);
      for (const { stop } of running.values()) stop.abort();
      await Promise.all([switchoverWatch.close(), looks.close()]);
      await Promise.all([recoveries.end(), ...[...running.values()].map(({ ended }) => ended)]);
    },
  };
}
