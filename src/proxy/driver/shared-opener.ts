import type { PoolSecret } from "../../auth/index.ts";
import { failure } from "../../base/index.ts";
import type { BackendView } from "../../wire/ipc/index.ts";
import { buildErrorFields } from "../../wire/postgres/index.ts";
import { LaneWait } from "../core/pool/index.ts";
import { chooseLoadBalanceNode } from "../core/routing/index.ts";
import {
  carryOver,
  NOBODY,
  type BackendMethod,
  type HiddenReply,
  type SessionState,
  type StartedClient,
} from "../core/session/index.ts";
import type { BackendConnection, BackendTarget, ConnectionUser } from "./backend-connection.ts";
import type { Acquired } from "./backend-pool.ts";
import type { ClientSession, LinkSource } from "./client-session.ts";
import type { OpenerHost } from "./session-opener.ts";
import type { Seeker, SharedLane, SharedWait, Welcome } from "./shared-connections.ts";
import type { Settings, WorkerContext } from "./worker-context.ts";

/** What makes shared connections different from each other: all else is brought to them by SET. */
const START_UP = ["user", "database", "options"];

/**
 * Gets one client its turns with the shared connections. Its login is answered from what was
 * learnt for another client that asked for the same; the first of a kind waits for a connection,
 * on which its wishes are tried.
 */
export class SharedOpener implements LinkSource, Seeker, ConnectionUser {
  readonly startUp: ReadonlyMap<string, string>;
  readonly #context: WorkerContext;
  readonly #settings: Settings;
  readonly #client: StartedClient;
  readonly #host: OpenerHost;
  /** By backend id. */
  readonly #lanes: (SharedLane | undefined)[] = [];
  readonly #wait: SharedWait = new LaneWait<BackendConnection, Seeker>(this);
  /** What the start-up packet asked for. */
  readonly #state: SessionState;
  #session: ClientSession | null = null;
  #loadBalanceNode: number | null = null;
  /** During the login: what is learnt from. */
  #teacher: BackendConnection | null = null;
  /** A connection waits for the client's proof. */
  #unproven: ((secret: PoolSecret | null) => void) | null = null;
  /** It waits for a primary that takes no connections. */
  #giveUpWait: (() => void) | null = null;
  #isOver = false;

  constructor(o: {
    readonly context: WorkerContext;
    readonly settings: Settings;
    readonly client: StartedClient;
    readonly host: OpenerHost;
  }) {
    this.#context = o.context;
    this.#settings = o.settings;
    this.#client = o.client;
    this.#host = o.host;
    const { state, startOnly } = o.context.known.states.ofStartUp(o.client.parameters);
    this.#state = state;
    const other = o.settings.users.get(o.client.user)?.backend;
    const startUp = new Map(startOnly);
    for (const name of START_UP) {
      const value = o.client.parameters.get(name);
      if (value !== undefined) startUp.set(name, value);
    }
    startUp.set("database", o.client.database);
    if (other) startUp.set("user", other.user);
    this.startUp = startUp;
  }

  /** Answers the login as soon as it is known how. */
  start(): void {
    const { shared, view } = this.#context;
    const { backends, primaryId } = view();
    const usable = backends.filter((one) => one.state === "up" || one.state === "waiting");
    const { rules } = this.#settings;
    const preferences = rules.preferencesOf(this.#client);
    const lbNode = chooseLoadBalanceNode(view(), rules.config, Math.random(), preferences);
    const find = (id: number | null): BackendView | undefined =>
      usable.find((one) => one.id === id);
    const first = find(primaryId) ?? find(lbNode) ?? usable[0];
    if (first === undefined) return this.#host.refuse(failure("all-backends-down"));
    this.#loadBalanceNode = lbNode;
    const lane = this.#laneOf(first.id);
    const welcome = shared.welcome(lane, this.#state);
    if (welcome !== null) return this.#greet(welcome);
    const connection = shared.take(lane, this);
    if (connection !== null) return this.#learn(connection);
    this.#host.waits(true);
    shared.wait(lane, this.#wait);
  }

  leave(): void {
    const { shared } = this.#context;
    this.#isOver = true;
    if (this.#teacher !== null) shared.discard(this.#teacher);
    this.#teacher = null;
    shared.leave(this.#wait);
    this.#giveUpWait?.();
    this.#unproven?.(null);
    this.#unproven = null;
    for (const lane of this.#lanes) if (lane !== undefined) shared.leaveLane(lane);
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

  release(connection: BackendConnection, isOrderly: boolean): void {
    if (isOrderly) this.#context.shared.release(connection);
    else this.#context.shared.discard(connection);
  }

  recycle(connection: BackendConnection): void {
    this.#context.shared.recycle(connection);
  }

  abandon(connection: BackendConnection): void {
    const { shared, settings } = this.#context;
    shared.abandon(connection, settings().config.client_check_interval);
  }

  giveUp(): void {
    this.#context.shared.leave(this.#wait);
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

  /**
   * From what is known of the user: the client proves itself before it is greeted. Only what a
   * verifier opens waits for the key that its proof shows.
   */
  prove(method: BackendMethod, proceed: (secret: PoolSecret | null) => void): void {
    const secret = this.#host.secret();
    const needsKey = secret?.kind === "scram" && secret.clientKey === undefined;
    if (!needsKey || method !== "scram-sha-256" || this.#isOver) return proceed(secret);
    this.#unproven = proceed;
    this.#host.prove(method, (shown) => {
      this.#unproven = null;
      proceed(shown);
    });
  }

  granted(connection: BackendConnection): void {
    if (this.#session !== null) return this.#session.opened(connection);
    this.#host.waits(false);
    this.#learn(connection);
  }

  /** A session may do without a standby. */
  paused(backendId: number): void {
    const { shared, view, pauses } = this.#context;
    const { primaryId } = view();
    if (this.#session === null || primaryId === null || primaryId === backendId) return;
    if (pauses.of(primaryId) !== null) return;
    shared.leave(this.#wait);
    this.#session.chooseAgain();
  }

  askAgain(): void {
    this.#context.shared.leave(this.#wait);
    if (this.#session === null) this.start();
    else this.#session.chooseAgain();
  }

  notGranted(backendId: number, result: Exclude<Acquired, { kind: "connection" }>): void {
    if (this.#session !== null) return this.#session.notOpened(backendId, result);
    const { primary } = this.#context;
    if (!primary.refused(backendId, result)) return this.#host.refusedBy(backendId, result);
    this.#giveUpWait = primary.wait(() => {
      this.#giveUpWait = null;
      this.start();
    });
  }

  // ---- the connection that is learnt from -------------------------------------------------

  received(connection: BackendConnection, bytes: Buffer): void {
    const complaint = connection.link.push(bytes);
    if (complaint !== null) this.closed(connection, complaint);
  }

  drained(): void {
    // A few short queries.
  }

  closed(connection: BackendConnection, why: string): void {
    if (this.#teacher !== connection) return;
    this.#teacher = null;
    this.#context.shared.discard(connection);
    this.#host.refuse(failure("backend-lost", { detail: why }));
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

  /** Gives the connection the state that the client asked for, and sees what it says of itself. */
  #learn(connection: BackendConnection): void {
    const { link } = connection;
    connection.use(this);
    link.owner = NOBODY;
    this.#teacher = connection;
    const over = link.state === null ? null : carryOver(link.state, this.#state);
    if (over === null) this.#learnt(connection);
    else link.ask(over.queries, (reply) => setImmediate(() => this.#answered(connection, reply)));
  }

  #answered(connection: BackendConnection, reply: HiddenReply): void {
    if (this.#teacher !== connection) return;
    if (reply.error === null) return this.#learnt(connection);
    this.#teacher = null;
    this.#context.shared.discard(connection);
    // As PostgreSQL says it when the start-up packet itself has what it does not take.
    const fields = new Map([...reply.error, ["S", "FATAL"], ["V", "FATAL"]]);
    const refused = { error: buildErrorFields(fields), sqlstate: fields.get("C") ?? "" };
    this.#host.refusedBy(connection.target.backendId, { kind: "refused", ...refused });
  }

  #learnt(connection: BackendConnection): void {
    const { shared } = this.#context;
    this.#teacher = null;
    connection.link.state = this.#state;
    const lane = this.#laneOf(connection.target.backendId);
    const { method, link } = connection;
    const welcome = { method, parameters: link.parameters };
    shared.learnWelcome(lane, this.#state, welcome);
    shared.release(connection);
    this.#greet(welcome);
  }

  #greet(welcome: Welcome): void {
    this.#host.prove(welcome.method, () => {
      this.#host.opened({
        connections: [],
        loadBalanceNode: this.#loadBalanceNode,
        parameters: welcome.parameters,
        first: { state: this.#state, told: welcome.parameters },
      });
    });
  }
}
