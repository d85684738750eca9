import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  formatState,
  openStateFile,
  parseState,
  type StateFile,
} from "../../src/watchdog/driver/state-file.ts";
import {
  decodeFile,
  encodeNewFile,
  encodeRecord,
  offsetOf,
  SECTOR_BYTES,
  slotSectorsFor,
} from "../../src/watchdog/driver/state-file-slots.ts";
import type { Step } from "../../src/base/index.ts";
import {
  consensus,
  NO_FENCE,
  NOTHING_DURABLE,
  startState,
  timingFor,
  type Action,
  type Durable,
  type State,
} from "../../src/watchdog/core/consensus/index.ts";
import type { ConsensusMessage } from "../../src/wire/watchdog/index.ts";

const DURABLE: Durable = {
  term: 7,
  votedFor: 2,
  entry: {
    term: 6,
    index: 9,
    value: { backends: ["up", "down"], text: "line\nbreak ü" },
    members: [0, 1, 2],
    before: null,
  },
  holder: { nodeId: 1, term: 6, releaseHash: "ab".repeat(32), closeBoundMs: 2500 },
};

const isRoot = process.getuid?.() === 0;
/** In the name, so that whoever skips them reads it. */
const WHY = isRoot ? "" : " (skipped: only root may mount a file system)";

let directory = "";
const opened: StateFile[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pgquorum-state-"));
});

afterEach(async () => {
  for (const file of opened.splice(0)) await file.close();
  rmSync(directory, { recursive: true, force: true });
});

async function open(id = 0, where = directory): Promise<StateFile> {
  const file = await openStateFile(where, id);
  if (!file.ok) throw new Error(`${file.error.message} (${file.error.hint})`);
  opened.push(file.value);
  return file.value;
}

/** What a node that has to be quiet says, and that it writes nothing. */
async function complaint(id = 0, where = directory): Promise<string> {
  const file = await open(id, where);
  const { damaged } = file;
  if (damaged === null) return "opened well";
  expect(file.initial).toEqual(NOTHING_DURABLE);
  expect((await file.write(DURABLE)).ok).toBe(false);
  await file.close();
  opened.splice(opened.indexOf(file), 1);
  return `${damaged.message} ${damaged.hint}`;
}

function path(id = 0): string {
  return join(directory, `pgquorum_node_${id}.state`);
}

describe("the text of the watchdog's state", () => {
  it("comes back as it was", () => {
    for (const durable of [DURABLE, NOTHING_DURABLE]) {
      expect(parseState(formatState(durable))).toEqual({ ok: true, value: durable });
    }
  });

  it("is refused when it ends anywhere before its end", () => {
    const text = formatState(DURABLE);
    // The last character is the line end, which carries nothing.
    for (let length = 0; length < text.length - 1; length++) {
      expect(parseState(text.slice(0, length)).ok, `${length} characters`).toBe(false);
    }
  });

  it("is refused when any bit of it is turned", () => {
    const bytes = Buffer.from(formatState(DURABLE), "utf8");
    for (let bit = 0; bit < (bytes.length - 1) * 8; bit++) {
      const turned = Buffer.from(bytes);
      turned.writeUInt8(turned.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(parseState(turned.toString("utf8")).ok, `bit ${bit}`).toBe(false);
    }
  });

  it.each(["null", "[]", "7", "not JSON", '{"term":1}', '{"term":1,"votedFor":"0","entry":null}'])(
    "is refused when its checksum fits but it is %s",
    (text) => {
      const digest = createHash("sha256").update(text).digest("hex");
      expect(parseState(`${digest}\n${text}\n`).ok).toBe(false);
    },
  );

  it("is refused when the holder cannot be read: forgotten, it could hold beside another", () => {
    const text = JSON.stringify({ ...DURABLE, holder: { nodeId: 1 } });
    const digest = createHash("sha256").update(text).digest("hex");
    expect(parseState(`${digest}\n${text}\n`).ok).toBe(false);
  });
});

/** A file as it lies on a disk, with random records of random length. */
class PretendedDisk {
  bytes: Buffer;
  readonly #geometry = { nodeId: 0, slotSectors: slotSectorsFor(1) };
  readonly #random: () => number;

  constructor(random: () => number, payload: Buffer) {
    this.#random = random;
    this.bytes = encodeNewFile(this.#geometry, randomBytes(8), payload);
  }

  /** Writes the record after `number`; a crash leaves any of its sectors unwritten. */
  write(number: number, payload: Buffer, isCrash: boolean): void {
    const record = encodeRecord(this.#geometry, number + 1, randomBytes(8), payload);
    const offset = offsetOf(this.#geometry, number + 1);
    for (let at = 0; at < record.length; at += SECTOR_BYTES) {
      if (isCrash && this.#random() < 0.5) continue;
      record.copy(this.bytes, offset + at, at, at + SECTOR_BYTES);
    }
  }
}

/** Deterministic numbers in [0, 1). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("the two slots of the watchdog's state file", () => {
  const payload = Buffer.from(formatState(DURABLE), "utf8");
  const older = Buffer.from(formatState({ ...DURABLE, votedFor: null }), "utf8");
  const geometry = { nodeId: 0, slotSectors: slotSectorsFor(payload.length) };

  function fileOf(first: Buffer, second: Buffer): Buffer {
    const bytes = encodeNewFile(geometry, randomBytes(8), first);
    encodeRecord(geometry, 2, randomBytes(8), second).copy(bytes, offsetOf(geometry, 2));
    return bytes;
  }

  it("give back the newest record", () => {
    expect(decodeFile(0, encodeNewFile(geometry, randomBytes(8), payload))).toMatchObject({
      ok: true,
      value: { number: 1, payload },
    });
    const both = decodeFile(0, fileOf(older, payload));
    expect(both).toMatchObject({ ok: true, value: { number: 2, payload } });
  });

  it("are refused when the file ends anywhere before its end, or after it", () => {
    const bytes = fileOf(older, payload);
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeFile(0, bytes.subarray(0, length)).ok, `${length} bytes`).toBe(false);
    }
    for (const extra of [1, SECTOR_BYTES, bytes.length]) {
      expect(decodeFile(0, Buffer.concat([bytes, Buffer.alloc(extra)])).ok).toBe(false);
    }
    expect(decodeFile(0, Buffer.concat([bytes, bytes])).ok).toBe(false);
  });

  it("are refused when any byte is changed, and in the sectors in use any bit", () => {
    const bytes = fileOf(older, payload);
    const random = randomFrom(404);
    for (let at = 0; at < bytes.length; at++) {
      const was = bytes.readUInt8(at);
      bytes.writeUInt8(was ^ (1 + Math.floor(random() * 255)), at);
      expect(decodeFile(0, bytes).ok, `byte ${at}`).toBe(false);
      bytes.writeUInt8(was, at);
    }
    const second = geometry.slotSectors * SECTOR_BYTES;
    for (const start of [0, second]) {
      for (let bit = start * 8; bit < (start + SECTOR_BYTES) * 8; bit++) {
        bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(decodeFile(0, bytes).ok, `bit ${bit}`).toBe(false);
        bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      }
    }
    expect(decodeFile(0, bytes).ok).toBe(true);
  });

  it("are refused when a slot is from another time, another file or another node", () => {
    const bytes = fileOf(older, payload);
    const fourth = Buffer.from(bytes);
    encodeRecord(geometry, 4, randomBytes(8), payload).copy(fourth, offsetOf(geometry, 4));
    expect(decodeFile(0, fourth)).toMatchObject({
      ok: false,
      error: "its records 1 and 4 do not follow each other",
    });
    const half = bytes.length / 2;
    expect(decodeFile(0, Buffer.concat([bytes.subarray(half), bytes.subarray(0, half)])).ok).toBe(
      false,
    );
    expect(decodeFile(1, bytes).ok).toBe(false);
  });

  it("hold through crashes in the middle of writes: the last record answered, or the one begun", () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = randomFrom(seed);
      const anyPayload = (): Buffer => randomBytes(1 + Math.floor(random() * 3000));
      let stored = anyPayload();
      let number = 1;
      const disk = new PretendedDisk(random, stored);
      for (let step = 0; step < 8; step++) {
        const begun = anyPayload();
        const isCrash = random() < 0.6;
        disk.write(number, begun, isCrash);
        const read = decodeFile(0, disk.bytes);
        expect(read.ok, `seed ${seed} step ${step}`).toBe(true);
        if (!read.ok) break;
        const isBegun = read.value.payload.equals(begun);
        if (!isCrash) expect(isBegun, `seed ${seed} step ${step}`).toBe(true);
        if (!isBegun) expect(read.value.payload.equals(stored), `seed ${seed}`).toBe(true);
        stored = read.value.payload;
        number = read.value.number;
      }
    }
  });
});

describe("the watchdog's state file", () => {
  it("gives back what was written last, and leaves nothing but itself", async () => {
    const first = await open();
    expect(first.initial).toEqual(NOTHING_DURABLE);
    for (const term of [5, 6, 7]) {
      expect(await first.write({ ...DURABLE, term })).toMatchObject({ ok: true });
    }
    await opened.pop()?.close();
    expect(readdirSync(directory)).toEqual(["pgquorum_node_0.state"]);
    expect((await open()).initial).toEqual(DURABLE);
  });

  it("grows with a longer state, and shrinks back in what it gives", async () => {
    const file = await open();
    const longer = { ...DURABLE, entry: { ...DURABLE.entry, value: "x".repeat(100_000) } };
    for (const durable of [DURABLE, longer, DURABLE, longer]) {
      expect(await file.write(durable)).toMatchObject({ ok: true });
    }
    await opened.pop()?.close();
    const again = await open();
    expect(again.initial).toEqual(longer);
    await again.write(DURABLE);
    await opened.pop()?.close();
    expect((await open()).initial).toEqual(DURABLE);
  });

  it("keeps the nodes of one machine apart", async () => {
    await (await open(0)).write(DURABLE);
    expect((await open(1)).initial).toEqual(NOTHING_DURABLE);
  });

  it("is never taken for an empty one when it is cut or changed, says what to do, and stays as it is", async () => {
    await (await open()).write(DURABLE);
    await opened.pop()?.close();
    const bytes = readFileSync(path());
    const changed = Buffer.from(bytes);
    changed.write("8", bytes.lastIndexOf('"term":7') + 7);
    const spoilt = [
      Buffer.alloc(0),
      bytes.subarray(0, bytes.length / 2),
      changed,
      Buffer.alloc(bytes.length),
    ];
    for (const damage of spoilt) {
      writeFileSync(path(), damage);
      const said = await complaint();
      expect(said).toContain(path());
      expect(said).toContain("delete it");
      expect(said).toContain("does not vote");
      expect(readFileSync(path()).equals(damage)).toBe(true);
    }
    // It holds no lock after that: repaired, it opens.
    writeFileSync(path(), bytes);
    expect((await open()).initial).toEqual(DURABLE);
  });

  it("opens once at a time, and names the process that has it", async () => {
    await open();
    const second = await openStateFile(directory, 0);
    expect(second).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining(`process ${process.pid}`) },
    });
  });

  it("says that the directory is missing or cannot be written to", async () => {
    for (const where of [join(directory, "missing"), "/sys"]) {
      const said = await complaint(0, where); // Not even root may write to /sys.
      expect(said).toContain(where);
      expect(said).toContain("work_dir must exist");
    }
  });

  it("never writes again after a write failed: its file was taken away", async () => {
    const file = await open();
    await file.write(DURABLE);
    const bytes = readFileSync(path());
    rmSync(path());
    expect(await file.write({ ...DURABLE, term: 8 })).toMatchObject({
      ok: false,
      error: expect.stringContaining("removed"),
    });
    writeFileSync(path(), bytes);
    expect(await file.write({ ...DURABLE, term: 8 })).toMatchObject({ ok: false });
    expect(readFileSync(path()).equals(bytes)).toBe(true);
  });
});

describe.runIf(isRoot)(`a disk without room${WHY}`, () => {
  function mount(options: string): void {
    const done = spawnSync("mount", ["-t", "tmpfs", "-o", options, "pgq-state-test", directory]);
    expect(done.status, done.stderr.toString()).toBe(0);
  }

  afterEach(async () => {
    for (const file of opened.splice(0)) await file.close();
    spawnSync("umount", [directory]);
  });

  it("makes a new node quiet, and says so", async () => {
    mount("size=16k");
    expect(await complaint()).toMatch(/no space left.*work_dir must/is);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("does not trouble a node that has its file: a vote needs no new room", async () => {
    mount("size=256k");
    const file = await open();
    const room = join(directory, "room");
    expect(spawnSync("dd", ["if=/dev/zero", `of=${room}`, "bs=4k"]).status).not.toBe(0);
    for (let term = 1; term < 100; term++) {
      expect(await file.write({ ...DURABLE, term })).toMatchObject({ ok: true });
    }
    await opened.pop()?.close();
    expect((await open()).initial).toEqual({ ...DURABLE, term: 99 });
  });

  it("makes a node quiet whose disk can only be read, and keeps what is on it", async () => {
    mount("size=256k");
    await (await open()).write(DURABLE);
    await opened.pop()?.close();
    const { size } = statSync(path());
    expect(spawnSync("mount", ["-o", "remount,ro", directory]).status).toBe(0);
    expect(await complaint()).toMatch(/read-only.*work_dir must/is);
    expect(spawnSync("mount", ["-o", "remount,rw", directory]).status).toBe(0);
    expect(statSync(path()).size).toBe(size);
    expect((await open()).initial).toEqual(DURABLE);
  });
});

describe("a vote", () => {
  const TIMING = timingFor(600);

  function begin(durable: Durable, mute: string | null): State {
    return startState(
      {
        selfId: 0,
        nodeIds: [0, 1, 2],
        timing: TIMING,
        fence: NO_FENCE,
        halfVotes: false,
        durable,
        mute,
        ownReleaseHash: null,
        seed: 1,
      },
      0,
    );
  }

  /** A candidate whose log is newer than all; long after the silence of a start. */
  function ask(state: State, from: number, term: number): Step<State, Action> {
    const last = { term, index: 1_000_000 };
    const message: ConsensusMessage = {
      type: "vote-request",
      term,
      last,
      proof: null,
      asksPromise: false,
    };
    return consensus.step(state, { type: "message", from, message }, 10_000 + term * 1000);
  }

  /** Performs as the process does: what could not be stored is not answered. */
  async function grants(
    step: Step<State, Action>,
    persist: (durable: Durable) => boolean | Promise<boolean>,
  ): Promise<boolean> {
    for (const action of step.actions) {
      if (action.type === "persist" && !(await persist(action.durable))) return false;
      if (action.type !== "send") continue;
      if (action.message.type === "vote-reply" && action.message.granted) return true;
    }
    return false;
  }

  async function votesFor(file: StateFile, candidate: number): Promise<boolean> {
    const state = begin(file.initial, file.damaged?.message ?? null);
    const step = ask(state, candidate, DURABLE.term);
    return await grants(step, async (durable) => (await file.write(durable)).ok);
  }

  it("for node 2 is not given to node 1 as well, whatever became of the file", async () => {
    await (await open()).write(DURABLE);
    await opened.pop()?.close();
    const whole = readFileSync(path());
    const damages: Buffer[] = [];
    for (let at = 0; at < whole.length; at += 331) damages.push(whole.subarray(0, at));
    for (let at = 0; at < whole.length; at += 331) {
      const changed = Buffer.from(whole);
      changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at % 8)), at);
      damages.push(changed);
    }
    for (const bytes of [whole, ...damages]) {
      writeFileSync(path(), bytes);
      expect(await votesFor(await open(), 1)).toBe(false);
      await opened.pop()?.close();
    }
    // A file that was not hurt votes, for the one it voted for, and in a later term for anybody.
    writeFileSync(path(), whole);
    expect(await votesFor(await open(), 2)).toBe(true);
  });

  it("is given once a term through any number of crashes in the middle of writes", async () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = randomFrom(seed);
      const disk = new PretendedDisk(random, Buffer.from(formatState(NOTHING_DURABLE), "utf8"));
      const votes = new Map<number, number>();
      let term = 1;
      for (let start = 0; start < 10; start++) {
        const record = decodeFile(0, disk.bytes);
        if (!record.ok) throw new Error(`seed ${seed}: ${record.error}`);
        const initial = parseState(record.value.payload.toString("utf8"));
        if (!initial.ok) throw new Error(`seed ${seed}: ${initial.error}`);
        let state = begin(initial.value, null);
        let { number } = record.value;
        const run = { isDown: false };
        while (!run.isDown) {
          term += random() < 0.4 ? 1 : 0;
          const candidate = 1 + Math.floor(random() * 2);
          const step = ask(state, candidate, term);
          const isGranted = await grants(step, (durable) => {
            run.isDown = random() < 0.3;
            disk.write(number, Buffer.from(formatState(durable), "utf8"), run.isDown);
            number += 1;
            return !run.isDown;
          });
          state = step.state;
          if (!isGranted) continue;
          expect(votes.get(term) ?? candidate, `seed ${seed} term ${term}`).toBe(candidate);
          votes.set(term, candidate);
        }
      }
      expect(votes.size).toBeGreaterThan(3);
    }
  });
});
