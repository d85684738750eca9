/** Keeps ready what `failover_command` needs, so that it does not begin to look for it in a crash. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, runCommand, type CommandOutcome, type Log } from "../../os/index.ts";
import {
  formatCommand,
  pauseBeforeReady,
  READY_AFTER_MS,
  type FailoverBackend,
} from "../core/failover/index.ts";

const SAID_CHARACTERS_MAX = 300;

interface Kept {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/**
 * Runs `failover_ready_command` once for each server, over and over until it says by status 0 that
 * there is nothing to be kept. It dies with this process, however that dies.
 */
export class ReadyCommands {
  readonly #log: Log;
  /** By the text of the command. */
  readonly #kept = new Map<string, Kept>();
  readonly #ending = new Set<Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** From now on for these servers, and no others. @param template empty: for none. */
  keep(template: string, servers: readonly FailoverBackend[]): void {
    const wanted = new Map(
      (template === "" ? [] : servers).map((server) => [textFor(template, server), server.id]),
    );
    for (const [text, { stop, ended }] of this.#kept) {
      if (wanted.has(text)) continue;
      this.#kept.delete(text);
      stop.abort();
      this.#ending.add(ended);
      void ended.then(() => this.#ending.delete(ended));
    }
    for (const [text, id] of wanted) {
      if (this.#kept.has(text)) continue;
      const stop = new AbortController();
      this.#kept.set(text, { stop, ended: this.#run(text, id, stop.signal) });
    }
  }

  /** Resolves when none of them runs any more. */
  async stop(): Promise<void> {
    this.keep("", []);
    await Promise.all(this.#ending);
  }

  async #run(command: string, id: number, signal: AbortSignal): Promise<void> {
    let pauseMs: Ms = 0;
    while (!signal.aborted) {
      const startedMs = monotonicNowMs();
      const outcome = await runCommand({ command, timeoutMs: 0, killGroup: true, signal });
      if (signal.aborted || outcome.exitCode === 0) return;
      const ranMs = monotonicNowMs() - startedMs;
      // Of those that fail one after another the first is enough.
      if (pauseMs === 0 || ranMs >= READY_AFTER_MS) this.#complain(id, outcome);
      pauseMs = pauseBeforeReady(pauseMs, ranMs);
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  #complain(id: number, { exitCode, signal, startError, lines }: CommandOutcome): void {
    const how = startError ?? (exitCode === null ? `by ${signal}` : `with status ${exitCode}`);
    const said = lines.join("; ").slice(-SAID_CHARACTERS_MAX);
    this.#log.write("warning", `failover_ready_command for node ${id} ended ${how}`, {
      detail: said === "" ? "it said nothing" : said,
      hint: "It is run again. Meanwhile a failover to this node takes longer.",
    });
  }
}

function textFor(template: string, backend: FailoverBackend): string {
  const nobody = { newMain: null, oldMainId: null, oldPrimary: null, oldPrimaryId: null };
  return formatCommand(template, { backend, ...nobody });
}
