/**
 * Commands that fail, hang or talk too much, on a whole node before real servers. The servers are
 * lost one after another; a file tells the command what to do wrong each time.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  firstClusterState,
  HistoryFile,
  plainEntry,
  readHistoryFile,
  withHistory,
  type ClusterState,
  type HistoryEntry,
} from "../../src/backend/index.ts";
import type { NodeHistory } from "../../src/wire/ipc/index.ts";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { programPath, startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { run } from "../support/programs.ts";
import { RecordedLog } from "../support/recorded-log.ts";

let postgres: PostgresCluster;
let node: LoneNode;
let directory: string;

/** What each run of failover_command did, a line each: epoch, attempt. */
const runsFile = (): string => join(directory, "runs");
const escapedFile = (): string => join(directory, "escaped");

const SCRIPT = `#!/bin/sh
# failover.sh DIRECTORY NEW_MAIN_PORT
echo "$PGQUORUM_EPOCH $PGQUORUM_ATTEMPT" >> "$1/runs"
promote() {
  ${programPath("psql")} -h 127.0.0.1 -p "$2" -U postgres -Atc "select pg_promote()"
}
case $(cat "$1/mode") in
  talk) head -c 10000000 /dev/zero | tr "\\0" x | fold -w 200; promote "$@"; echo last words ;;
  hang)
    [ "$PGQUORUM_ATTEMPT" = 2 ] && { promote "$@"; exit; }
    setsid sh -c "echo \\$\\$ > '$1/escaped'; while :; do sleep 0.1; done" &
    echo hanging; sleep 1000 ;;
  fail) echo "cannot reach the standby" >&2; exit 1 ;;
  lie) promote "$@"; exit 1 ;;
esac
`;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "pgquorum-failed-"));
  writeFileSync(join(directory, "failover.sh"), SCRIPT, { mode: 0o755 });
  postgres = await startPostgres({ standbys: 4 });
  node = await LoneNode.start({
    postgres,
    config: [
      "health_check_period = 1",
      "health_check_max_retries = 0",
      `failover_command = '${directory}/failover.sh ${directory} %r'`,
      "failover_command_timeout = 6",
      "failover_command_retries = 1",
      "failover_on_backend_error = on",
    ],
  });
}, 120_000);

afterAll(async () => {
  await node.remove();
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
});

async function history(...args: readonly string[]): Promise<readonly HistoryEntry[]> {
  const { stdout } = await node.ask("history", "--json", ...args);
  return (JSON.parse(stdout) as NodeHistory).entries as readonly HistoryEntry[];
}

/** Loses a server while the command is as told; the entry that comes of it. */
async function lose(id: number, mode: string): Promise<HistoryEntry> {
  writeFileSync(join(directory, "mode"), mode);
  await postgres.stopServer(id, "immediate");
  let found: HistoryEntry | undefined;
  await until(
    `the loss of ${id} is over`,
    async () => {
      found = (await history()).find(
        ({ kind, backendIds }) => kind === "detach" && backendIds.includes(id),
      );
      return found !== undefined;
    },
    40_000,
  );
  if (found === undefined) throw new Error("it was found");
  return found;
}

async function primaryId(): Promise<number | null> {
  return (await node.status()).view.primaryId;
}

function rssOf(pid: number): number {
  const kB = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kB) * 1024;
}

describe("a failover_command", () => {
  it("that prints 10 MB fills neither the log nor the memory, and its end is on record", async () => {
    const { supervisor } = (await node.status()).pids;
    const logBefore = node.log.length;
    const rssBefore = rssOf(supervisor);
    const entry = await lose(0, "talk");
    expect(entry).toMatchObject({ outcome: "done", oldPrimaryId: 0, newPrimaryId: 1 });
    expect(entry.commands).toMatchObject([{ exitCode: 0, timedOut: false }]);
    expect(entry.commands[0]?.outputTail).toMatch(/x{200}t\nlast words$/);
    expect(rssOf(supervisor) - rssBefore).toBeLessThan(60 * 1024 * 1024);
    const logged = node.log.slice(logBefore);
    expect(logged.length).toBeLessThan(150_000);
    expect(logged).toMatch(/failover command: \(\d+ more lines, not logged\)/);
    expect(logged).toContain("failover command: last words");
  }, 60_000);

  it("that never ends is ended with all that it started, and run again", async () => {
    const entry = await lose(1, "hang");
    expect(entry).toMatchObject({ outcome: "done", oldPrimaryId: 1, newPrimaryId: 2 });
    expect(entry.commands).toMatchObject([
      { timedOut: true, outputTail: "hanging" },
      { exitCode: 0, timedOut: false },
    ]);
    const [first, second] = entry.commands;
    expect(second?.epoch).toBeGreaterThan(first?.epoch ?? Infinity);
    const escapedPid = Number(readFileSync(escapedFile(), "utf8"));
    expect(existsSync(`/proc/${escapedPid}/cwd`)).toBe(false);
    expect(node.log).toContain("failover_command for node 1 was ended because its time was over");
  }, 60_000);

  it("that exits 1 although it has promoted does no harm", async () => {
    const entry = await lose(2, "lie");
    expect(entry).toMatchObject({ outcome: "done", oldPrimaryId: 2, newPrimaryId: 3 });
    expect(entry.problem).toBe("failover_command for node 2 ended with status 1");
    expect(entry.commands).toHaveLength(1);
  }, 60_000);

  it("that exits 1 is run again, then FAILED: in history, log and status, and clients are told", async () => {
    const entry = await lose(3, "fail");
    const problem = "failover_command for node 3 ended with status 1; no new primary was found";
    expect(entry).toMatchObject({ outcome: "failed", newPrimaryId: null, problem });
    expect(entry.commands).toMatchObject([
      { exitCode: 1, outputTail: "cannot reach the standby" },
      { exitCode: 1, outputTail: "cannot reach the standby" },
    ]);
    const place = `127.0.0.1(${postgres.servers[3]?.port})`;
    expect(node.log).toContain(`=== Failover FAILED. shutdown host ${place} ===`);
    expect(node.log).not.toContain(`=== Failover done. shutdown host ${place} ===`);
    expect((await node.ask("status")).stdout).toContain(`the last failover FAILED: ${problem}`);
    const startedMs = performance.now();
    const told = await node
      .client({ database: "postgres" })
      .then(
        async (client) => await client.query("create table t (i int)").then(String, String),
        String,
      );
    expect(told).toMatch(/primary/);
    expect(performance.now() - startedMs).toBeLessThan(12_000);
  }, 90_000);

  it("is not needed any more when somebody promotes by hand", async () => {
    await postgres.promote(4);
    await until("the new primary is found", async () => (await primaryId()) === 4);
    expect((await history()).at(-1)).toMatchObject({ kind: "primary", newPrimaryId: 4 });
    expect((await node.ask("status")).stdout).not.toContain("FAILED");
  }, 30_000);

  it("was run once in an epoch", () => {
    const runs = readFileSync(runsFile(), "utf8").trimEnd().split("\n");
    expect(runs.map((line) => line.split(" ")[1])).toEqual(["1", "1", "2", "1", "1", "2"]);
    expect(new Set(runs.map((line) => line.split(" ")[0])).size).toBe(runs.length);
  });
});

describe("maintenance", () => {
  it("keeps a lost server where it is until it is over, and a person's wish goes through", async () => {
    await postgres.startServer(3);
    const asked = await node.pcp("pcp_attach_node", "-n", "3");
    expect(asked.exitCode).toBe(0);
    await node.ask("maintenance", "on", "--reason", "new disks");
    expect((await node.status()).view.maintenance?.reason).toBe("new disks");
    expect((await node.ask("status")).stdout).toContain(": new disks; no failover happens");
    await postgres.stopServer(4, "immediate");
    await until("it says what it does not do", () =>
      Promise.resolve(node.log.includes("would detach node 4, but maintenance has been on")),
    );
    expect((await history()).at(-1)?.kind).toBe("maintenance-on");
    await node.ask("maintenance", "off");
    await until(
      "the failover happens after all",
      async () =>
        (await history()).some(({ backendIds, kind }) => kind === "detach" && backendIds[0] === 4),
      40_000,
    );
    expect(node.log).toContain("maintenance is over");
  }, 90_000);
});

describe("the history", () => {
  it("is shown for people, and by number and epoch", async () => {
    const { stdout } = await node.ask("history", "--limit", "100");
    expect(stdout).toContain("its time was over, ended by SIGTERM");
    expect(stdout).toContain("| cannot reach the standby");
    expect(await history("--limit", "2")).toHaveLength(2);
    const failed = (await history()).find(({ outcome }) => outcome === "failed");
    expect(await history("--epoch", String(failed?.lastEpoch))).toMatchObject([
      { outcome: "failed" },
    ]);
  });

  it("is there when the node is not", async () => {
    const before = await history("--limit", "100");
    node.signal("SIGINT");
    await node.ended;
    const file = join(node.home, "pgpool.conf");
    const program = join(import.meta.dirname, "../../bin/pgquorum");
    const ended = await run(program, ["history", "-f", file, "--json", "--limit", "100"]);
    expect(ended.exitCode).toBe(0);
    expect(ended.stderr).toContain("does not run; this is what its file has");
    expect((JSON.parse(ended.stdout) as NodeHistory).entries).toEqual(before);
  });
});

describe("the file of the history", () => {
  function stateWith(count: number, path: string): { file: HistoryFile; state: ClusterState } {
    let state = firstClusterState([0], new Set(), 0);
    for (let epoch = 1; epoch <= count; epoch += 1) {
      const facts = { epoch, eventId: `n-${epoch}`, kind: "primary", reason: "x", endedAt: epoch };
      state = withHistory(state, plainEntry({ ...facts, kind: "primary" }));
    }
    return { file: new HistoryFile(path, new RecordedLog(), 2000), state };
  }

  it("has each event once, goes on behind a torn line, and keeps the newest", async () => {
    const path = join(directory, "kept.history");
    const first = stateWith(3, path);
    first.file.record(first.state);
    first.file.record(first.state);
    await first.file.close();
    await appendFile(path, '{"epoch":4,"lastEp');
    const second = stateWith(5, path);
    second.file.record(second.state);
    await second.file.close();
    const kept = readHistoryFile(path);
    expect(kept.ok && kept.value.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5]);
    const third = stateWith(20, path);
    third.file.record(third.state);
    await third.file.close();
    expect(statSync(path).size).toBeLessThanOrEqual(2000);
    expect(third.file.read().at(-1)?.epoch).toBe(20);
  });

  it("says once what keeps it from being written, and shows what the cluster knows", async () => {
    const log = new RecordedLog();
    const path = join(directory, "missing", "x.history");
    const { state } = stateWith(2, path);
    const file = new HistoryFile(path, log);
    file.record(state);
    await file.close();
    file.record({ ...state, epoch: 3 });
    await file.close();
    expect(log.lines).toEqual([
      `main WARNING failed to write the history to "${path}" | No such file or directory`,
    ]);
    expect(file.read().map(({ epoch }) => epoch)).toEqual([1, 2]);
  });
});
