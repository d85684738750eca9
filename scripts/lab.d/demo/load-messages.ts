/** What the demonstration and its load process tell each other: one JSON value a line. */
export interface LoadOptions {
  /** Tried in turn after an error; the VIP alone where there is one. */
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly writersCount: number;
  readonly readersCount: number;
}

export type ToLoad =
  | { readonly type: "start"; readonly options: LoadOptions }
  /** Answered by `written` once a statement that began after this moment was acknowledged. */
  | { readonly type: "await-write"; readonly afterMs: number }
  /** Ask the first endpoint every few milliseconds whether it serves. */
  | { readonly type: "start-probe" }
  | { readonly type: "stop-probe" }
  /** End all clients; answered by `finished`. */
  | { readonly type: "stop" };

/** All moments are milliseconds of the machine's monotonic clock, the same in every process. */
export type FromLoad =
  /** Every client has done its first statement. */
  | { readonly type: "running" }
  | { readonly type: "written"; readonly afterMs: number; readonly atMs: number }
  | {
      readonly type: "probed";
      /** Moments at which the endpoint answered, ascending. */
      readonly answeredAtMs: readonly number[];
      readonly failuresCount: number;
    }
  | {
      readonly type: "finished";
      /** The numbers that each writer was told are stored, by writer. */
      readonly acknowledged: readonly (readonly number[])[];
      /** Statements whose end is unknown: the connection broke before the answer. */
      readonly unknownCount: number;
      /** From asking to being told. */
      readonly longestWriteMs: number;
      readonly readsCount: number;
      /** Reads that gave another value than was stored. */
      readonly wrongReadsCount: number;
      readonly errors: readonly { readonly text: string; readonly count: number }[];
    };

export const LEDGER_TABLE = "demo_ledger";
export const READS_TABLE = "demo_reads";
export const READS_ROWS = 1000;

/** The value that the demonstration stores under an id, so that a reader knows a wrong one. */
export function valueOf(id: number): number {
  return id * 7 + 3;
}

/** The longest time without an answer among the moments, and when it began. */
export function longestGap(momentsMs: readonly number[]): { gapMs: number; fromMs: number } {
  let longest = { gapMs: 0, fromMs: momentsMs[0] ?? 0 };
  for (const [index, atMs] of momentsMs.entries()) {
    const beforeMs = momentsMs[index - 1] ?? atMs;
    if (atMs - beforeMs > longest.gapMs) longest = { gapMs: atMs - beforeMs, fromMs: beforeMs };
  }
  return longest;
}

/**
 * Which acknowledged rows are not stored. The heart of the demonstration, so it knows no counts,
 * only rows: a row too many cannot hide one that is missing.
 */
export function lostRows(
  acknowledged: readonly (readonly number[])[],
  stored: ReadonlySet<string>,
): string[] {
  return acknowledged.flatMap((numbers, writer) =>
    numbers.map((number) => rowKey(writer, number)).filter((key) => !stored.has(key)),
  );
}

export function rowKey(writer: number, number: number): string {
  return `${writer}|${number}`;
}
