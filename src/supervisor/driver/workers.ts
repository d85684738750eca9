import { fork, type ChildProcess, type SendHandle } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import type { Ms } from "../../base/index.ts";
import {
  CoreRunner,
  leaveUnraised,
  monotonicNowMs,
  type Log,
  type StreamHandle,
} from "../../os/index.ts";
import {
  workerOfProcessId,
  type ClientCounts,
  type ClientRow,
  type ClusterView,
  type FromWorker,
  type HealthRow,
  type ActivityName,
  type ListName,
  type NodeActivity,
  type NodeList,
  type QueueRow,
  type RouteItem,
  type RouteQuestion,
  type ToWorker,
  type WorkerActivity,
} from "../../wire/ipc/index.ts";
import { ClientSpread } from "../core/client-spread.ts";
import type { ClientDoors } from "./client-doors.ts";
import { NodeLists } from "./node-lists.ts";
import {
  clientPlaces,
  newClientPlaces,
  type ClientPlacesAction,
  type ClientPlacesEvent,
  type ClientPlacesState,
} from "../core/client-places.ts";
import {
  connectionCaps,
  newConnectionCaps,
  type ConnectionCaps,
  type ConnectionCapsAction,
  type ConnectionCapsEvent,
  type ConnectionCapsState,
} from "../core/connection-caps.ts";
import { newRestartHistory, planRestart, type RestartHistory } from "../core/restart-policy.ts";

/** The proxy workers of this node: started, kept alive, told what to know, stopped. */
export interface WorkersOptions {
  readonly count: number;
  /** Places for clients, and whether and how many may wait for one. */
  readonly places: {
    readonly placesCount: number;
    readonly mayWait: boolean;
    readonly queueMax: number;
  };
  readonly caps: ConnectionCaps;
  readonly env: Readonly<Record<string, string>>;
  readonly log: Log;
  readonly view: () => ClusterView;
  readonly onBackendError: (error: FromWorker & { readonly type: "backend-error" }) => void;
  /** See STATISTIC; summed over all workers, those that ended included. */
  readonly onStatistics: (statistics: readonly number[]) => void;
  /** Of the checks of the backends. */
  readonly health: () => readonly HealthRow[];
  /** A worker is sent its first view. */
  readonly onJoined: (number: number) => void;
  readonly onApplied: (number: number, index: number) => void;
  readonly onBackendPaused: (
    number: number,
    told: FromWorker & { readonly type: "backend-paused" },
  ) => void;
  /** Its process has ended. */
  readonly onLeft: (number: number) => void;
  /** A worker found that it cannot run at all. */
  readonly onUnusable: (reason: string) => void;
}

const FAST_STOP_MS: Ms = 3000;
/**
 * The garbage of a worker is that of connections and of SQL that is new to it: with a small nursery it costs
 * as much of the processor as with V8's 16 MiB, and up to 30 MiB less.
 */
const LEAN: readonly string[] = ["--max-semi-space-size=2"];
/** Longer than a worker takes to look names up, shorter than who asks waits. */
const ROUTE_ANSWER_MS: Ms = 6000;
const QUEUE_WARNING_EVERY_MS: Ms = 60_000;
/** Workers are told of each other's clients at most so often. */
const CROWD_EVERY_MS: Ms = 20;
/** Of a worker that goes down before it takes the client. */
const GIVE_ATTEMPTS_MAX = 3;
const PROGRAM = fileURLToPath(new URL("./worker.mjs", import.meta.url));

type Client = Socket | StreamHandle;

interface Slot {
  readonly number: number;
  readonly worker: ChildProcess;
  history: RestartHistory;
  statistics: readonly number[];
  clients: ClientCounts;
  isListening: boolean;
  /** Why it ends for good, as it said itself. */
  unusable: string | null;
}

export class Workers {
  readonly #options: WorkersOptions;
  readonly #slots = new Map<number, Slot>();
  /** Who has how many places for clients. */
  readonly #places: CoreRunner<ClientPlacesState, ClientPlacesEvent, ClientPlacesAction>;
  /** Who has how many server connections, where these are bounded. */
  readonly #caps: CoreRunner<ConnectionCapsState, ConnectionCapsEvent, ConnectionCapsAction>;
  /** Of workers that ended. */
  #pastStatistics: number[] = [];
  #pastClients = NO_CLIENTS;
  readonly #clientLists = this.#newLists<ClientRow>("clients");
  readonly #queueLists = this.#newLists<QueueRow>("queues");
  readonly #activityLists = {
    activity: this.#newLists<WorkerActivity>("activity"),
    statistics: this.#newLists<WorkerActivity>("statistics"),
  };
  /** Who waits for answers to `explain-route`, each for a bounded time. */
  readonly #routeQuestions = new Map<number, (items: readonly RouteItem[]) => void>();
  #lastQuestionId = 0;
  readonly #spread = new ClientSpread();
  #crowdTimer: NodeJS.Timeout | null = null;
  #doors: ClientDoors | null = null;
  #restartsCount = 0;
  /** No warning of clients that wait before then. */
  #warnNextMs: Ms = -Infinity;
  #isStopping = false;
  #readyCount = 0;
  #onAllReady: (() => void) | null = null;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#places = new CoreRunner<ClientPlacesState, ClientPlacesEvent, ClientPlacesAction>(
      clientPlaces,
      newClientPlaces({ ...options.places, workersCount: options.count }),
      { perform: ({ id, message }) => this.tellOne(id, message) },
    );
    this.#caps = new CoreRunner<ConnectionCapsState, ConnectionCapsEvent, ConnectionCapsAction>(
      connectionCaps,
      newConnectionCaps(options.caps),
      { perform: ({ id, message }) => this.tellOne(id, message) },
    );
  }

  /** Resolves when every worker accepts clients by these doors, which are closed by `stop`. */
  async start(doors: ClientDoors): Promise<void> {
    this.#doors = doors;
    const ready = new Promise<void>((resolve) => {
      this.#onAllReady = resolve;
    });
    for (let number = 1; number <= this.#options.count; number++) {
      this.#fork(number, newRestartHistory(monotonicNowMs()));
    }
    await ready;
  }

  /** What a reload changes. */
  configure(o: { readonly queueMax: number }): void {
    this.#places.deliver({ type: "configured", queueMax: o.queueMax });
  }

  get pids(): readonly number[] {
    return [...this.#slots.values()]
      .map((slot) => slot.worker.pid)
      .filter((pid) => pid !== undefined);
  }

  /** How often a worker had to be started again. */
  get restartsCount(): number {
    return this.#restartsCount;
  }

  /** Of all workers, those that ended included, as they last said. */
  get clients(): ClientCounts {
    const all = [...this.#slots.values()].map((slot) => slot.clients);
    return all.reduce(sumClients, this.#pastClients);
  }

  async listClients(): Promise<NodeList<ClientRow>> {
    return await this.#clientLists.collect();
  }

  async listQueues(): Promise<NodeList<QueueRow>> {
    return await this.#queueLists.collect();
  }

  /** One that does not answer in time is left out, but for what it counted last. */
  async activity(what: ActivityName): Promise<NodeActivity> {
    const { rows } = await this.#activityLists[what].collect();
    for (const { worker, statistics } of rows) {
      const slot = this.#slots.get(worker);
      if (slot !== undefined) slot.statistics = statistics;
    }
    const workers = rows.toSorted((one, other) => one.worker - other.worker);
    return { workers, statistics: this.#sumStatistics(), health: this.#options.health() };
  }

  /** Asks one worker where a statement would go; null when it does not answer. */
  async explainRoute(question: RouteQuestion): Promise<readonly RouteItem[] | null> {
    const slot = [...this.#slots.values()].find(({ isListening }) => isListening);
    if (slot === undefined) return null;
    this.#lastQuestionId += 1;
    const id = this.#lastQuestionId;
    return await new Promise((resolve) => {
      const end = (items: readonly RouteItem[] | null): void => {
        clearTimeout(timer);
        this.#routeQuestions.delete(id);
        resolve(items);
      };
      const timer = setTimeout(end, ROUTE_ANSWER_MS, null);
      this.#routeQuestions.set(id, end);
      send(slot.worker, { type: "explain-route", id, question });
    });
  }

  tell(message: ToWorker): void {
    for (const slot of this.#slots.values()) send(slot.worker, message);
  }

  tellOne(number: number, message: ToWorker): void {
    const slot = this.#slots.get(number);
    if (slot !== undefined) send(slot.worker, message);
  }

  /** `smart` waits for the clients for as long as they stay. */
  async stop(mode: "smart" | "fast"): Promise<void> {
    this.#isStopping = true;
    this.#doors?.close();
    this.tell({ type: "stop", mode });
    const ends = [...this.#slots.values()].map(({ worker }) => ended(worker));
    if (mode === "smart") {
      await Promise.all(ends);
      return;
    }
    const timer = setTimeout(() => {
      for (const { worker } of this.#slots.values()) worker.kill("SIGKILL");
    }, FAST_STOP_MS);
    await Promise.all(ends);
    clearTimeout(timer);
  }

  #fork(number: number, history: RestartHistory): void {
    const env = { ...process.env, ...this.#options.env, PGQUORUM_WORKER: `${number}` };
    const worker = fork(PROGRAM, [], { env, execArgv: [...process.execArgv, ...LEAN] });
    leaveUnraised(worker);
    const slot: Slot = {
      number,
      worker,
      history,
      statistics: [],
      clients: NO_CLIENTS,
      isListening: false,
      unusable: null,
    };
    this.#slots.set(number, slot);
    worker.on("message", (message: FromWorker, handle: unknown) => {
      this.#onMessage(slot, message, handle);
    });
    worker.on("error", () => undefined); // A message to a dying worker; its exit is handled.
    worker.once("exit", (code, signal) => this.#onExit(slot, code, signal));
  }

  #onMessage(slot: Slot, message: FromWorker, handle: unknown): void {
    switch (message.type) {
      case "ready":
        this.#spread.joined(slot.number);
        this.#tellCrowdSoon();
        this.#readyCount += 1;
        if (this.#readyCount >= this.#options.count) this.#onAllReady?.();
        return;
      case "client":
        // It may be gone before it arrives.
        if (handle) this.giveClient(handle as Client);
        return;
      case "connections":
        this.#spread.counted(slot.number, message.count);
        this.#tellCrowdSoon();
        return;
      case "leaving":
        this.#spread.left(slot.number);
        this.#tellCrowdSoon();
        return;
      case "applied":
        this.#options.onApplied(slot.number, message.index);
        return;
      case "backend-paused":
        this.#options.onBackendPaused(slot.number, message);
        return;
      case "catalog-changed":
      case "tables-written":
        for (const other of this.#slots.values()) if (other !== slot) send(other.worker, message);
        return;
      case "unusable":
        slot.unusable = message.reason;
        return;
      case "cancel": {
        const target = this.#slots.get(workerOfProcessId(message.processId));
        const { number: from } = slot;
        if (target === undefined || target === slot) {
          send(slot.worker, { type: "cancelled", id: message.id });
        } else send(target.worker, { ...message, from });
        return;
      }
      case "cancelled":
        this.tellOne(message.from, { type: "cancelled", id: message.id });
        return;
      case "place-wanted":
      case "place-unwanted":
      case "places-returned":
        // What an ended worker said is no word of the one that has its number now.
        if (this.#slots.get(slot.number) !== slot) return;
        this.#places.deliver({ type: "told", id: slot.number, message });
        return;
      case "connections-wanted":
      case "connection-closed":
        if (this.#slots.get(slot.number) !== slot) return;
        this.#caps.deliver({ type: "told", id: slot.number, message });
        return;
      case "clients":
        this.#clientLists.answered(slot.number, message.id, message.rows);
        return;
      case "queues":
        this.#queueLists.answered(slot.number, message.id, message.rows);
        return;
      case "route-explained":
        this.#routeQuestions.get(message.id)?.(message.items);
        return;
      case "activity":
        this.#activityLists[message.what].answered(slot.number, message.id, message.rows);
        return;
      case "ask-list":
        void this.#tellList(slot, message.what, message.id);
        return;
      case "backend-error":
        this.#options.onBackendError(message);
        return;
      case "stats":
        // The first one says that the worker listens: what was sent before is lost.
        if (!slot.isListening) {
          slot.isListening = true;
          this.#options.onJoined(slot.number);
          this.#places.deliver({ type: "worker-joined", id: slot.number });
          this.#caps.deliver({ type: "worker-joined", id: slot.number });
          send(slot.worker, { type: "view", view: this.#options.view() });
          this.#doors?.give(slot.worker);
        }
        slot.clients = message.clients;
        slot.statistics = message.statistics;
        this.#options.onStatistics(this.#sumStatistics());
        this.#warnOfQueue();
        return;
    }
  }

  #newLists<Row>(what: ListName): NodeLists<Row> {
    return new NodeLists<Row>({
      workers: () => [...this.#slots.values()].filter((one) => one.isListening).map(numberOf),
      ask: (worker, id) => this.tellOne(worker, { type: "list", what, id }),
    });
  }

  async #tellList({ worker }: Slot, what: ListName, id: number): Promise<void> {
    if (what === "clients") {
      send(worker, { type: "all-clients", id, list: await this.#clientLists.collect() });
    } else if (what === "queues") {
      send(worker, { type: "all-queues", id, list: await this.#queueLists.collect() });
    } else {
      send(worker, { type: "all-activity", what, id, activity: await this.activity(what) });
    }
  }

  /** To the worker that has the fewest; the client is lost when none takes any. */
  giveClient(client: Client, attempt = 1): void {
    const number = this.#isStopping ? null : this.#spread.choose();
    const worker = number === null ? undefined : this.#slots.get(number)?.worker;
    if (worker?.connected !== true || attempt > GIVE_ATTEMPTS_MAX) return close(client);
    const message: ToWorker = { type: "client" };
    worker.send(message, client as SendHandle, (error) => {
      if (error === null) close(client);
      else this.giveClient(client, attempt + 1);
    });
  }

  #tellCrowdSoon(): void {
    if (this.#crowdTimer !== null) return;
    this.#crowdTimer = setTimeout(() => {
      this.#crowdTimer = null;
      for (const number of this.#spread.workers) {
        const { count, connections } = this.#spread.othersOf(number);
        const crowd = { othersCount: count, othersConnections: connections };
        this.tellOne(number, { type: "crowd", ...crowd });
      }
    }, CROWD_EVERY_MS).unref();
  }

  /** Said now and then while it lasts: whoever is told that clients hang looks here first. */
  #warnOfQueue(): void {
    const { waiting } = this.clients;
    const nowMs = monotonicNowMs();
    if (waiting === 0 || nowMs < this.#warnNextMs) return;
    this.#warnNextMs = nowMs + QUEUE_WARNING_EVERY_MS;
    const { placesCount } = this.#options.places;
    const what = waiting === 1 ? "1 client waits" : `${waiting} clients wait`;
    this.#options.log.write("warning", `${what} for a place: all ${placesCount} are taken`, {
      hint: 'Raise num_init_children, or see in "pgquorum clients" who is inside.',
    });
  }

  #sumStatistics(): readonly number[] {
    const sum = [...this.#pastStatistics];
    for (const { statistics } of this.#slots.values()) addInto(sum, statistics);
    return sum;
  }

  #onExit(slot: Slot, code: number | null, signal: string | null): void {
    addInto(this.#pastStatistics, slot.statistics);
    this.#pastClients = sumClients(this.#pastClients, { ...slot.clients, clients: 0, waiting: 0 });
    this.#slots.delete(slot.number);
    this.#clientLists.workerLeft(slot.number);
    this.#queueLists.workerLeft(slot.number);
    this.#activityLists.activity.workerLeft(slot.number);
    this.#activityLists.statistics.workerLeft(slot.number);
    this.#spread.left(slot.number);
    this.#tellCrowdSoon();
    this.#options.onLeft(slot.number);
    this.#places.deliver({ type: "worker-left", id: slot.number });
    this.#caps.deliver({ type: "worker-left", id: slot.number });
    if (this.#isStopping) return;
    if (slot.unusable !== null) {
      this.#options.onUnusable(slot.unusable);
      return;
    }
    this.#restartsCount += 1;
    const { delayMs, history } = planRestart(slot.history, monotonicNowMs());
    const how = signal === null ? `with status ${code}` : `by signal ${signal}`;
    this.#options.log.write("warning", `worker ${slot.number} ended ${how}; starting it again`, {
      detail: delayMs === 0 ? "at once" : `in ${delayMs} ms, because it ended soon after its start`,
    });
    setTimeout(() => {
      if (!this.#isStopping) this.#fork(slot.number, history);
    }, delayMs);
  }
}

const NO_CLIENTS: ClientCounts = {
  clients: 0,
  waiting: 0,
  waited: 0,
  refused: 0,
  timedOut: 0,
  longestWaitMs: 0,
};

function numberOf(slot: Slot): number {
  return slot.number;
}

function sumClients(one: ClientCounts, other: ClientCounts): ClientCounts {
  return {
    clients: one.clients + other.clients,
    waiting: one.waiting + other.waiting,
    waited: one.waited + other.waited,
    refused: one.refused + other.refused,
    timedOut: one.timedOut + other.timedOut,
    longestWaitMs: Math.max(one.longestWaitMs, other.longestWaitMs),
  };
}

function addInto(sum: number[], counts: readonly number[]): void {
  counts.forEach((count, id) => {
    sum[id] = (sum[id] ?? 0) + count;
  });
}

function send(worker: ChildProcess, message: ToWorker): void {
  if (worker.connected) worker.send(message);
}

/** Our copy of it. */
function close(client: Client): void {
  if ("destroy" in client) client.destroy();
  else client.close();
}

async function ended(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    worker.once("exit", () => resolve());
  });
}
