/** A session whose client or servers say anything at all: it lives or it ends, and keeps its promises. */
import { assert } from "../../../src/base/index.ts";
import { FRONTEND } from "../../../src/wire/postgres/index.ts";
import type { Random } from "../../sim/random.ts";
import { say } from "../../support/raw-client.ts";
import type { Features } from "../features.ts";
import { drawMessages } from "../model/messages.ts";
import { ModelServer } from "../model/server.ts";
import { World } from "../model/world.ts";
import { step, type Step } from "../script.ts";
import type { Target } from "../target.ts";

const NOTHING = Buffer.alloc(0);
const KNOWN = new Set<number>(Object.values(FRONTEND));

export const hostileClient: Target = {
  name: "hostile-client",
  about: "damaged messages of a client, while the cluster changes",
  mutatesBytes: true,

  generate(random: Random): Step[] {
    const steps = drawMessages(random, 1 + random.below(20)).map((message) =>
      step("client", message),
    );
    return sprinkle(steps, random, () => step("backend", reply(random), random.below(2)));
  },

  run: (steps, features) => play(steps, features),
};

export const hostileBackend: Target = {
  name: "hostile-backend",
  about: "damaged, endless or unasked replies of servers",
  mutatesBytes: true,

  generate(random: Random): Step[] {
    const steps: Step[] = [];
    for (const message of drawMessages(random, 1 + random.below(8))) {
      steps.push(step("client", message));
      const server = new ModelServer();
      server.receive(message);
      const honest = random.chance(0.4) ? server.take() : reply(random);
      steps.push(step("backend", honest, random.below(2)));
      while (random.chance(0.5)) steps.push(step("backend", reply(random), random.below(2)));
    }
    return sprinkle(steps, random, () => step("backend", reply(random), random.below(2)));
  },

  run: (steps, features) => play(steps, features),
};

function sprinkle(steps: readonly Step[], random: Random, more: () => Step): Step[] {
  return steps.flatMap((one) => {
    if (random.chance(0.8)) return [one];
    switch (random.below(6)) {
      case 0:
        return [one, step("lose", NOTHING, random.below(2))];
      case 1:
        return [one, step("gate", NOTHING, random.below(3))];
      case 2:
        return [one, step("view", NOTHING, random.below(32))];
      case 3:
        return [one, step("opened", NOTHING, random.below(2))];
      default:
        return [one, more()];
    }
  });
}

const REPLY_TYPES = "123ACDEGHIKNRSTVWZZZZcdnstv".split("");

function reply(random: Random): Buffer {
  const type = random.pick(REPLY_TYPES);
  switch (type) {
    case "Z":
      return say.any("Z", random.pick(["I", "T", "E", "x", ""]));
    case "E":
    case "N":
      return say.any(
        type,
        `S${random.pick(["ERROR", "FATAL"])}\0V${random.pick(["ERROR", "FATAL", "PANIC"])}\0C57P01\0Mm\0\0`,
      );
    case "S":
      return say.any("S", random.pick(["DateStyle\0ISO\0", "a", "\0\0", ""]));
    default:
      return say.any(type, Buffer.alloc(random.below(random.chance(0.01) ? 70_000 : 30), 1));
  }
}

const GATES = ["open", "holds", "refuses"] as const;

/** What a script plays out; the bytes for a server are only checked for being whole messages. */
function play(steps: readonly Step[], features: Features): void {
  const sent = [new SentCheck(), new SentCheck()];
  const world = new World((id, bytes) => sent[id]?.received(bytes));
  for (const { what, bytes, number } of steps) {
    if (world.isOver) break;
    perform(world, what, bytes, number);
    for (const [id, { pending }] of world.links) {
      assert(pending.count >= 0, "no reply is owed less than zero times");
      features.see(id + Math.min(pending.count, 7) * 2, what.length, bytes[0] ?? 0);
    }
    features.see(world.isPaused ? 1 : 0, world.links.size, world.isOver ? 1 : 0);
  }
}

function perform(world: World, what: string, bytes: Buffer, number: number): void {
  switch (what) {
    case "client":
      // One that is not read says nothing.
      if (!world.isPaused && bytes.length > 0) world.session.clientBytes(bytes);
      break;
    case "backend":
      if (bytes.length > 0) world.fromBackend(number & 1, bytes);
      break;
    case "lose":
      world.lose(number & 1);
      break;
    case "gate":
      world.setGate(GATES[number % 3] ?? "open");
      break;
    case "view":
      world.setView(number);
      break;
    case "opened":
      world.opened((number & 1) === 1);
      break;
    default:
  }
}

/** Whatever the client says, a server gets a stream of messages with lengths that it accepts. */
class SentCheck {
  #rest = 0;
  #head: Buffer = NOTHING;

  received(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#rest > 0) {
        const taken = Math.min(this.#rest, bytes.length - at);
        this.#rest -= taken;
        at += taken;
        continue;
      }
      const wanted = Math.min(5 - this.#head.length, bytes.length - at);
      this.#head = Buffer.concat([this.#head, bytes.subarray(at, at + wanted)]);
      at += wanted;
      if (this.#head.length < 5) return;
      const length = this.#head.readUInt32BE(1);
      assert(KNOWN.has(this.#head[0] ?? 0), `a server gets no message of type ${this.#head[0]}`);
      assert(length >= 4 && length < 1 << 30, `a server gets no message of ${length} bytes`);
      this.#rest = length - 4;
      this.#head = NOTHING;
    }
  }
}
