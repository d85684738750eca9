/**
 * A session without sockets: what it sends is written down line by line, so that a story can be
 * compared as text. `>0` goes to backend 0, `>client` to the client.
 */
import { loadModule, parseSync } from "libpg-query";
import { failure, succeed, type Failure } from "../../../../../src/base/index.ts";
import type { OwnCommand } from "../../../../../src/proxy/core/show/index.ts";
import { CLIENT, ROUTING } from "../../../../support/routing.ts";
import { ReplayClock } from "../../../../../src/proxy/core/replay/index.ts";
import { compileRules, type Catalog } from "../../../../../src/proxy/core/routing/index.ts";
import { createClassifier } from "../../../../../src/proxy/core/sql/index.ts";
import {
  BackendLink,
  ParameterSets,
  Session,
  SessionStates,
  SharedStatements,
  type LinkPort,
  type SessionPort,
} from "../../../../../src/proxy/core/session/index.ts";
import type { BackendView, ClusterView } from "../../../../../src/wire/ipc/index.ts";
import { buildError, buildMessage, buildReady } from "../../../../../src/wire/postgres/index.ts";

await loadModule();
const classifier = createClassifier({
  parse: parseSync,
  cacheEntriesMax: 100,
  parseBytesMax: 10_000,
});

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

export const VIEW: ClusterView = {
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

const KNOWN = { states: new SessionStates(), sets: new ParameterSets() };
const STATEMENTS_PER_CONNECTION = 2;

/** A primary 0 and a standby 1, which takes the reads. */
export class World implements SessionPort {
  readonly session: Session;
  readonly links: BackendLink[] = [];
  gate: "open" | "holds" | "refuses" = "open";
  isPrimaryAwaited = false;
  readonly pauses: ReturnType<SessionPort["pauseOf"]>[] = [];
  isClientSlow = false;
  mayWaitForReplay = false;
  #lines: string[] = [];

  /** Shared connections that are idle, where they are shared. */
  readonly idle: BackendLink[] = [];

  constructor(
    o: {
      readonly view?: ClusterView;
      readonly backends?: readonly number[];
      readonly isSharing?: boolean;
      /** Else backend 1. */
      readonly loadBalanceNode?: number;
      /** Reads are to see what the session has seen. */
      readonly clock?: ReplayClock;
      readonly catalog?: Catalog;
    } = {},
  ) {
    this.session = new Session({
      port: this,
      classify: (input, start, end) => classifier.classifyBytes(input, start, end),
      rules: compileRules(ROUTING),
      view: o.view ?? VIEW,
      loadBalanceNode: o.loadBalanceNode ?? 1,
      client: CLIENT,
      catalog: o.catalog ?? null,
      mutations: null,
      sharing:
        o.isSharing === true
          ? { state: KNOWN.states.initial, told: KNOWN.sets.of(new Map()) }
          : null,
      known: { ...KNOWN, statements: new SharedStatements(STATEMENTS_PER_CONNECTION) },
      clock: o.clock ?? new ReplayClock(),
      isConsistent: o.clock !== undefined,
      nextRandom: () => 0,
      logging: {
        statements: false,
        perNode: false,
        notices: false,
        clientMessages: false,
        backendMessages: "none",
      },
    });
    for (const id of o.backends ?? [0, 1]) {
      if (o.isSharing === true) this.idle.push(this.#newLink(id));
      else this.session.addLink(this.#newLink(id));
    }
  }

  /** A link on its own, as the driver makes one for a new connection. */
  #newLink(id: number): BackendLink {
    const link = new BackendLink({ backendId: id, sets: KNOWN.sets, port: this.#portOf(id) });
    link.state = KNOWN.states.initial;
    this.links[id] = link;
    return link;
  }

  lost(id: number, why: string): this {
    const link = this.links[id];
    if (link === undefined) throw new Error(`no link ${id}`);
    this.session.linkLost(link, why);
    return this;
  }

  /** What happened since the last call. */
  story(): string {
    const lines = this.#lines.join("\n");
    this.#lines = [];
    return lines;
  }

  client(...messages: readonly Buffer[]): this {
    this.session.clientBytes(Buffer.concat(messages));
    return this;
  }

  backend(id: number, ...messages: readonly Buffer[]): this {
    const link = this.links[id];
    if (link === undefined) throw new Error(`no link ${id}`);
    this.session.linkBytes(link, Buffer.concat(messages));
    return this;
  }

  setGate(gate: World["gate"]): this {
    this.gate = gate;
    this.session.gateChanged();
    return this;
  }

  /** A failover has begun, and is still awaited or was given up. */
  replacePrimary(isAwaited: boolean): this {
    this.isPrimaryAwaited = isAwaited;
    this.session.viewChanged({ ...VIEW, primaryId: null, awaitsPrimary: true });
    return this;
  }

  pauseOf(backendId: number): ReturnType<SessionPort["pauseOf"]> {
    return this.pauses[backendId] ?? null;
  }

  awaitsPrimary(): boolean {
    return this.isPrimaryAwaited;
  }

  opened(id: number): void {
    this.session.linkOpened(this.#newLink(id));
  }

  #portOf(id: number): LinkPort {
    return {
      send: (bytes, start, end) => this.#write(`>${id}`, bytes.subarray(start, end)),
      isBlocked: false,
    };
  }

  #write(to: string, bytes: Buffer): void {
    this.#lines.push(`${to} ${describe(bytes)}`);
  }

  toClient(bytes: Buffer, start: number, end: number): void {
    this.#write(">client", bytes.subarray(start, end));
  }

  pauseClient(): void {
    this.#lines.push("pause client");
  }

  resumeClient(): void {
    this.#lines.push("resume client");
  }

  mayForward(): boolean {
    return this.gate === "open";
  }

  forwardRefusal(): string | null {
    return this.gate === "refuses" ? "no quorum" : null;
  }

  openLink(backendId: number): BackendLink | null {
    const at = this.idle.findIndex((link) => link.backendId === backendId);
    const [link] = at < 0 ? [] : this.idle.splice(at, 1);
    this.#lines.push(link === undefined ? `open ${backendId}` : `take ${backendId}`);
    if (link !== undefined) link.owner = this.session;
    return link ?? null;
  }

  waitForReplay(backendId: number): boolean {
    this.#lines.push(`wait for ${backendId}`);
    return this.mayWaitForReplay;
  }

  giveUpLink(): void {
    this.#lines.push("give up");
  }

  releaseLink(link: BackendLink): void {
    this.#lines.push(`release ${link.backendId}`);
    this.idle.push(link);
  }

  mayRelease(): boolean {
    return !this.isClientSlow;
  }

  holdLink(): void {
    // Nothing comes by itself.
  }

  dropLink(link: BackendLink, why: string): void {
    this.#lines.push(`drop ${link.backendId}: ${why}`);
  }

  terminated(): void {
    this.#lines.push("terminated");
  }

  end(why: Failure | null): void {
    this.#lines.push(`end ${why === null ? "without a word" : `${why.sqlstate} ${why.message}`}`);
  }

  columnsOf(): readonly string[] {
    return ["v"];
  }

  answerOwn(command: OwnCommand): ReturnType<SessionPort["answerOwn"]> {
    const name = command.kind === "show-pool" ? command.name : "";
    if (name === "pool_clients") return null;
    if (name === "pool_nodes") {
      return succeed({ columns: ["v"], rows: [["1"], ["2"], ["3"]], tag: "SELECT 3" });
    }
    if (name !== "pool_version") return { ok: false, error: failure("no-primary") };
    return succeed({ columns: ["v"], rows: [["1"]], tag: "SELECT 1" });
  }

  catalogChanged(): void {
    // Not part of a story.
  }

  statementSent(): void {
    // Not part of a story.
  }

  readMoved(backendId: number, why: string): void {
    this.#lines.push(`>log read moved from ${backendId}: ${why}`);
  }

  log(): void {
    // Off.
  }

  logSent(): void {
    // Off.
  }

  backendFailed(): void {
    // Not part of a story.
  }
}

/** The types of the messages, with a name or text where that matters. */
function describe(bytes: Buffer): string {
  const words: string[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    const type = bytes.toString("latin1", at, at + 1);
    const body = bytes.toString("latin1", at + 5, Math.min(end, bytes.length));
    words.push(word(type, body));
    at = end;
  }
  return words.join(" ");
}

function word(type: string, body: string): string {
  switch (type) {
    case "Z":
      return `Z${body}`;
    case "Q":
      return `Q(${body.slice(0, -1)})`;
    case "E":
      return body.includes("\0C") ? `E(${body.split("\0C")[1]?.slice(0, 5)})` : "E";
    case "P":
      return `P(${body.split("\0")[0]})`;
    case "B":
      return `B(${body.split("\0")[1]})`;
    default:
      return type;
  }
}

// ---- messages of a backend ------------------------------------------------------------------

const bare = (type: string, body = ""): Buffer =>
  buildMessage(type.codePointAt(0) ?? 0, Buffer.from(body));

export const says = {
  parsed: bare("1"),
  bound: bare("2"),
  closed: bare("3"),
  rows: Buffer.concat([bare("T", "\0\0"), bare("D", "\0\0")]),
  /** Of a statement without parameters that gives no rows. */
  noRows: Buffer.concat([bare("t", "\0\0"), bare("n")]),
  /** Of a statement without parameters: the names of its columns, all of one type. */
  columns(...names: readonly string[]): Buffer {
    const columns = names.flatMap((name) => [Buffer.from(`${name}\0`), Buffer.alloc(18)]);
    const body = Buffer.concat([Buffer.from([0, names.length]), ...columns]);
    return buildMessage("T".codePointAt(0) ?? 0, body);
  },
  noParameters: bare("t", "\0\0"),
  row(...values: readonly (string | null)[]): Buffer {
    const parts = [Buffer.from([0, values.length])];
    for (const value of values) {
      const length = Buffer.alloc(4);
      length.writeInt32BE(value?.length ?? -1, 0);
      parts.push(length, Buffer.from(value ?? ""));
    }
    return buildMessage("D".codePointAt(0) ?? 0, Buffer.concat(parts));
  },
  done: bare("C", "OK\0"),
  tag: (tag: string): Buffer => bare("C", `${tag}\0`),
  suspended: bare("s"),
  copyIn: bare("G", "\0\0\0"),
  notice: bare("N", "SNOTICE\0\0"),
  notification: bare("A", "\0\0\0\x01news\0\0"),
  ready: (status: "I" | "T" | "E" = "I"): Buffer => buildReady(status.codePointAt(0) ?? 0),
  error: (sqlstate: string, severity: "ERROR" | "FATAL" = "ERROR"): Buffer =>
    buildError({ severity, sqlstate, message: "m" }),
};
