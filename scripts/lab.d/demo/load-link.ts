/** The demonstration's end of the line to its load process. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { LOAD_WORD } from "../arguments.ts";
import { LabFailure } from "../failure.ts";
import { environmentOf, insideClient } from "../inside.ts";
import type { LabPlan } from "../layout.ts";
import type { FromLoad, LoadOptions, ToLoad } from "./load-messages.ts";

const STOP_TIMEOUT_MS = 15_000;

export class LoadLink {
  readonly #child: ChildProcess;
  readonly #heard: FromLoad[] = [];
  #wake: () => void = () => undefined;
  #errorText = "";
  #hasEnded = false;

  constructor(plan: LabPlan, options: LoadOptions) {
    const program = process.argv[1] ?? ""; // This very program.
    const [word = "", ...rest] = insideClient(plan, [process.execPath, program, LOAD_WORD]);
    this.#child = spawn(word, rest, {
      stdio: ["pipe", "pipe", "pipe"],
      env: environmentOf(plan, null),
      detached: true, // Ctrl-C is for us; this process ends when its line does.
    });
    const { stdout, stderr, stdin } = this.#child;
    if (stdout === null || stderr === null || stdin === null) throw new LabFailure("no pipes");
    createInterface({ input: stdout }).on("line", (line) => {
      this.#heard.push(JSON.parse(line) as FromLoad);
      this.#wake();
    });
    stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-2000);
    });
    stdin.on("error", () => undefined); // Its end is heard by "close".
    this.#child.on("error", (error) => {
      this.#errorText = error.message;
    });
    this.#child.on("close", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    this.#tell({ type: "start", options });
  }

  #tell(message: ToLoad): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** Every client has done its first statement. */
  async running(timeoutMs: number): Promise<void> {
    await this.#expect("running", timeoutMs, "its clients do not get through");
  }

  /** The moment of the first acknowledgement of a write that began after `afterMs`. */
  async writeAfter(afterMs: number, timeoutMs: number): Promise<number> {
    this.#tell({ type: "await-write", afterMs });
    return (await this.#expect("written", timeoutMs, "no write succeeds")).atMs;
  }

  startProbe(): void {
    this.#tell({ type: "start-probe" });
  }

  async stopProbe(): Promise<Extract<FromLoad, { type: "probed" }>> {
    this.#tell({ type: "stop-probe" });
    return this.#expect("probed", STOP_TIMEOUT_MS, "the probe does not end");
  }

  async stop(): Promise<Extract<FromLoad, { type: "finished" }>> {
    this.#tell({ type: "stop" });
    return this.#expect("finished", STOP_TIMEOUT_MS, "its clients do not end");
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Takes the oldest message of this type, waiting for it if need be. */
  async #expect<T extends FromLoad["type"]>(
    type: T,
    timeoutMs: number,
    complaint: string,
  ): Promise<Extract<FromLoad, { type: T }>> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const index = this.#heard.findIndex((message) => message.type === type);
      if (index >= 0) {
        const [message] = this.#heard.splice(index, 1);
        return message as Extract<FromLoad, { type: T }>;
      }
      const leftMs = endMs - performance.now();
      if (leftMs <= 0 || this.#hasEnded) {
        const why = this.#hasEnded ? "its process ended" : `after ${timeoutMs / 1000} s`;
        throw new LabFailure(`the load: ${complaint} (${why})`, this.#errorText.trim() || null);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
