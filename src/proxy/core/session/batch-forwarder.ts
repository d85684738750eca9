import { buildCloseStatement, SYNC } from "../../../wire/postgres/index.ts";
import type { SqlClass } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { ClientBatch } from "./client-batch.ts";
import type { LinkSet } from "./link-set.ts";
import { HIDDEN, INJECTED, SENT, type ReplyWatcher } from "./pending-replies.ts";
import type { PreparedStatement, PreparedStatements } from "./prepared-statements.ts";

export interface ForwardOptions {
  readonly at: number;
  readonly end: number;
  readonly flags: number;
  readonly continues: boolean;
  readonly hasFailed: boolean;
}

/**
 * Sends extended messages to a backend that may not know all that they name: what was prepared
 * elsewhere is prepared there first, what is closed is closed everywhere.
 */
export class BatchForwarder {
  readonly #batch: ClientBatch;
  readonly #statements: PreparedStatements;
  readonly #links: LinkSet;

  constructor(o: {
    readonly batch: ClientBatch;
    readonly statements: PreparedStatements;
    readonly links: LinkSet;
  }) {
    this.#batch = o.batch;
    this.#statements = o.statements;
    this.#links = o.links;
  }

  /**
   * Sends the batch that lies at `at` to `end`, without its Sync or Flush being noted.
   *
   * @param o.flags HIDDEN for every backend but the first.
   * @param o.continues it goes on with a batch that is unfinished there.
   * @param o.hasFailed the transaction is aborted: nothing can be parsed ahead.
   * @returns false when the client has too many messages without an answer.
   */
  forward(link: BackendLink, input: Buffer, o: ForwardOptions): boolean {
    const { at, end, flags, continues } = o;
    const batch = this.#batch;
    let from = at;
    if (batch.missesUnnamed && link.mayHaveUnnamed && !continues) {
      // One that was replaced or ended by messages that went elsewhere.
      link.note(SENT.close, INJECTED | flags);
      link.send(buildCloseStatement(""));
      link.mayHaveUnnamed = false;
    }
    if (!continues && !o.hasFailed) this.#prepareBatch(link);
    for (let i = 0; i < batch.count; i += 1) {
      const kind = batch.kinds[i] as (typeof batch.kinds)[number];
      const start = batch.starts[i] as number;
      const statement = batch.statements[i] ?? null;
      let watcher: ReplyWatcher | null = null;
      if (statement !== null) {
        const missing = this.#missingAt(link, statement, kind, continues);
        if (missing !== null) {
          link.send(input, from, start);
          from = start;
          this.#inject(link, missing, INJECTED | flags);
        }
        if (kind === SENT.parse) {
          const stop = Math.min(end, start + 1 + input.readUInt32BE(start + 1));
          watcher = this.#parseSent(link, statement, input, start, stop);
        } else if (kind === SENT.close) {
          this.#closeElsewhere(statement, link);
          watcher =
            statement.name === ""
              ? this.#statements.closeWatcher
              : this.#statements.namedCloseWatcher(statement);
        }
      }
      if (!link.note(kind, flags, watcher)) return false;
    }
    link.send(input, from, end);
    return true;
  }

  /** What the server must know goes before the batch, where no error of the batch can reach it. */
  #prepareBatch(link: BackendLink): void {
    const batch = this.#batch;
    let isAny = false;
    for (let i = 0; i < batch.count; i += 1) {
      const statement = batch.statements[i] ?? null;
      if (statement === null) continue;
      const missing = this.#missingAt(link, statement, batch.kinds[i] ?? SENT.sync, false);
      if (missing !== null) isAny = this.#inject(link, missing, HIDDEN) || isAny;
    }
    if (!isAny) return;
    link.note(SENT.sync, HIDDEN);
    link.send(SYNC);
  }

  /** A statement that the server must know before it reads this message. */
  #missingAt(
    link: BackendLink,
    statement: PreparedStatement,
    kind: number,
    continues: boolean,
  ): PreparedStatement | null {
    let wanted: PreparedStatement | null = null;
    // What the unnamed statement is in the middle of a batch, that server alone knows.
    if (statement.name === "" && continues) return null;
    if (kind === SENT.bind || kind === SENT.describe) wanted = statement;
    // The name is taken: then this server has to refuse it like the other one would.
    else if (kind === SENT.parse && statement.name !== "") {
      wanted = this.#statements.get(statement.name) ?? null;
    }
    return wanted === null || (wanted.backends & link.bit) !== 0 ? null : wanted;
  }

  #parseSent(
    link: BackendLink,
    statement: PreparedStatement,
    input: Buffer,
    start: number,
    stop: number,
  ): ReplyWatcher | null {
    const known = this.#statements.get(statement.name);
    if (statement.name === "") link.mayHaveUnnamed = true;
    if (known === statement) {
      // Another backend of the session got it first, and its outcome is watched there.
      statement.backends |= link.bit;
      return null;
    }
    if (statement.name !== "" && known !== undefined) return null; // The server will refuse it.
    this.#statements.add(statement, input.subarray(start, stop));
    statement.backends = link.bit;
    return statement;
  }

  #inject(link: BackendLink, statement: PreparedStatement, flags: number): boolean {
    if (statement.parse === null) return false;
    link.note(SENT.parse, flags, {
      failed: () => {
        statement.backends &= ~link.bit;
      },
      ended: () => undefined,
    });
    if (statement.name === "") link.mayHaveUnnamed = true;
    // A copy: the kept bytes may be overwritten before a slow write is through.
    link.send(Buffer.from(statement.parse));
    statement.backends |= link.bit;
    return true;
  }

  #closeElsewhere(statement: PreparedStatement, here: BackendLink): void {
    for (const link of this.#links.all) {
      if (link === here || (statement.backends & link.bit) === 0) continue;
      link.note(SENT.close, HIDDEN);
      link.note(SENT.sync, HIDDEN);
      link.send(Buffer.concat([buildCloseStatement(statement.name), SYNC]));
      statement.backends &= ~link.bit;
    }
    if (statement.name === "") this.#statements.forgetUnnamed();
    else this.#statements.forget(statement);
  }

  /** EXECUTE and DEALLOCATE may name a statement that came as a Parse message. */
  prepareForSql(sql: SqlClass, link: BackendLink): void {
    if (sql.kind === "execute" || sql.kind === "deallocate" || sql.kind === "prepare") {
      const statement = sql.name === null ? undefined : this.#statements.get(sql.name);
      if (statement !== undefined && (statement.backends & link.bit) === 0) {
        this.#inject(link, statement, HIDDEN);
        link.note(SENT.sync, HIDDEN);
        link.send(SYNC);
      }
      if (sql.kind !== "deallocate") return;
      const gone = sql.name === null ? [...this.#statements] : [statement];
      for (const one of gone) if (one !== undefined) this.#closeElsewhere(one, link);
    } else if (sql.clearsSession) {
      const everywhere = [...this.#statements];
      for (const one of everywhere) this.#closeElsewhere(one, link);
      this.#statements.forgetAll();
    }
  }
}
