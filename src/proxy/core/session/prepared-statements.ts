import type { SqlClass } from "../sql/index.ts";
import type { ReplyWatcher } from "./pending-replies.ts";
import { PreparedStatement, type ParseWatcher } from "./prepared-statement.ts";
import type { SharedStatement, SharedStatements } from "./shared-statements.ts";

/** Unnamed statements that are kept to be used again. */
const SPARES_MAX = 4;

/** A name that messages on their way give or take. */
interface OpenName {
  /** So many of them. */
  changes: number;
  /** What the server has for it now: what remains when they fail. */
  confirmed: PreparedStatement | null;
}

/**
 * What the client has prepared in this session, as it will be when all messages on their way are
 * executed; and, for what is on its way, as it is when they are not. A few objects take turns as
 * the unnamed statement, so that the extended protocol costs no new object per statement.
 *
 * Source: PostgreSQL manual, "Extended Query": an unnamed statement lasts until the next Parse
 * of one, or the next simple Query.
 */
export class PreparedStatements implements ParseWatcher {
  #isUncertain = false;
  /** How often that has begun. */
  #uncertainties = 0;
  readonly #byName = new Map<string, PreparedStatement>();
  readonly #open = new Map<string, OpenName>();
  readonly #shared: SharedStatements | null;
  /** What the client calls those that are shared. */
  readonly #namesOfShared = new Map<SharedStatement, string>();
  readonly #namesToForget: SharedStatement[] = [];
  #unnamed: PreparedStatement | null = null;
  /** The unnamed statement that the server has now: what remains when it skips the next Parse. */
  #confirmed: PreparedStatement | null = null;
  readonly #spares: PreparedStatement[] = [];

  /** Messages on their way that decide which statement is the unnamed one. */
  #changesOpen = 0;

  /** To be told of a Close of the unnamed statement, after `forgetUnnamed`. */
  readonly closeWatcher: ReplyWatcher = {
    failed: () => this.#endSkipped(),
    ended: () => this.#ended(),
  };

  /** To be told of a simple Query, after `forgetUnnamed`. */
  readonly queryWatcher: ReplyWatcher = {
    failed: (wasSkipped) => {
      if (wasSkipped) this.#endSkipped();
    },
    ended: () => this.#ended(),
  };

  /** @param shared where statements of this session are shared with others; null: nowhere. */
  constructor(shared: SharedStatements | null = null) {
    this.#shared = shared;
  }

  /**
   * A text that was not understood may have made or dropped any of them: only the server that it
   * went to knows.
   */
  get isUncertain(): boolean {
    return this.#isUncertain;
  }

  get uncertainties(): number {
    return this.#uncertainties;
  }

  beginUncertainty(): void {
    this.#isUncertain = true;
    this.#uncertainties += 1;
  }

  /** All were dropped, by a message that was sent when it had begun so often. */
  endUncertainty(uncertainties: number): void {
    if (uncertainties === this.#uncertainties) this.#isUncertain = false;
  }

  get(name: string): PreparedStatement | undefined {
    return name === "" ? (this.#unnamed ?? undefined) : this.#byName.get(name);
  }

  /** Which statement is the unnamed one depends on replies that are still to come. */
  get isUnsettled(): boolean {
    return this.#changesOpen > 0;
  }

  /** There are some that the client has made by Parse, and not by SQL. */
  get hasParsed(): boolean {
    for (const statement of this.#byName.values()) if (!statement.isFromSql) return true;
    for (const { confirmed } of this.#open.values())
      if (confirmed?.isFromSql === false) return true;
    return false;
  }

  /** Another server can be told of all that the client has made by Parse. */
  get mayBeSaidAgain(): boolean {
    if (this.#isUncertain) return false;
    for (const { isFromSql, parse, shared } of this.#byName.values()) {
      if (!isFromSql && parse === null && shared === null) return false;
    }
    return true;
  }

  /** What this name means depends on replies that are still to come. */
  isOpen(name: string): boolean {
    return this.#open.size > 0 && this.#open.has(name);
  }

  /** That of some name does. */
  get isAnyOpen(): boolean {
    return this.#open.size > 0;
  }

  /** Nothing is on its way any more. */
  settle(): void {
    this.#changesOpen = 0;
    this.#unnamed = this.#confirmed;
    for (const [name, open] of this.#open) this.#confirmName(name, open);
    for (const shared of this.#namesToForget) this.#namesOfShared.delete(shared);
    this.#namesToForget.length = 0;
  }

  [Symbol.iterator](): Iterator<PreparedStatement> {
    return this.#byName.values();
  }

  /** The object for a statement that may yet be sent; nothing is known of it until `add`. */
  make(name: string, sql: SqlClass, text: string): PreparedStatement {
    const spare = name === "" ? this.#spares.pop() : undefined;
    if (spare === undefined) return new PreparedStatement(this, name, sql, text);
    spare.renew(sql, text);
    return spare;
  }

  /** It is being prepared: the server will tell `statement` how that went. */
  add(statement: PreparedStatement): void {
    if (statement.name === "") {
      this.#unnamed = statement;
      this.#changesOpen += 1;
      return;
    }
    this.#opens(statement.name);
    this.#byName.set(statement.name, statement);
  }

  /** The server will forget the unnamed statement with the Query that is sent now. */
  forgetUnnamed(): void {
    this.#unnamed = null;
    this.#changesOpen += 1;
  }

  /** These are being closed; the server must tell the answer how that went. */
  forget(names: readonly string[]): ReplyWatcher {
    for (const name of names) {
      this.#opens(name);
      this.#byName.delete(name);
    }
    let isOver = false;
    const over = (confirmed?: null): void => {
      if (isOver) return;
      isOver = true;
      for (const name of names) this.#changed(name, confirmed);
    };
    // The end of a Query that failed is told as well: then it is over already.
    return { failed: () => over(), ended: () => over(null) };
  }

  /** What the client calls a shared statement, or null. */
  clientName(serverName: string): string | null {
    for (const [shared, name] of this.#namesOfShared) {
      if (shared.name.toString("latin1") === serverName) return name;
    }
    return null;
  }

  /**
   * Has a statement be one that sessions share. One that this session has under another name is
   * not taken: errors tell by the shared name which one is meant.
   *
   * @param rest and scope as in `SharedStatements.use`.
   */
  share(statement: PreparedStatement, rest: Buffer, scope: string): SharedStatement | null {
    let shared = this.#shared?.use(rest, scope) ?? null;
    for (let i = 1; shared !== null && this.#namesOfShared.has(shared); i += 1) {
      this.#shared?.release(shared);
      shared = this.#shared?.use(rest, `${scope}\0${i}`) ?? null;
    }
    statement.shared = shared;
    if (shared !== null) this.#namesOfShared.set(shared, statement.name);
    return shared;
  }

  /** The server has dropped its unnamed statement for a query of ours. */
  unnamedLost(bit: number): void {
    if (this.#unnamed !== null) this.#unnamed.backends &= ~bit;
    if (this.#confirmed !== null) this.#confirmed.backends &= ~bit;
  }

  /** All that are, or may yet turn out to be. */
  get names(): string[] {
    return [...new Set([...this.#byName.keys(), ...this.#open.keys()])];
  }

  parsed(statement: PreparedStatement): void {
    if (statement.name !== "") return this.#changed(statement.name, statement);
    this.#changesOpen -= 1;
    this.#confirm(statement);
  }

  parseFailed(statement: PreparedStatement, wasSkipped: boolean): void {
    if (statement.name !== "") {
      this.unshare(statement);
      return this.#changed(statement.name);
    }
    this.#changesOpen -= 1;
    // A Parse that fails has dropped the old one first.
    if (!wasSkipped) this.#confirm(null);
    if (this.#unnamed === statement) this.#unnamed = this.#confirmed;
  }

  /** That backend is gone. */
  forgetBackend(bit: number): void {
    for (const statement of this.#byName.values()) statement.backends &= ~bit;
    for (const open of this.#open.values()) {
      if (open.confirmed !== null) open.confirmed.backends &= ~bit;
    }
    if (this.#unnamed !== null) this.#unnamed.backends &= ~bit;
    if (this.#confirmed !== null) this.#confirmed.backends &= ~bit;
  }

  /** The session is over. */
  releaseAll(): void {
    for (const statement of this.#byName.values()) this.unshare(statement);
    for (const { confirmed } of this.#open.values())
      if (confirmed !== null) this.unshare(confirmed);
    this.#byName.clear();
    this.#open.clear();
  }

  /** Server connections need it under its shared name no more, as far as this session goes. */
  unshare(statement: PreparedStatement): void {
    const { shared } = statement;
    if (shared === null) return;
    statement.shared = null;
    // Errors that are on their way still name it.
    this.#namesToForget.push(shared);
    this.#shared?.release(shared);
  }

  #opens(name: string): void {
    const open = this.#open.get(name);
    if (open !== undefined) open.changes += 1;
    else this.#open.set(name, { changes: 1, confirmed: this.#byName.get(name) ?? null });
  }

  /** @param confirmed what the server has for the name now; left out when nothing changed. */
  #changed(name: string, confirmed?: PreparedStatement | null): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    if (confirmed !== undefined) {
      if (open.confirmed !== null && open.confirmed !== confirmed) this.unshare(open.confirmed);
      open.confirmed = confirmed;
    }
    open.changes -= 1;
    if (open.changes === 0) this.#confirmName(name, open);
  }

  #confirmName(name: string, open: OpenName): void {
    this.#open.delete(name);
    if (open.confirmed === null) this.#byName.delete(name);
    else this.#byName.set(name, open.confirmed);
  }

  #endSkipped(): void {
    this.#changesOpen -= 1;
    this.#unnamed ??= this.#confirmed;
  }

  #ended(): void {
    this.#changesOpen -= 1;
    this.#confirm(null);
  }

  #confirm(statement: PreparedStatement | null): void {
    const old = this.#confirmed;
    this.#confirmed = statement;
    const isFree = old !== null && old !== statement && old !== this.#unnamed;
    if (isFree && this.#spares.length < SPARES_MAX) this.#spares.push(old);
  }
}
