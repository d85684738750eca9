import { READY, SYNC } from "../../../wire/postgres/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { BatchForwarder } from "./batch-forwarder.ts";
import type { ClientBatch } from "./client-batch.ts";
import type { Conversation } from "./conversation.ts";
import { HIDDEN, SENT } from "./pending-replies.ts";

/**
 * Keeps what is prepared for a session, where not all servers know all, out of the transaction that
 * may begin behind it: to prepare a statement takes a snapshot, and START TRANSACTION with an
 * isolation level may not be preceded by one, though it may by a Describe, or by the Parse of
 * SAVEPOINT. The client sees nothing of this.
 */
export class ApartFromBatch {
  readonly #talk: Conversation;
  readonly #batch: ClientBatch;
  readonly #forwarder: BatchForwarder;
  /** All of the unfinished batch leaves no trace in the transaction that it runs in. */
  #isTraceless = false;
  /** Where what the batch describes was prepared before it. */
  #supplied: BackendLink | null = null;

  constructor(talk: Conversation, batch: ClientBatch, forwarder: BatchForwarder) {
    this.#talk = talk;
    this.#batch = batch;
    this.#forwarder = forwarder;
  }

  /** A batch waits for what is prepared on this link: on another one it would be lacking again. */
  isWaitedFor(link: BackendLink): boolean {
    return this.#supplied === link && this.#talk.waitsFor === "drained";
  }

  /**
   * What the batch describes is prepared in a transaction of its own before it; once for a batch on
   * a link. See `BatchForwarder.supplyDescribed`.
   *
   * @returns whether the batch has to wait for that.
   */
  supplyDescribed(link: BackendLink, continues: boolean, endsWithSync: boolean): boolean {
    const isOutside = !continues && link.pending.isIdle && this.#talk.status === READY.idle;
    const mayBegin = isOutside && (!endsWithSync || this.#batch.begins);
    const isFirstTime = mayBegin && this.#talk.mayLack && this.#supplied !== link;
    const isSupplied = isFirstTime && this.#forwarder.supplyDescribed(link);
    this.#supplied = isSupplied ? link : null;
    if (isSupplied) this.#talk.wait("drained");
    return isSupplied;
  }

  /** A batch was sent; `continues`: it goes on with an unfinished one. */
  sent(continues: boolean, endsWithSync: boolean): void {
    const mayBeTraceless = !endsWithSync && (!continues || this.#isTraceless);
    this.#isTraceless = mayBeTraceless && this.#batch.isTraceless;
  }

  /** But in part only. */
  sentPartly(): void {
    this.#isTraceless = false;
  }

  /**
   * A Query comes behind an unfinished batch, of which all is answered. One that leaves no trace
   * ends first, and what the Query needs is prepared between the two.
   *
   * @returns whether the Query has to wait for that.
   */
  endTraceless(link: BackendLink): boolean {
    const { pending } = link;
    const isOutside = link.status === READY.idle && !pending.isSkipping && !pending.hasCopied;
    if (!this.#isTraceless || !isOutside || !this.#talk.mayLack) return false;
    this.#isTraceless = false;
    link.note(SENT.sync, HIDDEN);
    link.send(SYNC);
    this.#talk.batchLink = null;
    this.#talk.wait("drained");
    return true;
  }
}
