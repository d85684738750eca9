/**
 * A client that pipelines whatever it likes, honest servers, replies that come in any pieces at any
 * moment: the client sees exactly what one server alone would have answered.
 */
import { assert } from "../../../src/base/index.ts";
import type { Random } from "../../sim/random.ts";
import type { Features } from "../features.ts";
import { difference, framesOf } from "../model/frames.ts";
import { CLOSING, drawMessages } from "../model/messages.ts";
import { ModelServer } from "../model/server.ts";
import { World } from "../model/world.ts";
import { step, type Step } from "../script.ts";
import type { Target } from "../target.ts";

const NOTHING = Buffer.alloc(0);

export const session: Target = {
  name: "session",
  about: "a pipelining client before honest servers: the same answers as from one server alone",
  mutatesBytes: false,

  generate(random: Random): Step[] {
    const steps: Step[] = [];
    for (const message of drawMessages(random, 2 + random.below(40))) {
      steps.push(step("client", message, random.chance(0.7) ? 0 : random.below(1 << 16)));
      while (random.chance(0.4)) steps.push(step("serve", NOTHING, random.below(1 << 10)));
    }
    return steps;
  },

  run(steps, features) {
    const messages = steps.filter(({ what }) => what === "client").map(({ bytes }) => bytes);
    const alone = new ModelServer();
    alone.receive(Buffer.concat([...messages, ...CLOSING]));
    const proxied = new Relayed(features).run(steps, alone.isDead);
    // It hung up at something that no client may say in a COPY.
    if (alone.isDead) return;
    const why = difference(framesOf(alone.take()), framesOf(proxied));
    assert(why === null, `the answers are those of PostgreSQL, but for ${why}`);
  },
};

/** The steps of one script, played through a session. */
class Relayed {
  readonly #servers = [new ModelServer(), new ModelServer()];
  readonly #outboxes: Buffer[] = [NOTHING, NOTHING];
  readonly #world = new World((id, bytes) => this.#received(id, bytes));
  readonly #features: Features;
  #clientBytes: Buffer[] = [];

  constructor(features: Features) {
    this.#features = features;
  }

  run(steps: readonly Step[], hangsUp: boolean): Buffer {
    for (const { what, bytes, number } of steps) {
      if (what === "client") this.#say(bytes, number);
      else if (what === "serve") this.#serve(number & 1, number >> 1);
      this.#see();
    }
    for (const message of CLOSING) this.#say(message, 0);
    while (this.#settle()) this.#see();
    const isOver = this.#world.isOver || hangsUp;
    const { session: relay } = this.#world;
    assert(isOver || relay.isIdle, "a session that was answered is idle");
    assert(isOver || this.#clientBytes.length === 0, "the client is read to its end");
    for (const [id, server] of this.#servers.entries()) {
      assert(isOver || server.heldBytes === 0, `server ${id} gets whole messages`);
    }
    for (const link of this.#world.links.values()) {
      assert(isOver || link.pending.count === 0, "nothing is owed in the end");
    }
    return Buffer.concat(this.#world.toClientBytes);
  }

  #received(id: number, bytes: Buffer): void {
    const server = this.#servers[id] as ModelServer;
    server.receive(bytes);
    this.#outboxes[id] = Buffer.concat([this.#outboxes[id] as Buffer, server.take()]);
  }

  #say(message: Buffer, cut: number): void {
    const at = cut % message.length;
    this.#clientBytes.push(
      ...(at === 0 ? [message] : [message.subarray(0, at), message.subarray(at)]),
    );
    this.#feed();
  }

  /** A client that is not read waits. */
  #feed(): boolean {
    const world = this.#world;
    let isFed = false;
    while (!world.isPaused && !world.isOver && this.#clientBytes.length > 0) {
      world.session.clientBytes(this.#clientBytes.shift() as Buffer);
      isFed = true;
    }
    return isFed;
  }

  #serve(id: number, bytesMax: number): boolean {
    const outbox = this.#outboxes[id] as Buffer;
    const end = bytesMax === 0 ? outbox.length : Math.min(bytesMax, outbox.length);
    this.#outboxes[id] = outbox.subarray(end);
    if (end > 0) this.#world.fromBackend(id, Buffer.from(outbox.subarray(0, end)));
    if (this.#servers[id]?.isDead === true && this.#outboxes[id].length === 0) this.#world.lose(id);
    this.#feed();
    return end > 0;
  }

  #settle(): boolean {
    const isServed = [this.#serve(0, 0), this.#serve(1, 0)].includes(true);
    return this.#feed() || isServed;
  }

  #see(): void {
    let state = this.#world.isPaused ? 1 : 0;
    for (const [id, { pending }] of this.#world.links) {
      const count = Math.min(pending.count, 6);
      const flags =
        (pending.isCopyIn ? 8 : 0) + (pending.isSkipping ? 16 : 0) + (pending.isUnsynced ? 32 : 0);
      state += (count + flags) << (2 + id * 7);
    }
    this.#features.see(state, this.#clientBytes[0]?.[0] ?? 0);
  }
}
