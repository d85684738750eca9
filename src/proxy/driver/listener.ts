import { randomInt } from "node:crypto";
import { chmodSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { failure, type Failure } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import {
  CANCEL_WORKER_SHIFT,
  workerOfProcessId,
  type ClientCounts,
  type ClientRow,
  type ClusterView,
  type PlacesToWorker,
  type QueueRow,
} from "../../wire/ipc/index.ts";
import { ClientConnection, type ClientHost } from "./client-connection.ts";
import { ClientPlaces } from "./client-places.ts";
import { RemoteCancels } from "./remote-cancels.ts";
import type { WorkerContext } from "./worker-context.ts";

/** An address that cannot be listened on: what it is, and what to do. */
export interface ListenError {
  readonly address: string;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

const SEQUENCE_MAX = (1 << CANCEL_WORKER_SHIFT) - 1;

/** So many connections may be silent at a time, however few clients the node serves. */
const STRANGERS_MIN = 1000;

interface Key {
  readonly processId: number;
  readonly key: number;
}

/** The doors of this worker and everybody who came in. */
export class Listener implements ClientHost {
  readonly #context: WorkerContext;
  readonly #servers: Server[] = [];
  /** Everybody who is connected, logged in or not. */
  readonly #connections = new Set<ClientConnection>();
  /** Those that have not said yet who they are, in the order in which they came. */
  readonly #strangers = new Set<ClientConnection>();
  readonly #strangersMax: number;
  readonly #places: ClientPlaces<ClientConnection>;
  /** Those who have a place. */
  readonly #clients = new Map<ClientConnection, Key>();
  readonly #byProcessId = new Map<number, ClientConnection>();
  readonly #remoteCancels: RemoteCancels;
  #sequence = 0;
  #onEmpty: (() => void) | null = null;

  constructor(context: WorkerContext) {
    this.#context = context;
    this.#remoteCancels = new RemoteCancels((message) => context.tell(message));
    const { settings, tell } = context;
    const { num_init_children: most, listen_backlog_multiplier: times } = settings().config;
    this.#strangersMax = Math.max(STRANGERS_MIN, most * times);
    const onAdmitted = (client: ClientConnection): void => this.#giveKey(client);
    this.#places = new ClientPlaces({ settings, tell, onAdmitted });
  }

  get counts(): ClientCounts {
    return this.#places.counts;
  }

  /** @returns what could not be listened on. */
  async listen(): Promise<ListenError[]> {
    const { config } = this.#context.settings();
    const backlog = config.num_init_children * config.listen_backlog_multiplier;
    const places: { name: string; options: object; path?: string }[] = [];
    for (const address of config.listen_addresses) {
      const host = address === "*" ? undefined : address;
      const options = { ...(host === undefined ? {} : { host }), port: config.port, backlog };
      places.push({ name: `${address} port ${config.port}`, options });
    }
    for (const directory of config.unix_socket_directories) {
      const path = `${directory}/.s.PGSQL.${config.port}`;
      places.push({ name: `Unix socket "${path}"`, options: { path, backlog }, path });
    }
    const errors: ListenError[] = [];
    for (const place of places) {
      const code = await this.#open(place.options);
      if (code !== null) errors.push(describe(place.name, code, place.path ?? null));
      else if (place.path !== undefined) this.#setMode(place.path, config.unix_socket_permissions);
    }
    return errors;
  }

  viewChanged(view: ClusterView): void {
    for (const connection of this.#connections) connection.session?.viewChanged(view);
  }

  gateChanged(): void {
    for (const connection of this.#connections) connection.session?.gateChanged();
  }

  /** No new clients, and none that waits for a place; `done` when the last one has left. */
  stopAccepting(done: () => void): void {
    for (const server of this.#servers) server.close();
    this.#onEmpty = done;
    for (const connection of this.#connections) {
      if (this.#places.isWaiting(connection)) connection.shutDown(failure("shutting-down"));
    }
    this.#tellWhenEmpty();
  }

  shutDownAll(why: Failure): void {
    for (const connection of this.#connections) connection.shutDown(why);
  }

  /** Only those that came in by this address of ours. */
  shutDownAt(address: string, why: Failure): void {
    for (const connection of this.#connections) {
      if (connection.localAddress === address) connection.shutDown(why);
    }
  }

  /** Places for clients that this worker has, used and unused. */
  get placesCount(): number {
    return this.#places.placesCount;
  }

  queueRow(): QueueRow {
    const { clients, waiting } = this.counts;
    return {
      worker: this.#context.workerId,
      workerPid: process.pid,
      what: "places",
      backendId: null,
      user: "",
      database: "",
      used: clients,
      unused: this.placesCount - clients,
      max: 0,
      waiting,
      oldestWaitMs: this.#places.oldestWaitMs,
    };
  }

  clientRows(): ClientRow[] {
    const nowMs = monotonicNowMs();
    const nowWallMs = Date.now();
    return [...this.#connections].flatMap((connection) => {
      connection.look(nowMs);
      return connection.row(nowMs, nowWallMs) ?? [];
    });
  }

  /** Once a second: who has been idle for too long has to go. */
  lookAtClients(): void {
    const nowMs = monotonicNowMs();
    const { client_idle_limit: seconds } = this.#context.settings().config;
    for (const connection of this.#connections) {
      connection.look(nowMs);
      if (seconds === 0 || connection.idleMs(nowMs) < seconds * 1000) continue;
      const detail = `child connection forced to terminate due to client_idle_limit:${seconds} is reached`;
      connection.shutDown(failure("client-idle", { detail }));
    }
  }

  /** What the supervisor says of the places for clients. */
  placesTold(message: PlacesToWorker): void {
    this.#places.take(message);
  }

  // ---- ClientHost -------------------------------------------------------------------------

  /** Whoever has been silent for longest makes room: connections cost memory before any login. */
  came(connection: ClientConnection): void {
    this.#strangers.add(connection);
    if (this.#strangers.size <= this.#strangersMax) return;
    const [oldest] = this.#strangers;
    const detail = `${this.#strangersMax} newer connections have not sent a start-up packet either.`;
    const hint = "Find out who opens connections and says nothing.";
    oldest?.shutDown(failure("too-many-clients", { detail, hint }));
  }

  introduced(connection: ClientConnection): void {
    this.#strangers.delete(connection);
  }

  enter(connection: ClientConnection): "entered" | "waits" | Failure {
    const entry = this.#places.enter(connection);
    if (entry === "entered") this.#giveKey(connection);
    return entry;
  }

  left(connection: ClientConnection): void {
    this.#connections.delete(connection);
    this.#strangers.delete(connection);
    const key = this.#clients.get(connection);
    if (key !== undefined) this.#byProcessId.delete(key.processId);
    this.#clients.delete(connection);
    this.#places.left(connection);
    this.#tellWhenEmpty();
  }

  isWaiting(connection: ClientConnection): boolean {
    return this.#places.isWaiting(connection);
  }

  cancelKeyOf(connection: ClientConnection): Key {
    return this.#clients.get(connection) ?? { processId: 0, key: 0 };
  }

  /** For a session of another worker it is passed on; nobody is told whether a key was right. */
  cancel(processId: number, key: Buffer, done: () => void): void {
    const secretKey = key.length === 4 ? key.readInt32BE(0) : 0;
    if (workerOfProcessId(processId) === this.#context.workerId) {
      return this.cancelHere(processId, secretKey, done);
    }
    this.#remoteCancels.pass(processId, secretKey, done);
  }

  /** Another worker has carried out what `cancel` passed on. */
  cancelledElsewhere(id: number): void {
    this.#remoteCancels.answered(id);
  }

  cancelHere(processId: number, secretKey: number, done: () => void): void {
    const connection = this.#byProcessId.get(processId);
    const isRight = connection !== undefined && this.#clients.get(connection)?.key === secretKey;
    const session = isRight ? connection.session : null;
    if (session === null) done();
    else session.cancel(done);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #open(options: object): Promise<string | null> {
    // Handles are taken over from sockets that nobody has read yet.
    const server = createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true });
    server.on("connection", (socket) => {
      this.#connections.add(new ClientConnection(socket, this.#context, this));
    });
    return new Promise((resolve) => {
      server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      server.listen(options, () => {
        this.#servers.push(server);
        server.on("error", (error) => {
          this.#context.log.write("warning", "could not accept a client", {
            detail: error.message,
          });
        });
        resolve(null);
      });
    });
  }

  #setMode(path: string, mode: number): void {
    try {
      chmodSync(path, mode);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.#context.log.write("warning", `could not set permissions of "${path}"`, { detail });
    }
  }

  #giveKey(connection: ClientConnection): void {
    const key = this.#newKey();
    this.#clients.set(connection, key);
    this.#byProcessId.set(key.processId, connection);
  }

  #newKey(): Key {
    let processId: number;
    do {
      this.#sequence = this.#sequence >= SEQUENCE_MAX ? 1 : this.#sequence + 1;
      processId = (this.#context.workerId << CANCEL_WORKER_SHIFT) | this.#sequence;
    } while (this.#byProcessId.has(processId));
    return { processId, key: randomInt(-0x8000_0000, 0x7fff_ffff) };
  }

  #tellWhenEmpty(): void {
    if (this.#onEmpty === null || this.#connections.size > 0) return;
    this.#onEmpty();
    this.#onEmpty = null;
  }
}

function describe(address: string, code: string, path: string | null): ListenError {
  const message = `could not listen on ${address}: ${code}`;
  if (code === "EADDRINUSE") {
    const hint =
      path === null
        ? "Is another pgpool, or PostgreSQL itself, running on that port? Stop it, or change port."
        : `Is another pgpool running? If not, remove the file "${path}".`;
    return { address, code, message, hint };
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    const hint = "The address is not one of this machine's: change listen_addresses.";
    return { address, code, message, hint };
  }
  if (code === "EACCES" || code === "ENOENT") {
    const hint =
      "The directory must exist and be writable for the user that pgpool runs as: change unix_socket_directories.";
    return { address, code, message, hint };
  }
  return {
    address,
    code,
    message,
    hint: "Change listen_addresses, port or unix_socket_directories.",
  };
}
