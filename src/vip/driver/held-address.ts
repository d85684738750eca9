import type { Stream } from "node:stream";
import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, runCommand, type Log } from "../../os/index.ts";
import type { Observed } from "../core/plan.ts";
import type { Addresses, AddressPlace } from "./addresses.ts";

export interface HeldAddressOptions {
  readonly vip: string;
  readonly device: string;
  readonly prefixLength: number;
  /** `valid_lft` of each renewal, or null for no limit (`vip_fence = none`). */
  readonly lifetimeSeconds: number | null;
  /** Words of if_up_cmd and if_down_cmd when the administrator set them. */
  readonly upCommand: readonly [string, ...string[]] | null;
  readonly downCommand: readonly [string, ...string[]] | null;
  readonly log: Log;
}

const COMMAND_TIMEOUT_MS: Ms = 5000;
const LOOKS_MAX = 10;

/** The virtual IP on this host, as far as it is known: brought up, extended, taken down, looked for. */
export class HeldAddress {
  readonly #options: HeldAddressOptions;
  readonly #addresses: Addresses;
  #places: readonly AddressPlace[];
  #state: Observed["address"];
  #putAtMs: Ms = -Infinity;

  constructor(options: HeldAddressOptions, addresses: Addresses, state: Observed["address"]) {
    this.#options = options;
    this.#addresses = addresses;
    this.#state = state;
    this.#places = [{ device: options.device, prefixLength: options.prefixLength }];
  }

  get state(): Observed["address"] {
    return this.#state;
  }

  /** Where the address is to be; where it is, when if_up_cmd decides that. */
  get places(): readonly [AddressPlace, ...AddressPlace[]] {
    const { device, prefixLength } = this.#options;
    const [first = { device, prefixLength }, ...rest] = this.#places;
    return [first, ...rest];
  }

  /**
   * True when the address is there, or when it is not wanted any more: then its state says so.
   *
   * @param isWanted asked right before each step.
   */
  async bringUp(lifeline: Stream, isWanted: () => boolean): Promise<boolean> {
    const { vip, device, upCommand, lifetimeSeconds, log } = this.#options;
    if (!isWanted()) return true;
    // From here on it may appear at any moment: only taking it down can say that it is gone.
    this.#state = "unknown";
    if (upCommand !== null) {
      await this.#run(upCommand, "if_up_cmd");
      const found = await this.#addresses.find();
      // The command chooses device and prefix; a renewal of another would leave it without end.
      if (found.ok && found.value.length > 0) this.#places = found.value;
    }
    let isDone = false;
    for (const place of this.#places) {
      if (!isWanted()) return true;
      this.#putAtMs = monotonicNowMs();
      const put = await this.#addresses.put(place, lifetimeSeconds, lifeline);
      if (put.ok) ({ isDone } = put.value);
      else log.write("warning", `could not add ${vip} to ${place.device}: ${put.error}`);
    }
    if (isDone || (await this.#isThere(isWanted))) {
      this.#state = "there";
      return true;
    }
    if (!isWanted()) return true;
    log.write("warning", `failed to acquire the delegate IP address ${vip}`, {
      detail: `the kernel does not show it on ${device}`,
      hint: "The node needs root or CAP_NET_ADMIN; check vip_interface and if_up_cmd.",
    });
    return false;
  }

  /**
   * `valid_lft` from now, when the part of it that is used up is no less than this.
   *
   * @param mayHold asked right before each renewal.
   */
  extend(lifeline: Stream, usedPart: number, mayHold: () => boolean): void {
    const { lifetimeSeconds } = this.#options;
    const nowMs = monotonicNowMs();
    if (lifetimeSeconds === null) return;
    if (nowMs - this.#putAtMs < lifetimeSeconds * 1000 * usedPart) return;
    this.#putAtMs = nowMs;
    for (const place of this.#places) {
      if (!mayHold()) return;
      void this.#addresses.put(place, lifetimeSeconds, lifeline);
    }
  }

  /** True when it was read back as gone. */
  async takeDown(): Promise<boolean> {
    const { vip, downCommand, log } = this.#options;
    await this.#addresses.settle();
    const found = await this.#addresses.find();
    const isThere = !found.ok || found.value.length > 0;
    if (downCommand !== null && isThere) await this.#run(downCommand, "if_down_cmd");
    if (!(await this.#addresses.remove())) {
      log.write("error", `could not remove the virtual IP ${vip}; trying again`, {
        hint: "The node needs root or CAP_NET_ADMIN.",
      });
      return false;
    }
    if (this.#state === "there") log.write("log", `released the delegate IP:"${vip}"`);
    this.#state = "gone";
    return true;
  }

  /** Reads again and compares; what somebody took away may come back by a renewal on its way. */
  async look(): Promise<void> {
    if (this.#state !== "there") return;
    const found = await this.#addresses.find();
    if (this.state !== "there" || !found.ok || found.value.length > 0) return;
    this.#options.log.write("warning", `the virtual IP ${this.#options.vip} is gone from here`);
    this.#state = "unknown";
  }

  /** `ip` runs beside us, so the address may come a moment later. */
  async #isThere(isWanted: () => boolean): Promise<boolean> {
    for (let look = 0; look < LOOKS_MAX; look++) {
      const found = await this.#addresses.find();
      if (found.ok && found.value.length > 0) return true;
      if (!isWanted()) return false;
    }
    return false;
  }

  async #run(command: readonly [string, ...string[]], name: string): Promise<void> {
    // Killed with this process: it must not bring the address up after the guardian has looked.
    const outcome = await runCommand({ command, timeoutMs: COMMAND_TIMEOUT_MS, killGroup: true });
    if (outcome.exitCode === 0) return;
    this.#options.log.write("warning", `${name} failed: ${command.join(" ")}`, {
      detail: outcome.startError ?? `exit status ${outcome.exitCode}: ${outcome.lines.join(" ")}`,
    });
  }
}
