import { createHash, randomBytes } from "node:crypto";
import { constants, fstatSync, readFileSync, statSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { assert, fail, succeed, type Result } from "../../base/index.ts";
import {
  FILE_BYTES_MAX,
  lockFile,
  systemErrorText,
  writeFileDurably,
  type FileLock,
} from "../../os/index.ts";
import { readEntry, readHolder } from "../../wire/watchdog/index.ts";
import { NOTHING_DURABLE, type Durable } from "../core/consensus/index.ts";
import {
  decodeFile,
  encodeNewFile,
  encodeRecord,
  offsetOf,
  SECTOR_BYTES,
  slotSectorsFor,
  type Geometry,
} from "./state-file-slots.ts";
import type { Refusal } from "./supervisor-link.ts";

/** Term, vote, state and holder on disk, synced before anybody is answered. */
export interface StateFile {
  /** What was written last; of a damaged file, nothing. */
  readonly initial: Durable;
  /**
   * Why this node must follow and never vote: what it had promised cannot be read, or what it
   * promises cannot be kept. Null: all is well. The file on disk is left as it is, for whoever
   * repairs it.
   */
  readonly damaged: Refusal | null;
  /**
   * When it succeeds, the state survives a power loss. One at a time.
   *
   * Errors: what the disk says, or that the file was taken away. Then every later write fails
   * without touching the disk: what a failed sync has lost, a later one may call written.
   */
  write(durable: Durable): Promise<Result<void, string>>;
  close(): Promise<void>;
}

const VOTES_NO_MORE =
  "Until then this node follows the others and shows their state, but does not vote.";

/**
 * Opens and locks the state of node `id` in `directory`. The id is in the names, so nodes of one
 * machine may share a directory, and the same id cannot run twice.
 *
 * A damaged file, or a disk that takes no file, ends nothing: the answer says so in `damaged`. It
 * is never taken for an empty one, because a forgotten vote could be given twice.
 *
 * Errors: another process has the lock.
 */
export async function openStateFile(
  directory: string,
  id: number,
): Promise<Result<StateFile, Refusal>> {
  const path = join(directory, `pgquorum_node_${id}.state`);
  const lock = await lockFile(join(directory, `pgquorum_node_${id}.lock`));
  if (!lock.ok) {
    if (lock.error.heldByPid !== null) return fail(explainHeld(id, lock.error.heldByPid));
    const message = `cannot lock the watchdog's state in ${directory}: ${lock.error.message}`;
    return succeed(new MuteFile(unwritable(message), null));
  }
  const opened = await openSlots(path, id);
  if (!opened.ok) return succeed(new MuteFile(opened.error, lock.value));
  const { slots, initial } = opened.value;
  return succeed(new FileOfState(slots, initial, lock.value));
}

/** The file of a node that must not vote: nothing is read from it, and nothing written. */
class MuteFile implements StateFile {
  readonly initial = NOTHING_DURABLE;
  readonly damaged: Refusal;
  readonly #lock: FileLock | null;

  constructor(damaged: Refusal, lock: FileLock | null) {
    this.damaged = damaged;
    this.#lock = lock;
  }

  async write(): Promise<Result<void, string>> {
    return await Promise.resolve(fail(this.damaged.message));
  }

  async close(): Promise<void> {
    await this.#lock?.release();
  }
}

class FileOfState implements StateFile {
  readonly initial: Durable;
  readonly damaged = null;
  readonly #slots: Slots;
  readonly #lock: FileLock;
  #isWriting = false;
  #failure: string | null = null;

  constructor(slots: Slots, initial: Durable, lock: FileLock) {
    this.#slots = slots;
    this.initial = initial;
    this.#lock = lock;
  }

  async write(durable: Durable): Promise<Result<void, string>> {
    assert(!this.#isWriting, "the watchdog's state is written once at a time");
    if (this.#failure !== null) return fail(this.#failure);
    this.#isWriting = true;
    const written = await this.#slots.write(Buffer.from(formatState(durable), "utf8"));
    this.#isWriting = false;
    if (!written.ok) this.#failure = written.error;
    return written;
  }

  async close(): Promise<void> {
    await this.#slots.close();
    await this.#lock.release();
  }
}

/** The open file with its two slots: see state-file-slots.ts. */
class Slots {
  readonly #path: string;
  readonly #nodeId: number;
  #file: FileHandle;
  #slotSectors: number;
  #number: number;

  constructor(path: string, nodeId: number, file: FileHandle, slotSectors: number, number: number) {
    this.#path = path;
    this.#nodeId = nodeId;
    this.#file = file;
    this.#slotSectors = slotSectors;
    this.#number = number;
  }

  async write(payload: Buffer): Promise<Result<void, string>> {
    try {
      const stat = fstatSync(this.#file.fd);
      const isOurs = stat.nlink > 0 && stat.size === 2 * this.#slotSectors * SECTOR_BYTES;
      if (!isOurs) return fail(`${this.#path} was removed, replaced or cut while the node runs`);
      if (slotSectorsFor(payload.length) > this.#slotSectors) return await this.#grow(payload);
      const geometry: Geometry = { nodeId: this.#nodeId, slotSectors: this.#slotSectors };
      const number = this.#number + 1;
      const bytes = encodeRecord(geometry, number, randomBytes(8), payload);
      // The file is open for synchronous writes: when this returns, the disk has it.
      const { bytesWritten } = await this.#file.write(
        bytes,
        0,
        bytes.length,
        offsetOf(geometry, number),
      );
      if (bytesWritten !== bytes.length) return fail("the disk took a part of it only");
      this.#number = number;
      return succeed(undefined);
    } catch (error) {
      return fail(systemErrorText(error));
    }
  }

  async #grow(payload: Buffer): Promise<Result<void, string>> {
    const grown = await createFile(this.#path, this.#nodeId, payload);
    if (!grown.ok) return grown;
    await this.#file.close();
    this.#file = grown.value.file;
    this.#slotSectors = grown.value.slotSectors;
    this.#number = 1;
    return succeed(undefined);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

async function openSlots(
  path: string,
  nodeId: number,
): Promise<Result<{ slots: Slots; initial: Durable }, Refusal>> {
  const content = readWhole(path);
  if (content === null) {
    const payload = Buffer.from(formatState(NOTHING_DURABLE), "utf8");
    const created = await createFile(path, nodeId, payload);
    if (!created.ok) return fail(unwritable(`cannot write ${path}: ${created.error}`));
    const { file, slotSectors } = created.value;
    return succeed({
      slots: new Slots(path, nodeId, file, slotSectors, 1),
      initial: NOTHING_DURABLE,
    });
  }
  if (!content.ok) return fail(unusable(path, content.error));
  const record = decodeFile(nodeId, content.value);
  if (!record.ok) return fail(unusable(path, record.error));
  const { number, payload, slotSectors } = record.value;
  const initial = parseState(payload.toString("utf8"));
  if (!initial.ok) return fail(unusable(path, initial.error));
  try {
    const slots = new Slots(path, nodeId, await openSynced(path), slotSectors, number);
    // Written once at start: a disk that takes nothing shows itself now, not in an election.
    const written = await slots.write(payload);
    if (written.ok) return succeed({ slots, initial: initial.value });
    await slots.close();
    return fail(unwritable(`cannot write ${path}: ${written.error}`));
  } catch (error) {
    return fail(unwritable(`cannot write ${path}: ${systemErrorText(error)}`));
  }
}

/** A new file in the place of the old one, if any: after a crash there is one of the two. */
async function createFile(
  path: string,
  nodeId: number,
  payload: Buffer,
): Promise<Result<{ file: FileHandle; slotSectors: number }, string>> {
  const slotSectors = slotSectorsFor(payload.length);
  const bytes = encodeNewFile({ nodeId, slotSectors }, randomBytes(8), payload);
  const written = await writeFileDurably(path, bytes);
  if (!written.ok) return written;
  try {
    return succeed({ file: await openSynced(path), slotSectors });
  } catch (error) {
    return fail(systemErrorText(error));
  }
}

/** O_DSYNC: a write returns when data and length are on the disk; one call instead of two. */
async function openSynced(path: string): Promise<FileHandle> {
  return await open(path, constants.O_RDWR | constants.O_DSYNC);
}

/** Null: there is no such file. */
function readWhole(path: string): Result<Buffer, string> | null {
  try {
    if (statSync(path).size > FILE_BYTES_MAX) return fail(`longer than ${FILE_BYTES_MAX} bytes`);
    return succeed(readFileSync(path));
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    return isMissing ? null : fail(systemErrorText(error));
  }
}

/** The text of a record: the SHA-256 of the state, and the state as JSON. */
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

function explainHeld(id: number, pid: number): Refusal {
  return {
    message: `node ${id} already runs on this machine, as process ${pid}`,
    hint: "Give each node its own number in the file pgpool_node_id.",
  };
}

function unusable(path: string, why: string): Refusal {
  return {
    message: `the watchdog's state file ${path} cannot be used: ${why}`,
    hint: `Restore it, or, while the other nodes have a leader without this one, delete it: this node then starts as a new member. Restart the node after that. ${VOTES_NO_MORE}`,
  };
}

function unwritable(message: string): Refusal {
  return {
    message: `the watchdog's state cannot be stored: ${message}`,
    hint: `work_dir must exist, have room and be writable for the user that runs the node. Restart the node after that. ${VOTES_NO_MORE}`,
  };
}

function digestOf(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
