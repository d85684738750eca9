import type { Ms } from "../../../src/base/index.ts";
import type { Host } from "./host.ts";
import type { Process } from "./process.ts";

/** Work between two processes of one host keeps its order. */
export class Pipe {
  readonly #host: Host;
  readonly #to: Process;
  #lastAtMs: Ms = 0;

  constructor(host: Host, to: Process) {
    this.#host = host;
    this.#to = to;
  }

  send(deliver: () => void): void {
    const { world, random } = this.#host;
    const atMs = Math.max(world.nowMs + random.between(0.02, 0.4), this.#lastAtMs);
    this.#lastAtMs = atMs;
    world.after(atMs - world.nowMs, () => this.#to.run(deliver));
  }
}
