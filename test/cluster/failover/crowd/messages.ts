/** What the harness and its crowd of clients tell each other: one JSON value a line. */

/** All moments are milliseconds of the machine's monotonic clock, the same in every process. */
export interface CrowdOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** TPC-B-like transactions, one client beside the other. */
  readonly tellersCount: number;
  /** Transactions a second of all tellers together. */
  readonly tellersRate: number;
  /** Single rows, one after the other, as fast as they are acknowledged. */
  readonly writersCount: number;
  readonly idleCount: number;
  readonly openCount: number;
  /** A client gives a statement up after this and comes back on a new connection. */
  readonly statementMs: number;
}

export type ToCrowd =
  | { readonly type: "start"; readonly options: CrowdOptions }
  /** Idle sessions and, if wanted, open transactions are made; answered by `round-begun`. */
  | { readonly type: "begin-round"; readonly round: number; readonly hasOpen: boolean }
  /** Answered by `written` once a row that was sent after this moment was acknowledged. */
  | { readonly type: "await-write"; readonly afterMs: number }
  /** Idle sessions and open transactions go on, and tell what they met; `round-ended`. */
  | { readonly type: "end-round" }
  /** Those that write rest until the next round; `resting`. */
  | { readonly type: "rest" }
  /** Rows are written and canceled; `stormed` when all cancels are sent. */
  | { readonly type: "storm"; readonly options: CancelStormOptions }
  /** What became of the rows of all storms; waits for those without an answer: `storms-ended`. */
  | { readonly type: "end-storms" };

export interface CancelStormOptions {
  readonly round: number;
  readonly host: string;
  readonly port: number;
  readonly sessionsCount: number;
  readonly cancelsCount: number;
  readonly writersFrom: number;
}

export type FromCrowd =
  | { readonly type: "running" }
  | { readonly type: "round-begun" }
  | { readonly type: "written"; readonly afterMs: number; readonly atMs: number }
  | { readonly type: "resting" }
  | { readonly type: "stormed" }
  | { readonly type: "storms-ended"; readonly storms: readonly StormReport[] }
  | ({ readonly type: "round-ended" } & RoundReport);

export interface StormReport {
  readonly writes: readonly Writes[];
  readonly errors: readonly ErrorCount[];
}

/** What became of a row that a client wrote. */
export interface Writes {
  readonly writer: number;
  readonly acknowledged: readonly number[];
  /** The client was told that nobody knows (08007), or was told nothing. */
  readonly unknown: readonly number[];
  /** The client was told that it was not stored. */
  readonly refused: readonly number[];
}

export interface RoundReport {
  readonly writes: readonly Writes[];
  /** Between two acknowledged single rows, the longest; and when it began. */
  readonly stallMs: number;
  readonly stallFromMs: number;
  readonly acknowledgedCount: number;
  /** Of the tellers and writers: what they were told, and how often. */
  readonly errors: readonly ErrorCount[];
  /** The most errors that one teller or writer met in this round. */
  readonly errorsOfOneMax: number;
  /** Connections of tellers and writers that ended. */
  readonly connectionsLost: number;
  readonly idle: SessionsReport;
  readonly open: SessionsReport;
}

export interface SessionsReport {
  readonly count: number;
  /** How many errors each met until it worked again. */
  readonly errorsOfEach: readonly number[];
  readonly connectionsLost: number;
  /** Sessions that went on, but not with the settings and statements they had. */
  readonly statesLost: number;
  readonly errors: readonly ErrorCount[];
}

export interface ErrorCount {
  /** SQLSTATE, `closed` or `timeout`, and the text. */
  readonly text: string;
  readonly count: number;
}

export const LEDGER = "failover_ledger";
/** Writers have numbers below, open transactions from here on. */
export const OPEN_WRITERS_FROM = 1000;
export const BRANCHES = 64;
export const TELLERS_OF_BRANCH = 10;
export const ACCOUNTS_OF_BRANCH = 500;
