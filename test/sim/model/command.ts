/** failover_command or follow_primary_command while it runs: its work is done at some point of it. */
import type { ConductorAction } from "../../../src/backend/core/failover/index.ts";
import type { Host } from "./host.ts";

export type RunCommand = Extract<ConductorAction, { readonly type: "run-command" }>;

const KILL_MS_MAX = 1;
const ASK_MS_MAX = 2000;

export class Command {
  readonly action: RunCommand;
  readonly hostId: number;
  readonly #host: Host;
  readonly #onEnd: (exitCode: number | null, signal: string | null) => void;
  #hasEnded = false;

  constructor(
    host: Host,
    action: RunCommand,
    promotionEpoch: number | null,
    onEnd: (exitCode: number | null, signal: string | null) => void,
  ) {
    this.#host = host;
    this.hostId = host.id;
    this.action = action;
    this.#onEnd = onEnd;
    const { world, random } = host;
    world.trace?.(`${host.id} runs ${action.text} of ${action.env.PGQUORUM_EVENT_ID}`);
    world.stats.commands += 1;
    world.promises.oneCommand.onStarted(this);
    if (promotionEpoch !== null) world.promises.noStaleWrite.onPromotion(promotionEpoch);
    const lengthMs = random.magnitude(5, world.profile.commandMsMax);
    const workAtMs = lengthMs * random.next();
    let isDone = false;
    host.after(workAtMs, () => {
      if (!this.#hasEnded) isDone = this.#work();
    });
    host.after(lengthMs, () => this.#end(isDone ? 0 : 1, null));
  }

  /** SIGKILL to the whole group, or SIGTERM, which it may take its time for. */
  stop(how: "ask" | "kill"): void {
    const lengthMs = this.#host.random.next() * (how === "kill" ? KILL_MS_MAX : ASK_MS_MAX);
    this.#host.after(lengthMs, () => this.#end(null, how === "kill" ? "SIGKILL" : "SIGTERM"));
  }

  /** Its parent is dead. */
  kill(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#host.world.promises.oneCommand.onEnded(this);
  }

  #work(): boolean {
    const { world } = this.#host;
    const [verb, word] = this.action.text.split(" ");
    const backendId = Number.parseInt(word ?? "", 10);
    if (verb === "promote") {
      const isPromoted = world.postgres.promote(backendId);
      if (isPromoted) world.promises.oneCommand.onPromoted(this);
      return isPromoted;
    }
    if (!world.postgres.followNewest(backendId)) return false;
    this.#host.supervisor?.request("attach", backendId);
    return true;
  }

  #end(exitCode: number | null, signal: string | null): void {
    if (this.#hasEnded) return;
    this.kill();
    this.#onEnd(exitCode, signal);
  }
}
