/**
 * Part of the supervisor's root: how this node watches the roles and the replication of its
 * servers. What it finds goes into the view; on the leader it may also ask for a change.
 */
import type { Ms } from "../base/index.ts";
import {
  AUTO_FAILBACK,
  compareReplication,
  findBackend,
  findProblems,
  isLive,
  judgePrimaries,
  NOTHING_SUSPECTED,
  observeSynchronous,
  parseLsn,
  planFailbacks,
  renewedIdentity,
  startReplicationCheck,
  withWritten,
  type ClusterState,
  type PrimaryLook,
  type PrimaryWatch,
  type ProbeFailure,
  type ProblemsByBackend,
  type ReplicationAnswer,
  type ReplicationChecker,
  type ReplicationFacts,
  type ServerIdentity,
  type ServerLogin,
  type ServerProblem,
  type SynchronousSet,
  type WrittenPositions,
} from "../backend/index.ts";
import type { BackendConfig, Config } from "../config/index.ts";
import { monotonicNowMs, type Log } from "../os/index.ts";
import type { ClusterRequest } from "../wire/ipc/index.ts";

export interface ReplicationCareOptions {
  readonly log: Log;
  /** As this node acts on it: without a primary that it has quarantined. */
  readonly cluster: () => ClusterState;
  /** What the primary says of its synchronous standbys. */
  readonly onSynchronous: (primaryId: number, set: SynchronousSet | null) => void;
  /** All servers are of another database cluster than is recorded. */
  readonly onRenewed: (primaryId: number | null, identity: ServerIdentity) => void;
  /** What is decided here alone, by the leader, goes to its conductor. */
  readonly request: (request: ClusterRequest) => void;
  /** A connection to a server was lost between two looks. */
  readonly onLost: (backendId: number, failure: ProbeFailure) => void;
  readonly leads: () => boolean;
  readonly login: () => ServerLogin;
  readonly onBegin: () => void;
  /** Something was found. */
  readonly onLook: () => void;
}

/** A server that was asked and does not answer is given up then, whatever the period. */
const ANSWER_MS_MIN: Ms = 5000;
/** Where it matters at any moment which standby is synchronous. */
const QUICK_PERIOD_MS: Ms = 1000;
/** Two looks must agree before a second primary is detached. */
const SECOND_LOOK_MS: Ms = 200;

export class ReplicationCare {
  readonly #options: ReplicationCareOptions;
  readonly #log: Log;
  #config: Config;
  #checker: ReplicationChecker | null = null;
  #facts: ReadonlyMap<number, ReplicationFacts> = new Map();
  #problems: ProblemsByBackend = new Map();
  #written: WrittenPositions = [];
  #watch: PrimaryWatch = NOTHING_SUSPECTED;
  /** Undecided second primaries that the log has told of, with the reason. */
  #toldDoubts = new Map<number, string>();
  /** What was asked before the newest committed state may be about another. */
  #committedAtMs: Ms = -Infinity;
  #epoch = 0;

  constructor(config: Config, options: ReplicationCareOptions) {
    this.#config = config;
    this.#options = options;
    this.#log = options.log;
  }

  start(config: Config): void {
    this.stop();
    this.#config = config;
    const checkMs: Ms = config.sr_check_period * 1000;
    const isQuick = config.failover_candidate === "lsn";
    const periodMs = isQuick ? Math.min(checkMs, QUICK_PERIOD_MS) : checkMs;
    if (periodMs === 0 || config.backend_clustering_mode !== "streaming_replication") return;
    this.#checker = startReplicationCheck({
      servers: config.backends,
      login: this.#options.login(),
      connectTimeoutMs: config.connect_timeout,
      periodMs,
      timeoutMs: Math.max(checkMs, ANSWER_MS_MIN),
      onBegin: this.#options.onBegin,
      onLook: (answers) => this.#onLook(answers),
      onLost: this.#options.onLost,
    });
  }

  stop(): void {
    this.#checker?.stop();
    this.#checker = null;
  }

  /** A new state was committed; who the primary is may have changed. */
  onCommitted(state: ClusterState): void {
    if (state.epoch === this.#epoch) return;
    this.#epoch = state.epoch;
    this.#committedAtMs = monotonicNowMs();
    this.#checker?.lookSoon(0);
  }

  /** The server is to stop, and waits for whoever is connected. */
  letGo(id: number): void {
    this.#checker?.letGo(id);
  }

  /** Of a server that answered the last time it was asked. */
  factsOf(id: number): ReplicationFacts | undefined {
    return this.#facts.get(id);
  }

  problemOf(id: number): { readonly text: string; readonly remedy: string } | null {
    const problem = this.#problems.get(id);
    if (problem === undefined) return null;
    return { text: problem.text, remedy: this.#remedyFor(id, problem) };
  }

  #onLook(answers: readonly ReplicationAnswer[]): void {
    const cluster = this.#options.cluster();
    const { backends: servers } = this.#config;
    const { primaryId } = cluster;
    const primary = answers.find(({ id }) => id === primaryId);
    const lsn = primary?.isInRecovery === false ? parseLsn(primary.walLsn) : null;
    if (primary !== undefined && lsn !== null) {
      this.#written = withWritten(this.#written, lsn, primary.askedAtMs);
    }
    const applicationNames = new Map(servers.map((one) => [one.id, one.applicationName]));
    const written = this.#written;
    this.#facts = compareReplication({ answers, primaryId, applicationNames, written });
    const fresh = answers.filter(({ askedAtMs }) => askedAtMs > this.#committedAtMs);
    this.#setProblems(findProblems(cluster, fresh, this.#problems));
    const look = { cluster, answers: fresh, problems: this.#problems, servers };
    this.#judge(look);
    const ids = servers.map((server) => server.id);
    const identity = renewedIdentity(cluster, fresh, ids);
    if (identity !== null) this.#options.onRenewed(primaryId, identity);
    if (this.#options.leads()) this.#bringBack(look);
    if (primary !== undefined && !primary.isInRecovery && fresh.includes(primary)) {
      this.#options.onSynchronous(primary.id, observeSynchronous(primary, servers));
    }
    this.#options.onLook();
  }

  #setProblems(problems: ProblemsByBackend): void {
    for (const [id, { text }] of problems) {
      if (this.#problems.get(id)?.text === text) continue;
      this.#log.write("warning", `backend node ${id} ${text}`, {
        detail:
          id === this.#options.cluster().primaryId
            ? "If that was nobody's wish, its data are lost: see pgquorum status."
            : "Nothing is sent to it.",
      });
    }
    for (const id of this.#problems.keys()) {
      if (!problems.has(id)) this.#log.write("log", `backend node ${id} is in order again`);
    }
    this.#problems = problems;
  }

  /** Every node remembers what it has seen; the leader acts. */
  #judge(look: PrimaryLook): void {
    const verdict = judgePrimaries(this.#watch, look);
    this.#watch = verdict.watch;
    if (!this.#config.detach_false_primary || !this.#options.leads()) return;
    if (verdict.isLookDue) this.#checker?.lookSoon(SECOND_LOOK_MS);
    for (const { id, reason } of verdict.falseOnes) {
      this.#log.write("log", `backend node ${id} is a false primary and is detached`, {
        detail: reason,
      });
      this.#request("detach", id, reason, look.cluster);
    }
    const doubts = new Map(verdict.undecided.map(({ id, reason }) => [id, reason]));
    for (const [id, reason] of doubts) {
      if (this.#toldDoubts.get(id) === reason) continue;
      const message = `detach_false_primary cannot decide about backend node ${id}`;
      this.#log.write("warning", message, {
        detail: reason,
        hint: `Make it a standby again, or make it the primary: pcp_promote_node -n ${id}`,
      });
    }
    this.#toldDoubts = doubts;
  }

  #bringBack(look: PrimaryLook): void {
    if (!this.#config.auto_failback) return;
    const intervalMs: Ms = this.#config.auto_failback_interval * 1000;
    for (const id of planFailbacks({ ...look, intervalMs, wallMs: Date.now() })) {
      const reason = `${AUTO_FAILBACK}: it is a standby of node ${look.cluster.primaryId} again`;
      this.#log.write("log", `request auto failback, node id:${id}`);
      this.#request("attach", id, reason, look.cluster);
    }
  }

  #request(kind: "detach" | "attach", id: number, reason: string, { epoch }: ClusterState): void {
    this.#options.request({
      kind,
      backendIds: [id],
      confirmed: true,
      isAutomatic: true,
      ifEpoch: epoch,
      switchoverTo: null,
      reason,
    });
  }

  /** What a person does about it. */
  #remedyFor(id: number, { kind }: ServerProblem): string {
    const cluster = this.#options.cluster();
    const server = this.#config.backends.find((one) => one.id === id);
    const primary = this.#config.backends.find((one) => one.id === cluster.primaryId);
    const backend = findBackend(cluster, id);
    const isDown = backend !== null && !isLive(backend);
    const detach = isDown ? "" : `pcp_detach_node -n ${id}; `;
    if (server === undefined) return "";
    if (server === primary) {
      return `pcp_detach_node -n ${id}, and a standby takes over; if it was meant to be made anew, make the others from it: when all are, that is recorded`;
    }
    if (this.#config.recovery_1st_stage_command !== "") {
      return `${detach}stop its PostgreSQL; pgquorum recover ${id}`;
    }
    const copy = kind === "other-system" ? baseBackup(server, primary) : rewind(server, primary);
    return `${detach}stop its PostgreSQL; ${copy}; start it as a standby; pcp_attach_node -n ${id}`;
  }
}

function rewind(server: BackendConfig, primary: BackendConfig | undefined): string {
  const source = `host=${primary?.hostname ?? ""} port=${primary?.port ?? ""} dbname=postgres`;
  return `pg_rewind -R --target-pgdata='${server.dataDirectory}' --source-server='${source}'`;
}

function baseBackup(server: BackendConfig, primary: BackendConfig | undefined): string {
  const source = `-h ${primary?.hostname ?? ""} -p ${primary?.port ?? ""}`;
  return `empty its data directory; pg_basebackup -R ${source} -D '${server.dataDirectory}'`;
}
