import type { Ms } from "../../base/index.ts";
import { runCommand, type Log } from "../../os/index.ts";

export interface EscalationCommands {
  /** wd_escalation_command; empty: none. */
  readonly up: string;
  /** wd_de_escalation_command; empty: none. */
  readonly down: string;
}

export interface EscalationOptions extends EscalationCommands {
  readonly log: Log;
  /** The virtual IP, which was kept back for the command, may come up now. */
  readonly onMayRaiseVip: () => void;
  /** Shorter for tests. */
  readonly patienceMs?: Ms;
}

/** So long one command waits for the other, and the virtual IP for the first; as in Pgpool-II. */
const PATIENCE_MS: Ms = 5000;
/** No command runs longer, also when nothing waits for it. */
const COMMAND_MS: Ms = 60_000;

/**
 * Runs the administrator's command when this node begins to lead with a quorum, and when it ceases
 * to; on one node never both at once. As in Pgpool-II the virtual IP comes up when the first has
 * ended, though it does not wait for ever. Other than there it is given up before the second
 * begins: no command may keep it here when another node is about to have it.
 */
export class Escalation {
  readonly #options: EscalationOptions;
  readonly #patienceMs: Ms;
  #commands: EscalationCommands;
  #isWanted = false;
  /** Which command was begun last. */
  #isEscalated = false;
  #mayRaiseVip: boolean;
  #isDriving = false;
  #driving: Promise<void> = Promise.resolve();
  #isClosing = false;
  #running = new AbortController();
  #hurry: NodeJS.Timeout | null = null;

  constructor(options: EscalationOptions) {
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#commands = options;
    this.#mayRaiseVip = options.up === "";
  }

  /** False: the command for it has not ended, and `onMayRaiseVip` will be called. */
  get mayRaiseVip(): boolean {
    return this.#mayRaiseVip;
  }

  /** Resolves when nothing is left to run. Of changes that come too fast only the last counts. */
  async follow(isWanted: boolean): Promise<void> {
    if (isWanted !== this.#isWanted) {
      this.#isWanted = isWanted;
      if (!isWanted) this.#mayRaiseVip = this.#commands.up === "";
      if (isWanted === this.#isEscalated) this.#relax();
      else if (this.#isDriving) this.#endSoon();
    }
    if (!this.#isDriving) this.#driving = this.#drive();
    await this.#driving;
  }

  /** Other commands hold from the next change on. */
  configure(commands: EscalationCommands): void {
    this.#commands = commands;
    if (!this.#isWanted) this.#mayRaiseVip = commands.up === "";
  }

  /** Ceases to lead for good, in bounded time: a command that hangs is ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.follow(false);
  }

  async #drive(): Promise<void> {
    this.#isDriving = true;
    while (this.#isWanted !== this.#isEscalated) {
      this.#isEscalated = this.#isWanted;
      await this.#run(this.#isEscalated);
      this.#relax();
    }
    this.#isDriving = false;
  }

  async #run(isUp: boolean): Promise<void> {
    const { log } = this.#options;
    const { up, down } = this.#commands;
    const what = isUp ? "escalation" : "de-escalation";
    if (isUp) log.write("log", "I am the cluster leader node. Starting escalation process");
    const command = isUp ? up : down;
    if (command === "") return;
    log.write("log", `watchdog: ${what} started`);
    this.#running = new AbortController();
    if (this.#isClosing) this.#endSoon();
    const waiting = isUp ? setTimeout(() => this.#onLate(), this.#patienceMs) : null;
    const { signal } = this.#running;
    const outcome = await runCommand({ command, timeoutMs: COMMAND_MS, signal });
    if (waiting !== null) clearTimeout(waiting);
    if (outcome.exitCode === 0) {
      log.write("log", `watchdog ${what} successful`);
    } else {
      const how =
        outcome.exitCode === null
          ? "exit abnormally"
          : `failed with exit status: ${outcome.exitCode}`;
      const detail = [outcome.startError ?? "", ...outcome.lines.slice(-3)].join(" ").trim();
      log.write("warning", `watchdog ${what} command ${how}`, detail === "" ? {} : { detail });
    }
    if (isUp) this.#allowVip();
  }

  #onLate(): void {
    if (!this.#isWanted) return;
    const message = "wd_escalation_command has not ended yet; the virtual IP comes up all the same";
    this.#options.log.write("warning", message);
    this.#allowVip();
  }

  #allowVip(): void {
    if (!this.#isWanted || this.#mayRaiseVip) return;
    this.#mayRaiseVip = true;
    this.#options.onMayRaiseVip();
  }

  /** What runs now stands in the way of the other. */
  #endSoon(): void {
    this.#hurry ??= setTimeout(() => this.#running.abort(), this.#patienceMs);
  }

  #relax(): void {
    if (this.#hurry !== null) clearTimeout(this.#hurry);
    this.#hurry = null;
  }
}
