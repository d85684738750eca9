import type { Failure, Result } from "../../../base/index.ts";
import {
  BACKEND,
  buildComplete,
  buildDataRow,
  buildError,
  buildMessage,
  buildNotice,
  buildReady,
  buildRowDescription,
  buildTextResult,
  HEADER_BYTES,
  READY,
  readString,
} from "../../../wire/postgres/index.ts";
import { isOwnKind, parseOwnCommand, type OwnCommand, type ShowAnswer } from "../show/index.ts";
import type { SqlClass } from "../sql/index.ts";
import { SENT, type Sent } from "./pending-replies.ts";

/** Statements of ours, and portals, that one client may have at a time. */
const NAMES_MAX = 1000;

/** What a session does about them. */
export interface OwnStatementsPort {
  tellClient(bytes: Buffer): void;
  /** As the client was told last. */
  readonly status: number;
  /** A statement of ours has failed: so does the transaction that it is in, if there is one. */
  failed(): void;
  /** Null: the answer follows by `answered`. */
  answer(command: OwnCommand): Result<ShowAnswer, Failure> | null;
  /** The columns of the answer; null when it has no rows. */
  columnsOf(command: OwnCommand): readonly string[] | null;
}

/** A message was answered, has to wait for its answer, or ended its batch with an error. */
export type OwnOutcome = "answered" | "waits" | "failed";

interface Portal {
  readonly command: OwnCommand;
  readonly formats: readonly number[];
  /** Null until it is executed for the first time. */
  answer: ShowAnswer | null;
  sentRows: number;
}

/** Whom the answer is for that is awaited: a simple query, or an Execute with its row limit. */
type Asker = { readonly portal: Portal; readonly rowsMax: number } | "query";

/**
 * Statements that the proxy answers itself, in the simple and in the extended protocol. Here the
 * session plays the server: it knows what the client has prepared and bound of them, and answers
 * each message as PostgreSQL would. Parameters they have none, and all columns are text.
 */
export class OwnStatements {
  readonly #port: OwnStatementsPort;
  readonly #named = new Map<string, OwnCommand>();
  #unnamed: OwnCommand | null = null;
  readonly #portals = new Map<string, Portal>();
  #asker: Asker | null = null;
  /** Something was answered here since the last Sync, and no server knows of it. */
  isOpen = false;

  constructor(port: OwnStatementsPort) {
    this.#port = port;
  }

  /** A message may name something of ours. */
  get isActive(): boolean {
    return this.#unnamed !== null || this.#named.size > 0 || this.#portals.size > 0;
  }

  /** A statement that is answered here: by its kind, or because it drops one of ours. */
  isOwn(sql: SqlClass): boolean {
    if (isOwnKind(sql)) return true;
    if (this.#named.size === 0 || sql.kind !== "deallocate" || sql.multi) return false;
    return sql.name !== null && this.#named.has(sql.name);
  }

  /** Whether this Parse is for us: also one that would take a name of ours. */
  claimsParse(name: string, sql: SqlClass): boolean {
    if (this.isOwn(sql) || (this.#named.size > 0 && this.#named.has(name))) return true;
    if (name === "") this.#unnamed = null;
    return false;
  }

  /** Whether another message of a batch names something of ours. */
  claims(kind: Sent, bytes: Buffer, start: number, end: number): boolean {
    const body = start + HEADER_BYTES;
    if (kind === SENT.bind) {
      const portal = readString(bytes, body, end);
      const name = readString(bytes, bytes.indexOf(0, body) + 1, end);
      if (portal === null || name === null) return false;
      if (this.#statement(name) !== null) return true;
      this.#portals.delete(portal);
      return false;
    }
    if (kind === SENT.execute) return this.#portals.has(readString(bytes, body, end) ?? "");
    const name = readString(bytes, body + 1, end) ?? "";
    return bytes[body] === STATEMENT ? this.#statement(name) !== null : this.#portals.has(name);
  }

  /** A simple query, for which `isOwn` holds. */
  query(sql: SqlClass, text: string): OwnOutcome {
    this.queried();
    const { status } = this.#port;
    if (status === READY.failed) {
      this.#port.tellClient(Buffer.concat([buildError(ABORTED), buildReady(status)]));
      return "failed";
    }
    const answer = this.#answer(parseOwnCommand(sql, text));
    if (answer === null) {
      this.#asker = "query";
      return "waits";
    }
    this.#tellResult(answer);
    return "answered";
  }

  /** A simple query of any kind drops the unnamed statement. */
  queried(): void {
    this.isOpen = false;
    this.#unnamed = null;
    this.#dropPortals();
  }

  /** DISCARD ALL and DEALLOCATE ALL. */
  forgetNames(): void {
    this.#named.clear();
  }

  /** The Parse of a statement for which `claimsParse` held. */
  parse(name: string, sql: SqlClass, text: string): OwnOutcome {
    this.isOpen = true;
    if (name === "") this.#unnamed = null;
    if (this.#port.status === READY.failed) return this.#fail(ABORTED);
    if (this.#named.has(name)) {
      return this.#fail(wrong("42P05", `prepared statement "${name}" already exists`));
    }
    const command = parseOwnCommand(sql, text);
    if (command.kind === "wrong") return this.#fail(command.failure);
    if (name === "") this.#unnamed = command;
    else if (this.#named.size >= NAMES_MAX) return this.#fail(TOO_MANY);
    else this.#named.set(name, command);
    return this.#say(BACKEND.parseComplete);
  }

  /** Something is wrong with a message for us. */
  refuse(sqlstate: string, message: string): OwnOutcome {
    this.isOpen = true;
    return this.#fail(wrong(sqlstate, message));
  }

  /** The statement that this Execute has explained, or null. */
  explainedBy(kind: Sent, bytes: Buffer, start: number, end: number): string | null {
    if (kind !== SENT.execute) return null;
    const portal = this.#portals.get(readString(bytes, start + HEADER_BYTES, end) ?? "");
    const isNew = portal?.command.kind === "explain-route" && portal.answer === null;
    return isNew ? portal.command.text : null;
  }

  /** A message for which `claims` held. */
  handle(kind: Sent, bytes: Buffer, start: number, end: number): OwnOutcome {
    this.isOpen = true;
    const body = start + HEADER_BYTES;
    if (kind === SENT.bind) return this.#bind(bytes, body, end);
    if (kind === SENT.describe) return this.#describe(bytes, body, end);
    if (kind === SENT.execute) return this.#execute(bytes, body, end);
    return this.#close(bytes, body, end);
  }

  /** The Sync of a batch that no server has seen. */
  synced(): void {
    this.isOpen = false;
    this.#dropPortals();
    this.#port.tellClient(buildReady(this.#port.status));
  }

  /** What `answer` did not have at once; null when nobody waits for it. */
  answered(answer: Result<ShowAnswer, Failure>): OwnOutcome | null {
    const asker = this.#asker;
    this.#asker = null;
    if (asker === null) return null;
    if (asker === "query") {
      this.#tellResult(answer);
      return "answered";
    }
    if (!answer.ok) return this.#fail(answer.error);
    asker.portal.answer = answer.value;
    return this.#sendRows(asker.portal, answer.value, asker.rowsMax);
  }

  // ---- messages ---------------------------------------------------------------------------

  #bind(bytes: Buffer, body: number, end: number): OwnOutcome {
    const portalName = readString(bytes, body, end) ?? "";
    const nameStart = bytes.indexOf(0, body) + 1;
    const name = readString(bytes, nameStart, end) ?? "";
    const command = this.#statement(name);
    if (command === null) return this.#fail(noStatement(name));
    if (this.#port.status === READY.failed) return this.#fail(ABORTED);
    const numbers = new Int16Reader(bytes, bytes.indexOf(0, nameStart) + 1, end);
    numbers.list();
    const parameters = numbers.next();
    if (parameters > 0) {
      const what = `bind message supplies ${parameters} parameters, but prepared statement "${name}" requires 0`;
      return this.#fail(wrong("08P01", what));
    }
    const formats = numbers.list();
    if (numbers.isCut) return this.#fail(wrong("08P01", "invalid message format"));
    const columns = this.#port.columnsOf(command)?.length ?? 0;
    if (formats.length > 1 && formats.length !== columns) {
      const what = `bind message has ${formats.length} result formats but query has ${columns} columns`;
      return this.#fail(wrong("08P01", what));
    }
    if (portalName !== "" && this.#portals.has(portalName)) {
      return this.#fail(wrong("42P03", `cursor "${portalName}" already exists`));
    }
    if (this.#portals.size >= NAMES_MAX) return this.#fail(TOO_MANY);
    this.#portals.set(portalName, { command, formats, answer: null, sentRows: 0 });
    return this.#say(BACKEND.bindComplete);
  }

  #describe(bytes: Buffer, body: number, end: number): OwnOutcome {
    const name = readString(bytes, body + 1, end) ?? "";
    if (bytes[body] === STATEMENT) {
      const command = this.#statement(name);
      if (command === null) return this.#fail(noStatement(name));
      this.#port.tellClient(buildMessage(BACKEND.parameterDescription, Buffer.alloc(2)));
      return this.#tellColumns(command, []);
    }
    const portal = this.#portals.get(name);
    if (portal === undefined) return this.#fail(noPortal(name));
    return this.#tellColumns(portal.command, portal.formats);
  }

  #tellColumns(command: OwnCommand, formats: readonly number[]): OwnOutcome {
    const columns = this.#port.columnsOf(command);
    if (columns === null) return this.#say(BACKEND.noData);
    this.#port.tellClient(buildRowDescription(columns, formats));
    return "answered";
  }

  #execute(bytes: Buffer, body: number, end: number): OwnOutcome {
    const name = readString(bytes, body, end) ?? "";
    const portal = this.#portals.get(name);
    if (portal === undefined) return this.#fail(noPortal(name));
    if (this.#port.status === READY.failed) return this.#fail(ABORTED);
    const limitStart = bytes.indexOf(0, body) + 1;
    const rowsMax = limitStart + 4 <= end ? Math.max(0, bytes.readInt32BE(limitStart)) : 0;
    if (portal.answer !== null) return this.#sendRows(portal, portal.answer, rowsMax);
    const answer = this.#answer(portal.command);
    if (answer === null) {
      this.#asker = { portal, rowsMax };
      return "waits";
    }
    if (!answer.ok) return this.#fail(answer.error);
    portal.answer = answer.value;
    return this.#sendRows(portal, answer.value, rowsMax);
  }

  /** @param rowsMax 0 for all. */
  #sendRows(portal: Portal, answer: ShowAnswer, rowsMax: number): OwnOutcome {
    const { columns, rows, tag } = answer;
    const from = portal.sentRows;
    const to = rowsMax === 0 ? rows.length : Math.min(rows.length, from + rowsMax);
    portal.sentRows = to;
    const isSuspended = rowsMax > 0 && to - from === rowsMax;
    const isWhole = from === 0 || columns === null;
    const end = isSuspended
      ? buildMessage(BACKEND.portalSuspended, Buffer.alloc(0))
      : buildComplete(isWhole ? tag : `SELECT ${to - from}`);
    const notice = from === 0 ? noticeOf(answer) : [];
    const parts = [...notice, ...rows.slice(from, to).map(buildDataRow), end];
    this.#port.tellClient(Buffer.concat(parts));
    return "answered";
  }

  /** Closing what is not there is no error. */
  #close(bytes: Buffer, body: number, end: number): OwnOutcome {
    const name = readString(bytes, body + 1, end) ?? "";
    if (bytes[body] !== STATEMENT) this.#portals.delete(name);
    else if (name === "") this.#unnamed = null;
    else this.#named.delete(name);
    return this.#say(BACKEND.closeComplete);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #statement(name: string): OwnCommand | null {
    return name === "" ? this.#unnamed : (this.#named.get(name) ?? null);
  }

  #answer(command: OwnCommand): Result<ShowAnswer, Failure> | null {
    if (command.kind === "wrong") return { ok: false, error: command.failure };
    if (command.kind !== "deallocate") return this.#port.answer(command);
    const isThere = this.#named.delete(command.name);
    if (!isThere) return { ok: false, error: noStatement(command.name) };
    return { ok: true, value: { columns: null, rows: [], tag: "DEALLOCATE" } };
  }

  /** Portals live as long as their transaction. */
  #dropPortals(): void {
    if (this.#port.status === READY.idle) this.#portals.clear();
  }

  /** With ReadyForQuery, whose status is that of the transaction; Pgpool-II always says idle. */
  #tellResult(answer: Result<ShowAnswer, Failure>): void {
    if (!answer.ok) this.#port.failed();
    this.#port.tellClient(Buffer.concat([resultOf(answer), buildReady(this.#port.status)]));
  }

  #say(type: number): OwnOutcome {
    this.#port.tellClient(buildMessage(type, Buffer.alloc(0)));
    return "answered";
  }

  #fail(why: Failure): OwnOutcome {
    this.#port.tellClient(buildError(why));
    return "failed";
  }
}

/** In Describe and Close. */
const STATEMENT = 0x53;

/** Reads the counted lists of a Bind message. */
class Int16Reader {
  isCut = false;
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  next(): number {
    if (this.#at + 2 > this.#end) this.isCut = true;
    if (this.isCut) return 0;
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  list(): number[] {
    const count = this.next();
    const numbers: number[] = [];
    for (let i = 0; i < count && !this.isCut; i += 1) numbers.push(this.next());
    return numbers;
  }
}

function resultOf(answer: Result<ShowAnswer, Failure>): Buffer {
  if (!answer.ok) return buildError(answer.error);
  const { columns, rows, tag } = answer.value;
  const result = columns === null ? buildComplete(tag) : buildTextResult(columns, rows, tag);
  return Buffer.concat([...noticeOf(answer.value), result]);
}

function noticeOf({ notice }: ShowAnswer): readonly Buffer[] {
  return notice === undefined ? [] : [buildNotice(notice)];
}

function wrong(sqlstate: string, message: string): Failure {
  return { severity: "ERROR", sqlstate, message };
}

function noStatement(name: string): Failure {
  return wrong("26000", `prepared statement "${name}" does not exist`);
}

function noPortal(name: string): Failure {
  return wrong("34000", `portal "${name}" does not exist`);
}

const TOO_MANY = wrong("54000", `more than ${NAMES_MAX} prepared SHOW or PGPOOL statements`);

const ABORTED = wrong(
  "25P02",
  "current transaction is aborted, commands ignored until end of transaction block",
);
