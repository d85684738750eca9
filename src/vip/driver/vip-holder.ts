import { createHash, randomBytes } from "node:crypto";
import type { Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { Fence } from "../core/fence.ts";
import { planVip, type Observed, type VipCommand } from "../core/plan.ts";
import type { Addresses, NetworkDevice } from "./addresses.ts";
import { ConflictWatch } from "./conflict-watch.ts";
import { startGuardian, type Guardian, type GuardianDuty } from "./guardian.ts";
import { HeldAddress, type HeldAddressOptions } from "./held-address.ts";
import type { Neighbours } from "./neighbours.ts";
import type { NftFence } from "./nft-fence.ts";

/**
 * Holds the virtual IP for exactly as long as it is told it may.
 *
 *     arm ──▶ guardian armed ─▶ permit (nft) ─▶ address behind the shut fence ─▶ onArmed
 *     renew ─▶ one datagram: open for K from now, if the permit still lives
 *     close ─▶ one datagram: shut ─▶ address deleted ─▶ read back ─▶ secret shown
 *
 * Why a process that stops between any two of these lines cannot answer for the address too long
 * (`nft`): only a renewal opens, and the kernel obeys it only while the permit of the present arm
 * lives, which is K after the arm or the renewal before. Consensus asks for a renewal only for a
 * round begun after that. So however late the datagram is sent, it is obeyed at most K after the
 * round began, and what it opens is shut K later: within 2 K <= T.
 *
 * - Frozen before `onArmed`: a permit that nobody uses, an address that nobody can reach.
 * - An arm of an earlier attempt that ends late sets a permit of another number, which no renewal
 *   of a later attempt fits; and this process does one thing at a time, so that an attempt begins
 *   when the one before has ended.
 * - `close` while an arm is under way: the datagram is sent at once; what the arm still does opens
 *   nothing; then the plan says "if-down", sends the datagram again and reads back. A new arm
 *   begins only when that release is complete.
 * - Killed at any point: nobody renews; the guardian shuts, deletes, reads back and only then
 *   shows the secret. Requests for the address end with this process or hold the guardian's lifeline.
 * - Guardian dead: no renewal until another has confirmed; within K that is a pause, else the fence
 *   shuts and consensus arms again.
 *
 * With `lifetime` the address itself is what opens. The clock is looked at right before each
 * renewal; a freeze between look and renewal may revive it, which is why that level is second best.
 */
export interface VipHolderOptions extends HeldAddressOptions {
  readonly fence: Fence;
  /** In words, when the fence is less than what was asked for; else empty. */
  readonly fenceReason: string;
  /** Where peers listen for the proof of release: `host/port`. */
  readonly peers: readonly string[];
  /** Until when the address may be held; null: not at all. Asked right before what opens it. */
  readonly mayHoldUntilMs: () => Ms | null;
  /** Renewals have an effect from now on. */
  readonly onArmed: () => void;
  /** Permit, guardian or address is gone for good: to be armed again. */
  readonly onLost: () => void;
  /** This node's next secret has this hash. Told before the old secret is shown. */
  readonly onNewHash: (hash: string) => void;
  /** To be shown to all peers: the address is gone from here. */
  readonly onReleased: (secret: string) => void;
  readonly onChange: () => void;
}

/** What `open-vip.ts` puts together for a holder. */
export interface VipParts {
  readonly addresses: Addresses;
  readonly neighbours: Neighbours;
  /** Null unless the level is `nft`. */
  readonly nft: NftFence | null;
}

/** How often the kernel is asked whether it still has the address, and the guardian whether it lives. */
const LOOK_MS: Ms = 1000;
/** Without news the devices are looked at that rarely. */
const DEVICES_EACH_LOOKS = 10;
/** Looks because of news are at least so far apart: our own renewals make news as well. */
const NEWS_MS: Ms = 300;
/** A command that failed is planned again after this, and after twice as long each time. */
const AGAIN_MS: Ms = 100;
const AGAIN_MAX_MS: Ms = 5000;
/** A renewal that near to the end of the permit may have come too late: the kernel counts in ticks. */
const EARLY_MS: Ms = 10;
const STOP_MS: Ms = 10_000;
/** How often a holder asks who else claims the address; by `arping` it costs more. */
const RIVALS_MS: Ms = 10_000;
const RIVALS_BY_ARPING_MS: Ms = 30_000;

export class VipHolder {
  readonly #options: VipHolderOptions;
  readonly #parts: VipParts;
  readonly #guardian: Guardian;
  readonly #conflicts: ConflictWatch;
  #ownHardware: ReadonlySet<string> = new Set();
  readonly #address: HeldAddress;
  #secret = newSecret();
  #wanted: "held" | "released" = "released";
  #isReleasing = false;
  #isStopped = false;
  #isClaimed = false;
  #isPermitted = false;
  #isReported = false;
  #isOpen = false;
  #isGated = true;
  /** Counts calls of `arm`: a permit that was asked for before does not count. */
  #attempt = 0;
  /** The kernel's permit lives at least until then, or longer. */
  #permitUntilMs: Ms = 0;
  #lookedAtMs: Ms = -Infinity;
  #looks = 0;
  #isNewsAwaited = false;
  #work: Promise<void> | null = null;
  #failures = 0;
  readonly #timer: NodeJS.Timeout;

  /** Resolves when an address left over from an earlier run is gone, behind the shut fence. */
  static async open(options: VipHolderOptions, parts: VipParts): Promise<VipHolder> {
    const left = await parts.addresses.find();
    if (left.ok && left.value.length > 0) {
      options.log.write("warning", `removing the virtual IP ${options.vip} left by an earlier run`);
    }
    const isGone = await parts.addresses.remove();
    return new VipHolder(options, parts, isGone ? "gone" : "unknown");
  }

  private constructor(options: VipHolderOptions, parts: VipParts, address: Observed["address"]) {
    this.#options = options;
    this.#parts = parts;
    this.#address = new HeldAddress(options, parts.addresses, address);
    this.#guardian = startGuardian({
      vip: options.vip,
      peers: options.peers,
      downCommand: options.downCommand ?? [],
      ungateText: parts.nft?.ungateText ?? "",
      log: options.log,
      onPid: (pid) => this.#onGuardian(pid),
    });
    this.#conflicts = new ConflictWatch({
      ...options,
      probe: () => parts.neighbours.probe(),
      rivals: () => this.#findRivals(),
      own: () => this.#ownHardware,
      isHeld: () => this.isHeld,
      defend: () => parts.neighbours.start(),
      everyMs: parts.nft === null ? RIVALS_BY_ARPING_MS : RIVALS_MS,
    });
    parts.addresses.watch(() => this.#onNews());
    this.#timer = setInterval(() => void this.#look(false), LOOK_MS);
    this.#continue();
  }

  get fence(): Fence {
    return this.#options.fence;
  }

  get fenceReason(): string {
    return this.#options.fenceReason;
  }

  /** SHA-256 of the secret that will prove the release of the next (or present) hold. */
  get hash(): string {
    return createHash("sha256").update(this.#secret, "utf8").digest("hex");
  }

  /** This host answers for the address now, as far as this process can know. */
  get isHeld(): boolean {
    if (this.#address.state !== "there" || !this.#isOpen) return false;
    return this.#parts.nft === null || monotonicNowMs() < this.#permitUntilMs;
  }

  get guardianPid(): number | null {
    return this.#guardian.pid;
  }

  /** Another host claims the address: its hardware address; null: nobody does. */
  get conflict(): string | null {
    return this.#conflicts.conflict;
  }

  /** Prepares for renewals; `onArmed` says when. Opens nothing. */
  arm(): void {
    if (this.#isStopped) return;
    this.#wanted = "held";
    this.#attempt += 1;
    this.#failures = 0;
    this.#isPermitted = false;
    this.#isReported = false;
    this.#isOpen = this.isHeld;
    this.#continue();
  }

  /** Opens, or keeps open. What it does is done, or under way, when it returns. */
  renew(): void {
    if (this.#wanted !== "held" || this.#isReleasing || !this.#isReported) return;
    if (this.#parts.nft === null) this.#renewLifetime();
    else this.#renewLease(this.#parts.nft);
  }

  /**
   * Shuts at once; then deletes, reads back and shows the secret, also of a hold that did not get
   * as far as the address. Resolves when that is done or has failed for now; it goes on by itself.
   */
  async close(): Promise<void> {
    this.#parts.nft?.close();
    this.#wanted = "released";
    this.#failures = 0; // Those of the arm must not delay the release.
    this.#isClaimed = true;
    this.#isReleasing = true;
    this.#isReported = false;
    this.#isOpen = false;
    this.#parts.neighbours.stop();
    this.#conflicts.stop();
    this.#continue();
    await this.#work;
  }

  /** Another host may have spoken for the address: tells the neighbours again. */
  announceAgain(): void {
    if (this.isHeld) this.#parts.neighbours.again();
  }

  /** Gives the address up, proves it, and takes guardian and fence out of the system. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    const limitMs = monotonicNowMs() + STOP_MS;
    if (this.#wanted === "held" || this.#plan() !== null) await this.close();
    while (this.#plan() !== null && monotonicNowMs() < limitMs) {
      this.#continue();
      await this.#work;
      if (this.#plan() !== null) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    this.#guardian.stop();
    if (this.#address.state === "gone") await this.#parts.nft?.remove();
    this.#parts.addresses.stop();
  }

  #mayHold(): boolean {
    const untilMs = this.#options.mayHoldUntilMs();
    return this.#wanted === "held" && untilMs !== null && monotonicNowMs() < untilMs;
  }

  #renewLease(nft: NftFence): void {
    const beforeMs = monotonicNowMs();
    if (this.#address.state === "there" && this.#guardian.isArmed) {
      nft.renew();
      // Looked at after the datagram: this process may have slept before it.
      if (monotonicNowMs() < this.#permitUntilMs - EARLY_MS) {
        this.#permitUntilMs = beforeMs + (this.#options.fence.kernelLeaseMs ?? 0);
        if (!this.#isOpen) this.#onOpened();
        this.#extend(1 / 3);
        return;
      }
    }
    if (monotonicNowMs() >= this.#permitUntilMs - EARLY_MS) this.#lose("was not renewed in time");
  }

  #renewLifetime(): void {
    this.#isPermitted = true;
    if (this.#address.state === "there") this.#extend(1 / 4);
    else this.#continue();
  }

  #extend(usedPart: number): void {
    const { lifeline, isArmed } = this.#guardian;
    // A guardian that is gone could not let go for us: then the address may run out.
    if (lifeline === null || !isArmed) return;
    this.#address.extend(lifeline, usedPart, () => this.#mayHold());
  }

  #onOpened(): void {
    this.#isOpen = true;
    this.#parts.neighbours.start();
    const { vip, log, onChange } = this.#options;
    log.write("log", `successfully acquired the delegate IP:"${vip}"`);
    onChange();
  }

  #lose(why: string): void {
    const { vip, log, onLost, onChange } = this.#options;
    log.write("warning", `the hold on the virtual IP ${vip} ${why}; arming again`);
    this.#isPermitted = false;
    this.#isReported = false;
    this.#isOpen = false;
    onLost();
    onChange();
  }

  /** The table was flushed by somebody: it is being loaded again, shut. */
  onBypassed(): void {
    const hint = 'Leave the table "pgquorum_…" out of what flushes the rule set.';
    this.#options.log.write("warning", "somebody removed the fence of the virtual IP", { hint });
    if (this.#wanted === "held" && this.#isReported) this.#lose("lost its fence");
  }

  #onGuardian(pid: number | null): void {
    // Its renewals hold the lifeline of a guardian that is gone; the next holds the new one's.
    if (pid === null) void this.#parts.addresses.settle();
    this.#options.onChange();
    this.#continue();
  }

  #onNews(): void {
    if (this.#isNewsAwaited) return;
    this.#isNewsAwaited = true;
    const waitMs = Math.max(0, this.#lookedAtMs + NEWS_MS - monotonicNowMs());
    setTimeout(() => {
      this.#isNewsAwaited = false;
      void this.#look(true);
    }, waitMs).unref();
  }

  async #fenceDevices(): Promise<void> {
    const gated = await this.#parts.nft?.followDevices();
    if (gated?.ok !== false) return;
    const hint = "The fence does not cover every device; a later look tries again.";
    this.#options.log.write("error", "could not fence a device", { detail: gated.error, hint });
  }

  /** Reads again and compares: the address, the devices, the guardian. */
  async #look(isNews: boolean): Promise<void> {
    if (this.#isStopped) return;
    this.#lookedAtMs = monotonicNowMs();
    this.#looks += 1;
    if (isNews || this.#looks % DEVICES_EACH_LOOKS === 0) await this.#fenceDevices();
    if (this.#address.state !== "there" || this.#isReleasing) return;
    // One that is frozen is replaced, while there is a process that can do so.
    void this.#guardian.arm(this.#duty());
    await this.#address.look();
    this.#continue();
  }

  #plan(): VipCommand | null {
    return planVip(this.#isReleasing ? "released" : this.#wanted, {
      isFenced: this.#parts.nft !== null,
      isGuarded: this.#guardian.isArmed,
      isClaimed: this.#isClaimed,
      isPermitted: this.#isPermitted,
      address: this.#address.state,
      isReported: this.#isReported,
      isGated: this.#isGated,
    });
  }

  /** Starts to work towards what is wanted, unless that is being done. */
  #continue(): void {
    // Not at once: whoever calls may be in the middle of a step.
    this.#work ??= Promise.resolve()
      .then(() => this.#workOn())
      .finally(() => {
        this.#work = null;
        if (this.#failures === 0 && this.#plan() !== null) this.#continue();
      });
  }

  async #workOn(): Promise<void> {
    for (let command = this.#plan(); command !== null; command = this.#plan()) {
      const isDone = await this.#perform(command);
      if (!isDone) {
        const againMs = Math.min(AGAIN_MS * 2 ** this.#failures, AGAIN_MAX_MS);
        this.#failures += 1;
        setTimeout(() => this.#continue(), againMs).unref();
        return;
      }
      this.#failures = 0;
    }
  }

  async #perform(command: VipCommand): Promise<boolean> {
    switch (command) {
      case "arm-guardian":
        this.#isClaimed = true;
        return await this.#guardian.arm(this.#duty());
      case "permit":
        return await this.#permit();
      case "if-up":
        return await this.#bringUp();
      case "report-armed":
        this.#isReported = true;
        this.#options.onArmed();
        return true;
      case "if-down":
        return await this.#takeDown();
      case "prove-release":
        this.#proveRelease();
        return true;
      case "ungate":
        this.#isGated = (await this.#parts.nft?.ungate())?.ok !== true;
        return !this.#isGated;
    }
  }

  #duty(): GuardianDuty {
    const [place] = this.#address.places;
    return { secret: this.#secret, place, closePort: this.#parts.nft?.closePort ?? null };
  }

  async #permit(): Promise<boolean> {
    const attempt = this.#attempt;
    const beforeMs = monotonicNowMs();
    this.#isGated = true; // From here on it may appear at any moment.
    const [armed] = await Promise.all([this.#parts.nft?.arm(), this.#readDevices()]);
    if (armed?.ok !== true) {
      const detail = armed?.error ?? "no filter";
      this.#options.log.write("error", "could not arm the fence of the virtual IP", { detail });
      return false;
    }
    this.#permitUntilMs = beforeMs + (this.#options.fence.kernelLeaseMs ?? 0);
    this.#isPermitted = attempt === this.#attempt;
    return true;
  }

  async #bringUp(): Promise<boolean> {
    const isFenced = this.#parts.nft !== null;
    const { lifeline } = this.#guardian;
    if (lifeline === null) return false;
    const isWanted = (): boolean => !this.#isReleasing && (isFenced || this.#mayHold());
    // Without a filter only the next renewal says so again.
    if (!isWanted()) this.#isPermitted = false;
    if (!(await this.#address.bringUp(lifeline, isWanted))) return false;
    if (this.#address.state !== "there") return true;
    void this.#guardian.arm(this.#duty()); // if_up_cmd may have chosen another place.
    if (!isFenced || this.#options.upCommand !== null) await this.#readDevices();
    // Asked before the fence opens; it opens whatever the answer is: a quorum has decided.
    this.#conflicts.start();
    if (this.#isOpen) this.#parts.neighbours.start();
    else if (!isFenced) this.#onOpened();
    return true;
  }

  async #readDevices(): Promise<void> {
    const names = new Set(this.#address.places.map(({ device }) => device));
    const devices = await this.#parts.addresses.devices();
    const all: readonly NetworkDevice[] = devices.ok ? devices.value : [];
    this.#ownHardware = new Set(all.map((each) => formatHardware(each.hardwareAddress)));
    this.#parts.neighbours.devices = all.filter(({ name }) => names.has(name));
  }

  /** What the filter wrote down; and it shows whether it is as open as we think. */
  async #findRivals(): Promise<readonly string[] | null> {
    const { nft, neighbours } = this.#parts;
    if (nft === null) return await neighbours.findRivals();
    const wasHeld = this.isHeld;
    const seen = await nft.look();
    if (!seen.ok) return null;
    if (wasHeld && this.isHeld && !seen.value.isOpen) this.#lose("is shut in the kernel");
    return seen.value.rivals;
  }

  async #takeDown(): Promise<boolean> {
    this.#parts.nft?.close();
    this.#isOpen = false;
    if (!(await this.#address.takeDown())) return false;
    this.#isPermitted = false;
    if (!this.#isClaimed) this.#isReleasing = false;
    this.#options.onChange();
    return true;
  }

  #proveRelease(): void {
    const shown = this.#secret;
    this.#secret = newSecret();
    this.#isClaimed = false;
    this.#isReleasing = false;
    this.#guardian.disarm();
    this.#isPermitted = false;
    this.#options.onNewHash(this.hash);
    this.#options.onReleased(shown);
  }
}

function formatHardware(bytes: Buffer): string {
  return bytes.toString("hex").replaceAll(/(..)(?=.)/g, "$1:");
}

function newSecret(): string {
  return randomBytes(32).toString("hex");
}
