import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Stream } from "node:stream";
import type { Ms } from "../../base/index.ts";
import type { Log } from "../../os/index.ts";
import type { AddressPlace } from "./addresses.ts";

/**
 * A tiny child, a shell blocked on a pipe, that outlives this process. When the pipe ends, this
 * process is dead, however it died: the guardian shuts the fence, deletes the virtual IP, reads
 * back that it is gone, and shows the peers the secret that proves it.
 *
 *     watchdog ──pipe──▶ guardian ── datagram, ip addr del ──▶ kernel
 *         └──▶ ip -batch ──lifeline──▲  └─── UDP secret ───▶ every peer
 *
 * It has a session of its own and ignores the signals of a stopping service, and that nobody is
 * left to read its answer.
 */
export interface Guardian {
  readonly pid: number | null;
  /** The guardian that runs now has confirmed that it would act. */
  readonly isArmed: boolean;
  /**
   * Held open by whatever may still bring the address up: before the guardian deletes it, it
   * waits for the lifeline to end. Null while no guardian runs.
   */
  readonly lifeline: Stream | null;
  /**
   * Resolves true when the guardian has confirmed that it would act. May be repeated; a guardian
   * that does not answer within a second is replaced.
   */
  arm(duty: GuardianDuty): Promise<boolean>;
  /** The address is properly gone: nothing is left to guard. */
  disarm(): void;
  /** The guardian ends; one that is still armed lets go first. */
  stop(): void;
}

export interface GuardianDuty {
  readonly secret: string;
  /** Where the address is, or will be. */
  readonly place: AddressPlace;
  /** Where a datagram to the virtual IP shuts the fence; null: there is none. */
  readonly closePort: number | null;
}

export interface GuardianOptions {
  readonly vip: string;
  /** Where peers listen for the proof of release: `host/port`. */
  readonly peers: readonly string[];
  /** if_down_cmd in words when the administrator set one; empty: `ip addr del`. */
  readonly downCommand: readonly string[];
  /** For nft, when the proof was shown: lets packets of the next holder pass by. Empty: no filter. */
  readonly ungateText: string;
  readonly log: Log;
  /** Told of every guardian that starts, and null of one that ended. */
  readonly onPid: (pid: number | null) => void;
}

/**
 * Arguments: VIP, peers (one word, blanks between), text for nft, then if_down_cmd in words. Bash,
 * because it can send datagrams without another program. No proof without certainty: not while a renewal may be
 * under way (a read that times out gives more than 128), not when `ip` itself fails. The usual case
 * is one `ip` that deletes, looks, and shows by a last line that it got so far; what else can be,
 * the loop below handles.
 */
const SCRIPT = `
trap '' TERM INT HUP PIPE
vip=$1 peers=$2 ungate=$3
shift 3
secret=
while read -r word value shut device length; do
  case $word in
    arm) secret=$value port=$shut dev=$device prefix=$length; echo armed ;;
    disarm) secret= ;;
  esac
done
[ -n "$secret" ] || exit 0
[ "$port" = - ] || { echo > "/dev/udp/$vip/$port"; } 2>/dev/null
read -r -t 1 -u 3 word
[ $? -le 128 ] || secret=
gone=
if [ $# -eq 0 ]; then
  seen=$(ip -o -force -batch - 2>&1 <<< "addr del $vip/$prefix dev $dev
addr show to $vip
link show lo")
  case $seen in *inet* | *-:2* | *-:3*) ;; *': lo: '*) gone=1 ;; esac
fi
tries=0
until [ -n "$gone" ] || { places=$(ip -o addr show to "$vip" 2>/dev/null) && [ -z "$places" ]; }; do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || exit 1
  [ $tries -lt 4 ] || sleep 0.05
  [ $# -eq 0 ] || timeout 5 "$@" >/dev/null 2>&1
  while read -r _ device _ place _; do
    [ -z "$place" ] || ip addr del "$place" dev "$device" 2>/dev/null
  done <<< "$places"
done
[ -n "$secret" ] || exit 1
for again in 1 2 3; do
  for peer in $peers; do
    { printf 'PGQUORUM-RELEASED %s\\n' "$secret" > "/dev/udp/$peer"; } 2>/dev/null
  done
  sleep 0.02
done
[ -z "$ungate" ] || nft "$ungate" 2>/dev/null
`;

// Bash takes a socket for a sign of rsh and would run the user's ~/.bashrc first, or $BASH_ENV.
const BASH = ["--norc", "-p", "-c"] as const;
const RESTART_MS: Ms = 5;
/** Until the next attempt when the system could not even start one, or none has ever stayed. */
const RETRY_MS: Ms = 1000;
const ARM_MS: Ms = 1000;

export function startGuardian(options: GuardianOptions): Guardian {
  return new ShellGuardian(options);
}

class ShellGuardian implements Guardian {
  readonly #options: GuardianOptions;
  #child: ChildProcess | null = null;
  #duty: GuardianDuty | null = null;
  #isArmed = false;
  /** The guardian that runs now works: one that dies without it may do so again and again. */
  #hasAnswered = false;
  #isStopped = false;
  #waiting: ((isArmed: boolean) => void)[] = [];

  constructor(options: GuardianOptions) {
    this.#options = options;
    this.#spawn();
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get isArmed(): boolean {
    return this.#isArmed;
  }

  get lifeline(): Stream | null {
    return this.#child?.stdio[3] ?? null;
  }

  async arm(duty: GuardianDuty): Promise<boolean> {
    this.#duty = duty;
    const child = this.#child;
    if (child === null) return false;
    const timer = setTimeout(() => {
      this.#options.log.write("warning", "the guardian of the virtual IP does not answer");
      child.kill("SIGKILL"); // Its end is noticed, and another started.
    }, ARM_MS);
    const { secret, place, closePort } = duty;
    const isArmed = await new Promise<boolean>((resolve) => {
      this.#waiting.push(resolve);
      child.stdin?.write(
        `arm ${secret} ${closePort ?? "-"} ${place.device} ${place.prefixLength}\n`,
      );
    });
    clearTimeout(timer);
    return isArmed;
  }

  disarm(): void {
    this.#duty = null;
    this.#isArmed = false;
    this.#child?.stdin?.write("disarm\n");
  }

  stop(): void {
    this.#isStopped = true;
    this.#isArmed = false;
    this.#child?.stdin?.end();
  }

  #spawn(): void {
    const { vip, peers, ungateText, downCommand, log } = this.#options;
    const child = spawn(
      "bash",
      [...BASH, SCRIPT, "pgpool: guardian", vip, peers.join(" "), ungateText, ...downCommand],
      { detached: true, stdio: ["pipe", "pipe", "ignore", "pipe"], argv0: "pgpool: guardian" },
    );
    this.#child = child;
    child.unref();
    child.stdin?.on("error", () => undefined); // Its exit says the same, and is acted upon.
    child.stdio[3]?.on("error", () => undefined);
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line === "armed" && this.#child === child) this.#onArmed();
      });
    }
    child.on("error", (error) => {
      log.write("warning", "could not start the guardian of the virtual IP", {
        detail: error.message,
        hint: "bash and ip (package iproute2) must be on the PATH.",
      });
      if (child.pid === undefined) this.#onEnded(child, RETRY_MS);
    });
    // Not "close": the lifeline, once shared, is no longer read by us, and so never closes.
    child.once("exit", () => this.#onEnded(child, this.#hasAnswered ? RESTART_MS : RETRY_MS));
    this.#options.onPid(child.pid ?? null);
  }

  #onArmed(): void {
    this.#isArmed = this.#duty !== null;
    this.#hasAnswered = true;
    this.#answer(true);
  }

  #onEnded(child: ChildProcess, againMs: Ms): void {
    for (const stream of child.stdio) stream?.destroy();
    this.#child = null;
    this.#isArmed = false;
    this.#hasAnswered = false;
    this.#answer(false);
    this.#options.onPid(null);
    if (this.#isStopped) return;
    this.#options.log.write("warning", "the guardian of the virtual IP died; starting another");
    setTimeout(() => {
      if (this.#isStopped) return;
      this.#spawn();
      if (this.#duty !== null) void this.arm(this.#duty);
    }, againMs);
  }

  #answer(isArmed: boolean): void {
    for (const resolve of this.#waiting.splice(0)) resolve(isArmed);
  }
}
