import { HEADER_BYTES } from "../../../wire/postgres/index.ts";
import { LEAVES } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import { zeroFrom, type BatchBytes } from "./batch-bytes.ts";
import type { ReplyWatcher } from "./pending-replies.ts";
import { columnsOfCursor, columnsOfExecute } from "./prepared-columns.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { PreparedStatements } from "./prepared-statements.ts";
import type { SharedStatement } from "./shared-statements.ts";
import { UNKNOWN_SHAPE } from "./statement-shape.ts";
import type { StateCarrier } from "./state-carrier.ts";
import type { StatementSupply } from "./statement-supply.ts";

/**
 * What becomes of a client's Parse: the statement gets its place among those of the session, and on
 * the server the name that it has there. Even if it is known there, the Parse is executed: it may
 * fail today.
 */
export class ParseForwarder {
  readonly #statements: PreparedStatements;
  /** Null: nothing is shared. */
  readonly #carrier: StateCarrier | null;
  readonly #supply: StatementSupply;
  readonly #bytes: BatchBytes;
  /** By where its Parse starts in the batch: the statement that has the name already. */
  readonly #refused = new Map<number, PreparedStatement>();
  /** The one that was forwarded last is a shared statement whose columns its text tells. */
  isNew = false;

  constructor(o: {
    readonly statements: PreparedStatements;
    readonly carrier: StateCarrier | null;
    readonly supply: StatementSupply;
    readonly bytes: BatchBytes;
  }) {
    this.#statements = o.statements;
    this.#carrier = o.carrier;
    this.#supply = o.supply;
    this.#bytes = o.bytes;
  }

  /** A batch comes that no backend has got yet. */
  begin(): void {
    if (this.#refused.size > 0) this.#refused.clear();
  }

  /**
   * @param isRepeated another backend of the session got it first.
   * @returns who wants to know what becomes of it.
   */
  forward(
    link: BackendLink,
    start: number,
    statement: PreparedStatement,
    flags: number,
    isRepeated: boolean,
  ): ReplyWatcher | null {
    const known = this.#statements.get(statement.name);
    if (statement.name === "") link.mayHaveUnnamed = true;
    if (isRepeated && statement.backends !== 0) {
      statement.backends |= link.bit;
      return null;
    }
    // What the first backend refuses they all do, although the batch may drop the name behind it.
    const taken = isRepeated ? this.#refused.get(start) : known;
    if (statement.name !== "" && taken !== undefined) {
      if (!isRepeated) this.#refused.set(start, taken);
      this.#refuse(link, start, taken, flags);
      return null;
    }
    const stop = this.#bytes.stopOf(start);
    this.#findColumns(link, statement, start, stop);
    this.#statements.add(statement);
    const shared = statement.name === "" ? null : this.#share(link, statement, start, stop);
    if (shared !== null) return this.#forwardShared(link, start, statement, shared, flags);
    statement.backends = link.bit;
    statement.keep(this.#bytes.input, start, stop);
    return statement;
  }

  /** The name is taken: this server has to refuse it, like the one that the client believes in. */
  #refuse(link: BackendLink, start: number, known: PreparedStatement, flags: number): void {
    // A COPY ends with the first message that is not its own, which must be the client's.
    if (!this.#supply.has(link, known) && !link.pending.isCopyIn) {
      this.#bytes.copyUpTo(link, start);
      this.#supply.add(link, known, flags);
    }
    if (known.shared === null) return;
    this.#bytes.copyUpTo(link, start);
    this.#bytes.rename(start, start + HEADER_BYTES, known.shared.name);
  }

  /** See `Columns`. */
  #findColumns(link: BackendLink, statement: PreparedStatement, start: number, stop: number): void {
    const { kind, name } = statement.sql;
    if (kind === "execute") {
      const isKnowable = name !== null && !this.#statements.isUncertain;
      const meant = isKnowable ? this.#statements.get(name) : undefined;
      statement.columnsFrom = isKnowable ? columnsOfExecute(meant) : "unknown";
    } else if (kind === "cursor") {
      const { input } = this.#bytes;
      const textStart = zeroFrom(input, start + HEADER_BYTES) + 1;
      statement.columnsFrom = columnsOfCursor(link, input, textStart, stop);
    }
  }

  #share(
    link: BackendLink,
    statement: PreparedStatement,
    start: number,
    stop: number,
  ): SharedStatement | null {
    const carrier = this.#carrier;
    if (carrier === null) return null;
    const { input } = this.#bytes;
    // Prepared again elsewhere, it may mean something else.
    const isExecute = statement.sql.kind === "execute";
    // If SQL has it, the server must see the client's own name to refuse it.
    const isTaken = carrier.mayBePrepared(statement.name) || (link.keeps & LEAVES.prepared) !== 0;
    const isWhole = stop - start === 1 + input.readUInt32BE(start + 1);
    const rest = input.subarray(zeroFrom(input, start + HEADER_BYTES) + 1, stop);
    const shared =
      isWhole && !isTaken && !isExecute
        ? this.#statements.share(statement, rest, carrier.scope)
        : null;
    // Only this connection will know it.
    if (shared === null) this.#supply.keep(link);
    return shared;
  }

  #forwardShared(
    link: BackendLink,
    start: number,
    statement: PreparedStatement,
    shared: SharedStatement,
    flags: number,
  ): ReplyWatcher {
    this.#bytes.copyUpTo(link, start);
    this.#supply.makeRoom(link, shared, flags);
    this.#bytes.rename(start, start + HEADER_BYTES, shared.name);
    statement.parsedAs = link.known.add(shared, UNKNOWN_SHAPE);
    this.isNew = statement.columnsFrom === "text";
    return {
      failed: (wasSkipped) => {
        link.known.doubt(shared);
        statement.failed(wasSkipped);
      },
      ended: () => {
        link.known.confirm(shared);
        statement.ended();
      },
    };
  }
}
