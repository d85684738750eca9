import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  buildVipProgram,
  delay,
  isRoot,
  proofFor,
  removeNamespaces,
  run,
  until,
  VipProgram,
  WHY,
} from "../support/vip-host.ts";

/**
 * The fence of the virtual IP, in the real kernel. Two namespaces on one wire: `HOST` holds the
 * address, `OUTSIDE` asks for it each millisecond and writes down, by the kernel's own clock, every
 * frame that names the address as its sender.
 *
 *     HOST  v0 ════════ c0  OUTSIDE: asks, listens, and once plays a host with the same address
 */
const HOST = `pqv-${process.pid}-a`;
const OUTSIDE = `pqv-${process.pid}-c`;
const TABLE = "pgquorum_406";
const PROMISE_MS = 600;
/** K */
const LEASE_MS = 252;
/** From the wire to the clock of the listener, and from the renewal to its line. */
const SLACK_MS = 5;

const root = join(import.meta.dirname, "../..");
const build = join(root, ".build", `406-${process.pid}`);
const program = join(build, "vip-program.mjs");
const started: VipProgram[] = [];

interface Setting {
  readonly vip: string;
  readonly hostAddress: string;
  readonly outsideAddress: string;
}

const IPV4: Setting = {
  vip: "10.99.0.100",
  hostAddress: "10.99.0.1/24",
  outsideAddress: "10.99.0.2/24",
};
const IPV6: Setting = {
  vip: "fd99::100",
  hostAddress: "fd99::1/64",
  outsideAddress: "fd99::2/64",
};

function start(
  namespace: string,
  args: readonly string[],
  more: { readonly env?: Record<string, string>; readonly through?: readonly string[] } = {},
): VipProgram {
  const made = new VipProgram({ namespace, program, args, ...more });
  started.push(made);
  return made;
}

function inHost(...words: string[]): string {
  return run("ip", "netns", "exec", HOST, ...words);
}

/** Frames from the address, as the wire showed them: milliseconds of the monotonic clock. */
class Sniffer {
  readonly #child: ChildProcess;
  readonly seenAtMs: number[] = [];
  #isListening = false;

  constructor(vip: string) {
    const filter = `src host ${vip}`;
    const words = `netns exec ${OUTSIDE} tcpdump -Q in -i c0 -n -l -tt --immediate-mode ${filter}`;
    this.#child = spawn("ip", words.split(" "), { stdio: ["ignore", "pipe", "pipe"] });
    const { stdout, stderr } = this.#child;
    if (stdout !== null) {
      createInterface({ input: stdout }).on("line", (line) => {
        const epochMs = Number(line.split(" ")[0]) * 1000;
        if (Number.isFinite(epochMs)) this.seenAtMs.push(epochMs - epochOffsetMs());
      });
    }
    stderr?.on("data", (chunk: Buffer) => {
      if (chunk.includes("listening on")) this.#isListening = true;
    });
  }

  async ready(): Promise<void> {
    await until("tcpdump listens", () => this.#isListening);
  }

  get lastMs(): number {
    return this.seenAtMs.at(-1) ?? -Infinity;
  }

  between(fromMs: number, toMs: number): number {
    return this.seenAtMs.filter((ms) => ms >= fromMs && ms <= toMs).length;
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}

/** From the clock that programs print to the one that tcpdump prints. */
function epochOffsetMs(): number {
  return performance.timeOrigin + performance.now() - nowMs();
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

let sniffer: Sniffer;

function describeBoth(name: string, tests: (setting: Setting) => void): void {
  describe.runIf(isRoot).each([
    [`IPv4`, IPV4],
    [`IPv6`, IPV6],
  ] as const)(`${name} (%s)${WHY}`, (_family, setting) => {
    beforeAll(async () => {
      sniffer = new Sniffer(setting.vip);
      await sniffer.ready();
      const asker = new VipProgram({
        namespace: OUTSIDE,
        program,
        args: ["ask", setting.vip, "c0"],
      });
      askers.push(asker);
      await until("the asker asks", () => asker.last("asking") !== null);
    });
    afterAll(() => {
      sniffer.stop();
      for (const asker of askers.splice(0)) asker.kill("SIGKILL");
    });
    tests(setting);
  });
}

const askers: VipProgram[] = [];

interface Wishes {
  readonly level?: string;
  readonly table?: string;
  readonly env?: Record<string, string>;
  readonly through?: readonly string[];
}

function holderOf({ vip, hostAddress }: Setting, wishes: Wishes = {}): VipProgram {
  const options = {
    vip,
    device: "v0",
    peers: [`${hostAddress.split("/")[0]}/29695`],
    upCommand: "",
    level: wishes.level ?? "nft",
    promiseMs: PROMISE_MS,
    table: wishes.table ?? TABLE,
  };
  const { env, through } = wishes;
  return start(HOST, ["hold", JSON.stringify(options)], {
    ...(env === undefined ? {} : { env }),
    ...(through === undefined ? {} : { through }),
  });
}

async function ready(holder: VipProgram): Promise<VipProgram> {
  await until("the program runs", () => holder.last("hash") !== null);
  return holder;
}

async function opened(holder: VipProgram): Promise<VipProgram> {
  const beforeMs = nowMs();
  await ready(holder);
  holder.tell("hold 60000");
  await until("the address answers", () => sniffer.lastMs > beforeMs + 1);
  return holder;
}

/** Moment of the last renewal that the program told of. */
function lastRenewalMs(holder: VipProgram): number {
  return Number(holder.last("renewed")?.split(" ")[1]);
}

function hasAddress(vip: string): boolean {
  return inHost("ip", "-o", "addr", "show", "to", vip) !== "";
}

function counter(name: string): number {
  const listed = inHost("nft", "list", "counters", "table", "netdev", TABLE);
  return Number(new RegExp(`${name} \\{\\s+packets (\\d+)`).exec(listed)?.[1] ?? 0);
}

/** Nothing of the address on the wire for so long. */
async function expectSilence(ms: number): Promise<void> {
  const fromMs = nowMs();
  await delay(ms);
  expect(sniffer.between(fromMs, nowMs())).toBe(0);
}

/** What a client outside gets: `ECONNREFUSED` is an answer of the address. */
function askTcp(vip: string): string {
  const script = `require("node:net").connect(1, "${vip}").setTimeout(300, () => { console.log("silence"); process.exit(); }).on("error", (error) => { console.log(error.code); process.exit(); })`;
  return run("ip", "netns", "exec", OUTSIDE, process.execPath, "-e", script).trim();
}

/** A server on the address, with a session from outside: says "sent" when it has sent something. */
class Session {
  readonly #server: ChildProcess;
  readonly #client: ChildProcess;
  #said = "";

  constructor(vip: string) {
    const serve = `const server = require("node:net").createServer((socket) => {
      console.log("met");
      process.stdin.once("data", () => socket.write("x", () => console.log("sent")));
    });
    server.listen(5433, "${vip}", () => console.log("listening"))`;
    this.#server = spawn("ip", ["netns", "exec", HOST, process.execPath, "-e", serve]);
    this.#server.stdout?.on("data", (chunk: Buffer) => (this.#said += chunk.toString()));
    const connect = `const connect = () => require("node:net").connect(5433, "${vip}").on("error", () => setTimeout(connect, 20)); connect()`;
    this.#client = spawn("ip", ["netns", "exec", OUTSIDE, process.execPath, "-e", connect]);
  }

  async started(): Promise<void> {
    await until("a session", () => this.#said.includes("met"));
  }

  async send(): Promise<void> {
    this.#server.stdin?.write("\n");
    await until("sent", () => this.#said.includes("sent"));
  }

  stop(): void {
    this.#server.kill("SIGKILL");
    this.#client.kill("SIGKILL");
  }
}

/** What the address has sent waits in the kernel of its host from now on. */
async function queueAsTheAddress({ vip }: Setting, session: Session): Promise<void> {
  const deaf = vip.includes(":")
    ? "add table ip6 deaf; add chain ip6 deaf in { type filter hook input priority -300; }; add rule ip6 deaf in icmpv6 type nd-neighbor-solicit drop"
    : "add table arp deaf; add chain arp deaf in { type filter hook input priority -300; }; add rule arp deaf in arp operation request drop";
  run("ip", "netns", "exec", OUTSIDE, "nft", deaf);
  run("ip", "-n", HOST, "neigh", "flush", "dev", "v0");
  await session.send();
  const { outsideAddress } = vip.includes(":") ? IPV6 : IPV4;
  const asked = ["neigh", "show", outsideAddress.split("/")[0] ?? "", "dev", "v0"];
  await until("it waits for its neighbour", () => {
    return run("ip", "-n", HOST, ...asked).includes("INCOMPLETE");
  });
}

function hearAgain({ vip }: Setting): void {
  const family = vip.includes(":") ? "ip6" : "arp";
  run("ip", "netns", "exec", OUTSIDE, "nft", `delete table ${family} deaf`);
}

function elementsOf(set: string): string {
  const listed = inHost("nft", "list", "set", "netdev", TABLE, set);
  return /elements = \{ ([^}]*) \}/.exec(listed)?.[1] ?? "";
}

beforeAll(async () => {
  if (!isRoot) return;
  mkdirSync(build, { recursive: true });
  // Below the project, so that the optional packages are found: netlink and frames of its own.
  await buildVipProgram(program);
  for (const name of [HOST, OUTSIDE]) {
    run("ip", "netns", "add", name);
    run("ip", "-n", name, "link", "set", "lo", "up");
  }
  run("ip", ..."link add v0 type veth peer name c0".split(" "), "netns", OUTSIDE);
  run("ip", "link", "set", "v0", "netns", HOST);
  for (const { hostAddress, outsideAddress } of [IPV4, IPV6]) {
    run("ip", "-n", HOST, "addr", "add", hostAddress, "dev", "v0", "nodad");
    run("ip", "-n", OUTSIDE, "addr", "add", outsideAddress, "dev", "c0", "nodad");
  }
  run("ip", "-n", HOST, "link", "set", "v0", "up");
  run("ip", "-n", OUTSIDE, "link", "set", "c0", "up");
});

afterEach(async () => {
  for (const { child } of started.splice(0)) {
    child.kill("SIGCONT");
    child.kill("SIGKILL");
  }
  if (!isRoot) return;
  await until("the guardian has cleaned up", () => !hasAddress(IPV4.vip) && !hasAddress(IPV6.vip));
});

afterAll(() => {
  if (!isRoot) return;
  removeNamespaces(HOST, OUTSIDE);
  rmSync(build, { recursive: true, force: true });
});

describeBoth("the fence", (setting) => {
  const { vip } = setting;

  it("opens for a renewal, and for nothing that comes before", async () => {
    const holder = await ready(holderOf(setting));
    expect(holder.last("fence")).toBe(`nft ${LEASE_MS}`);
    holder.tell("rounds-off");
    holder.tell("permit 60000");
    holder.tell("arm");
    await until("armed", () => holder.last("armed") !== null);
    expect(hasAddress(vip)).toBe(true);
    const blocked = counter("blocked_in");
    await expectSilence(150);
    expect(counter("blocked_in")).toBeGreaterThan(blocked);
    holder.tell("arm");
    await until("armed again", () => holder.all("armed").length === 2);
    holder.tell("renew");
    await until("renewed", () => holder.last("renewed") !== null);
    await until("it answers", () => sniffer.lastMs >= lastRenewalMs(holder) - SLACK_MS);
    expect(askTcp(vip)).toBe("ECONNREFUSED");
  });

  it("does not open when the renewal comes later than the permit lives", async () => {
    const holder = await ready(holderOf(setting));
    holder.tell("rounds-off");
    holder.tell("permit 60000");
    holder.tell("arm");
    await until("armed", () => holder.last("armed") !== null);
    await delay(LEASE_MS + 10);
    holder.tell("renew");
    await until("renewed", () => holder.last("renewed") !== null);
    await expectSilence(150);
    expect(holder.last("lost")).not.toBeNull();
    expect(counter("refused")).toBe(1);
  });

  it("does not open by a permit that an earlier arm sets late", async () => {
    const holder = await ready(holderOf(setting));
    holder.tell("rounds-off");
    holder.tell("permit 60000");
    holder.tell("arm");
    await until("armed", () => holder.last("armed") !== null);
    const length = /permit \{[^}]*elements = \{ (\d+) /s.exec(
      inHost("nft", "list", "set", "netdev", TABLE, "permit"),
    )?.[1];
    holder.tell("arm");
    await until("armed again", () => holder.all("armed").length === 2);
    await delay(LEASE_MS + 10);
    inHost("nft", "add", "element", "netdev", TABLE, "permit", `{ ${length} timeout 5s }`);
    holder.tell("renew");
    await until("renewed", () => holder.last("renewed") !== null);
    await expectSilence(150);
  });

  it("shuts within K of the last renewal when the process freezes, and stays shut, ten times", async () => {
    const holder = await ready(holderOf(setting));
    for (let round = 0; round < 10; round++) {
      holder.tell("hold 60000");
      const beforeMs = nowMs();
      await until("the address answers", () => sniffer.lastMs > beforeMs + 1);
      await delay(50 + 37 * round);
      // An answer means that all it was told before is done: no round of its own may wake with it.
      const heldBefore = holder.all("held").length;
      holder.tell("rounds-off");
      holder.tell("held");
      await until("its rounds have stopped", () => holder.all("held").length > heldBefore);
      holder.kill("SIGSTOP");
      await delay(LEASE_MS + 80);
      holder.kill("SIGCONT");
      holder.tell("held");
      await until("it runs again", () => holder.all("held").length > heldBefore + 1);
      const closedMs = sniffer.lastMs - lastRenewalMs(holder);
      expect(closedMs).toBeLessThanOrEqual(LEASE_MS + SLACK_MS);
      holder.tell("renew");
      await expectSilence(60);
      expect(holder.last("held")).toBe("false");
      holder.tell("rounds-on");
      holder.tell("release");
      await until("released", () => holder.all("released").length === round + 1);
    }
  });

  it("shuts at once on close, and the address is gone when the secret is shown", async () => {
    const holder = await opened(holderOf(setting));
    holder.tell("close");
    await until("released", () => holder.last("released") !== null);
    expect(hasAddress(vip)).toBe(false);
    await expectSilence(100);
  });

  it("is shut by the guardian when the process is killed, and the release is proven", async () => {
    const listener = start(HOST, ["listen", setting.hostAddress.split("/")[0] ?? "", "29695"]);
    await until("the listener listens", () => listener.last("listening") !== null);
    const tookMs: number[] = [];
    for (let round = 0; round < 5; round++) {
      const holder = await opened(holderOf(setting));
      const hash = holder.last("hash");
      const killedMs = nowMs();
      const killedAtMs = performance.now();
      holder.kill("SIGKILL");
      await until("the proof came", () => proofFor(listener, hash) !== null);
      expect(hasAddress(vip)).toBe(false);
      expect(sniffer.lastMs - killedMs).toBeLessThan(LEASE_MS);
      const proof = listener.lines.filter(({ text }) => text.startsWith("datagram "));
      tookMs.push((proof.find(({ atMs }) => atMs > killedAtMs)?.atMs ?? Infinity) - killedAtMs);
    }
    tookMs.sort((a, b) => a - b);
    process.stderr.write(
      `from SIGKILL to the proof: ${tookMs.map((ms) => ms.toFixed(1)).join(" ")} ms\n`,
    );
    expect(tookMs[2]).toBeLessThan(100);
  });

  it.each(["close", "kill"])(
    "keeps back what waited for a neighbour when the address was let go, by %s, and for no more than 10 s",
    async (how) => {
      const holder = await opened(holderOf(setting));
      const session = new Session(vip);
      try {
        await session.started();
        await queueAsTheAddress(setting, session);
        if (how === "close") holder.tell("close");
        else holder.kill("SIGKILL");
        await until("the gate lets others in", () => elementsOf("gated") === "");
        expect(hasAddress(vip)).toBe(false);
        const fromMs = nowMs();
        const blocked = counter("blocked_out");
        hearAgain(setting);
        await until("it tries to leave", () => counter("blocked_out") > blocked);
        expect(elementsOf("silent")).toContain("expires");
        let shutMs = fromMs;
        const isOpen = (): boolean => {
          const askedMs = nowMs();
          if (elementsOf("silent") === "") return true;
          shutMs = askedMs;
          return false;
        };
        await until("the gate lets others out", isOpen, 10_000);
        // Later on the kernel may send it once more: nobody keeps that back.
        expect(sniffer.between(fromMs, shutMs)).toBe(0);
      } finally {
        hearAgain(setting);
        session.stop();
      }
    },
  );

  it("is shut by a guardian that was asked, and has nobody left to answer", async () => {
    const listener = start(HOST, ["listen", setting.hostAddress.split("/")[0] ?? "", "29695"]);
    await until("the listener listens", () => listener.last("listening") !== null);
    const holder = await opened(holderOf(setting));
    const { guardianPid } = holder;
    process.kill(guardianPid, "SIGSTOP");
    // News of an address make the holder look, and ask its guardian whether it lives.
    run("ip", "-n", HOST, "addr", "add", "10.99.9.9/32", "dev", "v0");
    run("ip", "-n", HOST, "addr", "del", "10.99.9.9/32", "dev", "v0");
    await delay(500);
    holder.kill("SIGKILL");
    process.kill(guardianPid, "SIGCONT");
    await until("the proof came", () => proofFor(listener, holder.last("hash")) !== null);
    expect(hasAddress(vip)).toBe(false);
  });

  it("is loaded again, and the address armed again, when somebody flushes the rules", async () => {
    const holder = await opened(holderOf(setting));
    inHost("nft", "flush", "ruleset");
    await until("it is noticed", () => holder.last("lost") !== null);
    await until("the table is back", () => inHost("nft", "list", "tables").includes(TABLE));
    const fromMs = nowMs();
    await until("it answers", () => sniffer.lastMs > fromMs);
    holder.tell("rounds-off");
    holder.kill("SIGSTOP");
    await delay(LEASE_MS + 80);
    await expectSilence(60);
  });

  it("covers a device that appears later, and lets the table of another node alone", async () => {
    const other = await ready(holderOf(setting, { table: `${TABLE}_b` }));
    const holder = await opened(holderOf(setting));
    run("ip", "-n", HOST, ..."link add v9 type veth peer name w9".split(" "));
    await until("v9 is gated", () => {
      return /device "v9"/.test(inHost("nft", "list", "table", "netdev", TABLE));
    });
    run("ip", "-n", HOST, "link", "del", "v9");
    expect(askTcp(vip)).toBe("ECONNREFUSED");
    holder.tell("stop");
    // It still keeps back what waits to leave as the address, and nothing else.
    await until("it lets everything else pass", () => elementsOf("gated") === "");
    expect(hasAddress(vip)).toBe(false);
    expect(elementsOf("silent")).toContain("expires");
    other.tell("stop");
    await until("the table of one that never held is gone", () => {
      return !inHost("nft", "list", "tables").includes(`${TABLE}_b`);
    });
  });

  it.each(["before", "after"])(
    "tells of another host that has the address since %s the taking over, and keeps it",
    async (when) => {
      const mac = /ether ([0-9a-f:]{17})/.exec(
        run("ip", "-n", OUTSIDE, "-o", "link", "show", "c0"),
      )?.[1];
      const place = [`${vip}/${vip.includes(":") ? 128 : 32}`, "dev", "c0"];
      const plant = (): string => run("ip", "-n", OUTSIDE, "addr", "add", ...place, "nodad");
      if (when === "before") plant();
      try {
        const holder = await ready(holderOf(setting));
        holder.tell("hold 60000");
        const isOpen = (): boolean => /acquired/.test(holder.all("log").join());
        await until("it is open", isOpen);
        if (when === "after") {
          await delay(200); // The first look for rivals is over.
          holder.tell("conflict");
          await until("nobody is seen", () => holder.last("conflict") === "null");
          plant();
        }
        const isTold = (): boolean =>
          holder.all("log").join().includes(`claims the virtual IP ${vip}: ${mac}`);
        await until("it is told", isTold, 12_000);
        holder.tell("conflict");
        await until("it is shown", () => holder.last("conflict") === mac);
        holder.tell("held");
        await until("it is held", () => holder.last("held") === "true");
      } finally {
        run("ip", "-n", OUTSIDE, "addr", "del", ...place);
      }
    },
  );

  it("needs no root: CAP_NET_ADMIN and CAP_NET_RAW are enough", async () => {
    const capabilities = "+net_admin,+net_raw";
    const words = `setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all,${capabilities} --inh-caps ${capabilities} --ambient-caps ${capabilities}`;
    const listener = start(HOST, ["listen", setting.hostAddress.split("/")[0] ?? "", "29695"]);
    await until("the listener listens", () => listener.last("listening") !== null);
    const holder = await opened(holderOf(setting, { through: words.split(" ") }));
    expect(run("ps", "-o", "uid=", "-p", String(holder.child.pid)).trim()).toBe("65534");
    expect(holder.all("log").join()).toContain("frames of its own");
    const hash = holder.last("hash");
    holder.kill("SIGKILL");
    await until("the proof came", () => proofFor(listener, hash) !== null);
    expect(hasAddress(vip)).toBe(false);
    expect(sniffer.lastMs).toBeLessThan(nowMs());
  });
});

describe.runIf(isRoot)(`without the program nft${WHY}`, () => {
  const bin = mkdtempSync(join(tmpdir(), "pgquorum-bin-"));
  for (const name of ["ip", "bash", "arping", "sh", "timeout", "sleep"]) {
    symlinkSync(run("sh", "-c", `command -v ${name}`).trim(), join(bin, name));
  }
  afterAll(() => rmSync(bin, { recursive: true, force: true }));
  const setting = IPV4;
  // `ip` in its own place starts the program, which then finds no nft.
  const through = ["env", `PATH=${bin}`];

  it("auto takes the address's lifetime and says why", async () => {
    const holder = await ready(holderOf(setting, { level: "auto", through }));
    expect(holder.last("fence")).toBe("lifetime null");
    expect(holder.all("log").join()).toContain("install the package nftables");
    holder.tell("hold 60000");
    await until("the address is there", () => hasAddress(setting.vip));
    holder.kill("SIGSTOP");
    expect(await until("the kernel ends it", () => !hasAddress(setting.vip))).toBeLessThan(2500);
  });

  it("nft is refused with the reason", async () => {
    const holder = holderOf(setting, { level: "nft", through });
    await until("it refuses", () => holder.last("refused") !== null);
    expect(holder.last("refused")).toContain("install the package nftables");
  });
});
