import { fork, spawnSync, type ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FromWatchdog, ToWatchdog, WatchdogView } from "../../src/wire/ipc/index.ts";

/**
 * Three whole watchdog processes, each in a network namespace of its own, on one switch. Who
 * holds the virtual IP is asked of the three kernels.
 */
const PREFIX = `pgqw-${process.pid}`;
const SWITCH = `${PREFIX}-sw`;
const VIP = "10.98.0.100";
const IDS = [0, 1, 2];
const directory = mkdtempSync(join(tmpdir(), "pgquorum-watchdogs-"));
const program = join(directory, "watchdog.mjs");
const isRoot = process.getuid?.() === 0;
/** In the name, so that whoever skips them reads it. */
const WHY = isRoot ? "" : " (skipped: only root may make network namespaces and set addresses)";

function run(line: string): string {
  const [command = "", ...args] = line.split(" ");
  const outcome = spawnSync(command, args, { encoding: "utf8" });
  return outcome.stdout;
}

function namespaceOf(id: number): string {
  return `${PREFIX}-n${id}`;
}

/** A watchdog and all that it told its supervisor, which is this test. */
class Watchdog {
  readonly id: number;
  readonly child: ChildProcess;
  readonly told: FromWatchdog[] = [];
  log = "";
  #view: WatchdogView | null = null;

  constructor(id: number) {
    this.id = id;
    const config = join(directory, `n${id}`, "pgpool.conf");
    this.child = fork(program, [], {
      execPath: join(directory, `node-n${id}`),
      execArgv: [],
      env: { ...process.env, PGQUORUM_CONFIG: config },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.child.on("message", (message: FromWatchdog) => {
      this.told.push(message);
      if (message.type === "view") this.#view = message.view;
    });
    const onText = (chunk: Buffer): void => void (this.log += chunk.toString("utf8"));
    this.child.stdout?.on("data", onText);
    this.child.stderr?.on("data", onText);
    started.push(this);
  }

  get view(): WatchdogView | null {
    return this.#view;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get committed(): unknown {
    const last = this.told.findLast((message) => message.type === "committed");
    return last?.type === "committed" ? last.value : undefined;
  }

  tell(message: ToWatchdog): void {
    this.child.send(message);
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await until(`node ${this.id} has ended`, () => this.hasEnded);
  }
}

const started: Watchdog[] = [];
let nodes: Watchdog[] = [];

async function delay(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(what: string, condition: () => boolean, limitMs = 10_000): Promise<number> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > limitMs) {
      const logs = started
        .slice(-4)
        .map(({ id, log, told }) => `--- ${id}\n${log.slice(-1500)}${JSON.stringify(told.at(-1))}`);
      throw new Error(`not within ${limitMs} ms: ${what}\n${logs.join("\n")}`);
    }
    await delay(5);
  }
  return performance.now() - startMs;
}

/** The nodes whose kernel has the virtual IP. */
function holders(): number[] {
  return IDS.filter((id) => run(`ip -n ${namespaceOf(id)} -o addr show to ${VIP}`) !== "");
}

function leaderOf(all: readonly Watchdog[]): Watchdog | undefined {
  return all.find((node) => !node.hasEnded && node.view?.isLeader === true && node.view.hasQuorum);
}

async function untilWhole(): Promise<Watchdog> {
  await until("one leader, followed by all, holds the address", () => {
    const leader = leaderOf(nodes);
    const isFollowed = nodes.every((node) => node.view?.leaderId === leader?.id);
    return leader !== undefined && isFollowed && holders().join() === `${leader.id}`;
  });
  const leader = leaderOf(nodes);
  if (leader === undefined) throw new Error("the leader went away");
  return leader;
}

function writeConfig(id: number, authkey: string): void {
  const lines = IDS.flatMap((node) => [
    `hostname${node} = '10.98.0.1${node}'`,
    `pgpool_port${node} = 9999`,
    `wd_port${node} = 9000`,
    `heartbeat_hostname${node} = '10.98.0.1${node}'`,
    `heartbeat_port${node} = 9694`,
  ]);
  const home = join(directory, `n${id}`);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "pgpool_node_id"), `${id}\n`);
  writeFileSync(
    join(home, "pgpool.conf"),
    `${lines.join("\n")}
use_watchdog = on
wd_authkey = '${authkey}'
wd_lease_time = 600
wd_heartbeat_keepalive = 1
wd_heartbeat_deadtime = 3
delegate_ip = '${VIP}'
wd_escalation_command = 'true'
wd_de_escalation_command = 'sleep 2'
arping_path = '/bin'
arping_cmd = 'true'
work_dir = '${home}'
wd_ipc_socket_dir = '${home}'
log_destination = 'stderr'
backend_hostname0 = '10.98.0.10'
backend_port0 = 5432
`,
  );
}

function makeHost(id: number): void {
  const name = namespaceOf(id);
  run(`ip netns add ${name}`);
  run(`ip -n ${name} link set lo up`);
  run(`ip -n ${name} link add e0 type veth peer name p${id} netns ${SWITCH}`);
  run(`ip -n ${SWITCH} link set p${id} master br0 up`);
  run(`ip -n ${name} addr add 10.98.0.1${id}/24 dev e0`);
  run(`ip -n ${name} link set e0 up`);
  const script = join(directory, `node-n${id}`);
  writeFileSync(script, `#!/bin/sh\nexec ip netns exec ${name} ${process.execPath} "$@"\n`);
  chmodSync(script, 0o755);
  writeConfig(id, "the key of this test");
}

describe.runIf(isRoot)(`three watchdogs, each on a host of its own${WHY}`, () => {
  beforeAll(async () => {
    await build({
      entryPoints: [join(import.meta.dirname, "../../src/watchdog/process.ts")],
      outfile: program,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      banner: {
        js: 'import { createRequire as __cr } from "node:module"; const require = __cr(import.meta.url);',
      },
    });
    run(`ip netns add ${SWITCH}`);
    run(`ip -n ${SWITCH} link add br0 type bridge`);
    run(`ip -n ${SWITCH} link set br0 up`);
    for (const id of IDS) makeHost(id);
    nodes = IDS.map((id) => new Watchdog(id));
  });

  afterAll(async () => {
    for (const node of started) node.child.kill("SIGKILL");
    await until("all addresses are gone", () => holders().length === 0).catch(() => 0);
    for (const name of [...IDS.map(namespaceOf), SWITCH]) {
      for (const pid of run(`ip netns pids ${name}`).split("\n").filter(Boolean)) {
        run(`kill -KILL ${pid}`); // It may have ended meanwhile.
      }
      run(`ip netns del ${name}`);
    }
    rmSync(directory, { recursive: true, force: true });
  });

  it("elect one, which alone holds the address", async () => {
    await untilWhole();
    for (let look = 0; look < 50; look++) {
      // On a machine so busy that a lease runs out there may be none for a moment, but never two.
      expect(holders().length).toBeLessThanOrEqual(1);
      await delay(20);
    }
    await untilWhole();
  });

  it("bring the address up when wd_escalation_command has ended, not before", async () => {
    const { log } = await untilWhole();
    const ended = log.lastIndexOf("watchdog escalation successful");
    const acquired = log.lastIndexOf("successfully acquired the delegate IP");
    expect(ended).toBeGreaterThan(-1);
    expect(acquired).toBeGreaterThan(ended);
  });

  it("have another holder within a second when the leader is killed", async () => {
    const leader = await untilWhole();
    leader.child.kill("SIGKILL");
    let most = 0;
    const tookMs = await until("another holds", () => {
      const now = holders();
      most = Math.max(most, now.length);
      return now.length > 0 && !now.includes(leader.id);
    });
    expect(tookMs).toBeLessThan(1000);
    expect(most).toBe(1);
    nodes[leader.id] = new Watchdog(leader.id);
    const successor = await untilWhole();
    expect(successor.id).not.toBe(leader.id);
  });

  it("hand over within a second when the leader is stopped, though its own command takes longer", async () => {
    const leader = await untilWhole();
    leader.tell({ type: "stop" });
    const tookMs = await until("another holds", () => {
      const now = holders();
      return now.length > 0 && !now.includes(leader.id);
    });
    expect(tookMs).toBeLessThan(1000);
    expect(leader.hasEnded).toBe(false);
    await until("the process ends when its command has ended", () => leader.hasEnded);
    expect(leader.child.exitCode).toBe(0);
    nodes[leader.id] = new Watchdog(leader.id);
    await untilWhole();
  });

  it("do not let a second process run with the id of one of them", async () => {
    await untilWhole();
    const second = new Watchdog(0);
    await until("the second ends", () => second.hasEnded);
    const fatal = second.told.find((message) => message.type === "fatal");
    expect(fatal).toEqual({
      type: "fatal",
      message: `node 0 already runs on this machine, as process ${nodes[0]?.child.pid}`,
      hint: expect.stringContaining("pgpool_node_id"),
    });
    await untilWhole();
  });

  it("keep out one with another wd_authkey, and both sides say so", async () => {
    await untilWhole();
    await nodes[2]?.kill();
    writeConfig(2, "another key");
    const stranger = new Watchdog(2);
    nodes[2] = stranger;
    const others = nodes.slice(0, 2);
    for (const node of others) node.log = "";
    await until("the stranger says so", () => stranger.log.includes("wd_authkey"));
    await until("the others say so", () => others.every((node) => node.log.includes("wd_authkey")));
    await until("the others lead on", () => leaderOf(others) !== undefined);
    await delay(1500);
    expect(stranger.view).toMatchObject({ leaderId: null, hasQuorum: false, aliveRemoteCount: 0 });
    expect(holders()).not.toContain(2);
    expect(others.map((node) => node.view?.aliveRemoteCount)).toEqual([1, 1]);
    await stranger.kill();
    writeConfig(2, "the key of this test");
    nodes[2] = new Watchdog(2);
    await untilWhole();
  });

  it("killed and started again all at once, still have what they had committed", async () => {
    const leader = await untilWhole();
    const value = { backends: ["up", "down"], epoch: 7 };
    const last = leader.told.findLast((message) => message.type === "committed");
    const afterIndex = last?.type === "committed" ? last.index : 0;
    leader.tell({ type: "propose", id: 1, afterIndex, value });
    await until("all have it", () =>
      nodes.every((node) => JSON.stringify(node.committed) === JSON.stringify(value)),
    );
    for (const node of nodes) node.child.kill("SIGKILL");
    await until("all have ended", () => nodes.every((node) => node.hasEnded));
    nodes = IDS.map((id) => new Watchdog(id));
    await untilWhole();
    await until("all have it again", () => nodes.every((node) => node.committed !== undefined));
    expect(nodes.map((node) => node.committed)).toEqual([value, value, value]);
  });
});
