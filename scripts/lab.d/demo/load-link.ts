/** The demonstration's end of the line to its load process. */
import { LOAD_WORD } from "../arguments.ts";
import { ClientProcess } from "../client-process.ts";
import type { LabPlan } from "../layout.ts";
import type { FromLoad, LoadOptions, ToLoad } from "./load-messages.ts";

const STOP_TIMEOUT_MS = 15_000;

export class LoadLink {
  readonly #process: ClientProcess<ToLoad, FromLoad>;

  constructor(plan: LabPlan, options: LoadOptions) {
    this.#process = new ClientProcess(plan, LOAD_WORD, "the load");
    this.#process.tell({ type: "start", options });
  }

  /** Every client has done its first statement. */
  async running(timeoutMs: number): Promise<void> {
    await this.#process.expect("running", timeoutMs, "its clients do not get through");
  }

  /** The moment of the first acknowledgement of a write that began after `afterMs`. */
  async writeAfter(afterMs: number, timeoutMs: number): Promise<number> {
    this.#process.tell({ type: "await-write", afterMs });
    return (await this.#process.expect("written", timeoutMs, "no write succeeds")).atMs;
  }

  startProbe(): void {
    this.#process.tell({ type: "start-probe" });
  }

  async stopProbe(): Promise<Extract<FromLoad, { type: "probed" }>> {
    this.#process.tell({ type: "stop-probe" });
    return this.#process.expect("probed", STOP_TIMEOUT_MS, "the probe does not end");
  }

  async stop(): Promise<Extract<FromLoad, { type: "finished" }>> {
    this.#process.tell({ type: "stop" });
    return this.#process.expect("finished", STOP_TIMEOUT_MS, "its clients do not end");
  }

  kill(): void {
    this.#process.kill();
  }
}
