/**
 * Clients of our own, for what pgbench cannot do: thousands at once, clients that stay idle, and
 * large answers. A process of its own, so that its memory and its time are not the bench's.
 *
 *     node crowd-program.mjs PORT USER DATABASE
 *
 * Each line of the standard input is an order, each line of the standard output its answer, both in
 * JSON; the end of the input ends it.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { CrowdClient } from "./crowd-client.ts";

export type Order =
  /** Until there are so many; each asks once, so that it has been served. */
  | { readonly order: "open"; readonly clients: number; readonly sql: string }
  /** All ask again and again for so long. */
  | { readonly order: "ask"; readonly seconds: number; readonly sql: string }
  /** One client fetches whole answers for so long, at least one. */
  | { readonly order: "fetch"; readonly seconds: number; readonly sql: string };

export interface Answer {
  readonly clients: number;
  readonly queries: number;
  /** Clients that got at least one answer to this order. */
  readonly served: number;
  readonly bytes: number;
  readonly seconds: number;
  /** The first of the failures, and how many clients failed. */
  readonly failure: string | null;
  readonly failed: number;
}

/** So many are on their way at once: a burst that no backlog holds would measure the kernel. */
const OPENING_MAX = 200;
const SERVED_WITHIN_MS = 120_000;

const [port = "", user = "", database = ""] = process.argv.slice(2);
const clients: CrowdClient[] = [];

async function obey(order: Order): Promise<Answer> {
  const started = performance.now();
  for (const client of clients) client.forget();
  switch (order.order) {
    case "open":
      await open(order.clients, order.sql);
      break;
    case "ask":
      await ask(order.seconds, order.sql);
      break;
    case "fetch":
      await open(1, "select 1");
      clients[0]?.forget();
      await ask(order.seconds, order.sql);
      break;
  }
  const failures = clients.flatMap((client) => client.failure ?? []);
  const sum = (of: (client: CrowdClient) => number): number =>
    clients.reduce((total, client) => total + of(client), 0);
  return {
    clients: clients.length,
    queries: sum((client) => client.answers),
    served: clients.filter((client) => client.answers > 0).length,
    bytes: sum((client) => client.bytes),
    seconds: (performance.now() - started) / 1000,
    failure: failures[0] ?? null,
    failed: failures.length,
  };
}

async function open(count: number, sql: string): Promise<void> {
  const openOne = async (): Promise<void> => {
    while (clients.length < count) {
      const client = new CrowdClient({ port: Number(port), user, database });
      clients.push(client);
      await client.opened;
      if (client.failure === null) await client.ask(sql);
    }
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, openOne));
}

/** Returns when every client that asked has its answer. */
async function ask(seconds: number, sql: string): Promise<void> {
  const overAtMs = performance.now() + seconds * 1000;
  const tooLate = new AbortController();
  const askOn = async (client: CrowdClient): Promise<void> => {
    do await client.ask(sql);
    while (performance.now() < overAtMs && client.failure === null);
  };
  const late = sleep(seconds * 1000 + SERVED_WITHIN_MS, null, { signal: tooLate.signal }).then(
    () => {
      for (const client of clients) client.giveUp("it never got its answer");
    },
    () => undefined, // All were served in time.
  );
  await Promise.all(clients.map(askOn));
  tooLate.abort();
  await late;
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(JSON.parse(line) as Order);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
