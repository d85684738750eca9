import { failure, type Failure } from "../../../base/index.ts";
import type { ClusterView } from "../../../wire/ipc/index.ts";
import {
  chooseLoadBalanceNode,
  nextPinned,
  route,
  type Route,
  type RoutingContext,
  type RoutingRules,
} from "../routing/index.ts";
import type { SqlClass } from "../sql/index.ts";
import type { ClientBatch } from "./client-batch.ts";
import { SENT } from "./pending-replies.ts";
import type { PreparedStatement } from "./prepared-statements.ts";

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
  readonly #nextRandom: () => number;
  readonly #perStatement: boolean;
  /** Something that was routed last is not known to be a pure read. */
  #writes = false;
  /** One object a backend, made once. */
  readonly #single = new Map<number, Destination>();

  constructor(o: {
    readonly rules: RoutingRules;
    readonly view: ClusterView;
    readonly loadBalanceNode: number | null;
    readonly nextRandom: () => number;
  }) {
    this.#nextRandom = o.nextRandom;
    this.#perStatement = o.rules.config.statement_level_load_balance;
    this.#context = {
      rules: o.rules,
      view: o.view,
      text: "",
      loadBalanceNode: o.loadBalanceNode,
      randomUnit: o.nextRandom(),
      inTransaction: false,
      writeSeen: false,
      pinned: false,
      tempRelations: this.#tempRelations,
    };
  }

  get view(): ClusterView {
    return this.#context.view;
  }

  set view(view: ClusterView) {
    this.#context.view = view;
  }

  get loadBalanceNode(): number | null {
    return this.#context.loadBalanceNode;
  }

  /** What follows was not routed: it goes where an unfinished batch went. */
  notRouted(): void {
    this.#writes = true;
  }

  /** That backend left the session. */
  forgetBackend(backendId: number): void {
    if (this.#context.loadBalanceNode === backendId) this.#context.loadBalanceNode = null;
  }

  ofStatement(sql: SqlClass, text: string, inTransaction: boolean): Destination {
    const chosen = this.#route(sql, text, inTransaction);
    this.#writes = chosen.writes;
    const [first] = chosen.targets;
    if (first === undefined) return this.#nowhere(chosen);
    if (chosen.targets.length > 1) return { kind: "all", backendIds: chosen.targets };
    return this.#backend(first);
  }

  /** One destination for all messages of a batch: a standby only when all of it may go there. */
  ofBatch(batch: ClientBatch, endsWithSync: boolean, inTransaction: boolean): Destination | null {
    let only: number | null = null;
    let everywhere: Route | null = null;
    let singles = 0;
    let routed: PreparedStatement | null = null;
    this.#writes = false;
    for (let i = 0; i < batch.count; i += 1) {
      const statement = batch.statements[i] ?? null;
      if (statement === null || statement === routed || batch.kinds[i] === SENT.close) continue;
      routed = statement;
      const chosen = this.#route(statement.sql, statement.text, inTransaction);
      this.#writes ||= chosen.writes;
      const [first] = chosen.targets;
      if (first === undefined) return this.#nowhere(chosen);
      if (chosen.targets.length > 1) {
        everywhere = chosen;
        continue;
      }
      singles += 1;
      only = only === null || only === first ? first : this.#context.view.primaryId;
    }
    const mustBePrimary = !endsWithSync || batch.usesOlderPortal;
    if (everywhere !== null && singles === 0 && !mustBePrimary) {
      return { kind: "all", backendIds: everywhere.targets };
    }
    if (routed === null && !mustBePrimary) return null;
    if (mustBePrimary || everywhere !== null) only = this.#context.view.primaryId;
    return only === null ? this.#nowhere(null) : this.#backend(only);
  }

  /**
   * What the statement that was routed last means for those after it.
   *
   * @param targets where it was sent in the end.
   * @param coversSession those are all backends of the session.
   */
  executed(sql: SqlClass, targets: readonly number[], coversSession: boolean): void {
    const context = this.#context;
    if (sql.kind === "read" && !sql.changesSession && !this.#writes) return;
    const chosen: Route = { targets, reason: "", writes: this.#writes, coversSession };
    if (this.#writes) context.writeSeen = true;
    context.pinned = nextPinned(context.pinned, sql, chosen);
    for (const relation of sql.createsTemp) this.#tempRelations.add(relation);
    if (sql.clearsSession) this.#tempRelations.clear();
  }

  #route(sql: SqlClass, text: string, inTransaction: boolean): Route {
    const context = this.#context;
    context.text = text;
    context.inTransaction = inTransaction;
    if (this.#perStatement && sql.destination === "either") {
      context.randomUnit = this.#nextRandom();
      context.loadBalanceNode = chooseLoadBalanceNode(
        context.view,
        context.rules.config,
        context.randomUnit,
      );
    }
    return route(sql, context);
  }

  #backend(backendId: number): Destination {
    let destination = this.#single.get(backendId);
    if (destination === undefined) {
      destination = { kind: "backend", backendId };
      this.#single.set(backendId, destination);
    }
    return destination;
  }

  #nowhere(chosen: Route | null): Destination {
    const detail = chosen === null ? {} : { detail: chosen.reason };
    return { kind: "nowhere", failure: failure("no-primary", detail) };
  }
}
