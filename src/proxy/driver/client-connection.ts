import { poolModeOf } from "../../config/index.ts";
import { failure, type Failure, type Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { ClientRow, ClientState } from "../../wire/ipc/index.ts";
import {
  AUTHENTICATION_OK,
  buildError,
  buildKeyData,
  buildParameterStatus,
  buildReady,
  READY,
} from "../../wire/postgres/index.ts";
import { Presence } from "../core/admission/index.ts";
import { ClientStart, type StartedClient } from "../core/session/index.ts";
import { isReusable, isShareable, type Acquired } from "./backend-pool.ts";
import { doorFor } from "./client-door.ts";
import { ClientProof } from "./client-proof.ts";
import { ClientSession, PAUSE } from "./client-session.ts";
import { formatSessionTime } from "./session-time.ts";
import { SessionOpener, type OpenerHost, type SessionStart } from "./session-opener.ts";
import { SharedOpener } from "./shared-opener.ts";
import type { AcceptedClient, ByteSocket, SocketEvents } from "./byte-socket.ts";
import type { Settings, WorkerContext } from "./worker-context.ts";

const READ_BUFFER_BYTES = 16 * 1024;
const CLOSE_WITHIN_MS = 5000;

/** What a connection needs of the listener that accepted it. */
export interface ClientHost {
  /** It has not said yet who it is. */
  came(connection: ClientConnection): void;
  /** It has, or wants to cancel. */
  introduced(connection: ClientConnection): void;
  /**
   * Takes a place among the clients, or says why not; `left` gives it back. One that waits is told
   * by `admitted` or `shutDown`.
   */
  enter(connection: ClientConnection): "entered" | "waits" | Failure;
  left(connection: ClientConnection): void;
  isWaiting(connection: ClientConnection): boolean;
  /** The key that the client cancels with. */
  cancelKeyOf(connection: ClientConnection): { readonly processId: number; readonly key: Buffer };
  cancel(processId: number, key: Buffer, done: () => void): void;
}

/** A client from accept to close: start-up packet, proof, backends, then its session. */
export class ClientConnection implements SocketEvents {
  readonly #context: WorkerContext;
  readonly #host: ClientHost;
  readonly #socket: ByteSocket;
  /** Fixed when the client came: a reload is for those who come later. */
  readonly #settings: Settings;
  readonly #startedMs = monotonicNowMs();
  #start: ClientStart | null = new ClientStart();
  #client: StartedClient | null = null;
  #proof: ClientProof | null = null;
  #session: ClientSession | null = null;
  #timer: NodeJS.Timeout | null = null;
  #opener: SessionOpener | SharedOpener | null = null;
  /** Grows with each read. */
  #inputsCount = 0;
  #presence: Presence | null = null;
  /** Its login waits for a server connection. */
  #isWaiting = false;
  #isOver = false;

  constructor(accepted: AcceptedClient, context: WorkerContext, host: ClientHost) {
    this.#context = context;
    this.#host = host;
    this.#settings = context.settings();
    this.#socket = context.io.accept(accepted, READ_BUFFER_BYTES, this);
    const { config } = this.#settings;
    // A question to the kernel. Asked at once if it must be known when the socket is closed.
    if (config.log_disconnections || config.enable_pool_hba) this.#where();
    if (config.log_connections) {
      const detail = `connecting host=${this.#where()}`;
      context.log.write("log", "new connection received", { detail });
    }
    this.#startTimer();
    host.came(this);
  }

  get cancelKeyBytes(): number {
    return this.#client?.cancelKeyBytes ?? 4;
  }

  /** By which address of ours it came in; null by a Unix socket. */
  get localAddress(): string | null {
    return withoutMapping(this.#socket.localAddress);
  }

  /** Null until the client is logged in. */
  get session(): ClientSession | null {
    return this.#session;
  }

  /** It waited for a place, and has one now. */
  admitted(): void {
    this.look(monotonicNowMs());
    this.#startTimer();
    this.#logIn(this.#client as StartedClient);
  }

  /** Tells the client why, and closes. */
  shutDown(why: Failure): void {
    if (this.#session === null) this.#refuse(why);
    else this.#session.shutDown(why);
  }

  /** Notices what the client does now; before its start-up packet it is nobody. */
  look(nowMs: Ms): void {
    this.#presence?.look(this.#state(), this.#inputsCount, nowMs);
  }

  /** As its session was told, in seconds; null: as all others. */
  get idleLimit(): number | null {
    return this.#session?.ownIdleLimit ?? null;
  }

  idleMs(nowMs: Ms): Ms {
    return this.#presence?.idleMs(nowMs) ?? 0;
  }

  /** The standby that lets it wait for longer than this, as it was looked at last; or null. */
  waitsForStandby(nowMs: Ms, longerThanMs: Ms): number | null {
    const presence = this.#presence;
    if (presence === null || nowMs - presence.sinceMs < longerThanMs) return null;
    return this.#session?.awaitedStandby ?? null;
  }

  /** As it was looked at last; null before its start-up packet. */
  row(nowMs: Ms, nowWallMs: number): ClientRow | null {
    const client = this.#client;
    const presence = this.#presence;
    if (client === null || presence === null || this.#isOver) return null;
    const wallMs = (atMs: Ms): number => Math.round(nowWallMs - (nowMs - atMs));
    return {
      worker: this.#context.workerId,
      workerPid: process.pid,
      processId: this.#host.cancelKeyOf(this).processId,
      address: this.#address,
      port: this.#socket.remotePort,
      user: shortened(client.user),
      database: shortened(client.database),
      application: shortened(client.applicationName),
      connectedAt: wallMs(this.#startedMs),
      state: presence.state,
      stateSince: wallMs(presence.sinceMs),
      keeps: this.#session?.keeps ?? "",
      loadBalanceNode: this.#session?.loadBalanceNode ?? null,
      backends: this.#session?.backends ?? [],
    };
  }

  #state(): ClientState {
    if (this.#session !== null) return this.#session.state;
    if (this.#isWaiting) return "waiting for a backend";
    return this.#host.isWaiting(this) ? "waiting for a place" : "logging in";
  }

  // ---- socket events ----------------------------------------------------------------------

  connected(): void {
    // It was connected when it was accepted.
  }

  received(bytes: Buffer): void {
    this.#inputsCount = (this.#inputsCount + 1) | 0;
    if (this.#session !== null) this.#session.clientBytes(bytes);
    else if (this.#start !== null) this.#startBytes(bytes);
    else if (!this.#isOver) this.#proof?.received(bytes);
  }

  drained(): void {
    this.#session?.clientDrained();
  }

  closed(): void {
    if (this.#session !== null) this.#session.clientClosed();
    else this.#leave();
  }

  // ---- start-up ---------------------------------------------------------------------------

  #startBytes(bytes: Buffer): void {
    const start = this.#start;
    if (start === null) return;
    const event = start.push(bytes);
    switch (event.kind) {
      case "more":
        return;
      case "answer":
        return this.#socket.write(event.bytes);
      case "refused":
        return this.#refuse(event.failure);
      case "cancel":
        this.#start = null;
        this.#host.introduced(this);
        return this.#host.cancel(event.processId, event.key, () => this.#close());
      case "start-up":
        this.#start = null;
        this.#host.introduced(this);
        this.#proof = new ClientProof({
          socket: this.#socket,
          settings: this.#settings,
          user: event.client.user,
          bytes: start.rest,
          refuse: (why) => this.#refuse(why),
          close: () => this.#close(),
        });
        return this.#enter(event.client);
    }
  }

  #enter(client: StartedClient): void {
    this.#client = client;
    const entry = this.#host.enter(this);
    if (entry !== "entered" && entry !== "waits") return this.#refuse(entry);
    this.#presence = new Presence(this.#state(), monotonicNowMs());
    if (entry === "entered") this.#logIn(client);
    else this.#clearTimer();
  }

  #logIn(client: StartedClient): void {
    if (client.negotiation !== null) this.#socket.write(client.negotiation);
    const proof = this.#proof as ClientProof;
    const { enable_pool_hba: isGuarded } = this.#settings.config;
    const door = doorFor(client, isGuarded ? this.#address : null, this.#settings);
    switch (door.kind) {
      case "shut":
        return this.#refuse(door.failure);
      case "open":
        proof.trust();
        return this.#openBackends();
      case "as-backend":
        return this.#openBackends();
      case "prove":
        return proof.ask(door.method, () => this.#openBackends());
    }
  }

  // ---- the backends -----------------------------------------------------------------------

  #openBackends(): void {
    const client = this.#client as StartedClient;
    const proof = this.#proof as ClientProof;
    const host: OpenerHost = {
      secret: () => proof.towardsBackend(),
      prove: (method, proceed) => {
        // Nobody can be asked for a password in the middle of a session.
        if (this.#session !== null) proceed(proof.towardsBackend());
        else proof.prove(method, proceed);
      },
      mayReuse: () => this.#mayReuse(),
      refuse: (why) => this.#refuse({ ...why, severity: "FATAL" }),
      refusedBy: (backendId, result) => this.#refusedBy(backendId, result),
      waits: (isWaiting) => this.#waitsForServer(isWaiting),
      log: (level, message, detail) => this.#logClient(level, message, detail),
      opened: (start) => this.#begin(start),
    };
    const what = { context: this.#context, settings: this.#settings, client, host };
    this.#opener = this.#mayShare() ? new SharedOpener(what) : new SessionOpener(what);
    this.#opener.start();
  }

  /** In a session that is told otherwise. */
  #waitsForServer(isWaiting: boolean): void {
    if (this.#isOver || this.#session !== null || isWaiting === this.#isWaiting) return;
    this.#isWaiting = isWaiting;
    this.#clearTimer();
    if (!isWaiting) this.#startTimer();
  }

  #mayReuse(): boolean {
    const client = this.#client as StartedClient;
    return (
      isReusable(client.database) && !client.isReplication && this.#proof?.isOfClientsWord !== true
    );
  }

  /** Its transactions may take turns with those of others. */
  #mayShare(): boolean {
    const client = this.#client as StartedClient;
    const { pool_mode: mode, pool_mode_list: list } = this.#settings.config;
    if (poolModeOf(client, { mode, list }) !== "transaction") return false;
    return (
      isShareable(client.database) && !client.isReplication && this.#proof?.isOfClientsWord !== true
    );
  }

  #refusedBy(backendId: number, result: Exclude<Acquired, { kind: "connection" }>): void {
    if (result.kind === "failed") return this.#refuse({ ...result.failure, severity: "FATAL" });
    this.#socket.write(result.error);
    this.#logClient("log", `backend ${backendId} refused the login`, `SQLSTATE ${result.sqlstate}`);
    this.#close();
  }

  // ---- the session ------------------------------------------------------------------------

  #begin(start: SessionStart): void {
    const opener = this.#opener;
    if (opener === null) return;
    const client = this.#client as StartedClient;
    this.#clearTimer();
    const { processId, key } = this.#host.cancelKeyOf(this);
    const keyData = buildKeyData(processId, key);
    this.#socket.write(Buffer.concat([welcomeOf(start.parameters), keyData, READY_IDLE]));
    this.#session = new ClientSession({
      context: this.#context,
      socket: this.#socket,
      client,
      loadBalanceNode: start.loadBalanceNode,
      connections: start.connections,
      first: start.first,
      links: opener,
      nextRandom: Math.random,
      ended: () => this.#sessionEnded(),
    });
    const early = (this.#proof as ClientProof).takeEarly();
    if (early.length > 0) this.#session.clientBytes(early);
    this.#socket.resume(PAUSE.login);
  }

  #sessionEnded(): void {
    const { config } = this.#settings;
    const client = this.#client;
    if (config.log_disconnections && client !== null) {
      const time = formatSessionTime(monotonicNowMs() - this.#startedMs);
      const message = `frontend disconnection: session time: ${time} user=${client.user} database=${client.database} host=${this.#where()}`;
      this.#logClient("log", message);
    }
    this.#leave();
  }

  // ---- ending -----------------------------------------------------------------------------

  #refuse(why: Failure): void {
    if (this.#isOver) return;
    this.#logClient("fatal", why.message, why.detail);
    this.#socket.write(buildError({ ...why, severity: "FATAL" }));
    this.#close();
  }

  #close(): void {
    this.#leave();
    this.#socket.end(CLOSE_WITHIN_MS);
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#clearTimer();
    this.#opener?.leave();
    this.#host.left(this);
    // V8 keeps the tables that a set had before, each referring to the next, until it collects all
    // garbage: whoever was in one must not hold a whole session for as long.
    this.#opener = null;
    this.#session = null;
    this.#client = null;
    this.#start = null;
    this.#proof?.end();
    this.#proof = null;
  }

  /** A client that cannot go on because it waits for a place is not slow. */
  #startTimer(): void {
    const { authentication_timeout: seconds } = this.#settings.config;
    if (seconds === 0) return;
    const expire = (): void => this.#refuse(failure("authentication-timeout"));
    this.#timer = setTimeout(expire, seconds * 1000);
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Null: it came by a Unix socket. */
  get #address(): string | null {
    return withoutMapping(this.#socket.remoteAddress);
  }

  #where(): string {
    const address = this.#address;
    return address === null ? "[local]" : `${address} port=${this.#socket.remotePort}`;
  }

  #logClient(level: "log" | "fatal" | "warning", message: string, detail?: string): void {
    const client = this.#client;
    this.#context.log.write(level, message, {
      ...(detail === undefined ? {} : { detail }),
      ...(client === null
        ? {}
        : {
            client: {
              application: client.applicationName,
              user: client.user,
              database: client.database,
            },
          }),
    });
  }
}

const READY_IDLE = buildReady(READY.idle);

/** Most clients are told the same. */
const welcomes = new WeakMap<ReadonlyMap<string, string>, Buffer>();

/** AuthenticationOk and the server's parameters. */
function welcomeOf(parameters: ReadonlyMap<string, string>): Buffer {
  let welcome = welcomes.get(parameters);
  if (welcome === undefined) {
    const statuses = [...parameters].map(([name, value]) => buildParameterStatus(name, value));
    welcome = Buffer.concat([AUTHENTICATION_OK, ...statuses]);
    welcomes.set(parameters, welcome);
  }
  return welcome;
}

/** An IPv4 client of a socket for both families comes as `::ffff:192.0.2.1`. */
function withoutMapping(address: string | null): string | null {
  return address?.replace(/^::ffff:(?=\d+\.)/, "") ?? null;
}

/** As PostgreSQL shortens names, so that lists of clients are bounded. */
function shortened(name: string): string {
  return name.slice(0, 63);
}
