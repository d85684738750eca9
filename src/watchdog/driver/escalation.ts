import { runCommand, type Log } from "../../os/index.ts";

export interface EscalationCommands {
  /** wd_escalation_command; empty: none. */
  readonly up: string;
  /** wd_de_escalation_command; empty: none. */
  readonly down: string;
}

const COMMAND_TIMEOUT_MS = 60_000;

/** Runs the administrator's command when this node becomes the leader, and when it ceases to be. */
export class Escalation {
  readonly #commands: EscalationCommands;
  readonly #log: Log;
  #isEscalated = false;
  #running: Promise<void> = Promise.resolve();

  constructor(commands: EscalationCommands, log: Log) {
    this.#commands = commands;
    this.#log = log;
  }

  /** One command at a time, in the order of the changes. Resolves when none is left to run. */
  async follow(wanted: boolean): Promise<void> {
    if (wanted !== this.#isEscalated) {
      this.#isEscalated = wanted;
      this.#running = this.#running.then(async () => this.#run(wanted));
    }
    await this.#running;
  }

  async #run(wanted: boolean): Promise<void> {
    if (wanted) this.#log.write("log", "I am the cluster leader node. Starting escalation process");
    const command = wanted ? this.#commands.up : this.#commands.down;
    if (command === "") return;
    const name = wanted ? "wd_escalation_command" : "wd_de_escalation_command";
    const outcome = await runCommand({ command, timeoutMs: COMMAND_TIMEOUT_MS });
    if (outcome.exitCode === 0) return;
    this.#log.write("warning", `${name} failed with exit status ${outcome.exitCode ?? "none"}`, {
      detail: outcome.lines.slice(-3).join(" "),
    });
  }
}
