import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  firstClusterState,
  readStatusFile,
  startFailoverRunner,
  statusFilePath,
  writeStatusFile,
  type ClusterState,
  type FailoverRunner,
  type FailoverSettings,
} from "../../src/backend/index.ts";
import { Secret } from "../../src/base/index.ts";
import type { RequestKind } from "../../src/wire/ipc/index.ts";
import { NO_RECOVERY } from "../support/no-recovery.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { ThrowawayPostgres } from "../support/throwaway-postgres.ts";

let primary: ThrowawayPostgres;
let standby: ThrowawayPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "pgquorum-failover-"));
  primary = await ThrowawayPostgres.start();
  standby = await ThrowawayPostgres.start({ standbyOf: primary });
});

afterAll(async () => {
  await standby.remove();
  await primary.remove();
  rmSync(directory, { recursive: true, force: true });
});

/** A node without a watchdog: what it proposes is committed. */
class LoneNode {
  readonly log = new RecordedLog();
  readonly runner: FailoverRunner;
  index: number;
  committed: ClusterState | null;
  #waiters: { isReached: (state: ClusterState) => boolean; resolve: () => void }[] = [];

  constructor(settings: FailoverSettings, origin: string, committed: ClusterState | null = null) {
    this.committed = committed;
    this.index = committed === null ? 0 : 1;
    this.runner = startFailoverRunner({
      prepareSwitchover: () => Promise.resolve(null),
      settings,
      origin,
      initial: firstClusterState([0, 1], new Set(), Date.now()),
      login: { user: "postgres", password: new Secret(""), database: "" },
      connectTimeoutMs: 1000,
      recovery: NO_RECOVERY,
      log: this.log,
      propose: ({ state }) => this.#commit(state),
    });
    this.runner.deliver({ type: "committed", index: this.index, state: committed });
    this.runner.mayLeadUntil(Infinity);
    this.runner.deliver({ type: "leadership", leads: true, wallMs: Date.now() });
  }

  request(kind: RequestKind, backendIds: readonly number[]): void {
    const request = { kind, backendIds, confirmed: false, switchoverTo: null, reason: "test" };
    this.runner.deliver({ type: "granted", request, wallMs: Date.now() });
  }

  until(isReached: (state: ClusterState) => boolean): Promise<void> {
    if (this.committed !== null && isReached(this.committed)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ isReached, resolve });
    });
  }

  #commit(state: ClusterState): void {
    this.index += 1;
    this.committed = state;
    this.runner.deliver({ type: "committed", index: this.index, state });
    this.runner.deliver({ type: "settled", index: this.index });
    for (const waiter of this.#waiters) if (waiter.isReached(state)) waiter.resolve();
  }
}

function settingsWith(failoverCommand: string): FailoverSettings {
  const servers = [primary, standby];
  return {
    backends: servers.map((server, id) => ({
      id,
      hostname: server.hostname,
      port: server.port,
      dataDirectory: server.data,
      mayFailover: true,
      alwaysPrimary: false,
    })),
    isStreaming: true,
    failoverCommand,
    failbackCommand: "",
    demoteCommand: "",
    followPrimaryCommand: "",
    commandTimeoutMs: 60_000,
    followTimeoutMs: 0,
    commandRetriesMax: 2,
    candidate: "id",
    candidateTimeoutMs: 3000,
    searchPrimaryTimeoutMs: 20_000,
    compatVersion: "4.7",
  };
}

describe("a failover with real servers", () => {
  let unfinished: ClusterState | null = null;

  it("is left unfinished by a leader that goes in the middle, whose command goes with it", async () => {
    const first = new LoneNode(settingsWith("echo working; sleep 60"), "first");
    await first.until(({ primaryId }) => primaryId === 0);
    expect(first.committed?.identity?.timeline).toBe(1);
    await primary.stop();
    first.request("detach", [0]);
    await first.until(({ intent }) => intent !== null);
    unfinished = first.committed;
    await first.runner.stop();
    expect(unfinished?.primaryId).toBeNull();
    expect(unfinished?.backends.map(({ state }) => state)).toEqual(["down", "waiting"]);
  });

  it("is taken over by the next: the standby is promoted, found, and all is on record", async () => {
    const runs = join(directory, "runs");
    const command =
      `echo "$PGQUORUM_EPOCH %d %h %p %D %m %H %M %P" >> ${runs}; ` +
      `echo promoting %m; ${standby.promoteCommand}; exit 7`;
    const second = new LoneNode(settingsWith(command), "second", unfinished);
    await second.until(({ primaryId }) => primaryId === 1);
    await second.runner.stop();
    expect(readFileSync(runs, "utf8")).toBe(
      `4 0 127.0.0.1 ${primary.port} ${primary.data} 1 127.0.0.1 0 0\n`,
    );
    const { committed, log } = second;
    expect(committed).toMatchObject({ epoch: 5, intent: null, identity: { timeline: 2 } });
    expect(committed?.history).toMatchObject([
      { kind: "primary", newPrimaryId: 0 },
      { kind: "detach", epoch: 3, lastEpoch: 5, backendIds: [0], oldPrimaryId: 0, newPrimaryId: 1 },
    ]);
    expect(committed?.history[1]?.commands).toMatchObject([{ kind: "failover", exitCode: 7 }]);
    expect(committed?.history[1]?.commands[0]?.outputTail).toContain("promoting 1");
    const marks = [
      "main LOG taking over the unfinished detach of node 0",
      "main LOG failover command: promoting 1",
      "main LOG find_primary_node: primary node is 1",
      "main LOG failover: set new primary node: 1",
      "main LOG failover: set new main node: 1",
      `main LOG === Failover done. shutdown host 127.0.0.1(${primary.port}) ===`,
    ];
    expect(log.lines.filter((line) => marks.includes(line))).toEqual(marks);
  });

  it("does not take the old primary for one of ours when it comes back as it was", async () => {
    await primary.start();
    const state: ClusterState = {
      ...firstClusterState([0, 1], new Set(), 0),
      identity: { systemIdentifier: (await systemIdentifier()) ?? "", timeline: 2 },
    };
    const node = new LoneNode(settingsWith(""), "third", state);
    await node.until(({ primaryId }) => primaryId !== null);
    await node.runner.stop();
    expect(node.committed?.primaryId).toBe(1);
  });

  async function systemIdentifier(): Promise<string | undefined> {
    return (await standby.sql("SELECT system_identifier FROM pg_control_system()"))[0];
  }
});

describe("the status file", () => {
  it("keeps who was down, and is left alone when all are", async () => {
    const log = new RecordedLog();
    const path = statusFilePath(directory);
    expect(readStatusFile(path, log).size).toBe(0);
    await writeStatusFile(path, firstClusterState([0, 1], new Set([1]), 0), log);
    await writeStatusFile(path, firstClusterState([0, 1], new Set([0, 1]), 0), log);
    expect(readFileSync(path, "utf8")).toBe("up\ndown\n");
    expect([...readStatusFile(path, log)]).toEqual([1]);
    expect(log.lines).toEqual([
      `main LOG Backend status file ${path} does not exist`,
      "main WARNING All the DB nodes are in down status and skip writing status file.",
      "main LOG reading status file: 1 th backend is set to down status",
    ]);
  });

  it("says what keeps it from being written", async () => {
    const log = new RecordedLog();
    const path = join(directory, "missing", "pgpool_status");
    await writeStatusFile(path, firstClusterState([0], new Set(), 0), log);
    expect(log.lines).toEqual([
      `main WARNING failed to write status file at: "${path}" | No such file or directory`,
    ]);
  });
});
