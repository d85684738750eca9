import type { PoolSecret } from "../../auth/index.ts";
import { failure } from "../../base/index.ts";
import type { BackendView } from "../../wire/ipc/index.ts";
import { LaneWait } from "../core/pool/index.ts";
import { chooseLoadBalanceNode } from "../core/routing/index.ts";
import type { BackendMethod, StartedClient } from "../core/session/index.ts";
import type { BackendConnection, BackendTarget } from "./backend-connection.ts";
import type { Acquired } from "./backend-pool.ts";
import type { ClientSession, LinkSource } from "./client-session.ts";
import type { OpenerHost } from "./session-opener.ts";
import type { Seeker, SharedLane, SharedWait } from "./shared-connections.ts";
import type { Settings, WorkerContext } from "./worker-context.ts";

/**
 * Gets one client its turns with the shared connections. Its login is answered from what an
 * earlier connection of the same kind said; the first of a kind waits for one to be opened.
 */
export class SharedOpener implements LinkSource, Seeker {
  readonly isSharing = true;
  readonly startUp: ReadonlyMap<string, string>;
  readonly #context: WorkerContext;
  readonly #settings: Settings;
  readonly #host: OpenerHost;
  /** By backend id. */
  readonly #lanes: (SharedLane | undefined)[] = [];
  readonly #wait: SharedWait = new LaneWait<BackendConnection, Seeker>(this);
  #session: ClientSession | null = null;
  #loadBalanceNode: number | null = null;

  constructor(o: {
    readonly context: WorkerContext;
    readonly settings: Settings;
    readonly client: StartedClient;
    readonly host: OpenerHost;
  }) {
    this.#context = o.context;
    this.#settings = o.settings;
    this.#host = o.host;
    const other = o.settings.users.get(o.client.user)?.backend;
    const startUp = new Map(o.client.parameters);
    if (other) startUp.set("user", other.user);
    this.startUp = startUp;
  }

  /** Answers the login as soon as it is known how. */
  start(): void {
    const context = this.#context;
    const view = context.view();
    const usable = view.backends.filter((one) => one.state === "up" || one.state === "waiting");
    const lbNode = chooseLoadBalanceNode(view, this.#settings.config, Math.random());
    const find = (id: number | null): BackendView | undefined =>
      usable.find((one) => one.id === id);
    const first = find(view.primaryId) ?? find(lbNode) ?? usable[0];
    if (first === undefined) return this.#host.refuse(failure("all-backends-down"));
    this.#loadBalanceNode = lbNode;
    const lane = this.#laneOf(first.id);
    if (context.shared.welcome(lane) !== null) this.#greet(lane);
    else context.shared.wait(lane, this.#wait);
  }

  leave(): void {
    this.#context.shared.leave(this.#wait);
    for (const lane of this.#lanes) if (lane !== undefined) this.#context.shared.leaveLane(lane);
    this.#lanes.length = 0;
  }

  // ---- the session's source of links ------------------------------------------------------

  open(backendId: number, session: ClientSession): BackendConnection | null {
    this.#session = session;
    const { shared } = this.#context;
    const lane = this.#laneOf(backendId);
    const connection = shared.take(lane, session);
    if (connection === null) shared.wait(lane, this.#wait);
    return connection;
  }

  release(connection: BackendConnection, isOrderly: boolean, mayStay: boolean): void {
    if (isOrderly && mayStay) this.#context.shared.release(connection);
    else this.#context.shared.discard(connection);
  }

  cancelled(connection: BackendConnection): void {
    this.#context.shared.cancelled(connection);
  }

  // ---- what the shared connections ask and tell -------------------------------------------

  target(backendId: number): BackendTarget | null {
    const backend = this.#context.view().backends.find((one) => one.id === backendId);
    if (backend === undefined) return null;
    return { backendId, hostname: backend.hostname, port: backend.port };
  }

  /** From what is known of the user: the client proves itself before it is greeted. */
  prove(_method: BackendMethod, proceed: (secret: PoolSecret | null) => void): void {
    proceed(this.#host.secret());
  }

  granted(connection: BackendConnection): void {
    if (this.#session !== null) return this.#session.opened(connection);
    // It was only to be learnt from.
    const lane = this.#laneOf(connection.target.backendId);
    this.#context.shared.release(connection);
    this.#greet(lane);
  }

  notGranted(backendId: number, result: Exclude<Acquired, { kind: "connection" }>): void {
    if (this.#session !== null) return this.#session.notOpened(backendId, result);
    this.#host.refusedBy(backendId, result);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #laneOf(backendId: number): SharedLane {
    let lane = this.#lanes[backendId];
    if (lane === undefined) {
      lane = this.#context.shared.enterLane(backendId, this.startUp);
      this.#lanes[backendId] = lane;
    }
    return lane;
  }

  #greet(lane: SharedLane): void {
    const welcome = this.#context.shared.welcome(lane);
    if (welcome === null) return this.#host.refuse(failure("backend-lost"));
    this.#host.prove(welcome.method, () => {
      this.#host.opened([], this.#loadBalanceNode, welcome.parameters);
    });
  }
}
