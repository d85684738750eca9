import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  buildVipProgram,
  delay,
  hashOf,
  isRoot,
  proofFor,
  removeNamespaces,
  run,
  until,
  VipProgram,
  WHY,
} from "../support/vip-host.ts";

/**
 * The virtual IP in a kernel of its own: one network namespace, one device. What is looked
 * at is what the kernel says, never what the program believes.
 */
const NAMESPACE = `pqv-${process.pid}`;
const VIP = "10.99.0.100";
const directory = mkdtempSync(join(tmpdir(), "pgquorum-vip-"));
const program = join(directory, "vip-program.mjs");
const started: VipProgram[] = [];
let listener: VipProgram;

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): VipProgram {
  const holder = new VipProgram({ namespace: NAMESPACE, program, args, env });
  started.push(holder);
  return holder;
}

function hasVip(): boolean {
  return run("ip", "-n", NAMESPACE, "-o", "addr", "show", "to", VIP) !== "";
}

function startHolder(upCommand = "", env: Readonly<Record<string, string>> = {}): VipProgram {
  const options = {
    vip: VIP,
    device: "v0",
    peers: ["10.99.0.1/29694"],
    upCommand,
    level: "lifetime",
    promiseMs: 600,
    table: "pgquorum_402",
  };
  return start(["hold", JSON.stringify(options)], env);
}

async function startHolding(ms: number, upCommand = "", env = {}): Promise<VipProgram> {
  const holder = startHolder(upCommand, env);
  await until("the program runs", () => holder.last("hash") !== null);
  holder.tell(`hold ${ms}`);
  await until("the address is held", () => hasVip() && /acquired/.test(holder.last("log") ?? ""));
  return holder;
}

/** A stand-in for `ip` that a file can make slow or broken. */
function writeIpWrapper(): string {
  const path = join(directory, "bin");
  spawnSync("mkdir", ["-p", path]);
  const real = run("sh", "-c", "command -v ip").trim();
  const script = `#!/bin/sh
[ ! -e ${directory}/broken ] || exit 1
case "$*" in *-batch*) sleep "$(cat ${directory}/slow 2>/dev/null || echo 0)" ;; esac
exec ${real} "$@"
`;
  writeFileSync(join(path, "ip"), script);
  chmodSync(join(path, "ip"), 0o755);
  return `${path}:${process.env.PATH ?? ""}`;
}

describe.runIf(isRoot)(`the holder of the virtual IP, in a network namespace${WHY}`, () => {
  beforeAll(async () => {
    // Where the optional packages are not to be found: these tests go by the program ip.
    await buildVipProgram(program);
    run("ip", "netns", "add", NAMESPACE);
    run("ip", "-n", NAMESPACE, "link", "set", "lo", "up");
    run("ip", "-n", NAMESPACE, ..."link add v0 type veth peer name v1".split(" "));
    run("ip", "-n", NAMESPACE, "link", "set", "v1", "up");
    run("ip", "-n", NAMESPACE, "link", "set", "v0", "up");
    run("ip", "-n", NAMESPACE, "addr", "add", "10.99.0.1/24", "dev", "v0");
    listener = start(["listen", "10.99.0.1", "29694"]);
    await until("the listener listens", () => listener.last("listening") !== null);
    started.length = 0;
  });

  afterEach(async () => {
    for (const { child } of started.splice(0)) {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
    }
    rmSync(join(directory, "broken"), { force: true });
    rmSync(join(directory, "slow"), { force: true });
    await until("the guardian has cleaned up", () => !hasVip());
  });

  afterAll(() => {
    listener?.kill("SIGKILL");
    removeNamespaces(NAMESPACE);
    rmSync(directory, { recursive: true, force: true });
  });

  it("killed with SIGKILL loses the address and its release is proven, within 500 ms", async () => {
    const holder = await startHolding(60_000);
    const hash = holder.last("hash");
    holder.kill("SIGKILL");
    const goneMs = await until("the address is gone", () => !hasVip());
    const proofMs = await until("the proof came", () => proofFor(listener, hash) !== null);
    expect(goneMs).toBeLessThan(500);
    expect(goneMs + proofMs).toBeLessThan(500);
  });

  it("frozen loses the address within its lifetime, and waking up too late gets nothing", async () => {
    const holder = await startHolding(1500);
    const hash = holder.last("hash");
    holder.kill("SIGSTOP");
    expect(await until("the kernel ends it", () => !hasVip())).toBeLessThan(1000 + 1500);
    await delay(1600);
    expect(proofFor(listener, hash)).toBeNull();
    holder.kill("SIGCONT");
    await until("it lets go", () => holder.last("released") !== null);
    for (let look = 0; look < 50; look++) {
      expect(hasVip()).toBe(false);
      await delay(10);
    }
  });

  it("keeps the address when its guardian is killed, and has another at once", async () => {
    const holder = await startHolding(60_000);
    const before = holder.guardianPid;
    process.kill(before, "SIGKILL");
    await until("another guardian", () => ![0, before].includes(holder.guardianPid), 1000);
    const endMs = performance.now() + 2500;
    while (performance.now() < endMs) {
      expect(hasVip()).toBe(true);
      await delay(10);
    }
    holder.kill("SIGKILL");
    expect(await until("the new guardian lets go", () => !hasVip())).toBeLessThan(500);
  });

  it("replaces a guardian that is frozen", async () => {
    const holder = await startHolding(60_000);
    const before = holder.guardianPid;
    process.kill(before, "SIGSTOP");
    await until("another guardian", () => ![0, before].includes(holder.guardianPid), 4000);
    await delay(100);
    const hash = holder.last("hash");
    holder.kill("SIGKILL");
    expect(await until("the new guardian lets go", () => !hasVip())).toBeLessThan(500);
    await until("the proof came", () => proofFor(listener, hash) !== null, 500);
  });

  it("takes the address back when somebody deletes it", async () => {
    const holder = await startHolding(60_000);
    run("ip", "-n", NAMESPACE, "addr", "del", `${VIP}/32`, "dev", "v0");
    await until("it is back", hasVip, 1500);
    expect(holder.last("released")).toBeNull();
  });

  it("lets go on its word: the address first, then the proof", async () => {
    const holder = await startHolding(60_000);
    const hash = holder.last("hash");
    holder.tell("release");
    await until("released", () => holder.last("released") !== null);
    expect(hasVip()).toBe(false);
    expect(hashOf(holder.last("released") ?? "")).toBe(hash);
    expect(holder.last("hash")).not.toBe(hash);
  });

  it("overtaken while it brings the address up, proves nothing before it is gone", async () => {
    writeFileSync(join(directory, "slow"), "0.4");
    const holder = startHolder("", { PATH: writeIpWrapper() });
    await until("the program runs", () => holder.last("hash") !== null);
    holder.tell("hold 60000");
    await delay(50);
    holder.tell("release");
    await until("released", () => holder.last("released") !== null);
    for (let look = 0; look < 80; look++) {
      expect(hasVip()).toBe(false);
      await delay(10);
    }
  });

  it("leaves no address that if_up_cmd has set in its own way", async () => {
    const upCommand = "/sbin/ip addr add $_IP_$/24 dev v0";
    const frozen = await startHolding(60_000, upCommand);
    expect(run("ip", "-n", NAMESPACE, "-o", "addr", "show", "to", VIP)).toContain(`${VIP}/24`);
    frozen.kill("SIGSTOP");
    expect(await until("the kernel ends it", () => !hasVip())).toBeLessThan(1000 + 1500);
    frozen.kill("SIGKILL");
    const killed = await startHolding(60_000, upCommand);
    const hash = killed.last("hash");
    killed.kill("SIGKILL");
    expect(await until("the guardian ends it", () => !hasVip())).toBeLessThan(500);
    await until("the proof came", () => proofFor(listener, hash) !== null, 500);
  });

  it("killed with a renewal still under way, has no proof shown before that is done", async () => {
    writeFileSync(join(directory, "slow"), "0.4");
    const holder = startHolder("", { PATH: writeIpWrapper() });
    await until("the program runs", () => holder.last("hash") !== null);
    holder.tell("hold 60000");
    await delay(100);
    const hash = holder.last("hash");
    holder.kill("SIGKILL");
    await until("the proof came", () => proofFor(listener, hash) !== null);
    for (let look = 0; look < 80; look++) {
      expect(hasVip()).toBe(false);
      await delay(10);
    }
  });

  it("has no proof shown by a guardian that cannot look", async () => {
    const holder = await startHolding(60_000, "", { PATH: writeIpWrapper() });
    const hash = holder.last("hash");
    writeFileSync(join(directory, "broken"), "");
    holder.kill("SIGKILL");
    await delay(500);
    expect(proofFor(listener, hash)).toBeNull();
    rmSync(join(directory, "broken"));
    await until("the proof came", () => proofFor(listener, hash) !== null, 1000);
    expect(hasVip()).toBe(false);
  });
});
