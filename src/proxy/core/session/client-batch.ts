import { STATISTIC } from "../../../wire/ipc/index.ts";
import {
  FRONTEND,
  HEADER_BYTES,
  LARGE_MESSAGE_BYTES_MAX,
  readString,
  SMALL_MESSAGE_BYTES_MAX,
} from "../../../wire/postgres/index.ts";
import { LEAVES, type ClassifyBytes, type SqlClass, type SqlKind } from "../sql/index.ts";
import { NameReader } from "./name-reader.ts";
import { SENT, type Sent } from "./pending-replies.ts";
import type { PreparedStatements } from "./prepared-statements.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import { countsColumns } from "./statement-shape.ts";

/** Extended messages that are held back until it is known which backend may have them all. */
export const BATCH_BYTES_MAX = 256 * 1024;

/** The class of a text that was too long to be read. */
export const UNREAD_SQL: SqlClass = {
  kind: "write",
  destination: "primary",
  functions: [],
  relations: [],
  cteNames: [],
  name: null,
  createsTemp: [],
  changesCatalog: true,
  changesFunctions: true,
  locksRelations: false,
  readsTransaction: false,
  multi: true,
  leadingComment: false,
  leadingWhiteSpace: false,
  changesSession: false,
  clearsSession: false,
  leaves: LEAVES.unknown,
  clears: 0,
  leavesWhenExecuted: LEAVES.unknown,
  settingNames: null,
  customSettings: [],
  statistic: STATISTIC.ddl,
  decidedBy: "lexer",
};

const KIND_OF_TYPE: readonly (Sent | 0)[] = (() => {
  const kinds: (Sent | 0)[] = Array.from({ length: 256 }, () => 0);
  kinds[FRONTEND.parse] = SENT.parse;
  kinds[FRONTEND.bind] = SENT.bind;
  kinds[FRONTEND.describe] = SENT.describe;
  kinds[FRONTEND.execute] = SENT.execute;
  kinds[FRONTEND.close] = SENT.close;
  return kinds;
})();

/** What is parsed without a look at any catalog. Source: analyze_requires_snapshot in PostgreSQL 15. */
const TRACELESS: ReadonlySet<SqlKind> = new Set<SqlKind>([
  ...(["begin", "commit", "rollback", "savepoint", "two-phase", "set", "show", "discard"] as const),
  ...(["listen", "prepare", "execute", "deallocate", "empty"] as const),
]);

/** It makes, uses or drops prepared statements by SQL. */
export function touchesPrepared(sql: SqlClass): boolean {
  return ((sql.leaves | sql.clears) & (LEAVES.prepared | LEAVES.executes)) !== 0;
}

/** 0 for a message that is not part of an extended batch. */
export function batchKind(type: number): Sent | 0 {
  return KIND_OF_TYPE[type] ?? 0;
}

/** Why PostgreSQL would end the session at this header, or null. */
export function headerComplaint(type: number, lengthBytes: number): string | null {
  switch (type) {
    case FRONTEND.query:
    case FRONTEND.parse:
    case FRONTEND.bind:
    case FRONTEND.functionCall:
    case FRONTEND.copyData:
      return lengthBytes < 4 || lengthBytes > LARGE_MESSAGE_BYTES_MAX
        ? "invalid message length"
        : null;
    case FRONTEND.close:
    case FRONTEND.describe:
    case FRONTEND.execute:
    case FRONTEND.flush:
    case FRONTEND.sync:
    case FRONTEND.terminate:
    case FRONTEND.copyDone:
    case FRONTEND.copyFail:
      return lengthBytes < 4 || lengthBytes > SMALL_MESSAGE_BYTES_MAX
        ? "invalid message length"
        : null;
    default:
      return `invalid frontend message type ${type}`;
  }
}

/**
 * The messages of an extended batch as they lie behind each other in one buffer. Its arrays are
 * used again for every batch.
 */
export class ClientBatch {
  count = 0;
  readonly kinds: Sent[] = [];
  /** Where each message starts. */
  readonly starts: number[] = [];
  /** What a Parse makes, or a Bind, Describe or Close names; null for a portal or an unknown name. */
  readonly statements: (PreparedStatement | null)[] = [];
  /** It names a statement that only the primary is sure to know, or to refuse. */
  needsPrimary = false;
  /** What a name in it means depends on replies to earlier batches. */
  usesOpenName = false;
  /** It binds or describes an unnamed statement that does not exist. */
  missesUnnamed = false;
  /** It names the unnamed statement of an earlier batch, if there is one. */
  usesOlderUnnamed = false;
  /** An Execute or Describe names a portal that this batch did not make. */
  usesOlderPortal = false;
  /** It describes a statement. */
  describesStatement = false;
  /** It makes or closes named statements. */
  changesNames = false;
  /** What it binds may be gone on with after its Sync, in a transaction. */
  keepsPortal = false;
  #hasBind = false;
  #isBoundOnly = false;
  /** Named statements that this batch makes. */
  readonly #made = new Map<string, PreparedStatement>();
  #madeUnnamed: PreparedStatement | null = null;
  readonly #registry: PreparedStatements;
  readonly #classify: ClassifyBytes;
  /** Keep the texts; else they are read once and forgotten. */
  readsText: boolean;
  readonly #names = new NameReader();

  constructor(registry: PreparedStatements, classify: ClassifyBytes, readsText: boolean) {
    this.#registry = registry;
    this.#classify = classify;
    this.readsText = readsText;
  }

  /** It starts a transaction. */
  get begins(): boolean {
    for (let i = 0; i < this.count; i += 1) {
      if (this.kinds[i] === SENT.bind && this.statements[i]?.sql.kind === "begin") return true;
    }
    return false;
  }

  /** It executes what clears the session. */
  get clearsSession(): boolean {
    for (let i = 0; i < this.count; i += 1) {
      if (this.kinds[i] === SENT.bind && this.statements[i]?.sql.clearsSession === true)
        return true;
    }
    return false;
  }

  /** The statement that it executes first, as far as is known. */
  get firstBound(): SqlClass | null {
    for (let i = 0; i < this.count; i += 1) {
      if (this.kinds[i] === SENT.bind) return this.statements[i]?.sql ?? null;
    }
    return null;
  }

  get beginsWithUnnamedParse(): boolean {
    return this.kinds[0] === SENT.parse && this.statements[0]?.name === "" && this.count > 0;
  }

  /** A server executes nothing of it, and takes no snapshot for it: see `TRACELESS`. */
  get isTraceless(): boolean {
    for (let i = 0; i < this.count; i += 1) {
      const kind = this.kinds[i];
      if (kind === SENT.bind || kind === SENT.execute) return false;
      if (kind === SENT.parse && !TRACELESS.has((this.statements[i] as PreparedStatement).sql.kind))
        return false;
    }
    return true;
  }

  /** A Bind has no Execute behind it. */
  get isBoundOnly(): boolean {
    return this.#isBoundOnly;
  }

  clear(): void {
    this.count = 0;
    this.usesOlderPortal = false;
    this.describesStatement = false;
    this.missesUnnamed = false;
    this.usesOlderUnnamed = false;
    this.needsPrimary = false;
    this.usesOpenName = false;
    this.changesNames = false;
    this.#hasBind = false;
    this.#isBoundOnly = false;
    this.keepsPortal = false;
    this.#madeUnnamed = null;
    if (this.#made.size > 0) this.#made.clear();
  }

  /**
   * @param end of what is there of the message; for a giant that is its beginning only.
   * @param isWhole false for such a giant.
   */
  note(kind: Sent, bytes: Buffer, start: number, end: number, isWhole: boolean): void {
    let statement: PreparedStatement | null = null;
    if (kind === SENT.parse) {
      statement = this.#readParse(bytes, start, end, isWhole);
    } else if (kind === SENT.bind) {
      this.#hasBind = true;
      this.#isBoundOnly = true;
      if (bytes[start + HEADER_BYTES] !== 0) this.keepsPortal = true;
      const portalEnd = zeroAt(bytes, start + HEADER_BYTES);
      if (portalEnd !== -1 && portalEnd < end) {
        statement = this.#named(this.#names.read(bytes, portalEnd + 1, end));
      }
    } else if (kind === SENT.describe || kind === SENT.close) {
      const isStatement = bytes[start + HEADER_BYTES] === 0x53; // S
      if (isStatement && kind === SENT.describe) this.describesStatement = true;
      if (isStatement)
        statement = this.#named(this.#names.read(bytes, start + HEADER_BYTES + 1, end));
      else if (!this.#hasBind && kind === SENT.describe) this.usesOlderPortal = true;
    } else if (kind === SENT.execute && !this.#hasBind) {
      this.usesOlderPortal = true;
    }
    if (kind === SENT.parse || kind === SENT.close) this.changesNames ||= statement?.name !== "";
    if (kind === SENT.execute) {
      this.#isBoundOnly = false;
      if (!isUnlimited(bytes, start, end)) this.keepsPortal = true;
    }
    this.kinds[this.count] = kind;
    this.starts[this.count] = start;
    this.statements[this.count] = statement;
    this.count += 1;
  }

  /** The message that was noted last is not for a server. */
  dropLast(): void {
    this.count -= 1;
  }

  /** A Describe follows that tells the columns of this Bind, which does not count on any. */
  asksForColumns(index: number, input: Buffer): boolean {
    const next = index + 1;
    if (next >= this.count || this.kinds[next] !== SENT.describe) return false;
    const start = this.starts[next] as number;
    const bind = input.subarray(this.starts[index], start);
    const isOfPortal = input[start + HEADER_BYTES] === 0x50; // P
    const described = readString(input, start + HEADER_BYTES + 1, input.length);
    const portal = readString(bind, HEADER_BYTES, bind.length);
    return isOfPortal && portal === described && !countsColumns(bind);
  }

  #readParse(bytes: Buffer, start: number, end: number, isWhole: boolean): PreparedStatement {
    const name = this.#names.read(bytes, start + HEADER_BYTES, end);
    const textStart = zeroAt(bytes, start + HEADER_BYTES) + 1;
    const textEnd = isWhole && name !== null ? bytes.indexOf(0, textStart) : -1;
    const isRead = textEnd !== -1 && textEnd < end;
    const sql = isRead ? this.#classify(bytes, textStart, textEnd) : UNREAD_SQL;
    const text = isRead && this.readsText ? bytes.toString("utf8", textStart, textEnd) : "";
    const statement = this.#registry.make(name ?? "", sql, text);
    // What it may say of others is found out when it is prepared.
    if (this.#registry.isAnyOpen && touchesPrepared(sql)) this.usesOpenName = true;
    if (statement.name === "") this.#madeUnnamed = statement;
    else {
      this.#made.set(statement.name, statement);
      this.#lookAt(statement.name, this.#registry.get(statement.name) ?? null);
    }
    return statement;
  }

  #named(name: string | null): PreparedStatement | null {
    if (name === null) return null;
    const made = name === "" ? this.#madeUnnamed : this.#made.get(name);
    const named = made ?? this.#registry.get(name) ?? null;
    if (name !== "") this.#lookAt(name, named);
    else if (made === null) {
      this.usesOlderUnnamed = true;
      if (named === null) this.missesUnnamed = true;
    }
    // It may say something about any other.
    if (named !== null && this.#registry.isAnyOpen && touchesPrepared(named.sql)) {
      this.usesOpenName = true;
    }
    return named;
  }

  #lookAt(name: string, named: PreparedStatement | null): void {
    const { isUncertain } = this.#registry;
    if (isUncertain || named?.isFromSql === true) this.needsPrimary = true;
    if (isUncertain || this.#registry.isOpen(name)) this.usesOpenName = true;
  }
}

/** Execute of the unnamed portal, for all its rows. */
function isUnlimited(bytes: Buffer, start: number, end: number): boolean {
  const at = start + HEADER_BYTES;
  return end - at >= 5 && bytes[at] === 0 && bytes.readUInt32BE(at + 1) === 0;
}

/** Where the name that begins at `start` ends; mostly it is empty. */
function zeroAt(bytes: Buffer, start: number): number {
  return bytes[start] === 0 ? start : bytes.indexOf(0, start);
}
