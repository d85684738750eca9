import { createHash, timingSafeEqual } from "node:crypto";
import { assert, fail, succeed, type Result } from "../../base/index.ts";

/**
 * The bytes of the state file: two slots, written in turn, each of which holds a whole record.
 *
 *     | slot 0: sector, sector, …  | slot 1: sector, sector, …  |       sectors of 512 bytes
 *
 *     sector  0        16       24        32       36      40       44        512
 *             | digest | number | write id | place | slot's | record's | payload |
 *                                                    sectors   bytes
 *
 * A record in place needs one sync instead of the four of "write, sync, rename, sync the
 * directory", and no free space. What a crash may leave follows from one assumption, that a disk
 * writes a sector of 512 bytes whole or not at all:
 *
 * - *Torn*: some sectors are of the record that was being written, the others of older ones. Every
 *   sector's own digest fits. Nobody was answered on the ground of that record, so the other slot,
 *   which is whole and exactly one older, is the truth.
 * - *Rotten, cut or exchanged*: a sector's digest does not fit, or the numbers of the two slots are
 *   not neighbours. It may have been the newest record that was lost, and with it a vote: that
 *   looks in no case like a torn write, and the file is refused as a whole.
 *
 * A disk that breaks the assumption leaves a sector whose digest does not fit: refused, too.
 */
export const SECTOR_BYTES = 512;
const HEADER_BYTES = 44;
const DIGEST_BYTES = 16;
const PAYLOAD_BYTES = SECTOR_BYTES - HEADER_BYTES;
const SLOTS = 2;

/** Enough for a state of 14 kB; a longer one makes the file grow. */
const SLOT_SECTORS_MIN = 32;

/** Which file it is: sectors of another node's file do not fit. */
export interface Geometry {
  readonly nodeId: number;
  readonly slotSectors: number;
}

export interface StoredRecord {
  /** Counts the records from 1; it says which slot the record is in. */
  readonly number: number;
  readonly payload: Buffer;
  readonly slotSectors: number;
}

/** How many sectors a slot needs for a record of that length: a power of two, with room to grow. */
export function slotSectorsFor(lengthBytes: number): number {
  let sectors = SLOT_SECTORS_MIN;
  while (sectors * PAYLOAD_BYTES < lengthBytes) sectors *= 2;
  return sectors;
}

/** Where the record of that number begins. */
export function offsetOf(geometry: Geometry, number: number): number {
  return (number % SLOTS) * geometry.slotSectors * SECTOR_BYTES;
}

/** @param writeId 8 random bytes, so that two attempts at one record are not taken for one. */
export function encodeRecord(
  geometry: Geometry,
  number: number,
  writeId: Uint8Array,
  payload: Uint8Array,
): Buffer {
  const count = sectorsOf(payload.length);
  assert(count <= geometry.slotSectors, `a record of ${payload.length} bytes outgrows its slot`);
  const bytes = Buffer.alloc(count * SECTOR_BYTES);
  const first = offsetOf(geometry, number) / SECTOR_BYTES;
  for (let index = 0; index < count; index++) {
    const sector = bytes.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
    sector.writeBigUInt64BE(BigInt(number), 16);
    sector.set(writeId.subarray(0, 8), 24);
    sector.writeUInt32BE(first + index, 32);
    sector.writeUInt32BE(geometry.slotSectors, 36);
    sector.writeUInt32BE(payload.length, 40);
    sector.set(payload.subarray(index * PAYLOAD_BYTES, (index + 1) * PAYLOAD_BYTES), HEADER_BYTES);
    digestOf(geometry.nodeId, sector).copy(sector, 0);
  }
  return bytes;
}

/** A whole new file with one record, the first. Every sector of it can be checked. */
export function encodeNewFile(
  geometry: Geometry,
  writeId: Uint8Array,
  payload: Uint8Array,
): Buffer {
  const { slotSectors } = geometry;
  const bytes = Buffer.alloc(SLOTS * slotSectors * SECTOR_BYTES);
  for (let place = 0; place < SLOTS * slotSectors; place++) {
    const sector = bytes.subarray(place * SECTOR_BYTES, (place + 1) * SECTOR_BYTES);
    sector.writeUInt32BE(place, 32);
    sector.writeUInt32BE(slotSectors, 36);
    digestOf(geometry.nodeId, sector).copy(sector, 0);
  }
  encodeRecord(geometry, 1, writeId, payload).copy(bytes, offsetOf(geometry, 1));
  return bytes;
}

/**
 * The newest record that somebody may have been answered on.
 *
 * Errors: what is wrong, as half a sentence for people. Then the file says nothing that may be
 * relied on.
 */
export function decodeFile(nodeId: number, bytes: Buffer): Result<StoredRecord, string> {
  const sectors: Sector[] = [];
  for (let offset = 0; offset + SECTOR_BYTES <= bytes.length; offset += SECTOR_BYTES) {
    const sector = readSector(nodeId, bytes.subarray(offset, offset + SECTOR_BYTES));
    if (sector?.place !== sectors.length) {
      return fail(`the 512 bytes at ${offset} are damaged: their checksum does not fit`);
    }
    sectors.push(sector);
  }
  const slotSectors = sectors[0]?.slotSectors ?? 0;
  const isWhole = slotSectors > 0 && bytes.length === SLOTS * slotSectors * SECTOR_BYTES;
  if (!isWhole || sectors.some((sector) => sector.slotSectors !== slotSectors)) {
    return fail(`it has ${bytes.length} bytes, which is not what was written`);
  }
  const slots = [sectors.slice(0, slotSectors), sectors.slice(slotSectors)].map(readSlot);
  return choose(slots, slotSectors);
}

interface Sector {
  readonly number: number;
  readonly writeId: string;
  readonly place: number;
  readonly slotSectors: number;
  readonly recordBytes: number;
  readonly payload: Buffer;
}

function readSector(nodeId: number, bytes: Buffer): Sector | null {
  if (!timingSafeEqual(digestOf(nodeId, bytes), bytes.subarray(0, DIGEST_BYTES))) return null;
  return {
    number: Number(bytes.readBigUInt64BE(16)),
    writeId: bytes.toString("hex", 24, 32),
    place: bytes.readUInt32BE(32),
    slotSectors: bytes.readUInt32BE(36),
    recordBytes: bytes.readUInt32BE(40),
    payload: bytes.subarray(HEADER_BYTES),
  };
}

/** `number` is that of the newest record of which the slot has a sector. */
interface Slot {
  readonly number: number;
  /** Null: torn. */
  readonly payload: Buffer | null;
}

function readSlot(sectors: readonly Sector[]): Slot {
  const [head] = sectors;
  assert(head !== undefined, "a slot without sectors");
  const own = sectors.slice(0, sectorsOf(head.recordBytes));
  const isOne = own.every((s) => s.number === head.number && s.writeId === head.writeId);
  if (!isOne) return { number: Math.max(...own.map((sector) => sector.number)), payload: null };
  const payload = Buffer.concat(own.map((sector) => sector.payload)).subarray(0, head.recordBytes);
  return { number: head.number, payload };
}

/** Whatever the order of writes and one crash cannot have left is damage. */
function choose(slots: readonly Slot[], slotSectors: number): Result<StoredRecord, string> {
  const [older, newer] = slots.toSorted((a, b) => a.number - b.number);
  assert(older !== undefined && newer !== undefined, "a file has two slots");
  if (newer.number !== older.number + 1) {
    return fail(`its records ${older.number} and ${newer.number} do not follow each other`);
  }
  const chosen = newer.payload === null ? older : newer;
  if (chosen.payload === null || chosen.number === 0) return fail("it has no whole record");
  // A record is only begun when the one before it stands.
  if (older.payload === null) return fail(`its record ${older.number} is incomplete`);
  return succeed({ number: chosen.number, payload: chosen.payload, slotSectors });
}

function sectorsOf(lengthBytes: number): number {
  return Math.max(1, Math.ceil(lengthBytes / PAYLOAD_BYTES));
}

function digestOf(nodeId: number, sector: Buffer): Buffer {
  return createHash("sha256")
    .update(`pgquorum state of node ${nodeId}\n`)
    .update(sector.subarray(DIGEST_BYTES))
    .digest()
    .subarray(0, DIGEST_BYTES);
}
