import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Log } from "../../os/index.ts";

/**
 * A tiny child, a shell blocked on a pipe, that outlives this process. When the pipe ends, this
 * process is dead, however it died: the guardian deletes the virtual IP, reads back that it is
 * gone, and shows the peers the secret that proves it.
 *
 *     watchdog ──pipe──▶ guardian ── ip addr del ──▶ kernel
 *                               └─── UDP secret ───▶ every peer
 *
 * It has a session of its own and ignores the signals of a stopping service.
 */
export interface Guardian {
  readonly pid: number | null;
  /** Resolves true when the guardian has confirmed that it would act. */
  arm(secret: string): Promise<boolean>;
  /** The address is properly gone: nothing is left to guard. */
  disarm(): void;
  stop(): void;
}

export interface GuardianOptions {
  readonly vip: string;
  readonly prefixLength: number;
  readonly device: string;
  /** Where peers listen for the proof of release: `host/port`. */
  readonly peers: readonly string[];
  /** if_down_cmd in words when the administrator set one; empty: `ip addr del`. */
  readonly downCommand: readonly string[];
  readonly log: Log;
  readonly onPid: (pid: number | null) => void;
}

/**
 * Arguments: VIP, prefix length, device, peers (one word, blanks between), then if_down_cmd in
 * words. Bash, because it can send datagrams without another program.
 */
const SCRIPT = `
trap '' TERM INT HUP
vip=$1 prefix=$2 device=$3 peers=$4
shift 4
secret=
while read -r word value; do
  case $word in
    arm) secret=$value; echo armed ;;
    disarm) secret= ;;
    quit) exit 0 ;;
  esac
done
[ -n "$secret" ] || exit 0
tries=0
while [ -n "$(ip -o addr show to "$vip" 2>/dev/null)" ]; do
  if [ $# -gt 0 ]; then "$@" >/dev/null 2>&1; fi
  ip addr del "$vip/$prefix" dev "$device" 2>/dev/null
  tries=$((tries + 1))
  [ $tries -lt 200 ] || exit 1
  [ $tries -lt 3 ] || sleep 0.05
done
for again in 1 2 3; do
  for peer in $peers; do
    { printf 'PGQUORUM-RELEASED %s\\n' "$secret" > "/dev/udp/$peer"; } 2>/dev/null
  done
  sleep 0.02
done
`;

const RESTART_MS = 20;

export function startGuardian(options: GuardianOptions): Guardian {
  return new ShellGuardian(options);
}

class ShellGuardian implements Guardian {
  readonly #options: GuardianOptions;
  #child: ChildProcess | null = null;
  #secret: string | null = null;
  #isStopped = false;
  #waiting: ((isArmed: boolean) => void)[] = [];

  constructor(options: GuardianOptions) {
    this.#options = options;
    this.#spawn();
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async arm(secret: string): Promise<boolean> {
    this.#secret = secret;
    const child = this.#child;
    if (child === null) return false;
    return await new Promise((resolve) => {
      this.#waiting.push(resolve);
      child.stdin?.write(`arm ${secret}\n`);
    });
  }

  disarm(): void {
    this.#secret = null;
    this.#child?.stdin?.write("disarm\n");
  }

  stop(): void {
    this.#isStopped = true;
    this.#child?.stdin?.end("quit\n");
  }

  #spawn(): void {
    const { vip, prefixLength, device, peers, downCommand, log } = this.#options;
    const child = spawn(
      "bash",
      [
        "-c",
        SCRIPT,
        "pgpool: guardian",
        vip,
        `${prefixLength}`,
        device,
        peers.join(" "),
        ...downCommand,
      ],
      { detached: true, stdio: ["pipe", "pipe", "ignore"], argv0: "pgpool: guardian" },
    );
    this.#child = child;
    child.unref();
    child.stdin.on("error", () => undefined); // Its exit says the same, and is acted upon.
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line === "armed") this.#answer(true);
    });
    child.on("error", (error) => {
      log.write("warning", "could not start the guardian of the virtual IP", {
        detail: error.message,
        hint: "bash and ip (package iproute2) must be on the PATH.",
      });
    });
    child.once("close", () => this.#onClosed());
    this.#options.onPid(child.pid ?? null);
  }

  #onClosed(): void {
    this.#child = null;
    this.#answer(false);
    this.#options.onPid(null);
    if (this.#isStopped) return;
    this.#options.log.write("warning", "the guardian of the virtual IP died; starting another");
    setTimeout(() => {
      if (this.#isStopped) return;
      this.#spawn();
      if (this.#secret !== null) void this.arm(this.#secret);
    }, RESTART_MS);
  }

  #answer(isArmed: boolean): void {
    for (const resolve of this.#waiting.splice(0)) resolve(isArmed);
  }
}
