import { timingSafeEqual } from "node:crypto";
import { getSystemErrorName } from "node:util";
import { failure, type Failure } from "../../base/index.ts";
import {
  clientPortProblem,
  monotonicNowMs,
  type ServerHandle,
  type SocketProblem,
} from "../../os/index.ts";
import {
  CANCEL_WORKER_SHIFT,
  workerOfProcessId,
  type ClientCounts,
  type ClientRow,
  type ClusterView,
  type PlacesToWorker,
  type QueueRow,
} from "../../wire/ipc/index.ts";
import { FairShare } from "../core/admission/index.ts";
import type { AcceptedClient } from "./byte-socket.ts";
import { ClientConnection, type ClientHost } from "./client-connection.ts";
import { ClientPlaces } from "./client-places.ts";
import { RandomSupply } from "./random-supply.ts";
import { RemoteCancels } from "./remote-cancels.ts";
import type { WorkerContext } from "./worker-context.ts";

const COUNT_EVERY_MS = 20;
/** About. */
const LOOK_EVERY_MS = 1000;
const SEQUENCE_MAX = (1 << CANCEL_WORKER_SHIFT) - 1;

/** So many connections may be silent at a time, however few clients the node serves. */
const STRANGERS_MIN = 1000;

interface Key {
  readonly processId: number;
  readonly key: Buffer;
}

const NO_KEY: Key = { processId: 0, key: Buffer.alloc(4) };

/** The doors of this worker and everybody who came in. */
export class Listener implements ClientHost {
  readonly #context: WorkerContext;
  readonly #doors: ServerHandle[] = [];
  readonly #fairShare = new FairShare();
  #countTimer: NodeJS.Timeout | null = null;
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
  readonly #random = new RandomSupply();
  #sequence = 0;
  #clientsServed = 0;
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

  /** Since the worker's start, those who are inside among them. */
  get clientsServed(): number {
    return this.#clientsServed;
  }

  get counts(): ClientCounts {
    return this.#places.counts;
  }

  /**
   * Accepts clients from a socket that the supervisor bound.
   *
   * @returns why that is not possible, or null.
   */
  openDoor(door: ServerHandle, name: string, path: string | null): SocketProblem | null {
    const { config } = this.#context.settings();
    const backlog = config.num_init_children * config.listen_backlog_multiplier;
    const { io } = this.#context;
    const status = io.listen(door, backlog, (code, client) => this.#accepted(code, client));
    if (status === 0) {
      this.#doors.push(door);
      return null;
    }
    io.close(door);
    return clientPortProblem(name, getSystemErrorName(status), path);
  }

  /** A client that the supervisor gives us. */
  take(client: AcceptedClient): void {
    if (this.#onEmpty !== null) return this.#context.passClient(client);
    this.#connections.add(new ClientConnection(client, this.#context, this));
    this.#tellCount();
  }

  /** How many clients the other workers have. */
  crowdTold(othersCount: number, othersConnections: number): void {
    this.#fairShare.othersTold(othersCount, othersConnections);
    this.#tellCount();
  }

  viewChanged(view: ClusterView): void {
    for (const connection of this.#connections) connection.session?.viewChanged(view);
  }

  gateChanged(): void {
    for (const connection of this.#connections) connection.session?.gateChanged();
  }

  /** No new clients, and none that waits for a place; `done` when the last one has left. */
  stopAccepting(done: () => void): void {
    for (const door of this.#doors.splice(0)) this.#context.io.close(door);
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

  /** Once a second: who has been idle for too long has to go, and no standby may be silent. */
  lookAtClients(): void {
    const nowMs = monotonicNowMs();
    const { client_idle_limit: usual, standby_silence_timeout: silenceMs } =
      this.#context.settings().config;
    for (const connection of this.#connections) {
      connection.look(nowMs);
      connection.session?.look();
      if (silenceMs > 0) {
        const standby = connection.waitsForStandby(nowMs, silenceMs - LOOK_EVERY_MS / 2);
        if (standby !== null) this.#context.awaited(standby);
      }
      const seconds = connection.idleLimit ?? usual;
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
    if (entry !== "waits" || this.#onEmpty === null) return entry;
    // It was accepted before the stop, which would have to wait for it now.
    this.#places.left(connection);
    return failure("shutting-down");
  }

  left(connection: ClientConnection): void {
    this.#connections.delete(connection);
    this.#strangers.delete(connection);
    this.#tellCount();
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
    return this.#clients.get(connection) ?? NO_KEY;
  }

  /** For a session of another worker it is passed on; nobody is told whether a key was right. */
  cancel(processId: number, key: Buffer, done: () => void): void {
    const secretKey = key.toString("base64");
    if (workerOfProcessId(processId) === this.#context.workerId) {
      return this.cancelHere(processId, secretKey, done);
    }
    this.#remoteCancels.pass(processId, secretKey, done);
  }

  /** Another worker has carried out what `cancel` passed on. */
  cancelledElsewhere(id: number): void {
    this.#remoteCancels.answered(id);
  }

  /** @param secretKey in base64. */
  cancelHere(processId: number, secretKey: string, done: () => void): void {
    const connection = this.#byProcessId.get(processId);
    const own = connection === undefined ? undefined : this.#clients.get(connection)?.key;
    const session = own !== undefined && isSame(own, secretKey) ? connection?.session : null;
    if (!session) done();
    else session.cancel(done);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #accepted(status: number, client: AcceptedClient | null): void {
    if (client === null) {
      const detail = getSystemErrorName(status);
      return this.#context.log.write("warning", "could not accept a client", { detail });
    }
    if (!this.#fairShare.mayKeep(this.#connections.size + 1)) {
      return this.#context.passClient(client);
    }
    this.#connections.add(new ClientConnection(client, this.#context, this));
    this.#tellCount();
  }

  /** At once when it is news, but not more often than the others can use it. */
  #tellCount(): void {
    const count = this.#connections.size;
    if (this.#countTimer !== null || !this.#fairShare.isNews(count)) return;
    this.#fairShare.told(count);
    this.#context.tell({ type: "connections", count });
    this.#countTimer = setTimeout(() => {
      this.#countTimer = null;
      this.#tellCount();
    }, COUNT_EVERY_MS).unref();
  }

  #giveKey(connection: ClientConnection): void {
    const key = this.#newKey(connection.cancelKeyBytes);
    this.#clientsServed += 1;
    this.#clients.set(connection, key);
    this.#byProcessId.set(key.processId, connection);
  }

  #newKey(lengthBytes: number): Key {
    let processId: number;
    do {
      this.#sequence = this.#sequence >= SEQUENCE_MAX ? 1 : this.#sequence + 1;
      processId = (this.#context.workerId << CANCEL_WORKER_SHIFT) | this.#sequence;
    } while (this.#byProcessId.has(processId));
    return { processId, key: this.#random.take(lengthBytes) };
  }

  #tellWhenEmpty(): void {
    if (this.#onEmpty === null || this.#connections.size > 0) return;
    this.#onEmpty();
    this.#onEmpty = null;
  }
}

function isSame(own: Buffer, secretKey: string): boolean {
  const key = Buffer.from(secretKey, "base64");
  return key.length === own.length && timingSafeEqual(key, own);
}
