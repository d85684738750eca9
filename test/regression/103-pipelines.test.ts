import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";

const PIPELINES = Number(process.env.PIPELINES ?? "200");
const FIRST_SEED = Number(process.env.SEED ?? "1");
const MESSAGES = 60;

let postgres: PostgresCluster;
let worker: WorkerHarness;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  await postgres.query(
    0,
    `create table fixed as select i as a, 'row ' || i as b from generate_series(1, 50) i;
     create table written (a int primary key, b text);`,
    "bench",
  );
  await postgres.caughtUp();
  // All reads go to the standby, so that every change of backend is exercised.
  worker = await startWorker({ postgres, weights: [0, 1] });
});

afterAll(async () => {
  await worker?.stop();
  await postgres?.stop();
});

/** A small generator with a seed, so that a failure can be repeated. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const READS = [
  "select 1",
  "select a, b from fixed order by a limit 7",
  "select count(*) from fixed",
  "values (1), (2)",
  "select 1/0",
  "select nothing from fixed",
  "",
];
const OTHERS = [
  "insert into written values (1, 'x') on conflict (a) do update set b = 'x'",
  "delete from written where a = 1",
  "select broken from",
  "set datestyle = 'ISO, DMY'",
  "set datestyle = 'nonsense'",
  "begin",
  "commit",
  "rollback",
  "savepoint s",
  "copy fixed to stdout",
  "prepare q1 as select 11",
  "prepare q2 as select 12",
  "execute q1",
  "execute s2",
  "deallocate q1",
  "deallocate s3",
  "deallocate all",
  "discard all",
  "select set_config('datestyle', 'SQL, DMY', false)",
  "set local work_mem = '1MB'",
  "show datestyle",
  "declare c cursor for select a from fixed",
  "fetch 2 from c",
];

/** One pipeline as messages, with the number of ReadyForQuery that a server must send. */
function pipeline(seed: number): Buffer[] {
  const random = randomOf(seed);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
  const text = (): string => (random(3) > 0 ? pick(READS) : pick(OTHERS));
  const name = (): string => pick(["", "", "s1", "s2", "s3"]);
  const messages: Buffer[] = [];
  for (let i = 0; i < MESSAGES; i += 1) {
    switch (random(15)) {
      case 0:
      case 1:
        messages.push(say.query(random(4) === 0 ? `${text()}; ${text()}` : text()));
        break;
      case 2:
        messages.push(say.parse(name(), text()));
        break;
      case 3:
        messages.push(say.bind("", name()), say.execute());
        break;
      case 4:
        messages.push(say.bind("p", name()), say.describe("P", "p"), say.execute("p", 3));
        break;
      case 5:
        messages.push(say.describe("S", name()));
        break;
      case 6:
        messages.push(say.close("S", name()));
        break;
      case 7:
        messages.push(say.flush());
        break;
      case 8:
        messages.push(say.parse("", text()), say.bind("", ""), say.execute(), say.sync());
        break;
      case 9:
        messages.push(say.functionCall(1));
        break;
      case 10:
        messages.push(say.execute("p", 2));
        break;
      case 11:
        messages.push(...copying(random));
        break;
      default:
        messages.push(say.sync());
    }
  }
  return messages;
}

/**
 * A COPY FROM STDIN with its data. Anything but data would make PostgreSQL close the connection
 * with a reset, which may overtake its answers.
 */
function copying(random: (below: number) => number): Buffer[] {
  const key = random(1000);
  const data = random(4) === 0 ? "no number" : `${key}\tcopied\n`;
  const sql = "copy written from stdin";
  // Under a name of its own: it must not be executed again without data.
  const extended = [say.parse("copier", sql), say.bind("", "copier"), say.execute()];
  const starts = [[say.query(sql)], extended, [...extended, say.sync()], []];
  const end = random(4) === 0 ? say.copyFail("changed my mind") : say.copyDone();
  const start = starts[random(starts.length)] ?? [];
  return [...start, say.copyData(data), say.copyData(`${key + 1}\tmore\n`), end];
}

const LAST = "select 'the end'";

/** Everything that a server answers, as text that two servers can be compared by. */
async function answers(port: number, messages: readonly Buffer[], seed: number): Promise<string[]> {
  await postgres.query(0, "truncate written", "bench");
  const client = await RawClient.login(port);
  const random = randomOf(seed + 1);
  const bytes = Buffer.concat([...messages, say.sync(), say.query("rollback"), say.query(LAST)]);
  // Cut anywhere: a message may come in pieces.
  for (let at = 0; at < bytes.length;) {
    const next = Math.min(bytes.length, at + 1 + random(200));
    client.socket.write(bytes.subarray(at, next));
    if (random(5) === 0) await new Promise((resolve) => setImmediate(resolve));
    at = next;
  }
  const isEnd = (): boolean =>
    client.frames.at(-1)?.type === "Z" &&
    client.frames.some((one) => one.type === "D" && one.body.includes("the end"));
  await client.until(isEnd, `the end of pipeline ${seed}`);
  client.send(say.terminate());
  return client.frames
    .filter((frame) => frame.type !== "S")
    .map((frame) => `${frame.type} ${describeBody(frame.type, frame.body)}`);
}

function describeBody(type: string, body: Buffer): string {
  if (type === "E" || type === "N") {
    const fields = body.toString().split("\0");
    return fields.filter((field) => /^[VCM]/.test(field)).join(" ");
  }
  return JSON.stringify(body.toString("latin1"));
}

/** Where two answers part, for a person to read. */
function difference(direct: readonly string[], proxied: readonly string[]): string | null {
  const at = direct.findIndex((line, index) => line !== proxied[index]);
  if (at === -1 && direct.length === proxied.length) return null;
  const from = Math.max(0, at - 3);
  const show = (lines: readonly string[]): string => lines.slice(from, from + 8).join("\n  ");
  return `from frame ${from}, PostgreSQL:\n  ${show(direct)}\nthrough the proxy:\n  ${show(proxied)}`;
}

describe("a random pipeline gets the answers that PostgreSQL itself gives", () => {
  const seeds = Array.from({ length: PIPELINES }, (_, index) => index + FIRST_SEED);
  for (let from = 0; from < PIPELINES; from += 20) {
    test(`seeds ${FIRST_SEED + from} to ${FIRST_SEED + from + 19}`, async () => {
      for (const seed of seeds.slice(from, from + 20)) {
        const messages = pipeline(seed);
        const direct = await answers(postgres.servers[0]?.port ?? 0, messages, seed);
        const proxied = await answers(worker.port, messages, seed);
        expect(difference(direct, proxied), `pipeline ${seed}`).toBeNull();
      }
    });
  }
});
