/**
 * Real queries through the virtual IP, as an application makes them that does not want to wait:
 * a new connection every few milliseconds, each given up soon. One process on the client host.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import pg from "pg";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import { environmentOf, insideClient } from "../../../scripts/lab.d/inside.ts";
import { VIP, type LabPlan } from "../../../scripts/lab.d/layout.ts";
import { monotonicNowMs } from "../../../src/os/index.ts";

/** Not for people: with this word the program is the probe itself. */
const PROBE_WORD = "query-probe";

/** Whether this process was started by a harness to be its probe. */
export function isProbe(words: readonly string[]): boolean {
  return words[0] === PROBE_WORD;
}

const TIMEOUT_MS = 300;
/** Then no further one is begun before one has ended. */
const OPEN_MAX = 30;

interface Answer {
  readonly beganMs: number;
  readonly endedMs: number;
}

/** The end of the line at the harness. */
export class QueryProbe {
  readonly #child: ChildProcess;
  #answers: Answer[] = [];
  #errors = "";
  #hasEnded = false;

  constructor(plan: LabPlan) {
    const program = process.argv[1] ?? "";
    const [word = "", ...rest] = insideClient(plan, [process.execPath, program, PROBE_WORD]);
    this.#child = spawn(word, rest, {
      stdio: ["pipe", "pipe", "pipe"],
      env: environmentOf(plan, null),
      detached: true,
    });
    const { stdin, stdout, stderr } = this.#child;
    if (stdin === null || stdout === null || stderr === null) throw new LabFailure("no pipes");
    stdin.on("error", () => undefined); // Its end is heard by "close".
    stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    createInterface({ input: stdout }).on("line", (line) => {
      this.#answers.push(JSON.parse(line) as Answer);
    });
    this.#child.on("error", () => undefined);
    this.#child.on("close", () => {
      this.#hasEnded = true;
    });
  }

  /** Begins a query every so many milliseconds from now on; null: none. */
  every(periodMs: number | null): void {
    if (this.#hasEnded) throw new LabFailure("the query probe ended", this.#errors);
    if (periodMs !== null) this.#answers = [];
    this.#child.stdin?.write(`${periodMs ?? 0}\n`);
  }

  /** The end of the first query that was answered after this moment; null: none yet. */
  firstAnswerMs(afterMs: number): number | null {
    return this.#answers.find((answer) => answer.endedMs > afterMs)?.endedMs ?? null;
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }
}

/** The probe itself: reads periods, writes answers. */
export async function runQueryProbe(): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let open = 0;
  const ask = async (): Promise<void> => {
    if (open >= OPEN_MAX) return;
    open += 1;
    const beganMs = monotonicNowMs();
    if (await isAnswered()) {
      const answer: Answer = { beganMs, endedMs: monotonicNowMs() };
      process.stdout.write(`${JSON.stringify(answer)}\n`);
    }
    open -= 1;
  };
  for await (const line of createInterface({ input: process.stdin })) {
    clearInterval(timer);
    const periodMs = Number(line);
    if (periodMs > 0) timer = setInterval(() => void ask(), periodMs);
  }
  process.exit(0); // The harness is gone.
}

async function isAnswered(): Promise<boolean> {
  const client = new pg.Client({
    host: VIP,
    port: 9999,
    user: "postgres",
    database: "postgres",
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  });
  client.on("error", () => undefined); // The step that waits fails with the same error.
  try {
    await client.connect();
    await client.query("select 1");
    await client.end();
    return true;
  } catch {
    // A polite goodbye could wait for a host that is gone.
    const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
    connection.stream.destroy();
    return false;
  }
}
