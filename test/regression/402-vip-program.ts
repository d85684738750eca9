import { createInterface } from "node:readline";
import { createSocket } from "node:dgram";
import { monotonicNowMs, type Log } from "../../src/os/index.ts";
import { commandWords } from "../../src/vip/core/plan.ts";
import { probe } from "../../src/vip/core/frames.ts";
import { openFrameSender } from "../../src/vip/driver/frame-sender.ts";
import { loadNetlink, NetlinkAddresses } from "../../src/vip/driver/netlink-addresses.ts";
import { openVip, type VipOptions } from "../../src/vip/index.ts";

/**
 * Bundled by the test and run in a network namespace. `listen ADDRESS PORT` prints datagrams; `ask
 * ADDRESS DEVICE` asks the neighbours for it each millisecond; `hold OPTIONS` holds the virtual IP as the lines on its input say:
 *
 *     hold MS        may hold for so long; arms, and renews each round once armed
 *     release        closes
 *     arm | renew | close | again | stop    that method, once; `rounds off` before, to be alone
 */
interface Options extends Pick<VipOptions, "vip" | "device" | "level" | "promiseMs" | "table"> {
  readonly peers: string[];
  readonly upCommand: string;
}

function say(what: string, value: unknown = ""): void {
  process.stdout.write(`${what} ${String(value)}\n`);
}

function listen(address: string, port: string): void {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (bytes) => say("datagram", bytes.toString("latin1").trim()));
  socket.bind(Number(port), address, () => say("listening"));
}

async function ask(vip: string, name: string): Promise<void> {
  const sender = await openFrameSender();
  const netlink = await loadNetlink();
  if (sender === null || netlink === null) return say("refused", "a package is missing");
  const devices = await new NetlinkAddresses(netlink, vip).devices();
  const device = devices.ok ? devices.value.find((each) => each.name === name) : undefined;
  if (device === undefined) return say("refused", "no such device");
  const frame = probe(vip, device.hardwareAddress);
  setInterval(() => sender.send(device.index, frame), 1);
  say("asking");
}

async function hold(options: Options): Promise<void> {
  let untilMs: number | null = null;
  let armingAtMs = 0;
  let hasRounds = true;
  const log: Log = {
    write: (level, message, details) => say("log", `${level} ${message} ${details?.detail ?? ""}`),
    named: () => log,
  };
  const opened = await openVip({
    ...options,
    prefixLength: options.vip.includes(":") ? 128 : 32,
    fences: {
      nft: { level: "nft", kernelLeaseMs: Math.floor(options.promiseMs * 0.42), closeBoundMs: 0 },
      lifetime: { level: "lifetime", kernelLeaseMs: null, closeBoundMs: 2500 },
      none: { level: "none", kernelLeaseMs: null, closeBoundMs: 0 },
    },
    upCommand: commandWords(options.upCommand, options.vip, "/sbin"),
    downCommand: null,
    arpingCommand: null,
    log,
    mayHoldUntilMs: () => untilMs,
    onArmed: () => {
      say("armed", monotonicNowMs() - armingAtMs);
      if (hasRounds) renew();
    },
    onLost: () => {
      say("lost");
      if (hasRounds) arm();
    },
    onNewHash: (hash) => say("hash", hash),
    onReleased: (secret) => say("released", secret),
    onChange: () => setImmediate(() => say("guardian", holder.guardianPid)),
  });
  if (!opened.ok) return say("refused", opened.error.message);
  const holder = opened.value;
  const arm = (): void => {
    armingAtMs = monotonicNowMs();
    holder.arm();
  };
  const renew = (): void => {
    const beforeMs = monotonicNowMs();
    holder.renew();
    say("renewed", `${beforeMs} ${monotonicNowMs()}`);
  };
  say("fence", `${holder.fence.level} ${holder.fence.kernelLeaseMs}`);
  say("guardian", holder.guardianPid);
  say("hash", holder.hash);
  const commands: Record<string, (ms: number) => void> = {
    hold: (ms) => {
      untilMs = monotonicNowMs() + ms;
      arm();
    },
    permit: (ms) => void (untilMs = monotonicNowMs() + ms),
    release: () => {
      untilMs = null;
      void holder.close();
    },
    "rounds-off": () => void (hasRounds = false),
    "rounds-on": () => void (hasRounds = true),
    arm,
    renew,
    close: () => void holder.close(),
    again: () => holder.announceAgain(),
    held: () => say("held", holder.isHeld),
    conflict: () => say("conflict", holder.conflict),
    stop: () => void holder.stop().then(() => process.exit(0)),
  };
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [command = "", ms] = line.split(" ");
    commands[command]?.(Number(ms));
  });
  setInterval(() => {
    if (!hasRounds || untilMs === null) return;
    if (monotonicNowMs() < untilMs) return renew();
    untilMs = null;
    void holder.close();
  }, options.promiseMs / 6);
}

const [mode, first = "", second = ""] = process.argv.slice(2);
if (mode === "listen") listen(first, second);
else if (mode === "ask") await ask(first, second);
else await hold(JSON.parse(first) as Options);
