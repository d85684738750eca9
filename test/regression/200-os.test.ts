import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "esbuild";
import {
  CommandRight,
  lockFile,
  monotonicNowMs,
  openLog,
  readTextFile,
  runCommand,
  writeFileDurably,
} from "../../src/os/index.ts";

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "pgquorum-os-"));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A process that has ended but was not yet asked for its status is dead, too. */
function isAlive(pid: number): boolean {
  const stat = readTextFile(`/proc/${pid}/stat`);
  return stat.ok && !/\) Z /u.test(stat.value);
}

/** Polls: what is waited for belongs to another process, which sends no event. */
async function until(isTrue: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (isTrue()) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  throw new Error("it did not come true within five seconds");
}

/** A program of its own that uses `src/os`, started as a child. */
async function startProgram(source: string): Promise<ReturnType<typeof spawn>> {
  const file = join(directory, `program-${Math.random().toString(36).slice(2)}.mjs`);
  await build({
    stdin: { contents: source, resolveDir: join(import.meta.dirname, "../../src"), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: file,
    logLevel: "error",
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  return spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
}

function firstOutput(child: ReturnType<typeof spawn>): Promise<string> {
  return new Promise((resolve) =>
    child.stdout?.once("data", (text) => resolve(String(text).trim())),
  );
}

describe("a file", () => {
  it("is read whole, or the reason is told", () => {
    const path = join(directory, "text");
    writeFileSync(path, "günther\n");
    expect(readTextFile(path)).toEqual({ ok: true, value: "günther\n" });
    expect(readTextFile(`${path}.no`)).toEqual({ ok: false, error: "No such file or directory" });
    expect(readTextFile(directory)).toEqual({ ok: false, error: "Is a directory" });
  });

  it("is refused when it has no end", () => {
    expect(readTextFile("/dev/zero")).toEqual({ ok: false, error: "longer than 16777216 bytes" });
  });

  it("is replaced as a whole and leaves nothing beside it", async () => {
    const path = join(directory, "durable");
    const writes = ["one", "two", "three"].map((text) => writeFileDurably(path, text, 0o640));
    expect((await Promise.all(writes)).every(({ ok }) => ok)).toBe(true);
    expect(["one", "two", "three"]).toContain(readFileSync(path, "utf8"));
    expect(statSync(path).mode & 0o777).toBe(0o640);
    const target = join(directory, "missing", "file");
    expect(await writeFileDurably(target, "x")).toEqual({
      ok: false,
      error: "No such file or directory",
    });
    expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("a lock", () => {
  it("is refused while it is held, names the holder, and is free again afterwards", async () => {
    const path = join(directory, "lock");
    const first = await lockFile(path);
    const second = await lockFile(path);
    expect(second).toEqual({
      ok: false,
      error: { heldByPid: process.pid, message: `held by process ${process.pid}` },
    });
    if (!first.ok) throw new Error("the first must hold it");
    await first.value.release();
    const third = await lockFile(path);
    if (!third.ok) throw new Error("it was released");
    await third.value.release();
  });

  it("ends with a process that is killed, whatever the file says", async () => {
    const path = join(directory, "lock-of-another");
    const holder = await startProgram(`
      import { lockFile } from "./os/index.ts";
      const lock = await lockFile(${JSON.stringify(path)});
      console.log(lock.ok);
      setInterval(() => undefined, 1000);
    `);
    expect(await firstOutput(holder)).toBe("true");
    expect(await lockFile(path)).toMatchObject({ ok: false, error: { heldByPid: holder.pid } });
    const ended = new Promise((resolve) => holder.once("exit", resolve));
    holder.kill("SIGKILL");
    await ended;
    const mine = await lockFile(path);
    expect(mine.ok).toBe(true);
    if (mine.ok) await mine.value.release();
  });

  it("is won by exactly one of many that ask at once", async () => {
    const path = join(directory, "lock-of-many");
    const locks = await Promise.all(Array.from({ length: 10 }, () => lockFile(path)));
    const held = locks.filter((lock) => lock.ok);
    expect(held).toHaveLength(1);
    for (const lock of held) await lock.value.release();
  });

  it("says what is wrong with a path", async () => {
    const lock = await lockFile(join(directory, "missing", "lock"));
    expect(lock).toEqual({
      ok: false,
      error: { heldByPid: null, message: "No such file or directory" },
    });
  });
});

describe("a command", () => {
  it("tells its status and its last lines, bounded", async () => {
    const lines: string[] = [];
    const outcome = await runCommand({
      command: 'echo "$WORD"; echo two >&2; seq 1 300; printf "%03000d" 0; exit 3',
      env: { WORD: "one" },
      timeoutMs: 0,
      onLine: (line) => lines.push(line),
    });
    expect(outcome).toMatchObject({ exitCode: 3, signal: null, timedOut: false });
    expect(lines).toHaveLength(303);
    expect(outcome.lines).toHaveLength(200);
    expect(outcome.lines.at(-1)).toBe(`${"0".repeat(2000)}…`);
  });

  it("reads what it is given, and is found missing", async () => {
    const cat = await runCommand({ command: ["cat"], timeoutMs: 0, input: "a\nb" });
    expect(cat.lines).toEqual(["a", "b"]);
    const missing = await runCommand({ command: ["/no/such/program"], timeoutMs: 0 });
    expect(missing).toMatchObject({ exitCode: null, startError: "No such file or directory" });
    const tooLong = await runCommand({ command: ["true", "x".repeat(3_000_000)], timeoutMs: 0 });
    expect(tooLong.startError).toMatch(/^Argument list too long/u);
  });

  it("is ended after its time with all that it started, even if it ignores TERM", async () => {
    const script = 'trap "" TERM; sleep 60 & echo $!; sleep 60; sleep 60';
    const outcome = await runCommand({ command: script, timeoutMs: 200 });
    expect(outcome).toMatchObject({ exitCode: null, signal: "SIGKILL", timedOut: true });
    await until(() => !isAlive(Number(outcome.lines[0])));
  });

  it("is ended on demand", async () => {
    const stop = new AbortController();
    const ended = runCommand({ command: "sleep 60", timeoutMs: 0, signal: stop.signal });
    stop.abort();
    expect(await ended).toMatchObject({ signal: "SIGTERM", timedOut: false });
  });

  it("is not waited for by what it leaves in the background, which lives on", async () => {
    const startedMs = performance.now();
    const outcome = await runCommand({
      command: "sleep 30 & echo $!",
      timeoutMs: 0,
      killGroup: true,
    });
    expect(performance.now() - startedMs).toBeLessThan(5000);
    const pid = Number(outcome.lines[0]);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
  });

  it("dies with all its children when its parent is killed", async () => {
    const pidFile = join(directory, "grandchild");
    const parent = await startProgram(`
      import { runCommand } from "./os/index.ts";
      const command = "sleep 60 & echo $! > ${pidFile}; echo started; wait";
      await runCommand({ command, timeoutMs: 0, killGroup: true, onLine: console.log });
    `);
    expect(await firstOutput(parent)).toBe("started");
    const pid = Number(readFileSync(pidFile, "utf8"));
    expect(isAlive(pid)).toBe(true);
    parent.kill("SIGKILL");
    await until(() => !isAlive(pid));
  });

  it("is not even started by a right that has ended", async () => {
    const right = new CommandRight(monotonicNowMs() - 1);
    const outcome = await runCommand({ command: "echo started", timeoutMs: 0, right });
    expect(outcome.startError).toContain("right");
    expect(outcome.lines).toEqual([]);
  });

  it("lives as long as its right is extended, and is killed with its children when that ends", async () => {
    const right = new CommandRight(monotonicNowMs() + 300);
    const extending = setInterval(() => right.extend(monotonicNowMs() + 300), 50);
    const startedMs = performance.now();
    const command =
      'trap "" TERM; sh -c \'trap "" TERM; sleep 60\' & echo $!; sleep 0.8; echo lives; wait';
    const onLine = (line: string): void => {
      if (line === "lives") clearInterval(extending);
    };
    const outcome = await runCommand({ command, timeoutMs: 0, right, onLine });
    expect(outcome).toMatchObject({ exitCode: null, signal: "SIGKILL" });
    expect(outcome.lines[1]).toBe("lives");
    expect(performance.now() - startedMs).toBeLessThan(1900); // No time for a TERM before.
    await until(() => !isAlive(Number(outcome.lines[0])));
  });

  it("is killed at once by a right that is taken away, and no extension brings that back", async () => {
    const right = new CommandRight(Infinity);
    const ended = runCommand({ command: "sleep 60", timeoutMs: 0, right });
    right.end();
    right.extend(Infinity);
    expect(await ended).toMatchObject({ signal: "SIGKILL", timedOut: false });
  });

  it("is killed when its right ends while whoever started it is frozen", async () => {
    const parent = await startProgram(`
      import { CommandRight, monotonicNowMs, runCommand } from "./os/index.ts";
      const right = new CommandRight(monotonicNowMs() + 1000);
      setInterval(() => right.extend(monotonicNowMs() + 1000), 50);
      const command = "sleep 60 & echo $!; wait";
      await runCommand({ command, timeoutMs: 0, right, onLine: console.log });
    `);
    const pid = Number(await firstOutput(parent));
    await new Promise((resolve) => {
      setTimeout(resolve, 1500);
    });
    expect(isAlive(pid)).toBe(true);
    parent.kill("SIGSTOP");
    await until(() => !isAlive(pid));
    parent.kill("SIGKILL");
  });
});

describe("what a command has started", () => {
  const mark = { name: "PGQUORUM_COMMAND_ID", value: "test-of-the-mark-end" };
  /** Leaves the group, and waits for nobody. */
  const ESCAPE = "setsid sh -c 'echo $$; trap \"\" TERM; while :; do sleep 0.05; done' & ";

  it("is ended with it, also when it has left the process group", async () => {
    const command = `${ESCAPE} sleep 60`;
    const outcome = await runCommand({ command, mark, timeoutMs: 1500 });
    expect(outcome.timedOut).toBe(true);
    expect(outcome.lines).toHaveLength(1);
    // Not a moment later: another command may be started now.
    expect(isAlive(Number(outcome.lines[0]))).toBe(false);
  });

  it("is found by descent where the environment was cleared", async () => {
    const command = `env -i setsid sh -c 'echo $$; sleep 60; true'; true`;
    const outcome = await runCommand({ command, mark, timeoutMs: 1000 });
    expect(outcome.lines).toHaveLength(1);
    expect(isAlive(Number(outcome.lines[0]))).toBe(false);
  });

  it("is left alone when the command ends of itself, and nobody else is touched ever", async () => {
    const other = { name: mark.name, value: "test-of-the-mark" };
    const kept = await runCommand({ command: ESCAPE, mark: other, timeoutMs: 5000 });
    await runCommand({ command: "sleep 60", mark, timeoutMs: 100 });
    const pid = Number(kept.lines[0]);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
  });

  it("is killed when its right ends while whoever started it is frozen", async () => {
    const parent = await startProgram(`
      import { CommandRight, monotonicNowMs, runCommand } from "./os/index.ts";
      const right = new CommandRight(monotonicNowMs() + 1000);
      const command = ${JSON.stringify(`${ESCAPE} wait`)};
      const mark = { name: "PGQUORUM_COMMAND_ID", value: "frozen-end" };
      await runCommand({ command, mark, timeoutMs: 0, right, onLine: console.log });
    `);
    const pid = Number(await firstOutput(parent));
    parent.kill("SIGSTOP");
    await until(() => !isAlive(pid));
    parent.kill("SIGKILL");
  });

  it("may say as much as it likes: memory is bounded, and others get their turn", async () => {
    const before = process.memoryUsage().rss;
    let turnsCount = 0;
    const turns = setInterval(() => (turnsCount += 1), 5);
    const startedMs = performance.now();
    const outcome = await runCommand({ command: "yes | head -c 24000000", timeoutMs: 0 });
    const tookMs = performance.now() - startedMs;
    clearInterval(turns);
    expect(outcome.exitCode).toBe(0);
    expect(outcome.lines).toHaveLength(200);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    expect(turnsCount).toBeGreaterThan(tookMs / 50);
  });
});

describe("the log", () => {
  const base = {
    linePrefix: "%a[%p] %l: ",
    minLevel: "log",
    application: "main",
    errorVerbosity: "default",
  } as const;

  it("goes to descriptor 2 as text and as JSON, before the process ends", async () => {
    const program = await startProgram(`
      import { openLog } from "./os/index.ts";
      const options = { ...${JSON.stringify(base)}, descriptor: 1 };
      const log = openLog({ ...options, destination: "stderr, jsonlog" });
      log.write("log", "ready", { detail: "d", hint: "h" });
      log.write("warning", "hidden");
      log.change({ ...options, destination: "", minLevel: "debug1", errorVerbosity: "terse" });
      log.named("child").write("debug1", "shown", { detail: "d" });
      process.kill(process.pid, "SIGKILL");
    `);
    let text = "";
    program.stdout?.on("data", (chunk) => (text += String(chunk)));
    await new Promise((resolve) => program.stdout?.once("close", resolve));
    const [json = "", ...lines] = text.split("\n");
    expect(JSON.parse(json)).toMatchObject({
      level: "log",
      pid: program.pid,
      application: "main",
      detail: "d",
      hint: "h",
      msg: "ready",
    });
    expect(lines).toEqual([
      `main[${program.pid}] 1: LOG:  ready`,
      `main[${program.pid}] 2: DETAIL:  d`,
      `main[${program.pid}] 3: HINT:  h`,
      `child[${program.pid}] 4: DEBUG:  shown`,
      "",
    ]);
  });

  it("does not fail when nobody can take its lines", () => {
    const log = openLog({ ...base, destination: "stderr", descriptor: 9999 });
    expect(() => log.write("log", "lost")).not.toThrow();
  });
});
