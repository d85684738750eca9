import { createHash, randomBytes } from "node:crypto";
import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, runCommand, type Log } from "../../os/index.ts";
import { announcementDueMs, planVip, type Observed, type VipCommand } from "../core/plan.ts";
import {
  AddressRenewer,
  findAddress,
  removeAddress,
  type AddressPlace,
} from "./address-commands.ts";
import { startGuardian, type Guardian } from "./guardian.ts";

/**
 * Holds the virtual IP for exactly as long as it is told it may. Each renewal gives the address a
 * short life in the kernel, so that a process that stops running loses it without doing anything.
 */
export interface VipHolderOptions {
  readonly vip: string;
  readonly device: string;
  readonly prefixLength: number;
  /** What one renewal grants, or null for no limit (`vip_fence = none`). */
  readonly lifetimeSeconds: number | null;
  /** Words of if_up_cmd, if_down_cmd and arping_cmd when the administrator set them. */
  readonly upCommand: readonly [string, ...string[]] | null;
  readonly downCommand: readonly [string, ...string[]] | null;
  readonly arpingCommand: readonly [string, ...string[]] | null;
  /** Where peers listen for the proof of release: `host/port`. */
  readonly peers: readonly string[];
  readonly log: Log;
  /** Until when the address may be held; null: not at all. Asked right before every renewal. */
  readonly mayHoldUntilMs: () => Ms | null;
  /** This node's next secret has this hash. Told before the old secret is shown. */
  readonly onNewHash: (hash: string) => void;
  /** To be shown to all peers: the address is gone from here. */
  readonly onReleased: (secret: string) => void;
  readonly onChange: () => void;
}

const COMMAND_TIMEOUT_MS = 5000;
/** How often the kernel is asked whether it still has the address. */
const LOOK_MS = 1000;

export class VipHolder {
  readonly #options: VipHolderOptions;
  readonly #renewer: AddressRenewer;
  readonly #guardian: Guardian;
  /** Where the address is to be; where it is, when if_up_cmd decides that. */
  #places: readonly AddressPlace[];
  #guardianPid: number | null = null;
  #secret = newSecret();
  #isArmed = false;
  #address: Observed["address"];
  #announced = 0;
  #takenAtMs = 0;
  #lookedAtMs = 0;
  #isWorking = false;
  #isClosing = false;
  readonly #timer: NodeJS.Timeout;

  /** Resolves when an address left over from an earlier run is gone. */
  static async open(options: VipHolderOptions): Promise<VipHolder> {
    const left = await findAddress(options.vip);
    if (left.ok && left.value.length > 0) {
      options.log.write("warning", `removing the virtual IP ${options.vip} left by an earlier run`);
    }
    const isGone = await removeAddress(options.vip);
    return new VipHolder(options, isGone ? "gone" : "unknown");
  }

  private constructor(options: VipHolderOptions, address: Observed["address"]) {
    this.#options = options;
    this.#address = address;
    this.#places = [{ device: options.device, prefixLength: options.prefixLength }];
    this.#renewer = new AddressRenewer(options.vip, options.lifetimeSeconds ?? 0, options.log);
    this.#guardian = startGuardian({
      vip: options.vip,
      peers: options.peers,
      downCommand: options.downCommand ?? [],
      log: options.log,
      onPid: (pid) => {
        this.#guardianPid = pid;
        // Its renewals hold the lifeline of a guardian that is gone; the next holds the new one's.
        if (pid === null) void this.#renewer.stop();
        options.onChange();
      },
    });
    const lifetimeMs = (options.lifetimeSeconds ?? 1) * 1000;
    this.#timer = setInterval(() => void this.reconcile(), Math.min(250, lifetimeMs / 4));
  }

  /** SHA-256 of the secret that will prove the release of the next (or present) hold. */
  get hash(): string {
    return createHash("sha256").update(this.#secret, "utf8").digest("hex");
  }

  get isHeld(): boolean {
    return this.#address === "there";
  }

  get guardianPid(): number | null {
    return this.#guardianPid;
  }

  /** Compares what is wanted with what is there, and acts until they agree. */
  async reconcile(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      if (this.isHeld) await this.#keep();
      for (let command = this.#plan(); command !== null; command = this.#plan()) {
        if (!(await this.#perform(command))) break; // Tried again at the next tick.
      }
    } finally {
      this.#isWorking = false;
    }
  }

  /** Gives the address up and proves it; the guardian leaves. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#timer);
    while (this.#isWorking) await new Promise((resolve) => setTimeout(resolve, 5));
    await this.reconcile();
    await this.#renewer.stop();
    this.#guardian.stop();
  }

  #mayHold(): boolean {
    const untilMs = this.#isClosing ? null : this.#options.mayHoldUntilMs();
    return untilMs !== null && monotonicNowMs() < untilMs;
  }

  #plan(): VipCommand | null {
    return planVip(this.#mayHold() ? "held" : "released", {
      isArmed: this.#isArmed,
      address: this.#address,
      isAnnounced: this.#announced > 0,
    });
  }

  /** Renews, announces again when due, and notices when somebody took the address away. */
  async #keep(): Promise<void> {
    const nowMs = monotonicNowMs();
    if (nowMs - this.#lookedAtMs >= LOOK_MS) {
      this.#lookedAtMs = nowMs;
      const found = await findAddress(this.#options.vip);
      if (found.ok && found.value.length === 0) {
        this.#options.log.write("warning", `the virtual IP ${this.#options.vip} is gone from here`);
        this.#address = "unknown"; // A renewal on its way may bring it back.
        return;
      }
      // One that is frozen is replaced, while there is a process that can do so.
      void this.#guardian.arm(this.#secret);
    }
    if (!this.#mayHold()) return;
    this.#renew();
    if (nowMs - this.#takenAtMs >= announcementDueMs(this.#announced)) this.#announce();
  }

  #renew(): void {
    const { lifeline } = this.#guardian;
    // A guardian that is gone could not let go for us: then the address may run out.
    if (this.#options.lifetimeSeconds === null || lifeline === null) return;
    for (const place of this.#places) {
      if (this.#mayHold()) this.#renewer.renew(place, lifeline);
    }
  }

  async #perform(command: VipCommand): Promise<boolean> {
    switch (command) {
      case "arm":
        this.#isArmed = await this.#guardian.arm(this.#secret);
        return this.#isArmed;
      case "if-up":
        return await this.#bringUp();
      case "announce":
        this.#announce();
        return true;
      case "if-down":
        return await this.#takeDown();
      case "prove-release":
        this.#proveRelease();
        return true;
    }
  }

  async #bringUp(): Promise<boolean> {
    const { vip, device, prefixLength, upCommand, lifetimeSeconds, log, onChange } = this.#options;
    // From here on it may appear at any moment: only if-down can say that it is gone.
    this.#address = "unknown";
    if (upCommand !== null) {
      await this.#run(upCommand, "if_up_cmd");
      const found = await findAddress(vip);
      // The command chooses device and prefix; a renewal of another would leave it without end.
      if (found.ok && found.value.length > 0) this.#places = found.value;
    } else if (lifetimeSeconds === null) {
      await this.#run(["ip", "addr", "replace", `${vip}/${prefixLength}`, "dev", device], "ip");
    }
    this.#renew();
    const isThere = await this.#readBack();
    if (!isThere && !this.#mayHold()) return true; // Overtaken: the next command is if-down.
    if (!isThere) {
      log.write("warning", `failed to acquire the delegate IP address ${vip}`, {
        detail: `the kernel does not show it on ${device}`,
        hint: "The node needs root or CAP_NET_ADMIN; check vip_interface and if_up_cmd.",
      });
      return false;
    }
    this.#address = "there";
    this.#announced = 0;
    this.#takenAtMs = monotonicNowMs();
    this.#lookedAtMs = this.#takenAtMs;
    log.write("log", 'successfully acquired the delegate IP:"' + vip + '"');
    onChange();
    return true;
  }

  /** The batch runs beside us, so the address may come a moment later. */
  async #readBack(): Promise<boolean> {
    for (let attempt = 0; attempt < 10; attempt++) {
      const found = await findAddress(this.#options.vip);
      if (found.ok && found.value.length > 0) return true;
      if (!this.#mayHold()) return false;
    }
    return false;
  }

  async #takeDown(): Promise<boolean> {
    const { vip, downCommand, log, onChange } = this.#options;
    const wasHeld = this.isHeld;
    await this.#renewer.stop();
    const found = await findAddress(vip);
    const isThere = !found.ok || found.value.length > 0;
    if (downCommand !== null && isThere) await this.#run(downCommand, "if_down_cmd");
    if (!(await removeAddress(vip))) {
      log.write("error", `could not remove the virtual IP ${vip}; trying again`, {
        hint: "The node needs root or CAP_NET_ADMIN.",
      });
      return false;
    }
    this.#address = "gone";
    if (wasHeld) log.write("log", `released the delegate IP:"${vip}"`);
    onChange();
    return true;
  }

  #proveRelease(): void {
    const shown = this.#secret;
    this.#secret = newSecret();
    this.#isArmed = false;
    this.#guardian.disarm();
    this.#options.onNewHash(this.hash);
    this.#options.onReleased(shown);
  }

  /** In the background: `arping` stays for a second, the address serves at once. */
  #announce(): void {
    this.#announced += 1;
    const againMs = announcementDueMs(this.#announced) - (monotonicNowMs() - this.#takenAtMs);
    setTimeout(() => void this.reconcile(), Math.max(againMs, 10)).unref();
    const { vip, arpingCommand } = this.#options;
    const isIPv6 = vip.includes(":");
    if (isIPv6 && arpingCommand === null) return; // The kernel sends the unsolicited advertisement.
    const command: readonly [string, ...string[]] = arpingCommand ?? [
      "arping",
      "-U",
      "-c",
      "1",
      "-w",
      "1",
      "-I",
      this.#places[0]?.device ?? this.#options.device,
      vip,
    ];
    void this.#run(command, "arping_cmd");
  }

  async #run(command: readonly [string, ...string[]], name: string): Promise<void> {
    const outcome = await runCommand({ command, timeoutMs: COMMAND_TIMEOUT_MS });
    // arping -U hears no answer and says so with exit status 1.
    if (outcome.exitCode === 0 || (name === "arping_cmd" && outcome.exitCode === 1)) return;
    this.#options.log.write("warning", `${name} failed: ${command.join(" ")}`, {
      detail: outcome.startError ?? `exit status ${outcome.exitCode}: ${outcome.lines.join(" ")}`,
    });
  }
}

function newSecret(): string {
  return randomBytes(32).toString("hex");
}
