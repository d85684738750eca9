import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, systemErrorText, type Log } from "../../os/index.ts";
import type { ClusterRequest, FromWatchdog, ToWatchdog } from "../../wire/ipc/index.ts";
import { newRestartHistory, planRestart, type RestartHistory } from "../core/restart-policy.ts";

/**
 * What makes a change of state the cluster's: a majority of the watchdogs, or, without a
 * watchdog, this node alone. Both look the same from here.
 */
export interface ClusterLink {
  readonly pid: number | null;
  propose(id: number, afterIndex: number, value: unknown): void;
  vote(request: ClusterRequest): void;
  /** This node routes by the state of this index. */
  applied(index: number): void;
  /** Why another node should lead; null when this one may. */
  fitness(unfit: string | null): void;
  /** The configuration files have changed. */
  reload(): void;
  /** This node is about to stop: leadership and VIP go to another, if there is one. */
  retire(): void;
  /** Gives up leadership and VIP; resolves when both are gone. */
  stop(): Promise<void>;
}

export type ClusterLinkEvents = (message: FromWatchdog) => void;

/** The successor, wd_escalation_command and wd_de_escalation_command may each take seconds. */
const STOP_MS: Ms = 20_000;
/** The watchdog keeps little, so a small nursery costs it nothing and saves some 10 MiB. */
const LEAN: readonly string[] = ["--max-semi-space-size=1"];
/** What kept the watchdog from running needs a person, who needs more than a moment. */
const REFUSED_AGAIN_MS: Ms = 10_000;

/**
 * The watchdog child: restarted when it dies. One that says it must not run is tried again after
 * a while, but not when it has never run: then the node does not start.
 */
export class WatchdogLink implements ClusterLink {
  readonly #env: Readonly<Record<string, string>>;
  readonly #log: Log;
  readonly #onMessage: ClusterLinkEvents;
  #child: ChildProcess | null = null;
  #history: RestartHistory = newRestartHistory(monotonicNowMs());
  #isStopping = false;
  /** It ran, so the node does not depend on whoever started it. */
  #hasRun = false;
  #isFatal = false;
  /** Told again to one that was started again. */
  #unfit: string | null = null;

  constructor(env: Readonly<Record<string, string>>, log: Log, onMessage: ClusterLinkEvents) {
    this.#env = env;
    this.#log = log;
    this.#onMessage = onMessage;
    this.#fork();
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  propose(id: number, afterIndex: number, value: unknown): void {
    if (!this.#send({ type: "propose", id, afterIndex, value })) {
      this.#onMessage({ type: "proposal-refused", id, reason: "the watchdog is not running" });
    }
  }

  vote(request: ClusterRequest): void {
    if (!this.#send({ type: "vote", request })) {
      this.#onMessage({ type: "not-granted", request, why: "no-quorum" });
    }
  }

  applied(index: number): void {
    this.#send({ type: "applied", index });
  }

  fitness(unfit: string | null): void {
    this.#unfit = unfit;
    this.#send({ type: "fitness", unfit });
  }

  reload(): void {
    this.#send({ type: "reload" });
  }

  retire(): void {
    this.#send({ type: "retire" });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const child = this.#child;
    if (child === null) return;
    const ended = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
    });
    this.#send({ type: "stop" });
    const timer = setTimeout(() => {
      this.#log.write("warning", `the watchdog has not ended in ${STOP_MS / 1000} s; killing it`);
      child.kill("SIGKILL");
    }, STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  #send(message: ToWatchdog): boolean {
    if (this.#child?.connected !== true) return false;
    this.#child.send(message);
    return true;
  }

  #fork(): void {
    const program = fileURLToPath(new URL("./watchdog.mjs", import.meta.url));
    const child = fork(program, [], {
      env: { ...process.env, ...this.#env },
      execArgv: [...process.execArgv, ...LEAN],
    });
    this.#child = child;
    child.on("message", (message: FromWatchdog) => {
      if (message.type === "ready") {
        this.#hasRun = true;
        if (this.#unfit !== null) this.fitness(this.#unfit);
      }
      if (message.type === "fatal") this.#isFatal = true;
      this.#onMessage(message);
    });
    child.on("error", (error) => {
      // One that could not be started has no exit; that of any other is handled.
      if (child.pid === undefined) this.#onEnd(`could not be started: ${systemErrorText(error)}`);
    });
    child.once("exit", (code, signal) => {
      const how = signal === null ? `with status ${code}` : `by signal ${signal}`;
      if (this.#isStopping && code !== 0) this.#log.write("warning", `the watchdog ended ${how}`);
      this.#onEnd(`ended ${how}`);
    });
  }

  #onEnd(how: string): void {
    this.#child = null;
    if (this.#isStopping || (this.#isFatal && !this.#hasRun)) return;
    this.#onMessage({ type: "died" });
    const planned = planRestart(this.#history, monotonicNowMs());
    const delayMs = this.#isFatal ? REFUSED_AGAIN_MS : planned.delayMs;
    this.#history = planned.history;
    this.#isFatal = false;
    this.#log.write("warning", `the watchdog ${how}; starting it again`);
    setTimeout(() => {
      if (!this.#isStopping) this.#fork();
    }, delayMs);
  }
}

/** Without a watchdog: always leads, agrees with itself at once. */
export class LoneLink implements ClusterLink {
  readonly pid = null;
  readonly #onMessage: ClusterLinkEvents;
  #index = 0;

  constructor(onMessage: ClusterLinkEvents) {
    this.#onMessage = onMessage;
  }

  propose(id: number, afterIndex: number, value: unknown): void {
    if (afterIndex !== this.#index) {
      this.#onMessage({ type: "proposal-refused", id, reason: "a newer state exists" });
      return;
    }
    this.#index += 1;
    this.#onMessage({ type: "committed", index: this.#index, term: 1, value });
    this.#onMessage({ type: "settled", index: this.#index });
  }

  vote(request: ClusterRequest): void {
    this.#onMessage({ type: "granted", request });
  }

  /** It is settled already. */
  applied(): void {
    // Nobody else has to know.
  }

  fitness(): void {
    // Nobody else could lead.
  }

  reload(): void {
    // Nobody else reads the files.
  }

  retire(): void {
    // Nobody else is there.
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }
}
