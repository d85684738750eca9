/** Clients that write and remember what they were told: single rows, and TPC-B-like transactions. */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicNowMs } from "../../../../src/os/index.ts";
import {
  ACCOUNTS_OF_BRANCH,
  BRANCHES,
  LEDGER,
  TELLERS_OF_BRANCH,
  type CrowdOptions,
  type Writes,
} from "./messages.ts";
import { isTold, saysNotStored, Session, type ErrorTally, type Told } from "./session.ts";

/** What all clients of a crowd share. */
export interface Crowd {
  readonly options: CrowdOptions;
  readonly errors: ErrorTally;
  readonly round: number;
  readonly isResting: boolean;
  onFirst(): void;
  onRowAcknowledged(sentMs: number, atMs: number): void;
}

/** A row a statement would write under this number: refused, unknown or acknowledged. */
type Fate = "acknowledged" | "unknown" | "refused";

const REST_LOOK_MS = 20;

export abstract class WritingClient {
  protected readonly crowd: Crowd;
  protected readonly session: Session;
  readonly #writer: number;
  #number = 0;
  #fates: Record<Fate, number[]> = { acknowledged: [], unknown: [], refused: [] };
  #errorsCount = 0;
  #lostCount = 0;
  #isFirst = true;
  #isAtWork = false;

  constructor(crowd: Crowd, writer: number, name: string) {
    this.crowd = crowd;
    this.#writer = writer;
    this.session = new Session(crowd.options, name);
  }

  get isAtWork(): boolean {
    return this.#isAtWork;
  }

  /** Goes on until the process ends; an error is what it is here to see. */
  async run(): Promise<void> {
    for (;;) {
      if (this.crowd.isResting) {
        await sleep(REST_LOOK_MS);
        continue;
      }
      if (!this.session.isConnected) {
        await this.session.connect(() => false);
        continue;
      }
      this.#isAtWork = true;
      this.#number += 1;
      const sentMs = monotonicNowMs();
      const told = await this.write(this.#writer, this.#number);
      this.#isAtWork = false;
      this.#note(told, sentMs);
      await sleep(this.pauseMs());
    }
  }

  /** What became of this round's rows; forgets them. */
  take(): { readonly writes: Writes; readonly errorsCount: number; readonly lostCount: number } {
    const taken = {
      writes: { writer: this.#writer, ...this.#fates },
      errorsCount: this.#errorsCount,
      lostCount: this.#lostCount,
    };
    this.#fates = { acknowledged: [], unknown: [], refused: [] };
    this.#errorsCount = 0;
    this.#lostCount = 0;
    return taken;
  }

  /** Writes one row. @returns null when it was acknowledged. */
  protected abstract write(writer: number, number: number): Promise<Told | null>;
  protected abstract pauseMs(): number;

  /** By the statement that ends it: before that, nothing can have been stored. */
  protected isAtCommit = true;

  #note(told: Told | null, sentMs: number): void {
    if (told === null) {
      this.#fates.acknowledged.push(this.#number);
      if (this.#isFirst) this.crowd.onFirst();
      this.#isFirst = false;
      if (this instanceof RowWriter) this.crowd.onRowAcknowledged(sentMs, monotonicNowMs());
      return;
    }
    this.#errorsCount += 1;
    if (!this.session.isConnected) this.#lostCount += 1;
    this.crowd.errors.add(told);
    const isRefused = !this.isAtCommit || saysNotStored(told);
    this.#fates[isRefused ? "refused" : "unknown"].push(this.#number);
  }
}

/** Single rows in autocommit: the finest measure of when writes stop and go on. */
export class RowWriter extends WritingClient {
  protected async write(writer: number, number: number): Promise<Told | null> {
    const text = `INSERT INTO ${LEDGER} (round, writer, number, delta) VALUES ($1, $2, $3, 0)`;
    const answer = await this.session.ask({ text, values: [this.crowd.round, writer, number] });
    return isTold(answer) ? answer : null;
  }

  protected pauseMs(): number {
    return 2;
  }
}

/** The transaction of `pgbench -b tpcb-like`, with a row of the ledger for its history. */
export class Teller extends WritingClient {
  protected async write(writer: number, number: number): Promise<Told | null> {
    const branch = Math.floor(Math.random() * BRANCHES);
    const teller = branch * TELLERS_OF_BRANCH + Math.floor(Math.random() * TELLERS_OF_BRANCH);
    const account = branch * ACCOUNTS_OF_BRANCH + Math.floor(Math.random() * ACCOUNTS_OF_BRANCH);
    const delta = Math.floor(Math.random() * 10_001) - 5_000;
    const statements = [
      "BEGIN",
      `UPDATE failover_accounts SET balance = balance + ${delta} WHERE id = ${account}`,
      `SELECT balance FROM failover_accounts WHERE id = ${account}`,
      `UPDATE failover_tellers SET balance = balance + ${delta} WHERE id = ${teller}`,
      `UPDATE failover_branches SET balance = balance + ${delta} WHERE id = ${branch}`,
      `INSERT INTO ${LEDGER} (round, writer, number, delta) VALUES (${this.crowd.round}, ${writer}, ${number}, ${delta})`,
    ];
    this.isAtCommit = false;
    for (const statement of statements) {
      const answer = await this.session.ask(statement);
      if (isTold(answer)) return this.#giveUp(answer);
    }
    this.isAtCommit = true;
    const answer = await this.session.ask("COMMIT");
    return isTold(answer) ? this.#giveUp(answer) : null;
  }

  async #giveUp(told: Told): Promise<Told> {
    if (!this.session.isConnected) return told;
    const answer = await this.session.ask("ROLLBACK");
    // A second error for one transaction: its connection is of no use.
    if (isTold(answer)) {
      this.crowd.errors.add(answer);
      this.session.drop();
    }
    return told;
  }

  /** All of them together make the rate that was asked for, however long a transaction takes. */
  protected pauseMs(): number {
    const { tellersCount, tellersRate } = this.crowd.options;
    return (2 * Math.random() * 1000 * tellersCount) / tellersRate;
  }
}
