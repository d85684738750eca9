import { createInterface } from "node:readline";
import { createSocket } from "node:dgram";
import { monotonicNowMs, type Log } from "../../src/os/index.ts";
import { commandWords } from "../../src/vip/core/plan.ts";
import { VipHolder } from "../../src/vip/index.ts";

/**
 * Bundled by the test and run in a network namespace. `listen ADDRESS PORT` prints datagrams;
 * `hold OPTIONS` holds the virtual IP as the lines `hold MS` and `release` on its input say.
 */
interface Options {
  readonly vip: string;
  readonly device: string;
  readonly peers: string[];
  readonly upCommand: string;
}

function say(what: string, value: unknown = ""): void {
  process.stdout.write(`${what} ${String(value)}\n`);
}

function listen(address: string, port: string): void {
  const socket = createSocket("udp4");
  socket.on("message", (bytes) => say("datagram", bytes.toString("latin1").trim()));
  socket.bind(Number(port), address, () => say("listening"));
}

async function hold(options: Options): Promise<void> {
  let untilMs: number | null = null;
  const log: Log = {
    write: (level, message, details) => say("log", `${level} ${message} ${details?.detail ?? ""}`),
    named: () => log,
  };
  const holder = await VipHolder.open({
    vip: options.vip,
    device: options.device,
    prefixLength: 32,
    lifetimeSeconds: 1,
    upCommand: commandWords(options.upCommand, options.vip, "/sbin"),
    downCommand: null,
    arpingCommand: ["/bin/true"],
    peers: options.peers,
    log,
    mayHoldUntilMs: () => untilMs,
    onNewHash: (hash) => say("hash", hash),
    onReleased: (secret) => say("released", secret),
    onChange: () => setImmediate(() => say("guardian", holder.guardianPid)),
  });
  say("hash", holder.hash);
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [command, ms] = line.split(" ");
    untilMs = command === "hold" ? monotonicNowMs() + Number(ms) : null;
    void holder.reconcile();
    if (command === "close") void holder.close().then(() => process.exit(0));
  });
}

const [mode, first = "", second = ""] = process.argv.slice(2);
if (mode === "listen") listen(first, second);
else await hold(JSON.parse(first) as Options);
