/**
 * This node's hold on the VIP, as the driver of `src/vip` works: arming through children of the
 * process, renewals by one datagram (nft) or one line to a running `ip -batch` (lifetime), and
 * giving up in the order close, delete, read back, new hash, proof.
 */
import { createHash } from "node:crypto";
import type { Host } from "./host.ts";
import type { Watchdog } from "./watchdog.ts";

export class Holder {
  readonly #host: Host;
  readonly #watchdog: Watchdog;
  #secret: string;
  #secretCount = 0;
  #isArmed = false;
  #isArming = false;
  #generation = 0;
  #announced = 0;

  constructor(host: Host, watchdog: Watchdog) {
    this.#host = host;
    this.#watchdog = watchdog;
    this.#secret = this.#newSecret();
  }

  get hash(): string {
    return hashOf(this.#secret);
  }

  get isArmed(): boolean {
    return this.#isArmed;
  }

  /** The permit and the address, behind a closed fence. A child may do its part arbitrarily late. */
  arm(id: number): void {
    if (this.#isArming) return;
    this.#isArming = true;
    const generation = this.#generation;
    const { kernel, world } = this.#host;
    const { fence, lifetimeMs } = world.profile;
    const isCurrent = (): boolean => generation === this.#generation;
    this.#host.armGuardian(this.#secret, () => {
      if (!isCurrent()) return;
      this.#isArmed = true;
      this.#host.startChild(
        () => {
          if (fence.kernelLeaseMs === null) return;
          kernel.permit(fence.kernelLeaseMs);
          kernel.assignAddress(lifetimeMs);
        },
        () =>
          this.#watchdog.process.run(() => {
            this.#isArming = false;
            if (isCurrent()) this.#watchdog.deliver({ type: "vip-armed", id });
          }),
      );
    });
  }

  renew(): void {
    const { kernel, world } = this.#host;
    const { fence, lifetimeMs } = world.profile;
    const { kernelLeaseMs } = fence;
    if (!this.#isArmed || !this.#host.hasGuardian) return;
    const wasOpen = kernel.openUntilMs > 0;
    if (kernelLeaseMs !== null) {
      if (!kernel.renewByDatagram(kernelLeaseMs)) return;
      kernel.assignAddress(lifetimeMs);
    } else if (this.#watchdog.mayHoldNow() || world.planted.renewsOnWaking === true) {
      kernel.assignAddress(lifetimeMs);
    }
    if (wasOpen || kernel.openUntilMs === 0) return;
    world.onTakeOver(this.#host);
    this.#announced = 0;
    this.announce(this.#generation);
  }

  /** Neighbours are told; what the kernel lets out depends on the fence. */
  announce(generation: number): void {
    const { world } = this.#host;
    if (generation !== this.#generation || this.#watchdog.process.isDead) return;
    world.clients.onAnnounced(this.#host);
    const scheduled = ANNOUNCE_AFTER_MS[this.#announced] ?? 30_000;
    this.#announced += 1;
    this.#host.after(scheduled, () => this.#watchdog.process.run(() => this.announce(generation)));
  }

  /** @param onProven after the proof was shown, or at once when there is nothing to give up. */
  close(onProven: () => void = () => undefined): void {
    this.#generation += 1;
    this.#isArming = false;
    const { kernel, world } = this.#host;
    kernel.closeByDatagram();
    if (!this.#isArmed) {
      this.#watchdog.deliver({ type: "release-hash-made", hash: this.hash });
      return onProven();
    }
    this.#isArmed = false;
    const shown = this.#secret;
    if (world.planted.provesEarly === true) this.#prove(shown);
    this.#host.whenNoChildren(() => {
      this.#host.startChild(
        () => {
          kernel.deleteAddress();
          kernel.clearSets();
        },
        () =>
          this.#watchdog.process.run(() => {
            if (world.planted.provesEarly !== true) this.#prove(shown);
            onProven();
          }),
      );
    });
  }

  /** Planted: the process goes on where it was before it asks anybody. */
  renewOnWaking(): void {
    const { kernel, world } = this.#host;
    const { fence, lifetimeMs } = world.profile;
    const { kernelLeaseMs } = fence;
    if (!this.#isArmed) return;
    if (kernelLeaseMs !== null) {
      kernel.permit(kernelLeaseMs);
      kernel.assignAddress(lifetimeMs);
    }
    this.renew();
  }

  #prove(shown: string): void {
    this.#host.disarmGuardian();
    this.#secret = this.#newSecret();
    this.#watchdog.deliver({ type: "release-hash-made", hash: this.hash });
    this.#host.spreadSecret(shown);
  }

  #newSecret(): string {
    this.#secretCount += 1;
    const { world, id } = this.#host;
    return hashOf(`${world.seed} ${id} ${this.#watchdog.bootNumber} ${this.#secretCount}`);
  }
}

const ANNOUNCE_AFTER_MS = [50, 150, 800, 4000];

function hashOf(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
