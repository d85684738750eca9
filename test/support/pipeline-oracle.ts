/** Sends one pipeline to two servers and says where their answers part. */
import { connect } from "node:net";
import { Random } from "../sim/random.ts";
import { say } from "./raw-client.ts";
import type { Unit } from "./random-pipeline.ts";

/**
 * A Describe of a statement with columns, in a transaction that has failed: where the server does
 * not have the statement, it is the Parse in front of the Describe that is refused. That is the same
 * error, from another place in PostgreSQL's source.
 */
const REFUSED = /(\0C25P02\0.*)\0L\d+\0Rexec_(?:parse|describe_statement)_message\0/s;

const THE_END = "the end of the pipeline";
/** Whoever says nothing for this long is stuck. */
const SILENCE_MS = 10_000;
/** Behind that: on a busy machine it may be this process that has not come to read. */
const LATE_MS = 2_000;

/** Ends whatever is open, so that the last answer can be waited for. */
const CLOSING = [
  say.copyFail("the end"),
  say.sync(),
  say.query("rollback"),
  say.query("reset datestyle"),
  say.query(`select '${THE_END}'`),
];

export interface PlayOptions {
  readonly port: number;
  readonly database: string;
  /** Draws where the stream is cut into writes. */
  readonly seed: number;
  readonly silenceMs?: number;
}

/** Everything that the server answers, a line a message; ParameterStatus and keys are left out. */
export async function play(units: readonly Unit[], o: PlayOptions): Promise<string[]> {
  const socket = connect({ host: "127.0.0.1", port: o.port, noDelay: true });
  const answers = new Answers();
  const isOver = new Promise<void>((resolve, reject) => {
    const fail = (why: string): void =>
      reject(new Error(`${why}; the last answers: ${answers.tail()}`));
    socket.setTimeout(o.silenceMs ?? SILENCE_MS, () => {
      const { length } = answers.lines;
      setTimeout(() => {
        if (answers.lines.length === length) fail("silence");
      }, LATE_MS);
    });
    socket.on("error", (error) => fail(error.message));
    socket.on("close", () => fail("the connection was closed"));
    socket.on("data", (chunk) => {
      answers.push(chunk);
      if (answers.hasEnded) resolve();
    });
  });
  // It is awaited below; until then a failure is no news.
  isOver.catch(() => undefined);
  socket.write(say.startUp({ user: "postgres", database: o.database }));
  const random = new Random(o.seed);
  const bytes = Buffer.concat([...units.flatMap(({ messages }) => messages), ...CLOSING]);
  // Cut anywhere: a message may come in pieces.
  for (let at = 0; at < bytes.length && !socket.destroyed;) {
    const next = Math.min(bytes.length, at + 1 + Math.floor(random.magnitude(1, 4000)));
    const isTaken = socket.write(bytes.subarray(at, next));
    if (!isTaken || random.chance(0.2)) await new Promise((resolve) => setImmediate(resolve));
    at = next;
  }
  try {
    await isOver;
  } finally {
    socket.end(say.terminate());
    socket.setTimeout(0);
    await new Promise((resolve) => {
      if (socket.closed) resolve(null);
      else socket.once("close", resolve);
      setTimeout(() => socket.destroy(), 1000).unref();
    });
  }
  return answers.lines;
}

class Answers {
  readonly lines: string[] = [];
  hasEnded = false;
  #held: Buffer = Buffer.alloc(0);
  #isLast = false;
  #isLoggedIn = false;

  push(chunk: Buffer): void {
    const input = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = 0;
    while (input.length - at >= 5) {
      const end = at + 1 + input.readUInt32BE(at + 1);
      if (end > input.length) break;
      this.#frame(input.toString("latin1", at, at + 1), input.subarray(at + 5, end));
      at = end;
    }
    this.#held = input.subarray(at);
  }

  tail(): string {
    return this.lines.slice(-8).join(" | ").slice(-2000);
  }

  #frame(type: string, body: Buffer): void {
    if (!this.#isLoggedIn) {
      if (type === "E") this.lines.push(`E ${body.toString("latin1")}`);
      this.#isLoggedIn = type === "Z";
      return;
    }
    if (type === "S") return;
    // The process that notifies is another one behind a relay.
    const text = (type === "A" ? body.subarray(4) : body).toString("latin1");
    const told = type === "E" ? text.replace(REFUSED, "$1\0") : text;
    this.lines.push(`${type} ${JSON.stringify(told)}`);
    if (type === "D" && body.includes(THE_END)) this.#isLast = true;
    if (type === "Z" && this.#isLast) this.hasEnded = true;
  }
}

/** Where two answers part, for a person to read. */
export function difference(direct: readonly string[], proxied: readonly string[]): string | null {
  const length = Math.max(direct.length, proxied.length);
  let at = 0;
  while (at < length && direct[at] === proxied[at]) at += 1;
  if (at === length) return null;
  const from = Math.max(0, at - 3);
  const show = (lines: readonly string[]): string =>
    lines
      .slice(from, from + 8)
      .map((line) => line.slice(0, 300))
      .join("\n  ");
  return `from answer ${from}, PostgreSQL:\n  ${show(direct)}\nthrough the proxy:\n  ${show(proxied)}`;
}

const SHRINK_TRIES_MAX = 400;

/** Leaves units out as long as the answers still differ. */
export async function shrinkPipeline(
  units: readonly Unit[],
  differs: (units: readonly Unit[]) => Promise<boolean>,
): Promise<readonly Unit[]> {
  let best = units;
  let tries = 0;
  for (let size = Math.ceil(units.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length && tries < SHRINK_TRIES_MAX; tries += 1) {
      const candidate = [...best.slice(0, at), ...best.slice(at + size)];
      if (await differs(candidate)) best = candidate;
      else at += size;
    }
  }
  return best;
}
