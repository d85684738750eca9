/** A session between a client that is a list of bytes and servers that are models or noise. */
import { loadModule, parseSync } from "libpg-query";
import { assert, failure, succeed, type Failure } from "../../../src/base/index.ts";
import { CLIENT, ROUTING } from "../../support/routing.ts";
import { ReplayClock } from "../../../src/proxy/core/replay/index.ts";
import { compileRules } from "../../../src/proxy/core/routing/index.ts";
import {
  BackendLink,
  ParameterSets,
  Session,
  SessionStates,
  SharedStatements,
  type LinkPort,
  type SessionPort,
} from "../../../src/proxy/core/session/index.ts";
import { createClassifier } from "../../../src/proxy/core/sql/index.ts";
import type { BackendView, ClusterView } from "../../../src/wire/ipc/index.ts";

await loadModule();
const classifier = createClassifier({
  parse: parseSync,
  cacheEntriesMax: 200,
  parseBytesMax: 10_000,
});

const RULES = compileRules(ROUTING);

function backend(id: number): BackendView {
  return {
    id,
    hostname: "h",
    port: 1,
    weight: id === 0 ? 0 : 1,
    state: "up",
    quarantined: false,
    stateChangedAt: 0,
    pgStatus: "up",
    pgRole: id === 0 ? "primary" : "standby",
    replicationDelayBytes: 0,
    replicationDelayMs: 0,
    replicationState: "",
    replicationSyncState: "",
    stateReason: "",
    problem: null,
    timeline: null,
    systemIdentifier: null,
    walLsn: null,
    receivedLsn: null,
    selectCount: 0,
  };
}

const VIEW: ClusterView = {
  epoch: 1,
  primaryEpoch: 1,
  primaryId: 0,
  backends: [backend(0), backend(1)],
  index: 1,
  awaitsPrimary: false,
  maintenance: null,
  drainingId: null,
  refusal: null,
  isStreaming: true,
  delayIsTime: false,
};

/** What the world does with the bytes for a server. */
export type Receive = (backendId: number, bytes: Buffer) => void;

const SETS = new ParameterSets();
const STATES = new SessionStates();

/** A primary 0 and a standby 1, which takes the reads. */
export class World implements SessionPort {
  readonly session: Session;
  readonly links = new Map<number, BackendLink>();
  readonly toClientBytes: Buffer[] = [];
  isPaused = false;
  isOver = false;
  gate: "open" | "holds" | "refuses" = "open";
  isPrimaryAwaited = false;
  /** Asked for by the session and not answered. */
  opening: number | null = null;
  readonly #receive: Receive;

  constructor(receive: Receive) {
    this.#receive = receive;
    this.session = new Session({
      port: this,
      classify: (input, start, end) => classifier.classifyBytes(input, start, end),
      rules: RULES,
      view: VIEW,
      loadBalanceNode: 1,
      client: CLIENT,
      catalog: null,
      mutations: null,
      sharing: null,
      known: { states: STATES, sets: SETS, statements: new SharedStatements(1) },
      clock: new ReplayClock(),
      isConsistent: false,
      nextRandom: () => 0,
      logging: {
        statements: false,
        perNode: false,
        notices: false,
        clientMessages: false,
        backendMessages: "none",
      },
    });
    for (const id of [0, 1]) {
      this.session.addLink(this.#newLink(id));
    }
  }

  fromBackend(id: number, bytes: Buffer): void {
    const link = this.links.get(id);
    if (link !== undefined && !this.isOver) this.session.linkBytes(link, bytes);
  }

  lose(id: number): void {
    const link = this.links.get(id);
    if (link === undefined) return;
    this.links.delete(id);
    if (!this.isOver) this.session.linkLost(link, "it closed");
  }

  /** Answers `openLink`, if it was asked. */
  opened(isGood: boolean): void {
    const id = this.opening;
    this.opening = null;
    if (id === null || this.isOver) return;
    if (isGood) this.session.linkOpened(this.#newLink(id));
    else this.session.linkFailed(id, failure("no-primary"));
  }

  setGate(gate: World["gate"]): void {
    this.gate = gate;
    if (!this.isOver) this.session.gateChanged();
  }

  /** Which backends are up, one bit each, and whether backend 0 still is the primary. */
  setView(bits: number): void {
    if (this.isOver) return;
    this.isPrimaryAwaited = (bits & 8) !== 0;
    this.session.viewChanged({
      ...VIEW,
      primaryId: (bits & 4) === 0 ? 0 : null,
      awaitsPrimary: (bits & 16) !== 0,
      backends: VIEW.backends.map((one) => ({
        ...one,
        state: (bits & (1 << one.id)) === 0 ? "up" : "down",
      })),
    });
  }

  #newLink(id: number): BackendLink {
    const link = new BackendLink({ backendId: id, sets: SETS, port: this.#portOf(id) });
    this.links.set(id, link);
    return link;
  }

  #portOf(id: number): LinkPort {
    return {
      send: (bytes, start, end) => {
        assert(0 <= start && start < end && end <= bytes.length, "a span lies within its buffer");
        assert(!this.isOver, "nothing is sent to a server once the session is over");
        // A copy: the view is valid only during the call.
        this.#receive(id, Buffer.from(bytes.subarray(start, end)));
      },
      isBlocked: false,
    };
  }

  // ---- the session's port -----------------------------------------------------------------

  toClient(bytes: Buffer, start: number, end: number): void {
    assert(0 <= start && start <= end && end <= bytes.length, "a span lies within its buffer");
    assert(!this.isOver, "nothing is told to a client once the session is over");
    this.toClientBytes.push(Buffer.from(bytes.subarray(start, end)));
  }

  pauseClient(): void {
    this.isPaused = true;
  }

  resumeClient(): void {
    this.isPaused = false;
  }

  openLink(backendId: number): null {
    assert(this.opening === null, "one link is opened at a time");
    this.opening = backendId;
    return null;
  }

  waitForReplay(): boolean {
    return false;
  }

  giveUpLink(): void {
    assert(this.opening !== null, "what is given up was asked for");
    this.opening = null;
  }

  releaseLink(): void {
    throw new Error("a link that is not shared is not released");
  }

  mayRelease(): boolean {
    return true;
  }

  mayForward(): boolean {
    return this.gate === "open";
  }

  forwardRefusal(): string | null {
    return this.gate === "refuses" ? "no quorum" : null;
  }

  pauseOf(): null {
    return null;
  }

  awaitsPrimary(): boolean {
    return this.isPrimaryAwaited;
  }

  holdLink(): void {
    // Nothing comes by itself.
  }

  dropLink({ backendId }: BackendLink): void {
    assert(this.links.delete(backendId), `backend ${backendId} is let go once`);
  }

  terminated(): void {
    assert(!this.isOver, "a session ends once");
    this.isOver = true;
  }

  end(_why: Failure | null): void {
    assert(!this.isOver, "a session ends once");
    this.isOver = true;
  }

  columnsOf(): readonly string[] {
    return ["v"];
  }

  answerOwn(): ReturnType<SessionPort["answerOwn"]> {
    return succeed({ columns: ["v"], rows: [["1"]], tag: "SELECT 1" });
  }

  catalogChanged(): void {
    // Not part of a story.
  }

  statementSent(): void {
    // Not judged.
  }

  readMoved(): void {
    // The next server gets it.
  }

  log(): void {
    // Off.
  }

  logSent(): void {
    // Off.
  }

  backendFailed(): void {
    // Not judged.
  }
}
