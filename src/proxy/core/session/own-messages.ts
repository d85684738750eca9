import { assert, fail, succeed, type Failure, type Result } from "../../../base/index.ts";
import {
  buildMessage,
  buildReady,
  FRONTEND,
  HEADER_BYTES,
  READY,
  readString,
} from "../../../wire/postgres/index.ts";
import { isOwnKind, parseOwnCommand, type ShowAnswer } from "../show/index.ts";
import type { ClassifyBytes, SqlClass } from "../sql/index.ts";
import type { ClientBatch } from "./client-batch.ts";
import type { Conversation } from "./conversation.ts";
import type { LinkClaims } from "./link-claims.ts";
import { OwnStatements, type OwnOutcome } from "./own-statements.ts";
import { HIDDEN, SENT, type Sent } from "./pending-replies.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { SessionRouting } from "./session-routing.ts";
import { NOBODY_S_NAME } from "./shared-statements.ts";
import type { StatementLog } from "./statement-log.ts";

export interface OwnMessagesOptions {
  readonly talk: Conversation;
  readonly routing: SessionRouting;
  readonly claims: LinkClaims;
  readonly batch: ClientBatch;
  readonly classify: ClassifyBytes;
  readonly log: StatementLog;
  /** What follows, up to Sync, is dropped. */
  readonly discard: () => void;
}

/**
 * Which of a client's messages are for us, and when they may be answered: after all that was sent to
 * servers before them.
 *
 *     BEGIN (server) | SHOW POOL_NODES (us) | Sync   ->   to the server, Flush, its answers,
 *                                                         ours, and the Sync to the server
 */
export class OwnMessages {
  readonly #o: OwnMessagesOptions;
  readonly #talk: Conversation;
  /** Made when the client first asks for something of ours: most never do. */
  #statements: OwnStatements | null = null;
  /** The Parse that was found to be one of ours. */
  #parsed: PreparedStatement | null = null;

  constructor(o: OwnMessagesOptions) {
    this.#o = o;
    this.#talk = o.talk;
  }

  /** Something was answered here since the last Sync, and no server knows of it. */
  get isOpen(): boolean {
    return this.#statements?.isOpen === true;
  }

  /** A simple query that is answered here. */
  isOwn(sql: SqlClass): boolean {
    return isOwnKind(sql) || this.#statements?.isOwn(sql) === true;
  }

  /**
   * A simple query for which `isOwn` holds, while no batch is unfinished on a server.
   *
   * @returns where to go on; `at` when something must come first.
   */
  scanQuery(sql: SqlClass, input: Buffer, at: number, stop: number): number {
    const talk = this.#talk;
    if (talk.isBusy) {
      talk.wait("drained");
      return at;
    }
    const text = input.toString("utf8", at + HEADER_BYTES, stop - 1);
    const command = parseOwnCommand(sql, text);
    const looked = command.kind === "explain-route" ? this.#lookUp(command.text) : null;
    if (looked === "wait") return at;
    if (looked === "failed") {
      talk.tellClient(buildReady(talk.status));
      return stop;
    }
    this.#o.log.query(text);
    if (this.#own().query(sql, text) === "waits") talk.wait("answer");
    return stop;
  }

  /** @returns false when the message is noted in the batch, for a server. */
  isForUs(kind: Sent, input: Buffer, start: number, stop: number): boolean {
    const isActive = this.#statements?.isActive === true;
    const { batch } = this.#o;
    const pending = this.#talk.batchLink?.pending;
    // A server that skips, or copies, has to see all that comes.
    const mayBe = pending?.isSkipping !== true && pending?.isCopyIn !== true;
    if (kind !== SENT.parse) {
      if (isActive && mayBe && this.#own().claims(kind, input, start, stop)) return true;
      batch.note(kind, input, start, stop, true);
      return false;
    }
    batch.note(kind, input, start, stop, true);
    const statement = batch.statements[batch.count - 1];
    if (!statement || !mayBe || (!isActive && !isOwnKind(statement.sql))) return false;
    if (!this.#own().claimsParse(statement.name, statement.sql)) return false;
    batch.dropLast();
    this.#parsed = statement;
    return true;
  }

  /**
   * One message for which `isForUs` held.
   *
   * @returns where to go on; `start` when what is before it must be answered first.
   */
  scanMessage(kind: Sent, input: Buffer, start: number, stop: number): number {
    const talk = this.#talk;
    const { batchLink } = talk;
    if (batchLink !== null && batchLink.pending.isUndecided) {
      talk.waitFlushed(batchLink);
      return start;
    }
    if (talk.isBusy && batchLink === null) {
      talk.wait("drained");
      return start;
    }
    const explained = this.#own().explainedBy(kind, input, start, stop);
    const looked = explained === null ? null : this.#lookUp(explained);
    if (looked === "wait") return start;
    if (looked === "failed") {
      this.#failed();
      return stop;
    }
    const outcome =
      kind === SENT.parse
        ? this.#parse(input, start, stop)
        : this.#own().handle(kind, input, start, stop);
    if (outcome === "waits") talk.wait("answer");
    else if (outcome === "failed") this.#failed();
    return stop;
  }

  /** The Sync of a batch that no server has seen. */
  synced(): void {
    this.#own().synced();
  }

  /** A batch goes to a server, so its Sync will. */
  forwarded(): void {
    if (this.#statements !== null) this.#statements.isOpen = false;
  }

  /** A simple query goes to a server. */
  queried(): void {
    this.#statements?.queried();
  }

  /** It was sent to a server. */
  executed(sql: SqlClass): void {
    if (this.#statements !== null && dropsAll(sql)) this.#statements.forgetNames();
  }

  /** The answer to a statement of ours that waits for it. @returns false when none does. */
  answered(answer: Result<ShowAnswer, Failure>): boolean {
    const outcome = this.#statements?.answered(answer) ?? null;
    if (outcome === "failed") this.#failed();
    return outcome !== null;
  }

  #own(): OwnStatements {
    const talk = this.#talk;
    const { port } = talk;
    this.#statements ??= new OwnStatements({
      tellClient: (bytes) => talk.tellClient(bytes),
      get status() {
        return talk.status;
      },
      failed: () => this.#failTransaction(),
      answer: (command) =>
        command.kind === "explain-route" ? this.#explain(command.text) : port.answerOwn(command),
      columnsOf: (command) => port.columnsOf(command),
    });
    return this.#statements;
  }

  #parse(input: Buffer, start: number, stop: number): OwnOutcome {
    const statement = this.#parsed;
    assert(statement !== null, "a Parse of ours was looked at");
    const textStart = input.indexOf(0, start + HEADER_BYTES) + 1;
    const text = readString(input, textStart, stop) ?? "";
    const { name, sql } = statement;
    if (name === "" || this.#talk.statements.get(name) === undefined) {
      return this.#own().parse(name, sql, text);
    }
    return this.#own().refuse("42P05", `prepared statement "${name}" already exists`);
  }

  /** What the statement of an EXPLAIN ROUTE names. */
  #lookUp(text: string): "wait" | "failed" | null {
    return this.#o.claims.lookUpToExplain(this.#classOf(text));
  }

  #classOf(text: string): SqlClass {
    const bytes = Buffer.from(text);
    return this.#o.classify(bytes, 0, bytes.length);
  }

  /** PGPOOL EXPLAIN ROUTE: the statement is sent nowhere. */
  #explain(text: string): Result<ShowAnswer, Failure> {
    if (text === "") return fail(NOTHING_TO_EXPLAIN);
    const { isInTransaction, consistency } = this.#talk;
    const sql = this.#classOf(text);
    const rows = this.#o.routing.explain(sql, text, isInTransaction, consistency);
    return succeed({ columns: ["item", "value"], rows, tag: `SELECT ${rows.length}` });
  }

  /** All up to Sync is skipped; what a server did in the same batch must not be committed. */
  #failed(): void {
    const { batchLink } = this.#talk;
    if (batchLink === null) {
      this.#failTransaction();
      return this.#o.discard();
    }
    batchLink.note(SENT.bind, HIDDEN);
    batchLink.send(FAILING);
  }

  /** As it does in PostgreSQL when a statement of it fails. */
  #failTransaction(): void {
    const talk = this.#talk;
    if (talk.status !== READY.inTransaction) return;
    talk.failTransaction("a_statement_of_this_transaction_failed_in_pgquorum");
  }
}

/** A server refuses it, and with it all that it did since the last Sync. */
const FAILING = buildMessage(
  FRONTEND.bind,
  Buffer.concat([Buffer.from([0]), NOBODY_S_NAME, Buffer.alloc(7)]),
);

/** DISCARD ALL, DEALLOCATE ALL. */
function dropsAll(sql: SqlClass): boolean {
  return sql.clearsSession || (sql.kind === "deallocate" && sql.name === null);
}

const NOTHING_TO_EXPLAIN: Failure = {
  severity: "ERROR",
  sqlstate: "42601",
  message: "there is no statement to explain",
  hint: "Write it behind the words, as in PGPOOL EXPLAIN ROUTE SELECT 1.",
};
