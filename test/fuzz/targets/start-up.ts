/** What a client says before it is logged in. */
import { assert } from "../../../src/base/index.ts";
import { ClientStart, type StartEvent } from "../../../src/proxy/core/session/index.ts";
import { encodeCancelRequest, START_UP_BYTES_MAX } from "../../../src/wire/postgres/index.ts";
import type { Random } from "../../sim/random.ts";
import { say } from "../../support/raw-client.ts";
import { step, type Step } from "../script.ts";
import type { Target } from "../target.ts";

const SSL = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const GSS = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]);
const HELD_MAX = 2 * START_UP_BYTES_MAX + 8;

export const startUp: Target = {
  name: "start-up",
  about: "start-up packets, cancel and encryption requests",
  mutatesBytes: true,

  generate(random: Random): Step[] {
    const steps: Step[] = [];
    if (random.chance(0.3)) steps.push(step("bytes", SSL));
    if (random.chance(0.2)) steps.push(step("bytes", GSS));
    steps.push(step("bytes", random.chance(0.2) ? cancel(random) : packet(random)));
    if (random.chance(0.3)) steps.push(step("bytes", say.query("select 1")));
    return steps;
  },

  run(steps, features) {
    const whole = push(steps.map(({ bytes }) => bytes));
    for (const event of whole) features.see(KINDS.indexOf(event.kind), whole.length);
    const hasAnswer = whole.some((event) => {
      return event.kind === "answer" || describe(event).includes("after SSL");
    });
    const bytes = Buffer.concat(steps.map((one) => one.bytes));
    // Bytes behind an answered request count as put in by a stranger when they come with it.
    if (hasAnswer || bytes.length > 4000) return;
    const single = push([...bytes].map((byte) => Buffer.of(byte)));
    const last = describe(single.at(-1));
    assert(
      whole.length === 0 || describe(whole.at(-1)) === last,
      `pieces change the outcome: ${describe(whole.at(-1))} or ${last}`,
    );
  },
};

const KINDS = ["more", "answer", "cancel", "start-up", "refused"];

function push(chunks: readonly Buffer[]): StartEvent[] {
  const start = new ClientStart();
  const events: StartEvent[] = [];
  for (const chunk of chunks) {
    const event = start.push(chunk);
    events.push(event);
    assert(start.rest.length <= HELD_MAX + chunk.length, "what is held has its bound");
    if (event.kind !== "more" && event.kind !== "answer") break;
  }
  return events;
}

function describe(event: StartEvent | undefined): string {
  if (event === undefined || event.kind === "more") return "more";
  if (event.kind === "refused") return `refused ${event.failure.message}`;
  if (event.kind === "cancel") return `cancel ${event.processId} ${event.key.toString("hex")}`;
  if (event.kind === "answer") return "answer";
  const { client } = event;
  assert(client.user !== "", "a client that is let in has a name");
  return `start-up ${JSON.stringify([...client.parameters])} ${client.negotiation?.toString("hex")}`;
}

function packet(random: Random): Buffer {
  const parameters: Record<string, string> = { user: random.pick(["u", "postgres", "", "é'\\"]) };
  const names = ["database", "application_name", "replication", "_pq_.x", "options", "a.b", "user"];
  for (const name of names) {
    if (random.chance(0.3))
      parameters[name] = random.pick(["", "on", "1", "database", "x".repeat(random.below(200))]);
  }
  const minor = random.pick([0, 0, 0, 2, 3, 9999]);
  return say.startUp(parameters, (random.pick([3, 3, 3, 3, 2, 4]) << 16) | minor);
}

function cancel(random: Random): Buffer {
  const length = random.pick([4, 4, 32, 256, 257, 3, 0]);
  return encodeCancelRequest(random.below(2 ** 31), Buffer.alloc(length, 5));
}
