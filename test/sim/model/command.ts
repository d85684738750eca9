/** A command of the administrator while it runs: its work is done at some point of it. */
import type { Ms } from "../../../src/base/index.ts";
import type { ConductorAction } from "../../../src/backend/core/failover/index.ts";
import type { Host } from "./host.ts";

export type RunCommand = Extract<ConductorAction, { readonly type: "run-command" }>;

const KILL_MS_MAX = 1;
const LOOK_MS_MAX = 100;
const ASK_MS_MAX = 2000;

export class Command {
  readonly action: RunCommand;
  readonly hostId: number;
  readonly #host: Host;
  readonly #onEnd: (exitCode: number | null, signal: string | null) => void;
  /** What it has printed. */
  outputTail = "";
  #hasEnded = false;
  #mayRunUntilMs: Ms = -Infinity;

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
    world.onCommand(host);
    world.promises.oneCommand.onStarted(this, this.#isWorkVisible());
    // Who drains writes nothing any more when the server is stopped, by the intent's own epoch neither.
    const leftEpochs = action.kind === "demote" ? 1 : 0;
    if (promotionEpoch !== null) {
      world.promises.noStaleWrite.onPromotion(promotionEpoch + leftEpochs);
    }
    const lengthMs = random.magnitude(5, world.profile.commandMsMax);
    const workAtMs = lengthMs * random.next();
    let isDone = false;
    host.after(workAtMs, () => {
      if (!this.#hasEnded) isDone = this.#work();
    });
    host.after(lengthMs, () => this.#end(isDone ? 0 : 1, null));
  }

  /**
   * The right to lead lasts until then, by the clock of the host; at its end a guard of its own
   * kills the command, whether the supervisor runs or not.
   */
  mayRunUntil(untilMs: Ms): void {
    if (untilMs <= this.#mayRunUntilMs) return;
    this.#mayRunUntilMs = untilMs;
    const { localMs, rate } = this.#host;
    this.#host.after(Math.max(0, untilMs - localMs) / rate, () => {
      if (this.#mayRunUntilMs === untilMs) this.stop("kill");
    });
  }

  /** SIGKILL to the whole group, or SIGTERM, which it may take its time for. */
  stop(how: "ask" | "kill"): void {
    if (this.#host.world.planted.neverKills === true) return;
    const lengthMs = this.#host.random.next() * (how === "kill" ? KILL_MS_MAX : ASK_MS_MAX);
    this.#host.after(lengthMs, () => this.#end(null, how === "kill" ? "SIGKILL" : "SIGTERM"));
  }

  /** Its parent is dead. */
  kill(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#host.world.promises.oneCommand.onEnded(this);
  }

  /** A look at the candidate, some moments ago, would have shown that it is the primary. */
  #isWorkVisible(): boolean {
    const { postgres, nowMs } = this.#host.world;
    const candidateId = Number.parseInt(this.action.text.split(" ")[1] ?? "", 10);
    return postgres.isPrimarySince(candidateId, nowMs - LOOK_MS_MAX);
  }

  #work(): boolean {
    const { world } = this.#host;
    const [verb, word, lostId, oldPrimaryId] = this.action.text.split(" ");
    if (verb === "demote") return this.#demote(word === "stop");
    const backendId = Number.parseInt(word ?? "", 10);
    if (verb === "promote") {
      // As every script does: the loss of a standby asks for nothing.
      if (lostId !== oldPrimaryId) return true;
      const isPromoted = world.postgres.promote(backendId);
      if (isPromoted) {
        world.promises.oneCommand.onPromoted(this);
        const { PGQUORUM_EVENT_ID: eventId } = this.action.env;
        world.promises.oneSuccessor.onPromoted(eventId, backendId);
        world.promises.nothingLost.onPromoted(eventId, world.postgres.server(backendId));
      }
      return isPromoted;
    }
    if (!world.postgres.followNewest(backendId)) return false;
    this.#host.supervisor?.request("attach", backendId);
    return true;
  }

  /** Of a switchover: the old primary is shut down, or started again. */
  #demote(isStop: boolean): boolean {
    const { postgres, promises } = this.#host.world;
    const { backendId, env } = this.action;
    if (isStop) {
      postgres.stop(backendId);
      const server = postgres.server(backendId);
      promises.nothingLost.onStopped(env.PGQUORUM_EVENT_ID, server);
      this.outputTail = `Latest checkpoint location: ${lsnOf(server?.writtenCount ?? 0)}`;
      return true;
    }
    promises.oneSuccessor.onOldStarted(env.PGQUORUM_EVENT_ID);
    postgres.start(backendId);
    return true;
  }

  #end(exitCode: number | null, signal: string | null): void {
    if (this.#hasEnded) return;
    this.kill();
    this.#onEnd(exitCode, signal);
  }
}

/** The model's log has a byte for each write, from 1 on. */
function lsnOf(writtenCount: number): string {
  return `0/${(writtenCount + 1).toString(16).toUpperCase()}`;
}

export function writtenCountAt(lsn: string): number {
  return Number.parseInt(lsn.slice(2), 16) - 1;
}
