/**
 * Clients that write single rows and cancel them again and again while they wait: a commit that
 * waits for a standby is stored already, and PostgreSQL answers the cancel with success.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LEDGER, type CancelStormOptions, type CrowdOptions, type Writes } from "./messages.ts";
import { ErrorTally, isTold, saysNotStored, Session } from "./session.ts";

const CANCEL_EVERY_MS = 12;
/** The statement shall have come to its wait before it is canceled. */
const FIRST_CANCEL_AFTER_MS = 25;

export class CancelStorm {
  readonly errors = new ErrorTally();
  readonly #round: number;
  readonly #clients: readonly CancelingClient[];
  #left: number;

  constructor(options: CrowdOptions, storm: CancelStormOptions) {
    this.#round = storm.round;
    this.#left = storm.cancelsCount;
    const { host, port } = storm;
    this.#clients = Array.from(
      { length: storm.sessionsCount },
      (_, index) =>
        new CancelingClient({ ...options, host, port }, storm.writersFrom + index, this.errors),
    );
  }

  /** Resolves when all cancels are sent; what still waits then goes on waiting. */
  async rage(): Promise<void> {
    const takeOne = (): boolean => {
      this.#left -= 1;
      return this.#left >= 0;
    };
    await Promise.all(this.#clients.map((client) => client.rage(this.#round, takeOne)));
  }

  /** What became of every row; waits for those that still have no answer. */
  async end(): Promise<readonly Writes[]> {
    return Promise.all(this.#clients.map((client) => client.end()));
  }
}

class CancelingClient {
  readonly #session: Session;
  readonly #writer: number;
  readonly #errors: ErrorTally;
  readonly #writes: {
    writer: number;
    acknowledged: number[];
    unknown: number[];
    refused: number[];
  };
  #number = 0;
  #inFlight: Promise<void> | null = null;

  constructor(options: CrowdOptions, writer: number, errors: ErrorTally) {
    this.#session = new Session(options, `canceling ${writer}`);
    this.#writer = writer;
    this.#errors = errors;
    this.#writes = { writer, acknowledged: [], unknown: [], refused: [] };
  }

  async rage(round: number, takeCancel: () => boolean): Promise<void> {
    let tries = 0;
    for (;;) {
      if (!this.#session.isConnected) await this.#session.connect(() => (tries += 1) > 3);
      if (!this.#session.isConnected) return;
      if (this.#inFlight === null) {
        this.#inFlight = this.#write(round);
        await sleep(FIRST_CANCEL_AFTER_MS);
      }
      if (!takeCancel()) return;
      await this.#session.cancel();
      await sleep(CANCEL_EVERY_MS);
    }
  }

  async end(): Promise<Writes> {
    await this.#inFlight;
    this.#session.drop();
    return this.#writes;
  }

  async #write(round: number): Promise<void> {
    this.#number += 1;
    const number = this.#number;
    const row = `${round}, ${this.#writer}, ${number}, 0`;
    const columns = "round, writer, number, delta";
    const answer = await this.#session.ask(`INSERT INTO ${LEDGER} (${columns}) VALUES (${row})`);
    this.#inFlight = null;
    if (!isTold(answer)) {
      this.#writes.acknowledged.push(number);
      return;
    }
    this.#errors.add(answer);
    this.#writes[saysNotStored(answer) ? "refused" : "unknown"].push(number);
  }
}
