import type { ClientBatch } from "./client-batch.ts";
import { SENT } from "./pending-replies.ts";
import type { SharedStatement } from "./shared-statements.ts";

/** A longer batch is not kept. */
const COPY_BYTES_MAX = 16 * 1024;

/**
 * The batch that a link is busy with, kept to be sent again when a prepared statement that it names
 * turns out to be outdated: only when it is the first since the link was idle, makes and closes no
 * statement, and was sent up to its Sync.
 */
export class BatchCopy {
  /** Used by one batch after another. */
  #bytes: Buffer | null = null;
  #length = 0;
  /** Replies that are owed while the client has seen none of this batch. */
  #replies = 0;
  readonly #statements: SharedStatement[] = [];

  /** @param owed replies in all, ReadyForQuery and those of what we put in included. */
  keep(batch: ClientBatch, input: Buffer, at: number, end: number, owed: number): void {
    this.forget();
    if (end - at > COPY_BYTES_MAX) return;
    this.#statements.length = 0;
    for (let i = 0; i < batch.count; i += 1) {
      const kind = batch.kinds[i];
      if (kind === SENT.parse || kind === SENT.close) return;
      const shared = batch.statements[i]?.shared ?? null;
      if (shared !== null && !this.#statements.includes(shared)) this.#statements.push(shared);
    }
    if (this.#statements.length === 0) return;
    // With several, something of ours may be answered behind something of the client's.
    if (this.#statements.length > 1 && owed !== batch.count + 1) return;
    if (this.#bytes === null || this.#bytes.length < end - at) {
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(512, (end - at) * 2));
    }
    input.copy(this.#bytes, 0, at, end);
    this.#length = end - at;
    this.#replies = batch.count + 1;
  }

  forget(): void {
    this.#replies = 0;
  }

  /** The client has seen nothing of it yet, and has sent nothing behind it. */
  isUnanswered(owed: number): boolean {
    return this.#replies > 0 && this.#replies === owed;
  }

  get statements(): readonly SharedStatement[] {
    return this.#statements;
  }

  /** A copy that stays as it is. */
  get bytes(): Buffer {
    return Buffer.from((this.#bytes ?? Buffer.alloc(0)).subarray(0, this.#length));
  }
}
