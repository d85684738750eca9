import type { Command } from "../model/command.ts";
import type { Judge } from "./broken-promise.ts";

const PROMISE = "never two failover commands";

/**
 * Never two failover commands at once, nor two for one server in one epoch, nor one again whose
 * promotion has succeeded; and never two follow_primary_commands for the same server at once.
 */
export class OneCommand {
  readonly #judge: Judge;
  readonly #running = new Set<Command>();
  readonly #promoted = new Set<string>();
  readonly #begun = new Set<string>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  /** @param isWorkVisible what it would do has been done, and can be seen. */
  onStarted(command: Command, isWorkVisible: boolean): void {
    for (const other of this.#running) {
      if (!areRivals(command, other)) continue;
      this.#judge.broken(
        PROMISE,
        `node ${command.hostId} runs ${nameOf(command)} while node ${other.hostId} ` +
          `runs ${nameOf(other)}`,
      );
    }
    const isFollow = command.action.kind === "follow-primary";
    // It is told to start until it does.
    const mayRepeat = isFollow || isStart(command);
    if (isWorkVisible && !isFollow && this.#promoted.has(nameOf(command))) {
      this.#judge.broken(PROMISE, `node ${command.hostId} runs ${nameOf(command)} once more`);
    }
    const { PGQUORUM_EPOCH: epoch } = command.action.env;
    const run = `${nameOf(command)} in epoch ${epoch}`;
    if (!mayRepeat && this.#begun.has(run)) {
      this.#judge.broken(PROMISE, `node ${command.hostId} runs ${run} a second time`);
    }
    this.#begun.add(run);
    this.#running.add(command);
  }

  onEnded(command: Command): void {
    this.#running.delete(command);
  }

  onPromoted(command: Command): void {
    this.#promoted.add(nameOf(command));
  }
}

function areRivals({ action: one }: Command, { action: other }: Command): boolean {
  const follows = [one, other].filter(({ kind }) => kind === "follow-primary").length;
  return follows === 0 || (follows === 2 && one.backendId === other.backendId);
}

function isStart({ action }: Command): boolean {
  return action.text.startsWith("demote start ");
}

function nameOf(command: Command): string {
  const { action } = command;
  const kind = isStart(command) ? "start" : action.kind;
  return `${kind} of ${action.env.PGQUORUM_EVENT_ID} for backend ${action.backendId}`;
}
