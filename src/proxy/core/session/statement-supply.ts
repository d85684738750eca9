import {
  buildCloseStatement,
  buildDescribeStatement,
  buildParse,
  FRONTEND,
  HEADER_BYTES,
  SYNC,
} from "../../../wire/postgres/index.ts";
import { LEAVES } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { ForwarderOptions } from "./batch-forwarder.ts";
import type { LinkSet } from "./link-set.ts";
import type { OutputBuffer } from "./output-buffer.ts";
import { HIDDEN, INJECTED, LEARNS, SENT } from "./pending-replies.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { PreparedStatements } from "./prepared-statements.ts";
import type { SharedStatement } from "./shared-statements.ts";
import { NO_COLUMNS, parseWithTypes, ShapeLearner } from "./statement-shape.ts";
import { withoutText } from "./prepared-columns.ts";
import { standInFor } from "./stand-in.ts";
import type { StateCarrier } from "./state-carrier.ts";

/**
 * Makes server connections know prepared statements, by messages that go into the output in front
 * of what needs them.
 */
export class StatementSupply {
  readonly #statements: PreparedStatements;
  readonly #links: LinkSet;
  readonly #carrier: StateCarrier | null;
  readonly #output: OutputBuffer;
  /** The transaction has failed, and a Describe needs it: see `standInFor`. */
  isAborted = false;
  isDescribed = false;
  /** How often a link was kept for statements that only it has. */
  #keeps = 0;
  /** Names that a server may still have because a Close of ours was skipped. */
  readonly #leftBehind = new Map<BackendLink, Set<string>>();

  constructor(o: ForwarderOptions, output: OutputBuffer) {
    this.#statements = o.statements;
    this.#links = o.links;
    this.#carrier = o.carrier;
    this.#output = output;
  }

  has(link: BackendLink, statement: PreparedStatement): boolean {
    const { shared } = statement;
    if (shared !== null) return link.known.has(shared, this.isAborted ? null : statement);
    // What PREPARE made is carried over with the state of the session.
    if (statement.isFromSql) return true;
    if ((statement.backends & link.bit) === 0) return false;
    return (statement.unsure & link.bit) === 0 || statement.unsureBatch === link.known.batch;
  }

  /** Prepares what that server lacks. */
  add(link: BackendLink, statement: PreparedStatement, flags: number): void {
    const { shared } = statement;
    if (shared === null) return this.#addOwn(link, statement, flags);
    this.makeRoom(link, shared, flags);
    const standIn = this.#standInFor(statement, shared.parse);
    if (standIn !== null) {
      link.known.doubt(shared);
      link.note(SENT.parse, INJECTED | flags);
      return this.#output.add(standIn);
    }
    this.#output.add(parseWithTypes(shared.parse, statement.parameters));
    link.note(SENT.parse, INJECTED | flags, {
      failed: () => link.known.doubt(shared),
      ended: () => link.known.confirm(shared),
    });
    // What has no columns gets none by any change of a table.
    const columns = statement.columns === NO_COLUMNS ? NO_COLUMNS : null;
    link.known.add(shared, { columns, parameters: statement.parameters });
  }

  /** Prepares what that server lacks before a batch that describes it. */
  addApart(link: BackendLink, statement: PreparedStatement): void {
    if (this.has(link, statement)) return;
    this.add(link, statement, HIDDEN);
    if (statement.shared !== null) return;
    // It takes the place of whatever has no name there.
    if (statement.name === "") link.isUnnamedForeign = false;
    // The Describe tells what it is now.
    statement.columns = null;
  }

  /**
   * For one that the server does not have, or not as the client knows it.
   *
   * @param isRelied a Bind needs it whose client believes to know the columns.
   * @returns "unknown": what it is now must be told before the client's message may be sent;
   *   "outdated": it is something else than the client believes, and would go on to believe.
   */
  addAnew(
    link: BackendLink,
    statement: PreparedStatement,
    flags: number,
    isRelied: boolean,
  ): "given" | "unknown" | "outdated" {
    const { shared, columns } = statement;
    const mayDiffer = columns !== null && columns !== NO_COLUMNS;
    const isCompared = isRelied && mayDiffer && !this.isAborted;
    const isFresh =
      shared === null
        ? statement.wasCompared(link.bit, link.known.batch)
        : link.known.isFresh(shared);
    if (isFresh && isCompared) return "outdated";
    if (!isFresh) this.add(link, statement, flags);
    if (!isCompared) return "given";
    this.describe(link, statement, flags, false);
    return "unknown";
  }

  /**
   * The client will know more, or something else, when it is told what this is there.
   *
   * @param wasGiven the server has got it for this very message.
   */
  isNews(link: BackendLink, statement: PreparedStatement, wasGiven: boolean): boolean {
    if (this.isAborted) return false;
    const { shared, columns } = statement;
    if (shared !== null) return columns === null || !link.known.isOfShape(shared, statement);
    if (wasGiven) return true;
    // Where there is no other server it will never be compared.
    return columns === null && (this.#carrier !== null || this.#links.size > 1);
  }

  /**
   * Asks the server what a statement is that it was given just now; the client does not see that.
   *
   * @param isClients the client has prepared it just now.
   */
  describe(
    link: BackendLink,
    statement: PreparedStatement,
    flags: number,
    isClients: boolean,
  ): void {
    const name = statement.shared?.name.toString("latin1") ?? statement.name;
    this.#output.add(buildDescribeStatement(name));
    const watcher = new ShapeLearner(link, statement, isClients);
    link.note(SENT.describe, INJECTED | LEARNS | flags, watcher);
  }

  /** The server has it as the client prepared it, at the same moment. */
  hasFirst(link: BackendLink, statement: PreparedStatement): boolean {
    const { shared } = statement;
    if (!this.has(link, statement)) return false;
    return shared === null
      ? !statement.isAgain
      : link.known.shapeOf(shared)?.parsedAs === statement.parsedAs;
  }

  /** For a Describe of one whose columns its text does not say: it is prepared as it was then. */
  addDescribed(link: BackendLink, statement: PreparedStatement, flags: number): void {
    const { columnsFrom, shared } = statement;
    const parse = shared === null ? statement.parse : shared.parse;
    if (columnsFrom === "nothing" && parse !== null) {
      if (shared !== null) {
        this.makeRoom(link, shared, flags);
        link.known.doubt(shared);
      } else if (statement.name === "") {
        statement.backends &= ~link.bit;
        link.mayHaveUnnamed = true;
      } else {
        this.#closeOwn(link, statement, flags);
        statement.unsure |= link.bit;
        statement.unsureBatch = -1;
      }
      link.note(SENT.parse, INJECTED | flags);
      this.#output.add(withoutText(parse));
    } else if (typeof columnsFrom === "string") this.add(link, statement, flags);
    else this.#addAsMeant(link, statement, columnsFrom, flags);
  }

  /** The name that an EXECUTE says means for a moment what it meant then. */
  #addAsMeant(
    link: BackendLink,
    statement: PreparedStatement,
    meant: PreparedStatement,
    flags: number,
  ): void {
    const now = this.#statements.get(meant.name);
    const isOther = now !== meant && now?.isFromSql !== true;
    if (isOther) {
      if (now !== undefined && now.shared === null) this.#closeOwn(link, now, flags);
      link.note(SENT.parse, INJECTED | flags);
      // One that PREPARE made: that it has columns is all that matters when it is gone.
      this.#output.add(meant.parse ?? buildParse(meant.name, "values (1)"));
    }
    this.#addOwn(link, statement, flags);
    statement.isAgain = !isOther;
    if (!isOther) return;
    this.#closeName(link, meant.name, flags);
    if (now !== undefined) now.backends &= ~link.bit;
  }

  /** Something was left behind, which is closed before anything else is sent. */
  get hasLeftBehind(): boolean {
    return this.#leftBehind.size > 0;
  }

  closeLeftBehind(link: BackendLink, flags: number): void {
    const names = this.#leftBehind.get(link) ?? [];
    this.#leftBehind.delete(link);
    for (const name of names) {
      const now = this.#statements.get(name);
      // Else the client's own has taken its place.
      const isLeft = now === undefined || now.shared !== null || (now.backends & link.bit) === 0;
      if (isLeft) this.#closeName(link, name, flags);
    }
  }

  #closeName(link: BackendLink, name: string, flags: number): void {
    this.#output.add(buildCloseStatement(name));
    link.note(SENT.close, INJECTED | flags, {
      failed: () => {
        this.#leftBehind.set(link, (this.#leftBehind.get(link) ?? new Set()).add(name));
        if (this.#carrier !== null) this.keep(link);
      },
      ended: () => undefined,
    });
  }

  /** What the server may have by the client's name makes room for what comes next. */
  #closeOwn(link: BackendLink, statement: PreparedStatement, flags: number): void {
    if (statement.name === "" || (statement.backends & link.bit) === 0) return;
    link.note(SENT.close, INJECTED | flags);
    this.#output.add(buildCloseStatement(statement.name));
  }

  /** For a Parse of a shared statement. */
  makeRoom(link: BackendLink, shared: SharedStatement, flags: number): void {
    const { known } = link;
    if (known.mayHave(shared)) return this.#close(link, shared, flags);
    const victim = known.evict(this.#carrier?.statements.perConnectionMax ?? 1);
    if (victim !== null) this.#close(link, victim, flags);
  }

  /** The server gets it by the client's own name, which SQL may use; the session keeps the link. */
  addByName(link: BackendLink, statement: PreparedStatement, flags: number): void {
    if (statement.shared !== null) {
      const parse = parseWithTypes(statement.shared.parse, statement.parameters);
      statement.parse = withName(parse, statement.shared.name, statement.name);
      statement.backends = 0;
      this.#statements.unshare(statement);
      this.keep(link);
    }
    if (!this.has(link, statement)) this.#addOwn(link, statement, flags);
  }

  /** Only this connection has a statement of the session, or may have it. */
  keep(link: BackendLink): void {
    link.keepsForGood |= LEAVES.prepared;
    this.#keeps += 1;
  }

  get keeps(): number {
    return this.#keeps;
  }

  /** All statements were dropped, by a message that was sent when there had been so many `keeps`. */
  letGo(keeps: number): void {
    if (keeps !== this.#keeps) return;
    for (const link of this.#links.all) link.keepsForGood &= ~LEAVES.prepared;
  }

  /** What is closed here is closed at the session's other links as well. */
  closeElsewhere(here: BackendLink, statement: PreparedStatement): void {
    if ((statement.backends & ~here.bit) === 0) return;
    for (const link of this.#links.all) {
      if (link === here || (statement.backends & link.bit) === 0) continue;
      link.note(SENT.close, HIDDEN);
      link.note(SENT.sync, HIDDEN);
      link.send(Buffer.concat([buildCloseStatement(statement.name), SYNC]));
      statement.backends &= ~link.bit;
    }
  }

  #addOwn(link: BackendLink, statement: PreparedStatement, flags: number): void {
    if (statement.parse === null) return;
    const { bit, known } = link;
    this.#closeOwn(link, statement, flags);
    statement.isAgain = true;
    const parse = parseWithTypes(statement.parse, statement.parameters);
    const standIn = this.#standInFor(statement, parse);
    link.note(SENT.parse, INJECTED | flags, {
      failed: () => {
        statement.unsureBatch = -1;
      },
      ended: () => {
        if (standIn === null) statement.unsure &= ~bit;
      },
    });
    if (statement.name === "") link.mayHaveUnnamed = true;
    else if (this.#carrier !== null) this.keep(link);
    this.#output.add(standIn ?? parse);
    statement.backends |= bit;
    statement.unsure |= bit;
    statement.unsureBatch = standIn === null ? known.batch : -1;
  }

  #standInFor(statement: PreparedStatement, parse: Buffer): Buffer | null {
    return this.isAborted ? standInFor(parse, statement.sql.kind, this.isDescribed) : null;
  }

  #close(link: BackendLink, shared: SharedStatement, flags: number): void {
    this.#output.add(closeMessage(shared.name));
    link.note(SENT.close, INJECTED | flags, {
      failed: () => link.known.doubt(shared),
      ended: () => undefined,
    });
  }
}

function closeMessage(name: Buffer): Buffer {
  return buildCloseStatement(name.toString("latin1"));
}

/** The same Parse message for another name. */
function withName(parse: Buffer, oldName: Buffer, name: string): Buffer {
  const rest = parse.subarray(HEADER_BYTES + oldName.length);
  const message = Buffer.concat([Buffer.alloc(HEADER_BYTES), Buffer.from(name), rest]);
  message[0] = FRONTEND.parse;
  message.writeUInt32BE(message.length - 1, 1);
  return message;
}
