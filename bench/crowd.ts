/** The program of our own clients, as seen from the bench. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Answer, Order } from "./crowd-program.ts";

export class Crowd {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  #errors = "";

  /** @param program the bundled crowd-program. */
  constructor(program: string, at: { port: number; user: string; database: string }) {
    const args = [program, `${at.port}`, at.user, at.database];
    this.#child = spawn(process.execPath, args, { stdio: "pipe", detached: true });
    if (this.#child.stdout === null) throw new Error("the crowd has no output");
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#child.stderr?.on("data", (chunk: Buffer) => (this.#errors += chunk.toString()));
    this.#child.stdin?.on("error", () => undefined); // Its end is noticed where it answers.
  }

  /** Errors: it ended, did not answer in time, or the bench is interrupted. */
  obey(order: Order, o: { timeoutMs: number; abort: AbortSignal }): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        o.abort.removeEventListener("abort", onAbort);
        this.#lines.off("line", onLine);
        this.#lines.off("close", onClose);
      };
      const giveUp = (reason: string): void => {
        settle();
        reject(new Error(reason));
      };
      const onLine = (line: string): void => {
        settle();
        resolve(JSON.parse(line) as Answer);
      };
      const onAbort = (): void => giveUp("interrupted");
      const onClose = (): void => giveUp(`the clients ended: ${this.#errors.slice(0, 300)}`);
      const timer = setTimeout(() => giveUp("it hung"), o.timeoutMs);
      o.abort.addEventListener("abort", onAbort);
      this.#lines.once("line", onLine);
      this.#lines.once("close", onClose);
      this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    });
  }

  /** Resolves when it is gone. */
  async end(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = new Promise((resolve) => {
      this.#child.once("exit", resolve);
    });
    this.#child.kill("SIGKILL");
    await ended;
  }
}
