import { failure, type Failure } from "../../../base/index.ts";
import type { ClusterView, RouteItem } from "../../../wire/ipc/index.ts";
import {
  besidesUnseen,
  chooseLoadBalanceNode,
  courseOf,
  explainRoute,
  isUsable,
  nextPinned,
  nodesOf,
  reasonText,
  route,
  TransactionMemory,
  type Catalog,
  type CatalogNames,
  type ClientIdentity,
  type DatabaseMutations,
  type Course,
  type Reason,
  type Route,
  type RoutingContext,
  type RoutingRules,
  type SessionNodes,
} from "../routing/index.ts";
import type { SqlClass } from "../sql/index.ts";
import type { ClientBatch } from "./client-batch.ts";
import { SENT } from "./pending-replies.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { ReadConsistency } from "./read-consistency.ts";

/** Where it was sent is known, why does not matter any more. */
const NOT_ASKED: Reason = { rule: "session-state" };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Where a statement or a whole batch goes. */
export type Destination =
  | { readonly kind: "backend"; readonly backendId: number }
  /** The primary's reply is the client's; the others keep the session's state equal. */
  | { readonly kind: "all"; readonly backendIds: readonly number[] }
  | { readonly kind: "nowhere"; readonly failure: Failure };

/** The memory of one session that routing needs, kept up to date statement by statement. */
export class SessionRouting {
  readonly #context: Mutable<RoutingContext>;
  readonly #tempRelations = new Set<string>();
  /** How often a statement was sent that leaves something on the primary alone. */
  #leavings = 0;
  readonly #nextRandom: () => number;
  readonly #catalog: Catalog | null;
  readonly #transaction: TransactionMemory;
  readonly #mutations: DatabaseMutations | null;
  /** The open transaction has answered all that was sent to it. */
  isSettled = false;
  readonly #perStatement: boolean;
  /** Something that was routed last is not known to be a pure read. */
  #writes = false;
  /** What was routed last goes where reads go, and is nothing else. */
  #isRead = false;
  #isRepeatable = false;
  /** As it is, where the session sees backends that it does without as quarantined. */
  #wholeView: ClusterView;
  /** What follows from the view, by load balance node: none at 0, node 0 at 1 ... */
  readonly #known: (KnownNodes | undefined)[] = [];

  constructor(o: {
    readonly rules: RoutingRules;
    /** Of the client's database; null: nothing is looked up. */
    readonly catalog: Catalog | null;
    /** What all sessions write; null: nobody wants to know. */
    readonly mutations: DatabaseMutations | null;
    readonly view: ClusterView;
    readonly loadBalanceNode: number | null;
    readonly client: ClientIdentity;
    readonly nextRandom: () => number;
  }) {
    this.#nextRandom = o.nextRandom;
    this.#catalog = o.catalog;
    this.#mutations = o.mutations;
    const { config } = o.rules;
    this.#transaction = new TransactionMemory(
      config.disable_load_balance_on_write,
      config.dml_adaptive_object_relationship_list,
    );
    this.#wholeView = o.view;
    this.#perStatement = config.statement_level_load_balance;
    this.#context = {
      rules: o.rules,
      judge: o.rules.judgeFor(o.catalog),
      view: o.view,
      preferences: o.rules.preferencesOf(o.client),
      text: "",
      loadBalanceNode: o.loadBalanceNode,
      randomUnit: o.nextRandom(),
      inTransaction: false,
      hold: "begun",
      written: this.#transaction.written,
      mutations: o.mutations,
      writeSeen: false,
      pinned: false,
      tempRelations: this.#tempRelations,
    };
  }

  set rules(rules: RoutingRules) {
    this.#context.rules = rules;
    this.#context.judge = rules.judgeFor(this.#catalog);
    this.#known.length = 0;
  }

  get view(): ClusterView {
    return this.#context.view;
  }

  set view(view: ClusterView) {
    this.#wholeView = view;
    this.#context.view = view;
    this.#known.length = 0;
  }

  /** Reads of this session go elsewhere, until `avoidsNone` or the next view. */
  avoid(backendId: number): void {
    const { view } = this.#context;
    const backends = view.backends.map((backend) =>
      backend.id === backendId ? { ...backend, quarantined: true } : backend,
    );
    this.#context.view = { ...view, backends };
    this.#known.length = 0;
  }

  /** The read that was routed last goes to another server, if it may go to one. */
  avoidForRead(backendId: number): boolean {
    if (!this.#isRead || !this.hasOther(backendId)) return false;
    this.avoid(backendId);
    if (this.hasReader) return true;
    this.avoidsNone();
    return false;
  }

  avoidsNone(): void {
    if (this.#context.view !== this.#wholeView) this.view = this.#wholeView;
  }

  /** There is a server besides this one that reads could go to. */
  hasOther(backendId: number): boolean {
    return this.#context.view.backends.some((one) => one.id !== backendId && isUsable(one));
  }

  /** A read could be sent somewhere. */
  get hasReader(): boolean {
    return this.#nodes().toRead !== null;
  }

  /** What was routed last is not known to be a pure read. */
  get mayWrite(): boolean {
    return this.#writes;
  }

  /** What was routed last only reads, wherever it has to do that. */
  get isRepeatable(): boolean {
    return this.#isRepeatable;
  }

  /** What was routed last is a read, for any server that reads may go to. */
  get isRead(): boolean {
    return this.#isRead;
  }

  get loadBalanceNode(): number | null {
    return this.#context.loadBalanceNode;
  }

  /** What follows was not routed: it goes where an unfinished batch went. */
  notRouted(): void {
    this.#writes = true;
    this.#isRead = false;
    this.#isRepeatable = false;
  }

  /** What has to be asked before the statement is routed; null when nothing has. */
  openQuestion(sql: SqlClass, inTransaction: boolean): OpenQuestion | null {
    const { judge } = this.#context;
    if (this.#catalog === null) return null;
    const asksLevel = inTransaction && this.#asksLevel(sql);
    if (!asksLevel && !judge.isOpen(sql)) return null;
    if (inTransaction && !asksLevel && !this.#mayLeave(sql)) return null;
    return this.#hasChoice ? { names: judge.namesToAsk(sql), asksLevel } : null;
  }

  /** The same for a batch. */
  openQuestionOfBatch(batch: ClientBatch, inTransaction: boolean): OpenQuestion | null {
    if (inTransaction && (batch.keepsPortal || batch.isBoundOnly)) return null;
    let all: OpenQuestion | null = null;
    for (let i = 0; i < batch.count; i += 1) {
      const sql = batch.statements[i]?.sql ?? null;
      if (sql === null || batch.kinds[i] === SENT.close) continue;
      const more = this.openQuestion(sql, inTransaction);
      if (more !== null) all = all === null ? more : joined(all, more);
    }
    return all;
  }

  /** Of the open transaction, and of those to come. */
  learnLevels(level: string, defaultLevel: string): void {
    this.#transaction.learnLevels(level, defaultLevel);
  }

  /** A standby failed a read of the open transaction: the others stay. */
  staysInTransaction(): void {
    this.#transaction.stay("standby");
  }

  ofStatement(sql: SqlClass, text: string, inTransaction: boolean): Destination {
    const course = this.#courseOf(sql, text, inTransaction);
    this.#writes = this.#context.judge.mayWrite(sql);
    this.#isRead = course === "read" && !this.#writes;
    this.#isRepeatable = sql.kind === "read" && !this.#writes;
    const { toPrimary, toRead, toAll } = this.#nodes();
    const destination = course === "both" ? toAll : course === "read" ? toRead : toPrimary;
    if (course === "nowhere" || course === "here" || destination === null) {
      return this.#nowhere(sql);
    }
    return destination;
  }

  /**
   * Where a statement would go if it came now.
   *
   * @param consistency what its reads must see; null: whatever is there.
   */
  explain(
    sql: SqlClass,
    text: string,
    inTransaction: boolean,
    consistency: ReadConsistency | null,
  ): readonly RouteItem[] {
    const hold = this.isSettled ? this.#transaction.hold : "begun";
    const context = { ...this.#context, text, inTransaction, hold };
    const chosen = besidesUnseen(
      route(sql, context),
      context.view,
      (id) => consistency?.unseenBy(id) ?? null,
    );
    return explainRoute(sql, chosen, context);
  }

  /** What has to be looked up for that. */
  namesToExplain(sql: SqlClass): CatalogNames {
    return this.#context.judge.namesToExplain(sql);
  }

  /** One destination for all messages of a batch: a standby only when all of it may go there. */
  ofBatch(batch: ClientBatch, endsWithSync: boolean, inTransaction: boolean): Destination | null {
    let onRead = 0;
    let onPrimary = 0;
    let everywhere = 0;
    let routed: PreparedStatement | null = null;
    let onlyReads = true;
    this.#writes = false;
    this.#isRead = false;
    this.#isRepeatable = false;
    for (let i = 0; i < batch.count; i += 1) {
      const statement = batch.statements[i] ?? null;
      if (statement === null || statement === routed || batch.kinds[i] === SENT.close) continue;
      routed = statement;
      const { sql } = statement;
      const course = this.#courseOf(sql, statement.text, inTransaction);
      this.#writes ||= this.#context.judge.mayWrite(sql);
      onlyReads &&= sql.kind === "read";
      if (course === "nowhere" || course === "here") return this.#nowhere(sql);
      if (course === "primary") onPrimary += 1;
      else if (course === "read" || this.#nodes().nodes.session.length === 1) onRead += 1;
      else everywhere += 1;
    }
    const keepsPortal = inTransaction && (batch.keepsPortal || batch.isBoundOnly);
    const mustBePrimary =
      !endsWithSync || batch.usesOlderPortal || batch.needsPrimary || keepsPortal;
    if (routed === null && !mustBePrimary) return null;
    const { toAnyPrimary, toRead, toAll } = this.#nodes();
    if (everywhere > 0 && onPrimary + onRead === 0 && !mustBePrimary) return toAll;
    const isRead = onRead > 0 && onPrimary + everywhere === 0 && !mustBePrimary;
    this.#isRead = isRead && !this.#writes;
    this.#isRepeatable = onlyReads && routed !== null && !mustBePrimary && !this.#writes;
    return (isRead ? toRead : toAnyPrimary) ?? this.#nowhere(null);
  }

  /**
   * What the statement that was routed last means for those after it.
   *
   * @param links where it was sent in the end.
   * @param coversSession those are all backends of the session.
   */
  executed(
    sql: SqlClass,
    links: readonly { readonly backendId: number }[],
    coversSession: boolean,
  ): void {
    const context = this.#context;
    if (sql.kind === "read" && !sql.changesSession && !this.#writes) return;
    this.#transaction.executed(sql, this.#writes, context.inTransaction);
    // Before it takes effect, as others may know of that sooner than we are told.
    if (!context.inTransaction || sql.kind === "commit") this.#tellWritten();
    const targets = links.map((link) => link.backendId);
    const chosen: Route = { targets, reason: NOT_ASKED, writes: this.#writes, coversSession };
    if (this.#writes) context.writeSeen = true;
    for (const relation of sql.createsTemp) this.#tempRelations.add(relation);
    if (sql.createsTemp.length > 0 || (sql.changesSession && !coversSession)) this.#leavings += 1;
    // What several links clear is cleared when all of them have said so: it may be skipped.
    if (sql.clearsSession && links.length > 1) return;
    context.pinned = nextPinned(context.pinned, sql, chosen);
    if (sql.clearsSession) this.#tempRelations.clear();
  }

  /** What is sent now clears the session on all its links: to be called when it has succeeded. */
  get whenCleared(): () => void {
    const leavings = this.#leavings;
    return () => {
      if (leavings !== this.#leavings) return;
      this.#context.pinned = false;
      this.#tempRelations.clear();
    };
  }

  /** All that was sent to the primary is answered there, and no transaction is open. */
  settled(): void {
    if (this.#mutations === null) return;
    this.#tellWritten();
    this.#transaction.untold.clear();
  }

  #tellWritten(): void {
    const { untold } = this.#transaction;
    if (untold.size > 0) this.#mutations?.wrote(untold);
  }

  #courseOf(sql: SqlClass, text: string, inTransaction: boolean): Course {
    const context = this.#context;
    context.text = text;
    context.inTransaction = inTransaction;
    if (inTransaction) context.hold = this.isSettled ? this.#transaction.hold : "begun";
    if (this.#perStatement && sql.destination === "either") {
      context.randomUnit = this.#nextRandom();
      context.loadBalanceNode = chooseLoadBalanceNode(
        context.view,
        context.rules.config,
        context.randomUnit,
        context.preferences,
      );
    }
    return courseOf(sql, context, this.#nodes().nodes);
  }

  /** The open transaction would let it, as far as is known. */
  #mayLeave(sql: SqlClass): boolean {
    if (!this.isSettled || sql.kind !== "read" || sql.readsTransaction) return false;
    return this.#transaction.hold === null;
  }

  #asksLevel(sql: SqlClass): boolean {
    if (!this.isSettled || sql.kind !== "read" || sql.readsTransaction) return false;
    return this.#transaction.asksLevel;
  }

  /** Reads may go elsewhere than to the primary. */
  get #hasChoice(): boolean {
    const { nodes } = this.#nodes();
    const { pinned, view } = this.#context;
    if (pinned || view.primaryId === null) return false;
    return this.#perStatement || nodes.read !== nodes.primary;
  }

  #nodes(): KnownNodes {
    const { view, loadBalanceNode } = this.#context;
    const place = loadBalanceNode === null ? 0 : loadBalanceNode + 1;
    return (this.#known[place] ??= knownNodes(nodesOf(this.#context), view.primaryId));
  }

  #nowhere(sql: SqlClass | null): Destination {
    const detail = sql === null ? {} : { detail: reasonText(route(sql, this.#context).reason) };
    return { kind: "nowhere", failure: failure("no-primary", detail) };
  }
}

/** What nobody knows yet, and the primary can say. */
export interface OpenQuestion {
  readonly names: CatalogNames;
  /** The isolation level of the open transaction as well. */
  readonly asksLevel: boolean;
}

function joined(left: OpenQuestion, right: OpenQuestion): OpenQuestion {
  const { names } = right;
  return {
    names: {
      relations: [...new Set([...left.names.relations, ...names.relations])],
      functions: [...new Set([...left.names.functions, ...names.functions])],
    },
    asksLevel: left.asksLevel || right.asksLevel,
  };
}

/** Destinations that are made once. */
interface KnownNodes {
  readonly nodes: SessionNodes;
  readonly toPrimary: Destination | null;
  /** Also one to which no new connection could be opened. */
  readonly toAnyPrimary: Destination | null;
  readonly toRead: Destination | null;
  readonly toAll: Destination | null;
}

function knownNodes(nodes: SessionNodes, primaryId: number | null): KnownNodes {
  const { primary, read, session } = nodes;
  const single = (backendId: number | null | undefined): Destination | null =>
    backendId === null || backendId === undefined ? null : { kind: "backend", backendId };
  const toAll: Destination | null =
    session.length > 1 ? { kind: "all", backendIds: session } : single(session[0]);
  return {
    nodes,
    toPrimary: single(primary),
    toAnyPrimary: single(primaryId),
    toRead: single(read),
    toAll,
  };
}
