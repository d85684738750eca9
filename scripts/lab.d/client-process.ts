/** A program of ours on the client host; the two talk in lines of JSON, one value a line. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { LabFailure } from "./failure.ts";
import { environmentOf, insideClient } from "./inside.ts";
import type { LabPlan } from "./layout.ts";

/** `From` is what the program tells us, known by its `type`. */
export class ClientProcess<To, From extends { readonly type: string }> {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #heard: From[] = [];
  #wake: () => void = () => undefined;
  #errorText = "";
  #hasEnded = false;

  /** Runs this very program with one word more; `name` is for complaints. */
  constructor(plan: LabPlan, word: string, name: string) {
    this.#name = name;
    const program = process.argv[1] ?? "";
    const [first = "", ...rest] = insideClient(plan, [process.execPath, program, word]);
    this.#child = spawn(first, rest, {
      stdio: ["pipe", "pipe", "pipe"],
      env: environmentOf(plan, null),
      detached: true, // Ctrl-C is for us; this process ends when its line does.
    });
    const { stdout, stderr, stdin } = this.#child;
    if (stdout === null || stderr === null || stdin === null) throw new LabFailure("no pipes");
    createInterface({ input: stdout }).on("line", (line) => {
      this.#heard.push(JSON.parse(line) as From);
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
  }

  tell(message: To): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** Takes the oldest message of this type, waiting for it if need be. */
  async expect<T extends From["type"]>(
    type: T,
    timeoutMs: number,
    complaint: string,
  ): Promise<Extract<From, { type: T }>> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const index = this.#heard.findIndex((message) => message.type === type);
      if (index >= 0) {
        const [message] = this.#heard.splice(index, 1);
        return message as Extract<From, { type: T }>;
      }
      const leftMs = endMs - performance.now();
      if (leftMs <= 0 || this.#hasEnded) {
        const why = this.#hasEnded ? "its process ended" : `after ${timeoutMs / 1000} s`;
        const said = this.#errorText.trim() || null;
        throw new LabFailure(`${this.#name}: ${complaint} (${why})`, said);
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

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
