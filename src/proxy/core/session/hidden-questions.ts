import { HELD_BYTES_MAX } from "../../../wire/postgres/index.ts";

/** What a server answered to queries that the client did not ask. */
export interface HiddenReply {
  /** All DataRow messages, behind each other. */
  readonly rows: Buffer;
  /** Of the first error; LINK_LOST when the connection ended before all was answered. */
  readonly error: ReadonlyMap<string, string> | null;
  /** There was more than is held. */
  readonly isCut: boolean;
}

/** What a question gets that nobody answers any more. */
export const LINK_LOST: ReadonlyMap<string, string> = new Map([
  ["C", "08006"],
  ["M", "the connection to the server was lost"],
]);

/** All rows of one reply together. */
const ROWS_BYTES_MAX = 1024 * 1024;
const NO_ROWS = Buffer.alloc(0);

/** Queries of ours whose replies are being gathered. */
interface Question {
  /** So many ReadyForQuery are still to come. */
  open: number;
  error: ReadonlyMap<string, string> | null;
  isCut: boolean;
  readonly rows: Buffer[];
  bytes: number;
  readonly done: (reply: HiddenReply) => void;
}

/** What sessions ask one server connection unseen, in the order of the answers. */
export class HiddenQuestions {
  readonly #open: Question[] = [];

  /** @param count how many ReadyForQuery answer it. */
  ask(count: number, done: (reply: HiddenReply) => void): void {
    this.#open.push({ open: count, error: null, isCut: false, rows: [], bytes: 0, done });
  }

  /** A row of the one that is being answered begins. */
  mayHold(lengthBytes: number): boolean {
    const question = this.#open[0];
    if (question === undefined) return false;
    question.bytes += lengthBytes;
    const mayHold = lengthBytes < HELD_BYTES_MAX && question.bytes < ROWS_BYTES_MAX;
    question.isCut ||= !mayHold;
    return mayHold;
  }

  /** A whole DataRow, valid during the call. */
  row(frame: Buffer): void {
    this.#open[0]?.rows.push(Buffer.from(frame));
  }

  failed(fields: ReadonlyMap<string, string>): void {
    const question = this.#open[0];
    if (question !== undefined) question.error ??= fields;
  }

  /** ReadyForQuery. */
  answered(): void {
    const question = this.#open[0] as Question;
    question.open -= 1;
    if (question.open > 0) return;
    this.#open.shift();
    const { rows, error, isCut } = question;
    question.done({ rows: Buffer.concat(rows), error, isCut });
  }

  /** No answer will come any more. */
  abandon(): void {
    for (const { done } of this.#open.splice(0)) {
      done({ rows: NO_ROWS, error: LINK_LOST, isCut: false });
    }
  }
}
