import { execFile, spawn, type ChildProcess } from "node:child_process";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";

/** A release waits for a change under way. */
const NFT_TIMEOUT_MS: Ms = 2000;
const OUTPUT_BYTES_MAX = 1024 * 1024;
const COMPLAINT_MAX = 400;
/** Not at once: starting a process must not delay what the change before was made for. */
const SPARE_AFTER_MS: Ms = 100;

/**
 * The program `nft`, one process for each change, started ahead of its time: it waits for its text
 * and then needs a millisecond, where starting one takes ten and, on a busy host, fifty. One that
 * still waits when this process dies reads nothing, and does nothing.
 */
export class NftProgram {
  #spare: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;

  /** Runs this text as one transaction: all of it happens, or nothing. Errors: the words of nft. */
  async load(text: string): Promise<Result<void, string>> {
    const child = this.#spare ?? start();
    this.#spare = null;
    const loaded = await feed(child, text);
    this.#prepare();
    return loaded;
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#spare?.stdin?.end();
    this.#spare = null;
  }

  #prepare(): void {
    if (this.#isStopped || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#spare !== null) return;
      const child = start();
      this.#spare = child;
      const forget = (): void => {
        if (this.#spare === child) this.#spare = null;
      };
      child.once("error", forget).once("exit", forget); // Not started, or killed by somebody.
    }, SPARE_AFTER_MS);
    this.#timer.unref();
  }
}

/** A process that waits for its text, and keeps ours from nothing. */
function start(): ChildProcess {
  const child = spawn("nft", ["-f", "-"], { stdio: ["pipe", "ignore", "pipe"] });
  child.on("error", () => undefined); // Told when it is fed.
  child.stdin?.on("error", () => undefined); // Its exit says the same.
  child.unref();
  return child;
}

function feed(child: ChildProcess, text: string): Promise<Result<void, string>> {
  child.ref();
  return new Promise((resolve) => {
    let complaint = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), NFT_TIMEOUT_MS);
    const end = (why: string): void => {
      clearTimeout(timer);
      resolve(why === "" ? succeed(undefined) : fail(briefly(complaint, why)));
    };
    child.stderr?.on("data", (chunk: Buffer) => {
      if (complaint.length < OUTPUT_BYTES_MAX) complaint += chunk.toString("utf8");
    });
    child.once("error", (error) => end(error.message));
    child.once("close", (code, signal) => {
      end(code === 0 ? "" : `nft ended with ${signal ?? `status ${code}`}`);
    });
    child.stdin?.end(text);
  });
}

/** What `nft -j list table` prints. */
export async function listNftTable(table: string): Promise<Result<string, string>> {
  return await new Promise((resolve) => {
    const options = {
      timeout: NFT_TIMEOUT_MS,
      killSignal: "SIGKILL" as const,
      maxBuffer: OUTPUT_BYTES_MAX,
    };
    const words = ["-j", "list", "table", "netdev", table];
    execFile("nft", words, options, (error, output, complaint) => {
      if (error === null) return resolve(succeed(output));
      resolve(fail(briefly(complaint, error.message)));
    });
  });
}

/** What nft said in one line; when it said nothing, why it ended. */
function briefly(complaint: string, why: string): string {
  const said = complaint.trim().replaceAll(/\s*\n\s*/g, " ");
  return (said === "" ? why : said).slice(0, COMPLAINT_MAX);
}
