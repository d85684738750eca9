import {
  buildCloseStatement,
  buildParse,
  buildQuery,
  HEADER_BYTES,
  READY,
  readString,
  SYNC,
} from "../../../wire/postgres/index.ts";
import { LEAVES, type SqlClass } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { ForwarderOptions } from "./batch-forwarder.ts";
import { touchesPrepared, UNREAD_SQL } from "./client-batch.ts";
import { FAILING_EXECUTE, replacementOfFailed } from "./failed-transaction.ts";
import type { OutputBuffer } from "./output-buffer.ts";
import { HIDDEN, INJECTED, SENT, type ReplyWatcher } from "./pending-replies.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { PreparedStatements } from "./prepared-statements.ts";
import { NOBODY_S_NAME } from "./shared-statements.ts";
import type { StatementSupply } from "./statement-supply.ts";

/** Portals whose statement says something about prepared statements; a client has one, or none. */
const PORTALS_MAX = 100;
const DISCARD_ALL = "DISCARD ALL";
const DEALLOCATE_ALL = "DEALLOCATE ALL";

/** A name of ours for a statement that is there to be deallocated. */
const DEALLOCATED = "pgquorum/deallocated";
const MAKE_DEALLOCATED = Buffer.concat([
  buildCloseStatement(DEALLOCATED),
  buildParse(DEALLOCATED, ""),
  SYNC,
]);
const DEALLOCATE = buildQuery(`DEALLOCATE "${DEALLOCATED}"`);

/** An EXECUTE of an EXECUTE and so on: a longer chain goes round in a circle, and ends with an error. */
const CHAIN_MAX = 1000;

/** What a Query needs to know of the statements that SQL can name. */
export interface PreparedQuery {
  readonly watcher: ReplyWatcher;
  /** The message that is sent instead of the client's. */
  readonly replacement: Buffer | null;
}

/**
 * PREPARE, EXECUTE and DEALLOCATE meet statements that were made by Parse messages, which server
 * connections may know by other names or not at all. Where a text cannot be followed exactly, the
 * session gets its statements by their own names on one connection, and stays there.
 */
export class SqlPrepared {
  readonly #statements: PreparedStatements;
  readonly #isSharing: boolean;
  readonly #supply: StatementSupply;
  readonly #output: OutputBuffer;
  /** As far as is known: a Bind may fail, and a cursor or another transaction's portal take the name. */
  readonly #portals = new Map<string, PreparedStatement>();
  readonly #plain: PreparedQuery;
  /** How many EXECUTEs are around what is being prepared. */
  #depth = 0;
  /** What a server says that has done what was prepared last. */
  #tag = "";

  constructor(o: ForwarderOptions, supply: StatementSupply, output: OutputBuffer) {
    this.#statements = o.statements;
    this.#isSharing = o.carrier !== null;
    this.#supply = supply;
    this.#output = output;
    this.#plain = { watcher: o.statements.queryWatcher, replacement: null };
  }

  /**
   * A Query is about to be sent, and no unfinished batch is before it that may have it skipped.
   *
   * @param failedText the text, if the transaction has failed.
   * @returns what to send instead, and who watches it.
   */
  prepareForQuery(sql: SqlClass, link: BackendLink, failedText: string | null): PreparedQuery {
    if (!this.#concerns(sql)) return this.#plain;
    if (failedText !== null) return this.#prepareFailed(sql, link, failedText);
    const { name } = sql;
    const named =
      name === null || sql.kind !== "deallocate" ? undefined : this.#statements.get(name);
    if (named !== undefined && named.shared !== null) {
      // Its own connection-wide name stays: others use it.
      link.note(SENT.close, HIDDEN);
      link.note(SENT.parse, HIDDEN);
      link.note(SENT.sync, HIDDEN);
      link.send(MAKE_DEALLOCATED);
      return {
        watcher: this.#both(this.#statements.forget([named.name])),
        replacement: DEALLOCATE,
      };
    }
    this.#output.clear();
    link.known.startBatch();
    if (this.#supply.hasLeftBehind) this.#supply.closeLeftBehind(link, HIDDEN);
    const watcher = this.#prepare(sql, link, HIDDEN);
    if (this.#output.lengthBytes > 0) {
      this.#output.add(SYNC);
      link.note(SENT.sync, HIDDEN);
      this.#output.sendTo(link);
    }
    return this.#sentAsItIs(watcher);
  }

  /**
   * A Query will be sent behind an unfinished batch, which may have it skipped.
   *
   * @param failedText as for `prepareForQuery`.
   */
  passQuery(sql: SqlClass, link: BackendLink, failedText: string | null): PreparedQuery {
    if (!touchesPrepared(sql) || this.#statements.isUncertain) return this.#plain;
    if (failedText !== null) return this.#prepareFailed(sql, link, failedText);
    this.#output.clear();
    const watcher = this.#prepare(sql, link, INJECTED);
    this.#output.sendTo(link);
    return this.#sentAsItIs(watcher);
  }

  /** See `replacementOfFailed`. */
  #prepareFailed(sql: SqlClass, link: BackendLink, text: string): PreparedQuery {
    const replacement = replacementOfFailed(text);
    if (replacement === "refused") return this.#plain;
    this.#output.clear();
    link.known.startBatch();
    if (replacement !== "other" && this.#lacksAny(link)) {
      link.note(SENT.query, HIDDEN);
      link.send(replacement);
    }
    const watcher = this.#prepare(sql, link, HIDDEN);
    if (this.#output.lengthBytes > 0) {
      link.note(SENT.execute, HIDDEN);
      link.note(SENT.sync, HIDDEN);
      this.#output.add(FAILING_EXECUTE);
      this.#output.add(SYNC);
      this.#output.sendTo(link);
    }
    return this.#sentAsItIs(watcher);
  }

  #sentAsItIs(watcher: ReplyWatcher | null): PreparedQuery {
    return watcher === null ? this.#plain : { watcher: this.#both(watcher), replacement: null };
  }

  /** A portal gets its statement; a named one may keep the one that it had. */
  bound(
    statement: PreparedStatement | null,
    link: BackendLink,
    input: Buffer,
    start: number,
  ): void {
    const isOurs = statement !== null && touchesPrepared(statement.sql);
    if (!isOurs && this.#portals.size === 0) return;
    const portal = readString(input, start + HEADER_BYTES, input.length) ?? "";
    if (isOurs && (this.#portals.size < PORTALS_MAX || this.#portals.has(portal))) {
      this.#portals.set(portal, statement);
    } else if (isOurs) {
      this.#statements.beginUncertainty();
      if (this.#isSharing) this.#supply.keep(link);
    } else if (portal === "") this.#portals.delete(portal);
  }

  /** No transaction is open: there are no portals. */
  forgetPortals(): void {
    this.#portals.clear();
  }

  /** There may be portals whose execution matters here. */
  get hasPortals(): boolean {
    return this.#portals.size > 0;
  }

  /** The statement of the portal that is executed, if it is one that matters here. */
  executed(input: Buffer, start: number): PreparedStatement | null {
    if (this.#portals.size === 0) return null;
    return this.#portals.get(readString(input, start + HEADER_BYTES, input.length) ?? "") ?? null;
  }

  /** What the text of an EXECUTE names, which says what its columns are, goes into the output. */
  supplyNamed(sql: SqlClass, link: BackendLink, flags: number): void {
    const named = sql.name === null ? undefined : this.#statements.get(sql.name);
    if (named !== undefined) this.#supply.addByName(link, named, INJECTED | flags);
  }

  /** What the Execute of such a statement needs goes into the output in front of it. */
  prepareForExecute(sql: SqlClass, link: BackendLink, flags: number): ReplyWatcher | null {
    const watcher = this.#concerns(sql) ? this.#prepare(sql, link, INJECTED | flags) : null;
    return watcher === null ? null : ifTagged(watcher, this.#tag);
  }

  /** A text names a statement that the server does not have by that name. */
  lacksNamed(sql: SqlClass, link: BackendLink): boolean {
    let { name } = sql;
    for (let i = 0; i < CHAIN_MAX && name !== null; i += 1) {
      const named = this.#statements.get(name);
      if (named === undefined) return false;
      if (this.#lacks(link, named)) return true;
      name = touchesPrepared(named.sql) ? named.sql.name : null;
    }
    return false;
  }

  #lacksAny(link: BackendLink): boolean {
    for (const one of this.#statements) if (this.#lacks(link, one)) return true;
    return false;
  }

  #lacks(link: BackendLink, one: PreparedStatement): boolean {
    return one.shared !== null || !this.#supply.has(link, one);
  }

  #concerns(sql: SqlClass): boolean {
    return touchesPrepared(sql) && (!this.#statements.isUncertain || dropsAll(sql));
  }

  #prepare(sql: SqlClass, link: BackendLink, flags: number): ReplyWatcher | null {
    const statements = this.#statements;
    const { kind, name } = sql;
    if (dropsAll(sql)) return this.#dropAll(sql, link);
    if (kind !== "prepare" && kind !== "execute" && kind !== "deallocate") {
      this.#giveUp(sql, link, flags);
      return null;
    }
    const statement = name === null ? undefined : statements.get(name);
    if (statement !== undefined) this.#supply.addByName(link, statement, flags);
    if (kind === "execute") return this.#prepareExecuted(statement, link, flags);
    // By the name that others' statements have on this connection: whatever the server makes of it.
    if (kind === "deallocate" && statement === undefined && isOurs(name)) link.known.doubtAll();
    this.#tag = kind.toUpperCase();
    if (kind === "deallocate" && statement !== undefined) {
      this.#supply.closeElsewhere(link, statement);
      return statements.forget([statement.name]);
    }
    if (kind !== "prepare" || statement !== undefined || name === null) return null;
    const made = statements.make(name, UNREAD_SQL, "");
    made.isFromSql = true;
    made.backends = link.bit;
    statements.add(made);
    return once(made);
  }

  /** What is executed by name may itself say something about prepared statements. */
  #prepareExecuted(
    executed: PreparedStatement | undefined,
    link: BackendLink,
    flags: number,
  ): ReplyWatcher | null {
    if (executed === undefined || !touchesPrepared(executed.sql)) return null;
    if (this.#depth === CHAIN_MAX) return null;
    this.#depth += 1;
    const watcher = this.#prepare(executed.sql, link, flags);
    this.#depth -= 1;
    return watcher;
  }

  #dropAll(sql: SqlClass, link: BackendLink): ReplyWatcher {
    const statements = this.#statements;
    this.#tag = sql.kind === "discard" ? DISCARD_ALL : DEALLOCATE_ALL;
    // Within a transaction it is refused before it does anything.
    const mayFailHalfWay = sql.kind === "discard" && link.status === READY.idle;
    for (const statement of statements) this.#supply.closeElsewhere(link, statement);
    const forgotten = statements.forget(statements.names);
    const { uncertainties } = statements;
    const { changes } = link.known;
    const { keeps } = this.#supply;
    return once({
      failed: (wasSkipped) => {
        if (mayFailHalfWay) link.known.doubtAll();
        forgotten.failed(wasSkipped);
      },
      ended: () => {
        link.known.clear(changes);
        forgotten.ended();
        statements.endUncertainty(uncertainties);
        this.#supply.letGo(keeps);
      },
    });
  }

  /** What becomes of the statements, that server alone will know. */
  #giveUp(sql: SqlClass, link: BackendLink, flags: number): void {
    if (((sql.leaves | sql.clears) & LEAVES.prepared) !== 0) link.known.doubtAll();
    // What SQL alone has made is found out before the connection is given back.
    if (this.#isSharing && !this.#statements.hasParsed) return;
    for (const statement of this.#statements) this.#supply.addByName(link, statement, flags);
    if (((sql.leaves | sql.clears) & LEAVES.prepared) === 0) return;
    this.#statements.beginUncertainty();
    if (this.#isSharing) this.#supply.keep(link);
  }

  #both(watcher: ReplyWatcher): ReplyWatcher {
    const { queryWatcher } = this.#statements;
    return {
      failed: (wasSkipped) => {
        watcher.failed(wasSkipped);
        queryWatcher.failed(wasSkipped);
      },
      ended: () => {
        watcher.ended();
        queryWatcher.ended();
      },
    };
  }
}

function isOurs(name: string | null): boolean {
  return name?.startsWith(NOBODY_S_NAME.toString()) === true;
}

function dropsAll({ kind, name }: SqlClass): boolean {
  return kind === "discard" || (kind === "deallocate" && name === null);
}

/** For an Execute: it does that only if the server says so, or the portal was not what it is taken for. */
function ifTagged(watcher: ReplyWatcher, tag: string): ReplyWatcher {
  let isDone = false;
  return {
    described: (frame) => {
      isDone = frame.toString("latin1", HEADER_BYTES, frame.length - 1) === tag;
    },
    failed: (wasSkipped) => watcher.failed(wasSkipped),
    ended: () => (isDone ? watcher.ended() : watcher.failed(true)),
  };
}

/** Only the first outcome counts: the end of a Query that failed is told as well. */
function once(watcher: ReplyWatcher): ReplyWatcher {
  let isOver = false;
  return {
    failed: (wasSkipped) => {
      if (!isOver) watcher.failed(wasSkipped);
      isOver = true;
    },
    ended: () => {
      if (!isOver) watcher.ended();
      isOver = true;
    },
  };
}
