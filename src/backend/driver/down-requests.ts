/** The file `backend_down_request`, read before each attempt of a health check. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readTextFile, writeFileDurably, type Log } from "../../os/index.ts";
import { isDownRequested, withRequestDone } from "../core/health/index.ts";

export class DownRequests {
  readonly #path: string;
  readonly #log: Log;
  /** One change after another: each is of the whole file. */
  #writing: Promise<void> = Promise.resolve();
  /** Not yet written as done. */
  readonly #doneIds = new Set<number>();

  constructor(workDirectory: string, log: Log) {
    this.#path = join(workDirectory, "backend_down_request");
    this.#log = log;
  }

  isRequested(backendId: number): boolean {
    if (this.#doneIds.has(backendId)) return false;
    const text = this.#read();
    return text !== null && isDownRequested(text, backendId);
  }

  /** The check of this backend has failed: once is enough. */
  done(backendId: number): void {
    this.#doneIds.add(backendId);
    this.#writing = this.#writing.then(async () => {
      await this.#write(backendId);
      this.#doneIds.delete(backendId);
    });
  }

  async #write(backendId: number): Promise<void> {
    const text = this.#read();
    if (text === null) return;
    const changed = withRequestDone(text, backendId);
    const outcome = await writeFileDurably(this.#path, changed, 0o644);
    if (outcome.ok) return;
    this.#log.write("warning", `could not write ${this.#path}`, { detail: outcome.error });
  }

  #read(): string | null {
    if (!existsSync(this.#path)) return null;
    const text = readTextFile(this.#path);
    return text.ok ? text.value : null;
  }
}
