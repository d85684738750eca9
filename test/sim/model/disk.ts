/**
 * The state file of one host: two slots, written in turn and synced. A write takes time and may
 * fail; a crash in the middle leaves some sectors of the new record. What a starting node then
 * reads is decided by the production code, from bytes.
 */
import type { Ms } from "../../../src/base/index.ts";
import { NOTHING_DURABLE, type Durable } from "../../../src/watchdog/core/consensus/index.ts";
import {
  decodeFile,
  encodeNewFile,
  encodeRecord,
  offsetOf,
  SECTOR_BYTES,
  slotSectorsFor,
  type Geometry,
} from "../../../src/watchdog/driver/state-file-slots.ts";
import { formatState, parseState } from "../../../src/watchdog/driver/state-file.ts";
import type { Random } from "../random.ts";
import type { Clockwork } from "./process.ts";

const SYNC_MS_MAX = 3;
const NODE_ID = 0;

export class Disk {
  readonly #random: Random;
  readonly #clockwork: Clockwork;
  /** The two newest records. */
  #older: Durable = NOTHING_DURABLE;
  #stored: Durable = NOTHING_DURABLE;
  #number = 2;
  #pending: Durable | null = null;
  #isDamaged = false;
  #end: () => void = () => undefined;
  slowMs: Ms = 0;
  slowUntilMs: Ms = 0;
  failsUntilMs: Ms = 0;
  /** The next crash in the middle of a write leaves a part of it; half a sector, if it lies. */
  tearsNext: "sectors" | "bytes" | null = null;

  constructor(random: Random, clockwork: Clockwork) {
    this.#random = random;
    this.#clockwork = clockwork;
  }

  /**
   * @param onEnd true: the state is durable.
   * @returns what happens to the write when its process dies before.
   */
  write(durable: Durable, onEnd: (isWritten: boolean) => void): () => void {
    const { nowMs } = this.#clockwork;
    let isCut = false;
    this.#pending = durable;
    const extraMs = nowMs < this.slowUntilMs ? this.#random.next() * this.slowMs : 0;
    const end = (): void => {
      if (isCut) return;
      isCut = true;
      this.#pending = null;
      const isWritten = this.#clockwork.nowMs >= this.failsUntilMs;
      if (isWritten) this.#store(durable);
      onEnd(isWritten);
    };
    this.#end = end;
    this.#clockwork.after(0.05 + this.#random.next() * SYNC_MS_MAX + extraMs, end);
    return () => {
      isCut = true;
      this.#cut();
    };
  }

  /** It works again, and what it was busy with is done. */
  repair(): void {
    this.failsUntilMs = 0;
    this.slowUntilMs = 0;
    this.tearsNext = null;
    this.#end();
  }

  /** What a starting process reads; null: the file is damaged. */
  read(): Durable | null {
    return this.#isDamaged ? null : this.#stored;
  }

  /** Somebody flips a bit of the file at rest. */
  flipBit(): void {
    const bytes = this.#bytes();
    const index = this.#random.below(bytes.length);
    bytes[index] = (bytes[index] ?? 0) ^ (1 << this.#random.below(8));
    this.#readBack(bytes);
  }

  #store(durable: Durable): void {
    this.#older = this.#stored;
    this.#stored = durable;
    this.#number += 1;
  }

  #cut(): void {
    const pending = this.#pending;
    this.#pending = null;
    if (pending === null) return;
    const how = this.tearsNext;
    this.tearsNext = null;
    if (how === null) {
      if (this.#random.chance(0.5)) this.#store(pending);
      return;
    }
    const bytes = this.#bytes();
    const record = this.#record(pending, this.#number + 1);
    const offset = offsetOf(geometryFor(pending), this.#number + 1);
    for (let at = 0; at < record.length; at += SECTOR_BYTES) {
      if (this.#random.chance(0.5)) continue;
      const length = how === "bytes" ? this.#random.below(SECTOR_BYTES) : SECTOR_BYTES;
      record.copy(bytes, offset + at, at, at + length);
    }
    this.#readBack(bytes, pending);
  }

  #readBack(bytes: Buffer, pending: Durable | null = null): void {
    const decoded = decodeFile(NODE_ID, bytes);
    const parsed = decoded.ok ? parseState(decoded.value.payload.toString("utf8")) : decoded;
    if (!parsed.ok) this.#isDamaged = true;
    else if (pending !== null && formatState(parsed.value) === formatState(pending)) {
      this.#store(pending);
    } else this.#stored = parsed.value;
  }

  #bytes(): Buffer {
    const geometry = geometryFor(this.#stored);
    const bytes = encodeNewFile(geometry, WRITE_ID, Buffer.alloc(0));
    const older = this.#record(this.#older, this.#number - 1);
    older.copy(bytes, offsetOf(geometry, this.#number - 1));
    const newer = this.#record(this.#stored, this.#number);
    newer.copy(bytes, offsetOf(geometry, this.#number));
    return bytes;
  }

  #record(durable: Durable, number: number): Buffer {
    const payload = Buffer.from(formatState(durable), "utf8");
    return encodeRecord(geometryFor(durable), number, WRITE_ID, payload);
  }
}

const WRITE_ID = new Uint8Array(8);

/** One size for all: the states of a simulated cluster are small. */
function geometryFor(durable: Durable): Geometry {
  const lengthBytes = formatState(durable).length;
  return { nodeId: NODE_ID, slotSectors: Math.max(64, slotSectorsFor(lengthBytes)) };
}
