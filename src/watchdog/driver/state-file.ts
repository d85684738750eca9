import { createHash } from "node:crypto";
import { join } from "node:path";
import { fail, succeed, type Result } from "../../base/index.ts";
import { lockFile, readTextFile, writeFileDurably, type FileLock } from "../../os/index.ts";
import { readEntry, readHolder } from "../../wire/watchdog/index.ts";
import { NOTHING_DURABLE, type Durable } from "../core/consensus/index.ts";

/**
 * Term, vote, state and holder on disk, written whole and synced before anybody is answered. Two
 * lines: the SHA-256 of the second, and the state as JSON.
 */
export interface StateFile {
  readonly initial: Durable;
  write(durable: Durable): Promise<Result<void, string>>;
  close(): Promise<void>;
}

/**
 * Opens and locks the state of node `id` in `directory`. The id is in the names, so nodes of one
 * machine may share a directory, and the same id cannot run twice.
 *
 * Errors: the lock is held, the directory is missing or unwritable, the file is damaged. A damaged
 * file is never taken for an empty one: a forgotten vote could be given twice.
 */
export async function openStateFile(
  directory: string,
  id: number,
): Promise<Result<StateFile, { readonly message: string; readonly hint: string }>> {
  const path = join(directory, `pgquorum_node_${id}.state`);
  const lock = await lockFile(join(directory, `pgquorum_node_${id}.lock`));
  if (!lock.ok) return fail(explainLock(lock.error, directory, id));
  const initial = readState(path);
  if (!initial.ok) {
    await lock.value.release();
    return fail({
      message: `the watchdog's state file ${path} cannot be used: ${initial.error}`,
      hint: "Restore it, or, when the other nodes form a quorum without this one, delete it: this node then starts as a new member.",
    });
  }
  const opened = new FileOfState(path, initial.value, lock.value);
  // Written once at start: an unwritable directory shows itself now, not in an election.
  const written = await opened.write(initial.value);
  if (!written.ok) {
    await lock.value.release();
    return fail({
      message: `cannot write the watchdog's state file ${path}: ${written.error}`,
      hint: "work_dir must exist and be writable for the user that runs the node.",
    });
  }
  return succeed(opened);
}

class FileOfState implements StateFile {
  readonly initial: Durable;
  readonly #path: string;
  readonly #lock: FileLock;

  constructor(path: string, initial: Durable, lock: FileLock) {
    this.#path = path;
    this.initial = initial;
    this.#lock = lock;
  }

  async write(durable: Durable): Promise<Result<void, string>> {
    return await writeFileDurably(this.#path, formatState(durable));
  }

  async close(): Promise<void> {
    await this.#lock.release();
  }
}

export function formatState(durable: Durable): string {
  const text = JSON.stringify(durable);
  return `${digestOf(text)}\n${text}\n`;
}

export function parseState(content: string): Result<Durable, string> {
  const [digest, text] = content.split("\n");
  if (digest === undefined || text === undefined || digest !== digestOf(text)) {
    return fail("its checksum does not fit: it is torn or was changed");
  }
  const durable = readDurable(text);
  return durable === null ? fail("it is not the state of a watchdog") : succeed(durable);
}

/** The checksum fits, so what does not read well was not written by this program. */
function readDurable(text: string): Durable | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { term, votedFor, ...rest } = value as Record<string, unknown>;
  const entry = readEntry(rest.entry);
  const holder = readHolder(rest.holder);
  if (typeof term !== "number" || entry === null) return null;
  if (votedFor !== null && typeof votedFor !== "number") return null;
  if (rest.holder !== null && holder === null) return null;
  return { term, votedFor, entry, holder };
}

function readState(path: string): Result<Durable, string> {
  const content = readTextFile(path);
  if (content.ok) return parseState(content.value);
  return /no such file/i.test(content.error) ? succeed(NOTHING_DURABLE) : content;
}

function explainLock(
  refusal: { readonly heldByPid: number | null; readonly message: string },
  directory: string,
  id: number,
): { readonly message: string; readonly hint: string } {
  if (refusal.heldByPid !== null) {
    return {
      message: `node ${id} already runs on this machine, as process ${refusal.heldByPid}`,
      hint: "Give each node its own number in the file pgpool_node_id.",
    };
  }
  return {
    message: `cannot lock the watchdog's state in ${directory}: ${refusal.message}`,
    hint: "work_dir must exist and be writable for the user that runs the node.",
  };
}

function digestOf(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
