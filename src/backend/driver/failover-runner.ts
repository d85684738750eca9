/** The conductor of failovers, joined to commands and probes. Proposals go to the caller. */
import type { Ms } from "../../base/index.ts";
import { CoreRunner, type Log } from "../../os/index.ts";
import {
  conductor,
  newConductor,
  type ConductorAction,
  type ConductorEvent,
  type ConductorState,
  type FailoverSettings,
} from "../core/failover/index.ts";
import type { ClusterState } from "../core/status/index.ts";
import { runFailoverCommand } from "./failover-command.ts";
import { searchPrimary } from "./primary-search.ts";
import type { ServerLogin } from "./server-session.ts";

export interface FailoverRunnerOptions {
  readonly settings: FailoverSettings;
  /** Unique to this run of this node; at most 60 characters. */
  readonly origin: string;
  /** What is proposed where the cluster has no state yet. */
  readonly initial: ClusterState;
  /** `sr_check_user` and its kin. */
  readonly login: ServerLogin;
  readonly connectTimeoutMs: Ms;
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
}

export interface FailoverRunner {
  deliver(event: ConductorEvent): void;
  /** Takes the parameters of a reload. */
  change(change: Pick<FailoverRunnerOptions, "settings" | "login" | "connectTimeoutMs">): void;
  /** The intent, queue and search, for people. */
  readonly state: ConductorState;
  /** Ends the commands that run. */
  stop(): void;
}

export function startFailoverRunner(options: FailoverRunnerOptions): FailoverRunner {
  let { settings, login, connectTimeoutMs } = options;
  const { log } = options;
  const stops = new Map<number, AbortController>();

  const run = async (action: Extract<ConductorAction, { type: "run-command" }>): Promise<void> => {
    const { commandId } = action;
    const stop = new AbortController();
    stops.set(commandId, stop);
    const end = await runFailoverCommand(action, log, stop.signal);
    stops.delete(commandId);
    runner.deliver({ type: "command-finished", commandId, ...end });
  };
  const search = async (
    action: Extract<ConductorAction, { type: "search-primary" }>,
  ): Promise<void> => {
    const { searchId, among, known } = action;
    const servers = settings.backends.filter(({ id }) => among.includes(id));
    const choice = await searchPrimary({ servers, login, known, connectTimeoutMs });
    const found = choice ?? { primaryId: null, identity: null };
    runner.deliver({ type: "primary-found", searchId, ...found });
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
        stops.get(action.commandId)?.abort();
        return;
      case "search-primary":
        void search(action);
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
    deliver: (event) => runner.deliver(event),
    change(change) {
      ({ settings, login, connectTimeoutMs } = change);
      runner.deliver({ type: "configured", settings });
    },
    get state() {
      return runner.state;
    },
    stop() {
      runner.stop();
      for (const stop of stops.values()) stop.abort();
    },
  };
}
