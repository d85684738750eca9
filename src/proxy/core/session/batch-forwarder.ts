import { buildCloseStatement, HEADER_BYTES, READY, SYNC } from "../../../wire/postgres/index.ts";
import type { BackendLink } from "./backend-link.ts";
import { BatchBytes, zeroFrom } from "./batch-bytes.ts";
import { touchesPrepared, type ClientBatch } from "./client-batch.ts";
import type { LinkSet } from "./link-set.ts";
import { OutputBuffer } from "./output-buffer.ts";
import {
  HIDDEN,
  INJECTED,
  LEARNS,
  OUTDATED,
  SENT,
  type ReplyWatcher,
  type Sent,
} from "./pending-replies.ts";
import { ParseForwarder } from "./parse-forwarder.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { PreparedStatements } from "./prepared-statements.ts";
import { NOBODY_S_NAME } from "./shared-statements.ts";
import { SqlPrepared } from "./sql-prepared.ts";
import { ShapeLearner } from "./statement-shape.ts";
import type { StateCarrier } from "./state-carrier.ts";
import { StatementSupply } from "./statement-supply.ts";

const CLOSE_NOTHING = buildCloseStatement(NOBODY_S_NAME.toString());
/** Describe and Close begin with it when they mean a statement. */
const STATEMENT_BYTE = 0x53;
const CLOSE_UNNAMED = buildCloseStatement("");

export interface ForwarderOptions {
  readonly batch: ClientBatch;
  readonly statements: PreparedStatements;
  readonly links: LinkSet;
  /** Null: server connections are not shared, and know statements by the client's own names. */
  readonly carrier: StateCarrier | null;
}

/**
 * Sends extended messages to a backend that may not know all that they name. What it lacks is
 * prepared right before it is needed, so that an error of that is the error of whatever needs it.
 * Shared statements get the names under which server connections know them:
 *
 *     Bind s1 | Execute | Sync   ->   Parse pgquorum/7 | Bind pgquorum/7 | Execute | Sync
 */
export class BatchForwarder {
  /** What SQL says about prepared statements. */
  readonly sql: SqlPrepared;
  readonly #batch: ClientBatch;
  readonly #statements: PreparedStatements;
  readonly #carrier: StateCarrier | null;
  readonly #output: OutputBuffer;
  readonly #supply: StatementSupply;
  readonly #bytes: BatchBytes;
  readonly #parse: ParseForwarder;
  /** For each message of the batch: what it names was there, when the first backend got it. */
  readonly #wereKnown: boolean[] = [];
  #flags = 0;
  #isAlone = true;
  /** Nothing was on its way when the batch was. */
  #wasIdle = false;
  /** In the batch that goes on something was executed, which perhaps ended a transaction that had failed. */
  #mayHaveEnded = false;
  /** OUTDATED or LEARNS for the message that is being sent. */
  #mark = 0;
  /** Of the Bind that is being sent: its Describe follows, and tells the client of other columns than before. */
  #renewed: PreparedStatement | null = null;
  /** The message that the last batch was sent up to, as it must be known first what a statement is; or -1. */
  stoppedAt = -1;

  constructor(o: ForwarderOptions) {
    this.#batch = o.batch;
    this.#statements = o.statements;
    this.#carrier = o.carrier;
    this.#output = o.carrier?.statements.output ?? new OutputBuffer();
    this.#supply = new StatementSupply(o, this.#output);
    this.#bytes = new BatchBytes(this.#output);
    const { statements, carrier } = o;
    this.#parse = new ParseForwarder({
      statements,
      carrier,
      supply: this.#supply,
      bytes: this.#bytes,
    });
    this.sql = new SqlPrepared(o, this.#supply, this.#output);
  }

  /**
   * Sends the batch that lies at `at` to `end`, without its Sync or Flush being noted.
   *
   * @param o.flags HIDDEN for every backend but the first.
   * @param o.continues it goes on with a batch that is unfinished there.
   * @returns false when the client has too many messages without an answer. The batch may have
   *   been sent in part: see `stoppedAt`.
   */
  forward(
    link: BackendLink,
    input: Buffer,
    o: {
      readonly at: number;
      readonly end: number;
      readonly flags: number;
      readonly continues: boolean;
      /** No other backend gets the batch. */
      readonly isAlone: boolean;
    },
  ): boolean {
    const batch = this.#batch;
    this.#bytes.begin(input, o.at, o.end);
    this.#flags = o.flags;
    this.#isAlone = o.isAlone;
    this.stoppedAt = -1;
    this.#renewed = null;
    this.#wasIdle = link.pending.isIdle;
    if (!this.#isRepeated) this.#parse.begin();
    if (link.pending.isSkipping) {
      link.send(input, o.at, o.end);
      return true;
    }
    if (!o.continues) link.known.startBatch();
    if (!o.continues) this.#mayHaveEnded = false;
    const isKnown = link.pending.isIdle || (o.continues && !link.pending.reachesBack);
    if (!o.continues && this.sql.hasPortals && isOutside(link)) this.sql.forgetPortals();
    const isAborted = link.status === READY.failed && isKnown && !this.#mayHaveEnded;
    this.#supply.isAborted = isAborted;
    // A Parse that is the first message replaces it for certain; a later one may be skipped.
    const isForeign = link.isUnnamedForeign && !batch.beginsWithUnnamedParse;
    link.isUnnamedForeign = false;
    if (!o.continues && this.#supply.hasLeftBehind) this.#supply.closeLeftBehind(link, o.flags);
    const isWrong = link.mayHaveUnnamed && (batch.missesUnnamed || isForeign);
    if (isWrong && !link.pending.isCopyIn) this.#dropUnnamed(link, isForeign, o.continues);
    for (let i = 0; i < batch.count; i += 1) {
      const kind = batch.kinds[i] as Sent;
      const start = batch.starts[i] as number;
      this.#mark = 0;
      this.#parse.isNew = false;
      this.#supply.isDescribed = kind === SENT.describe;
      const watcher = this.#send(link, i, start);
      if (this.stoppedAt !== -1) {
        this.#bytes.stopAt(start);
        break;
      }
      if (!link.note(kind, o.flags | this.#mark, watcher)) return false;
      if (this.#parse.isNew) this.#askOf(link, i);
    }
    this.#supply.isAborted = false;
    this.#bytes.finish(link);
    return true;
  }

  /**
   * A statement has to be prepared there for this batch. What takes its place in a transaction that
   * has failed is another message, so that nobody may forward it before the status is known.
   */
  lacksSome(link: BackendLink, continues: boolean): boolean {
    const { count, kinds, statements, usesOlderPortal } = this.#batch;
    if (usesOlderPortal && this.sql.hasPortals) return true;
    if (!continues) link.known.startBatch();
    for (let i = 0; i < count; i += 1) {
      const statement = statements[i] ?? null;
      if (statement === null || kinds[i] === SENT.close) continue;
      if (touchesPrepared(statement.sql) && this.sql.lacksNamed(statement.sql, link)) return true;
      if (kinds[i] === SENT.parse && statement.name === "") continue;
      const known = this.#statements.get(statement.name);
      if (known !== undefined && !this.#supply.has(link, known)) return true;
    }
    return false;
  }

  /**
   * Has the server prepare, in a transaction of its own, what this batch describes outside of one. In
   * front of the Describe it would take a snapshot, which START TRANSACTION may not be preceded by.
   *
   * @returns false when nothing is lacking.
   */
  supplyDescribed(link: BackendLink): boolean {
    const { count, kinds, statements } = this.#batch;
    this.#output.clear();
    link.known.startBatch();
    for (let i = 0; i < count; i += 1) {
      const statement = statements[i] ?? null;
      if (kinds[i] !== SENT.describe || statement === null) continue;
      // What the batch itself prepares is not lacking.
      const isKnown = this.#statements.get(statement.name) === statement;
      if (isKnown && statement.columnsFrom === "text") this.#supply.addApart(link, statement);
    }
    if (this.#output.lengthBytes === 0) return false;
    link.note(SENT.sync, HIDDEN);
    this.#output.add(SYNC);
    this.#output.sendTo(link);
    return true;
  }

  /** One that was replaced or ended by messages that went elsewhere, or another session's. */
  #dropUnnamed(link: BackendLink, isForeign: boolean, continues: boolean): void {
    // Before it is noted, as it may fail at once. What goes on with a batch may be skipped.
    link.mayHaveUnnamed = continues && !isForeign;
    link.note(SENT.close, INJECTED | this.#flags, {
      failed: () => {
        link.mayHaveUnnamed = true;
        link.isUnnamedForeign = isForeign;
      },
      ended: () => undefined,
    });
    this.#output.add(CLOSE_UNNAMED);
  }

  /** Another backend of the session got the batch first, and its outcome is watched there. */
  get #isRepeated(): boolean {
    return (this.#flags & HIDDEN) !== 0;
  }

  /** @returns who wants to know what becomes of the message. */
  #send(link: BackendLink, index: number, start: number): ReplyWatcher | null {
    const kind = this.#batch.kinds[index] as Sent;
    const statement = this.#batch.statements[index] ?? null;
    if (kind === SENT.execute) {
      // One that has failed refuses what matters here, or is ended by it.
      const isRefused = this.#supply.isAborted;
      this.#supply.isAborted = false;
      this.#mayHaveEnded = true;
      return isRefused ? null : this.#execute(link, start);
    }
    if (kind === SENT.bind) {
      // What the name means is only believed: what is executed may be something else.
      const isBelieved =
        statement !== null && statement.name !== "" && this.#statements.isUncertain;
      this.sql.bound(isBelieved ? null : statement, link, this.#bytes.input, start);
    }
    if (kind === SENT.close && this.#isOfServer(statement, start)) this.#carrier?.closed(link);
    if (statement === null) {
      if (this.#renewed !== null) return this.#learn(link, this.#renewed);
      if (this.#carrier !== null) this.#hideOurs(link, kind, start);
      return null;
    }
    if (kind !== SENT.close && touchesPrepared(statement.sql))
      this.#supplyNamed(link, start, statement);
    if (statement.name !== "" && this.#statements.isUncertain && kind !== SENT.close) {
      // What was sent before and drops all of them does not drop this one.
      if (kind === SENT.parse) {
        this.#statements.beginUncertainty();
        if (this.#carrier !== null) this.#supply.keep(link);
      }
      // What the server may have dropped it knows; but what it never got it must get.
      const known = this.#statements.get(statement.name);
      if (known !== undefined) this.#supplyByName(link, start, known);
      return null;
    }
    // Closed or replaced by this very batch: as the name stands, the server knows what it means.
    const isKnown = this.#isRepeated
      ? this.#wereKnown[index] === true
      : this.#statements.get(statement.name) === statement;
    this.#wereKnown[index] = isKnown;
    if (!isKnown && kind !== SENT.parse) return null;
    if (kind === SENT.parse) {
      return this.#parse.forward(link, start, statement, this.#flags, this.#isRepeated);
    }
    if (kind === SENT.close) return this.#isRepeated ? null : this.#close(link, start, statement);
    return this.#use(link, index, statement);
  }

  /** A Close of a statement that is not a shared one. */
  #isOfServer(statement: PreparedStatement | null, start: number): boolean {
    const isStatement = this.#bytes.input[start + HEADER_BYTES] === STATEMENT_BYTE;
    return isStatement && (statement === null || statement.shared === null);
  }

  /** What the client has just prepared: what it is may have to be compared one day. */
  #askOf(link: BackendLink, index: number): void {
    const { count, kinds, statements } = this.#batch;
    const statement = statements[index] as PreparedStatement;
    // Or the client asks itself.
    const next = index + 1;
    if (next < count && kinds[next] === SENT.describe && statements[next] === statement) return;
    // A Query on its way may be a COPY, which would read the Parse, and leave the question unanswered.
    if (!this.#wasIdle && link.pending.reachesBack) return;
    this.#supply.describe(link, statement, this.#flags, true);
  }

  /** The client will know the statement as this Describe says. */
  #learn(link: BackendLink, statement: PreparedStatement): ReplyWatcher {
    this.#renewed = null;
    this.#mark = LEARNS;
    return new ShapeLearner(link, statement, true);
  }

  #use(link: BackendLink, index: number, statement: PreparedStatement): ReplyWatcher | null {
    const kind = this.#batch.kinds[index] as Sent;
    const start = this.#batch.starts[index] as number;
    // As the server knows it; null: as the client does.
    let name = statement.shared?.name ?? null;
    let watcher: ReplyWatcher | null = null;
    const isBind = kind === SENT.bind;
    const isApart = this.#supplyDescribed(link, kind, start, statement);
    const isThere = isApart || this.#supply.has(link, statement);
    const isLacking = !isThere && !link.pending.isCopyIn;
    if (isLacking) {
      this.#bytes.copyUpTo(link, start);
      // What all servers get is not compared.
      const isRelied =
        isBind && this.#isAlone && !this.#batch.asksForColumns(index, this.#bytes.input);
      const how = this.#supply.addAnew(link, statement, this.#flags, isRelied);
      if (how === "unknown") {
        this.stoppedAt = index;
        return null;
      }
      if (how === "outdated") {
        // There is no statement of that name: the server fails where it has to.
        name = NOBODY_S_NAME;
        this.#mark = OUTDATED;
      }
    }
    const isOfText = statement.columnsFrom === "text";
    if (isOfText && this.#isAlone && this.#supply.isNews(link, statement, isLacking)) {
      if (!isBind) watcher = this.#learn(link, statement);
      // Most statements without a name are executed once.
      else if (isLacking || statement.name !== "") {
        if (this.#batch.asksForColumns(index, this.#bytes.input)) this.#renewed = statement;
      }
    }
    if (name === null) return watcher;
    let nameStart = start + HEADER_BYTES;
    nameStart = isBind ? zeroFrom(this.#bytes.input, nameStart) + 1 : nameStart + 1;
    this.#bytes.copyUpTo(link, start);
    this.#bytes.rename(start, nameStart, name);
    return watcher;
  }

  /** See `Columns`. @returns whether the statement is there now as a Describe needs it. */
  #supplyDescribed(
    link: BackendLink,
    kind: Sent,
    start: number,
    statement: PreparedStatement,
  ): boolean {
    if (kind !== SENT.describe || statement.columnsFrom === "text") return false;
    if (link.pending.isCopyIn || this.#supply.hasFirst(link, statement)) return false;
    this.#bytes.copyUpTo(link, start);
    this.#supply.addDescribed(link, statement, this.#flags);
    return true;
  }

  #close(link: BackendLink, start: number, statement: PreparedStatement): ReplyWatcher {
    const { name, shared } = statement;
    if (shared !== null) {
      // Others may use it: it stays, and the client gets the answer to closing nothing.
      this.#bytes.copyUpTo(link, start);
      this.#bytes.replace(start, CLOSE_NOTHING);
    } else this.#supply.closeElsewhere(link, statement);
    if (name !== "") return this.#statements.forget([name]);
    this.#statements.forgetUnnamed();
    return this.#statements.closeWatcher;
  }

  /** What SQL names must be there when that is parsed already: it says what the rows look like. */
  #supplyNamed(link: BackendLink, start: number, statement: PreparedStatement): void {
    const { isUncertain } = this.#statements;
    if (statement.sql.kind !== "execute" || isUncertain || this.#supply.isAborted) return;
    this.#bytes.copyUpTo(link, start);
    this.sql.supplyNamed(statement.sql, link, this.#flags);
  }

  #execute(link: BackendLink, start: number): ReplyWatcher | null {
    if (this.#isRepeated) return null;
    const executed = this.sql.executed(this.#bytes.input, start);
    if (executed === null) return null;
    this.#bytes.copyUpTo(link, start);
    const watcher = this.sql.prepareForExecute(executed.sql, link, this.#flags);
    if (watcher !== null) this.#mark = LEARNS;
    return watcher;
  }

  #supplyByName(link: BackendLink, start: number, statement: PreparedStatement): void {
    this.#bytes.copyUpTo(link, start);
    if (!link.pending.isCopyIn) this.#supply.addByName(link, statement, this.#flags);
  }

  /** A name that the client does not have must not mean what others have by it on this connection. */
  #hideOurs(link: BackendLink, kind: Sent, start: number): void {
    const input = this.#bytes.input;
    let nameStart = start + HEADER_BYTES;
    if (kind === SENT.bind) nameStart = zeroFrom(input, nameStart) + 1;
    else if (input[nameStart] === STATEMENT_BYTE) nameStart += 1;
    else return;
    if (input[nameStart] !== NOBODY_S_NAME[0]) return;
    const nameEnd = nameStart + NOBODY_S_NAME.length;
    if (!NOBODY_S_NAME.equals(input.subarray(nameStart, nameEnd))) return;
    this.#bytes.copyUpTo(link, start);
    this.#bytes.rename(start, nameStart, NOBODY_S_NAME);
  }
}

/** Nothing is open there, and no transaction of the session elsewhere. */
function isOutside({ status, pending, isAside }: BackendLink): boolean {
  return status === READY.idle && pending.isIdle && !isAside;
}
