/** The harness' end of the line to its crowd. */
import { ClientProcess } from "../../../../scripts/lab.d/client-process.ts";
import type { LabPlan } from "../../../../scripts/lab.d/layout.ts";
import type {
  CancelStormOptions,
  CrowdOptions,
  FromCrowd,
  RoundReport,
  StormReport,
  ToCrowd,
} from "./messages.ts";

/** Not for people: with this word the program is the crowd itself. */
const CROWD_WORD = "failover-crowd";
const BEGIN_MS = 30_000;
const END_MS = 90_000;
const STORM_MS = 300_000;

/** Whether this process was started by a harness to be its crowd. */
export function isCrowd(words: readonly string[]): boolean {
  return words[0] === CROWD_WORD;
}

export class CrowdLink {
  readonly #process: ClientProcess<ToCrowd, FromCrowd>;

  constructor(plan: LabPlan, options: CrowdOptions) {
    this.#process = new ClientProcess(plan, CROWD_WORD, "the crowd");
    this.#process.tell({ type: "start", options });
  }

  /** Every client has written once. */
  async running(): Promise<void> {
    await this.#process.expect("running", BEGIN_MS, "its clients do not get through");
  }

  /** @param hasOpen transactions stay open until the end of the round. */
  async beginRound(round: number, hasOpen = true): Promise<void> {
    this.#process.tell({ type: "begin-round", round, hasOpen });
    await this.#process.expect("round-begun", BEGIN_MS, "its sessions do not get through");
  }

  /** The moment of the first acknowledgement of a row that was sent after `afterMs`. */
  async writeAfter(afterMs: number, timeoutMs: number): Promise<number> {
    this.#process.tell({ type: "await-write", afterMs });
    for (;;) {
      const written = await this.#process.expect("written", timeoutMs, "no write succeeds");
      // An answer to an earlier question, which nobody waited for any longer.
      if (written.afterMs === afterMs) return written.atMs;
    }
  }

  async endRound(): Promise<RoundReport> {
    this.#process.tell({ type: "end-round" });
    return this.#process.expect("round-ended", END_MS, "its clients do not answer");
  }

  async rest(): Promise<void> {
    this.#process.tell({ type: "rest" });
    await this.#process.expect("resting", BEGIN_MS, "its clients do not come to rest");
  }

  /** Resolves when all cancels are sent; what became of the rows, `endStorms` says. */
  async storm(options: CancelStormOptions): Promise<void> {
    this.#process.tell({ type: "storm", options });
    await this.#process.expect("stormed", STORM_MS, "its cancels are not taken");
  }

  async endStorms(): Promise<readonly StormReport[]> {
    this.#process.tell({ type: "end-storms" });
    return (await this.#process.expect("storms-ended", END_MS, "its rows get no answer")).storms;
  }

  kill(): void {
    this.#process.kill();
  }
}
