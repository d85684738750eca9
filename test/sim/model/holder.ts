/**
 * This node's hold on the VIP, as the driver of `src/vip` works: arming through children of the
 * process, renewals by one datagram (nft) or one line to a running `ip -batch` (lifetime), and
 * giving up in the order shut, delete, read back, new hash, proof.
 */
import { createHash } from "node:crypto";
import type { Ms } from "../../../src/base/index.ts";
import type { Host } from "./host.ts";
import type { Watchdog } from "./watchdog.ts";

/** A renewal that near to the end of the permit may have come too late. */
const EARLY_MS = 10;
const ATTEMPTS_MAX = 1_000_000;
const LOOK_EVERY_MS = 1000;
const ANNOUNCE_AFTER_MS = [50, 150, 800, 4000];
const ANNOUNCE_EVERY_MS = 30_000;

export class Holder {
  readonly #host: Host;
  readonly #watchdog: Watchdog;
  #secret: string;
  #secretCount = 0;
  /** The core's number of what it asked for; null: released. */
  #wantedId: number | null = null;
  /** No two attempts on one host have the same number, even of two processes. */
  #attempt: number;
  #isBusy = false;
  /** The guardian may know the secret, and the address may be there. */
  #isClaimed = false;
  #isReleasing = false;
  #isReported = false;
  #isOpen = false;
  #permitUntilMs: Ms = 0;
  #announced = 0;
  #onProven: () => void = () => undefined;

  constructor(host: Host, watchdog: Watchdog) {
    this.#host = host;
    this.#watchdog = watchdog;
    this.#attempt = watchdog.bootNumber * ATTEMPTS_MAX;
    this.#secret = this.#newSecret();
    this.#lookLater();
  }

  get hash(): string {
    return hashOf(this.#secret);
  }

  /** The permit and the address, behind a shut fence. A child may do its part arbitrarily late. */
  arm(id: number): void {
    this.#wantedId = id;
    this.#attempt += 1;
    this.#isReported = false;
    this.#continue();
  }

  renew(): void {
    const { kernel, world, localMs } = this.#host;
    const { fence, lifetimeMs } = world.profile;
    const { kernelLeaseMs } = fence;
    if (!this.#isReported || this.#isReleasing) return;
    const isFooled = world.planted.renewsOnWaking === true;
    if (kernelLeaseMs === null) {
      if (!this.#host.hasGuardian || !(this.#watchdog.mayHoldNow() || isFooled)) return;
      kernel.assignAddress(lifetimeMs);
      return this.#onOpened();
    }
    if (this.#host.hasGuardian) {
      kernel.renewByDatagram(kernelLeaseMs, this.#attempt);
      if (localMs < this.#permitUntilMs - EARLY_MS) {
        this.#permitUntilMs = localMs + kernelLeaseMs;
        kernel.assignAddress(lifetimeMs);
        return this.#onOpened();
      }
    }
    if (localMs >= this.#permitUntilMs - EARLY_MS) this.#lose();
  }

  /** @param onProven after the proof was shown, or at once when there is nothing to give up. */
  close(onProven: () => void = () => undefined): void {
    const { kernel, world } = this.#host;
    this.#wantedId = null;
    this.#isReported = false;
    this.#isOpen = false;
    kernel.closeByDatagram(this.#watchdog.bootNumber);
    if (!this.#isClaimed) {
      this.#watchdog.deliver({ type: "release-hash-made", hash: this.hash });
      return onProven();
    }
    this.#isReleasing = true;
    this.#onProven = onProven;
    if (world.planted.provesEarly === true) this.#prove();
    this.#continue();
  }

  /** Planted: the process goes on where it was before it asks anybody. */
  renewOnWaking(): void {
    const { kernel, world } = this.#host;
    const { kernelLeaseMs } = world.profile.fence;
    if (!this.#isReported) return;
    if (kernelLeaseMs !== null)
      kernel.permit(kernelLeaseMs, this.#attempt, this.#watchdog.bootNumber);
    this.#permitUntilMs = Infinity;
    this.renew();
  }

  /** One thing at a time: a new attempt begins when the one before has ended. */
  #continue(): void {
    if (this.#isBusy) return;
    if (this.#isReleasing) this.#release();
    else if (this.#wantedId !== null && !this.#isReported) this.#prepare(this.#wantedId);
  }

  #prepare(id: number): void {
    const attempt = this.#attempt;
    this.#isBusy = true;
    this.#isClaimed = true;
    this.#host.armGuardian(this.#secret, () =>
      this.#permit(attempt, () => {
        this.#isBusy = false;
        if (attempt === this.#attempt && !this.#isReleasing && this.#wantedId === id) {
          this.#isReported = true;
          this.#watchdog.deliver({ type: "vip-armed", id });
        }
        this.#continue();
      }),
    );
  }

  #permit(attempt: number, onDone: () => void): void {
    const { kernel, world, localMs: beforeMs } = this.#host;
    const { fence, lifetimeMs } = world.profile;
    const { kernelLeaseMs } = fence;
    if (kernelLeaseMs === null) return onDone();
    const { process } = this.#watchdog;
    const addAddress = (): void => {
      kernel.assignAddress(lifetimeMs);
      if (world.planted.armOpens === true) kernel.renewByDatagram(kernelLeaseMs, attempt);
    };
    const { bootNumber } = this.#watchdog;
    let isPermitted = false;
    this.#host.startChild(
      () => {
        isPermitted = kernel.permit(kernelLeaseMs, attempt, bootNumber);
      },
      () =>
        process.run(() => {
          // A child of an earlier run came late, and loaded its table in the place of this one's.
          if (!isPermitted) {
            this.#host.startChild(
              () => kernel.loadTable(bootNumber),
              () => process.run(() => this.#permit(attempt, onDone)),
            );
            return;
          }
          this.#permitUntilMs = beforeMs + kernelLeaseMs;
          this.#host.startChild(addAddress, () => process.run(onDone));
        }),
    );
  }

  #release(): void {
    const { kernel, world } = this.#host;
    this.#isBusy = true;
    kernel.closeByDatagram(this.#watchdog.bootNumber);
    this.#host.startChild(
      () => kernel.deleteAddress(),
      () =>
        this.#watchdog.process.run(() => {
          this.#isBusy = false;
          this.#isClaimed = false;
          this.#isReleasing = false;
          if (world.planted.provesEarly !== true) this.#prove();
          this.#onProven();
          this.#continue();
        }),
    );
  }

  /** Permit or address are gone: consensus asks for them again. */
  #lose(): void {
    this.#isReported = false;
    this.#isOpen = false;
    this.#watchdog.deliver({ type: "vip-lost" });
  }

  #lookLater(): void {
    this.#host.after(LOOK_EVERY_MS, () => {
      if (this.#watchdog.process.isDead) return;
      this.#watchdog.process.run(() => this.#look());
      this.#lookLater();
    });
  }

  /** A guardian of an earlier run may have woken up and taken the address away. */
  #look(): void {
    const { kernel, world } = this.#host;
    const isFenced = world.profile.fence.kernelLeaseMs !== null;
    if (isFenced && this.#isReported && !this.#isReleasing && !kernel.hasAddress) this.#lose();
  }

  #onOpened(): void {
    const { world, kernel } = this.#host;
    if (this.#isOpen || kernel.openUntilMs === 0) return;
    this.#isOpen = true;
    world.onTakeOver(this.#host);
    this.#announced = 0;
    this.#announce(this.#attempt);
  }

  /** Neighbours are told; what the kernel lets out depends on the fence. */
  #announce(attempt: number): void {
    if (attempt !== this.#attempt || !this.#isOpen || this.#watchdog.process.isDead) return;
    this.#host.world.clients.onAnnounced(this.#host);
    const againMs = ANNOUNCE_AFTER_MS[this.#announced] ?? ANNOUNCE_EVERY_MS;
    this.#announced += 1;
    this.#host.after(againMs, () => this.#watchdog.process.run(() => this.#announce(attempt)));
  }

  #prove(): void {
    const shown = this.#secret;
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

function hashOf(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
