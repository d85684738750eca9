/** This node's file of all that was done to the backends; see `core/status/history-lines.ts`. */
import { existsSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fail, succeed, type Result } from "../../base/index.ts";
import { readTextFile, systemErrorText, writeFileDurably, type Log } from "../../os/index.ts";
import {
  formatHistoryLine,
  mergeHistories,
  newestLines,
  parseHistoryLines,
  type ClusterState,
  type HistoryEntry,
} from "../core/status/index.ts";

/** Then the older half is thrown away. */
export const HISTORY_FILE_BYTES_MAX = 1024 * 1024;
const MODE = 0o600;

/** Nodes of one machine may share the directory. */
export function historyFilePath(workDirectory: string, nodeId: number | null): string {
  const name = nodeId === null ? "pgquorum.history" : `pgquorum_node_${nodeId}.history`;
  return join(workDirectory, name);
}

/** Errors: what the system says; a file that is not there yet has no entries. */
export function readHistoryFile(path: string): Result<readonly HistoryEntry[], string> {
  if (!existsSync(path)) return succeed([]);
  const text = readTextFile(path);
  return text.ok ? succeed(parseHistoryLines(text.value)) : text;
}

export class HistoryFile {
  readonly path: string;
  readonly #log: Log;
  readonly #bytesMax: number;
  /** The revision of each entry of the newest state that is in the file. */
  #written: ReadonlyMap<string, number> | null = null;
  #newest: ClusterState | null = null;
  #isWriting = false;
  #done: Promise<void> = Promise.resolve();
  #hasFailed = false;

  constructor(path: string, log: Log, bytesMax = HISTORY_FILE_BYTES_MAX) {
    this.path = path;
    this.#log = log;
    this.#bytesMax = bytesMax;
  }

  /** Writes what the file does not have yet; states that come meanwhile are taken together. */
  record(state: ClusterState): void {
    this.#newest = state;
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#done = this.#write();
  }

  /** What the file has, and what the state has that could not be written. */
  read(): readonly HistoryEntry[] {
    const kept = readHistoryFile(this.path);
    return mergeHistories(kept.ok ? kept.value : [], this.#newest?.history ?? []);
  }

  /** Resolves when all that was to be recorded is written. */
  async close(): Promise<void> {
    await this.#done;
  }

  async #write(): Promise<void> {
    for (let state = this.#newest; state !== null;) {
      const outcome = await this.#append(state.history);
      if (!outcome.ok) this.#complain(outcome.error);
      else this.#hasFailed = false;
      if (state === this.#newest) break;
      state = this.#newest;
    }
    this.#isWriting = false;
  }

  async #append(history: readonly HistoryEntry[]): Promise<Result<void, string>> {
    const written = this.#written ?? this.#readRevisions();
    const fresh = history.filter(
      ({ eventId, revision }) => (written.get(eventId) ?? -1) < revision,
    );
    if (fresh.length > 0) {
      const outcome = await appendDurably(this.path, fresh.map(formatHistoryLine).join(""));
      if (!outcome.ok) return outcome;
    }
    this.#written = new Map(history.map(({ eventId, revision }) => [eventId, revision]));
    return fresh.length === 0 ? succeed(undefined) : await this.#keepShort();
  }

  #readRevisions(): ReadonlyMap<string, number> {
    const kept = readHistoryFile(this.path);
    const entries = kept.ok ? kept.value : [];
    return new Map(entries.map(({ eventId, revision }) => [eventId, revision]));
  }

  async #keepShort(): Promise<Result<void, string>> {
    const size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    if (size <= this.#bytesMax) return succeed(undefined);
    const kept = readHistoryFile(this.path);
    if (!kept.ok) return kept;
    return await writeFileDurably(this.path, newestLines(kept.value, this.#bytesMax / 2), MODE);
  }

  /** Once, until it works again: each change of the cluster would say it anew. */
  #complain(error: string): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.write("warning", `failed to write the history to "${this.path}"`, {
      detail: error,
      hint: "Make work_dir writable for the user that runs pgpool, and see that its disk has room.",
    });
  }
}

/** After a crash in the middle of a line, the next one begins a line of its own. */
async function appendDurably(path: string, text: string): Promise<Result<void, string>> {
  try {
    const file = await open(path, "a+", MODE);
    try {
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      const isTorn = size > 0 && last[0] !== 0x0a;
      await file.appendFile(isTorn ? `\n${text}` : text);
      await file.datasync();
    } finally {
      await file.close();
    }
    return succeed(undefined);
  } catch (error) {
    return fail(systemErrorText(error));
  }
}
