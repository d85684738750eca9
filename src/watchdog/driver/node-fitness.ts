import type { Ms, Secret } from "../../base/index.ts";
import type { Config, NodeConfig } from "../../config/index.ts";
import { CoreRunner, monotonicNowMs, type Log } from "../../os/index.ts";
import {
  fitness,
  startFitness,
  trustedServersOf,
  type FitnessAction,
  type FitnessEvent,
  type FitnessState,
  type TrustedServers,
  type Unfit,
} from "../core/fitness/index.ts";
import type { LifecheckEvent } from "../core/lifecheck/index.ts";
import { watchLinks, type LinkMonitor } from "./link-monitor.ts";
import type { Membership } from "./member.ts";
import { testTrustedServers } from "./trusted-servers.ts";

/** wd_lifecheck_query for one node's proxy. */
export interface ProxyQuestion {
  readonly hostname: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret;
  readonly database: string;
  readonly query: string;
  readonly timeoutMs: Ms;
}

export interface NodeFitnessOptions {
  readonly config: Config;
  readonly membership: Pick<Membership, "self" | "peers">;
  /** Of wd_lifecheck_user. */
  readonly password: () => Secret;
  readonly log: Log;
  /** Why there was no answer; null when there was one. Must not reject. */
  readonly askProxy: (question: ProxyQuestion) => Promise<string | null>;
  /** What was found of another node. */
  readonly onPeer: (event: LifecheckEvent) => void;
  /** Null: this node would do as a leader. */
  readonly onChange: (unfit: Unfit | null) => void;
}

const INTERVAL_MS_MIN: Ms = 1000;
/** A whole question: connection, login, answer. */
const QUESTION_TIMEOUT_MS_MAX: Ms = 10_000;
/** `ping -c3` takes up to 12 s to give up. */
const SERVERS_TIMEOUT_MS: Ms = 20_000;

/** Runs the rounds of lifecheck and finds out whether this node is fit to lead. */
export class NodeFitness {
  readonly #options: NodeFitnessOptions;
  readonly #nodes: ReadonlyMap<number, NodeConfig>;
  readonly #servers: TrustedServers;
  readonly #intervalMs: Ms;
  readonly #runner: CoreRunner<FitnessState, FitnessEvent, FitnessAction>;
  readonly #links: LinkMonitor | null;

  constructor(options: NodeFitnessOptions) {
    const { config, membership, log } = options;
    const { self, peers } = membership;
    this.#options = options;
    this.#nodes = new Map([self, ...peers].map((node) => [node.id, node]));
    this.#servers = trustedServersOf(config);
    this.#intervalMs = Math.max(config.wd_interval * 1000, INTERVAL_MS_MIN);
    const rules = {
      selfId: self.id,
      peerIds: peers.map(({ id }) => id),
      intervalMs: this.#intervalMs,
      lifePoints: Math.max(config.wd_life_point, 1),
      asksProxies: config.wd_lifecheck_method === "query",
      trustedServers: this.#servers.hosts,
      watchedLinks: config.wd_monitoring_interfaces_list,
    };
    this.#runner = new CoreRunner(fitness, startFitness(rules, monotonicNowMs()), {
      perform: (action) => this.#perform(action),
    });
    const watched = rules.watchedLinks;
    const onSeen = (isUp: boolean): void =>
      this.#runner.deliver({ type: "links-seen", hasLink: isUp });
    this.#links = watched.length === 0 ? null : watchLinks({ watched, log, onSeen });
  }

  get unfit(): Unfit | null {
    return this.#runner.state.unfit;
  }

  /** An external lifecheck says so, of any node. */
  report(nodeId: number, isAlive: boolean): void {
    if (nodeId === this.#options.membership.self.id) {
      this.#runner.deliver({ type: "reported", isAlive });
    } else {
      this.#options.onPeer({ type: "reported", id: nodeId, isAlive });
    }
  }

  /** The supervisor says why this node should not lead. */
  supervised(trouble: string | null): void {
    this.#runner.deliver({ type: "supervised", trouble });
  }

  async stop(): Promise<void> {
    this.#runner.stop();
    await this.#links?.stop();
  }

  /** What takes long is only started here. */
  #perform(action: FitnessAction): void {
    switch (action.type) {
      case "ask-proxy":
        void this.#ask(action.id);
        return;
      case "test-servers":
        void this.#test();
        return;
      case "change-fitness":
        this.#tell(action.unfit);
        return;
    }
  }

  async #ask(id: number): Promise<void> {
    const { config, askProxy, onPeer, password, membership } = this.#options;
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    const failure = await askProxy({
      hostname: node.hostname,
      port: node.pgpoolPort,
      user: config.wd_lifecheck_user,
      password: password(),
      database: config.wd_lifecheck_dbname,
      query: config.wd_lifecheck_query,
      timeoutMs: Math.min(this.#intervalMs, QUESTION_TIMEOUT_MS_MAX),
    });
    if (failure !== null) this.#logFailure(node, failure);
    this.#runner.deliver({ type: "proxy-asked", id, isAnswered: failure === null });
    if (id === membership.self.id) return;
    onPeer({ type: "proxy-asked", id, isAnswered: failure === null });
  }

  /** Loudly when the life points are used up; the first failures only for whoever looks closer. */
  #logFailure({ id, hostname, pgpoolPort }: NodeConfig, detail: string): void {
    const { proxies, rules } = this.#runner.state;
    const failures = (proxies.find((proxy) => proxy.id === id)?.failures ?? 0) + 1;
    if (failures > rules.lifePoints) return;
    const message = `lifecheck failed ${failures} times. pgpool ${id} (${hostname}:${pgpoolPort}) seems not to be working`;
    this.#options.log.write(failures === rules.lifePoints ? "log" : "debug1", message, { detail });
  }

  async #test(): Promise<void> {
    const { log } = this.#options;
    const outcome = await testTrustedServers(this.#servers, SERVERS_TIMEOUT_MS, log);
    this.#runner.deliver({ type: "servers-tested", outcome });
  }

  #tell(unfit: Unfit | null): void {
    const { log, onChange } = this.#options;
    if (unfit === null) log.write("log", "this node is fit to lead again");
    else log.write("warning", "this node is not fit to lead", { detail: unfit.reason });
    onChange(unfit);
  }
}
