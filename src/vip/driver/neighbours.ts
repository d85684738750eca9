import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, runCommand, type Log } from "../../os/index.ts";
import { announcements, probe } from "../core/frames.ts";
import { announcementDueMs } from "../core/plan.ts";
import type { NetworkDevice } from "./addresses.ts";
import type { FrameSender } from "./frame-sender.ts";

/**
 * Tells the neighbours where the virtual IP is: at once when it is taken, several times soon after,
 * and every 30 s; and again from the start whenever another host may have claimed it meanwhile.
 */
export interface NeighboursOptions {
  readonly vip: string;
  /** Words of arping_cmd when the administrator set it. */
  readonly arpingCommand: readonly [string, ...string[]] | null;
  /** Null: frames cannot be sent from here, `arping` must. */
  readonly sender: FrameSender | null;
  readonly log: Log;
}

const COMMAND_TIMEOUT_MS: Ms = 5000;
const HARDWARE_BYTES = 6;
/** Two bursts of announcements are at least so far apart. */
const AGAIN_AFTER_MS: Ms = 1000;

export class Neighbours {
  readonly #options: NeighboursOptions;
  #devices: readonly NetworkDevice[] = [];
  #startedAtMs: Ms | null = null;
  #announced = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** The devices that have the virtual IP. */
  set devices(devices: readonly NetworkDevice[]) {
    this.#devices = devices;
  }

  /** Who claims the address, by `arping`: for a host whose filter does not write it down. */
  async findRivals(): Promise<readonly string[] | null> {
    const { vip } = this.#options;
    const [device] = this.#reachable();
    if (device === undefined || vip.includes(":")) return null;
    const asked = await runCommand({
      command: ["arping", "-D", "-c", "1", "-w", "1", "-I", device.name, vip],
      timeoutMs: COMMAND_TIMEOUT_MS,
    });
    if (asked.exitCode === null) return null;
    return asked.lines.flatMap((line) => /\[([0-9A-Fa-f:]{17})\]/.exec(line)?.[1] ?? []);
  }

  /** The address is open now: says so, and again at its times. */
  start(): void {
    this.stop();
    this.#startedAtMs = monotonicNowMs();
    this.#announced = 0;
    this.#announce();
  }

  /** Another may have spoken for the address. Ignored while announcements are frequent anyway. */
  again(): void {
    const startedAtMs = this.#startedAtMs;
    if (startedAtMs === null || monotonicNowMs() - startedAtMs < AGAIN_AFTER_MS) return;
    this.start();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#startedAtMs = null;
  }

  /** Asks who else has the address; an answer shows in the fence. */
  probe(): void {
    for (const { index, hardwareAddress } of this.#reachable()) {
      this.#options.sender?.send(index, probe(this.#options.vip, hardwareAddress));
    }
  }

  #announce(): void {
    if (this.#startedAtMs === null) return;
    this.#announced += 1;
    const dueMs = this.#startedAtMs + announcementDueMs(this.#announced);
    this.#timer = setTimeout(() => this.#announce(), Math.max(dueMs - monotonicNowMs(), 10));
    this.#timer.unref();
    const { vip, arpingCommand, sender } = this.#options;
    if (arpingCommand !== null) return void this.#run(arpingCommand);
    for (const { index, name, hardwareAddress } of this.#reachable()) {
      const frames = sender === null ? [] : announcements(vip, hardwareAddress);
      const isSent = frames.length > 0 && frames.every((frame) => sender?.send(index, frame));
      if (isSent || vip.includes(":")) continue;
      // In the background: it stays for a second, while the address serves at once.
      void this.#run(["arping", "-U", "-c", "1", "-w", "1", "-I", name, vip]);
    }
  }

  #reachable(): readonly NetworkDevice[] {
    return this.#devices.filter(({ hardwareAddress }) => hardwareAddress.length === HARDWARE_BYTES);
  }

  async #run(command: readonly [string, ...string[]]): Promise<void> {
    const outcome = await runCommand({ command, timeoutMs: COMMAND_TIMEOUT_MS });
    // arping -U hears no answer and says so with exit status 1.
    if (outcome.exitCode === 0 || outcome.exitCode === 1) return;
    this.#options.log.write("warning", `arping_cmd failed: ${command.join(" ")}`, {
      detail: outcome.startError ?? `exit status ${outcome.exitCode}: ${outcome.lines.join(" ")}`,
      hint: "Set arping_cmd, or install the package iputils-arping.",
    });
  }
}
