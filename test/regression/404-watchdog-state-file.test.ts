import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  formatState,
  openStateFile,
  parseState,
  type StateFile,
} from "../../src/watchdog/driver/state-file.ts";
import { NOTHING_DURABLE, type Durable } from "../../src/watchdog/core/consensus/index.ts";

const DURABLE: Durable = {
  term: 7,
  votedFor: 2,
  entry: { term: 6, index: 9, value: { backends: ["up", "down"], text: "line\nbreak ü" } },
  holder: { nodeId: 1, term: 6, releaseHash: "ab".repeat(32) },
};

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

async function refusal(id = 0, where = directory): Promise<string> {
  const file = await openStateFile(where, id);
  if (file.ok) opened.push(file.value);
  return file.ok ? "opened" : `${file.error.message} ${file.error.hint}`;
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

describe("the watchdog's state file", () => {
  it("gives back what was written last, and leaves nothing but itself", async () => {
    const first = await open();
    expect(first.initial).toEqual(NOTHING_DURABLE);
    expect(await first.write({ ...DURABLE, term: 6 })).toMatchObject({ ok: true });
    expect(await first.write(DURABLE)).toMatchObject({ ok: true });
    await opened.pop()?.close();
    expect(readdirSync(directory)).toEqual(["pgquorum_node_0.state"]);
    expect((await open()).initial).toEqual(DURABLE);
  });

  it("keeps the nodes of one machine apart", async () => {
    await (await open(0)).write(DURABLE);
    expect((await open(1)).initial).toEqual(NOTHING_DURABLE);
  });

  it("is never taken for an empty one when it is torn or changed, and says what to do", async () => {
    const text = formatState(DURABLE);
    const spoil: (() => void)[] = [
      () => writeFileSync(path(), ""),
      () => truncateSync(path(), text.length / 2),
      () => writeFileSync(path(), text.replace('"term":7', '"term":6')),
    ];
    for (const damage of spoil) {
      writeFileSync(path(), text);
      damage();
      const said = await refusal();
      expect(said).toContain(path());
      expect(said).toContain("delete it");
    }
    // The refusals hold no lock: repaired, it opens.
    writeFileSync(path(), text);
    expect((await open()).initial).toEqual(DURABLE);
  });

  it("opens once at a time, and names the process that has it", async () => {
    await open();
    expect(await refusal()).toContain(`process ${process.pid}`);
  });

  it("says that the directory is missing", async () => {
    const missing = join(directory, "missing");
    const said = await refusal(0, missing);
    expect(said).toContain(missing);
    expect(said).toContain("work_dir");
  });

  it("says that the directory cannot be written to", async () => {
    expect(await refusal(0, "/sys")).toContain("work_dir must exist and be writable"); // Not even by root.
  });

  it("reports a write that failed, and leaves no half of it", async () => {
    const file = await open();
    rmSync(path());
    mkdirSync(path());
    expect(await file.write(DURABLE)).toMatchObject({ ok: false });
    expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
