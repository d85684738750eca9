import type { ReplayClock } from "../replay/index.ts";
import type { Unseen } from "../routing/index.ts";
import type { SqlClass } from "../sql/index.ts";

/**
 * What a session's reads must see: all that the primary has shown to its client, written by it or
 * read there, and all up to the position that the client named.
 */
export class ReadConsistency {
  readonly #clock: ReplayClock;
  /** The client's own doings count; else only the position that it named. */
  readonly #isOwn: boolean;
  /** Something that shows data runs on the primary, or ran in the open transaction. */
  #isTouched = false;
  /** The question to the primary whose answer it needs; 0: it needs none. */
  #needs = 0;
  /** A standby must have replayed so much. */
  #lsn = 0;
  /** What the client named; 0 for nothing. */
  named = 0;

  constructor(clock: ReplayClock, isOwn: boolean) {
    this.#clock = clock;
    this.#isOwn = isOwn;
  }

  /** The statement was sent to the primary. */
  sentToPrimary(sql: SqlClass): void {
    if (this.#isOwn && showsData(sql)) this.#isTouched = true;
  }

  /** ReadyForQuery of the primary. @param isOver nothing runs there any more. */
  primaryReady(isOver: boolean): void {
    if (!this.#isTouched) return;
    this.#needs = this.#clock.next;
    if (isOver) this.#isTouched = false;
  }

  /** The question to the primary whose answer is missing; 0 when none is. */
  get question(): number {
    return this.#needs;
  }

  /** What it must see may not be committed yet: no standby will have it before the transaction ends. */
  get isPrimarysAlone(): boolean {
    return this.#isTouched;
  }

  /** What that standby is not known to have; null: it may be read from. */
  unseenBy(backendId: number): Unseen | null {
    if (this.mayReadFrom(backendId)) return null;
    if (this.#isTouched) return "transaction";
    return this.#needs > 0 || this.#lsn > this.named ? "session" : "position";
  }

  mayReadFrom(backendId: number): boolean {
    if (this.#isTouched) return false;
    if (this.#needs > 0) {
      const lsn = this.#clock.positionOf(this.#needs);
      if (lsn === null) return false;
      this.#needs = 0;
      if (lsn > this.#lsn) this.#lsn = lsn;
    }
    const lsn = this.#lsn > this.named ? this.#lsn : this.named;
    return lsn === 0 || this.#clock.replayed(backendId) >= lsn;
  }
}

/** What the client sees of it, or what it does, may be missing on a standby. */
function showsData(sql: SqlClass): boolean {
  switch (sql.kind) {
    case "begin":
    case "commit":
    case "rollback":
    case "savepoint":
    case "set":
    case "show":
    case "show-pool":
    case "pgpool":
    case "discard":
    case "listen":
    case "prepare":
    case "deallocate":
    case "empty":
      return sql.multi;
    case "read":
    case "write":
    case "copy-in":
    case "copy-out":
    case "cursor":
    case "execute":
    case "explain":
    case "two-phase":
    case "unparsable":
      return true;
  }
}
