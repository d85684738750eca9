/**
 * What the kernel of one host does for the virtual IP: the two nft sets (a *permit* that opens
 * nothing, a *lease* that opens), the address with its `valid_lft`, and who may speak as the VIP.
 *
 * Measured: an nft element is at most a tick (4 ms) off; an expired address stays for up to
 * 1.414 s more. `ip addr replace` revives an expired address; a renewal datagram revives nothing.
 */
import type { Ms } from "../../../src/base/index.ts";
import type { Random } from "../random.ts";

const TICK_MS = 4;
const ADDRESS_LATE_MS = 1414;

export interface KernelOptions {
  readonly random: Random;
  /** Real milliseconds of one millisecond of this host's clock. */
  readonly realPerLocal: number;
  readonly nowMs: () => Ms;
  readonly onOpening: () => void;
  readonly hasNft: boolean;
  /** Planted: a renewal opens what has run out. */
  readonly isRevivable: boolean;
}

export class Kernel {
  readonly #options: KernelOptions;
  /** By number: a renewal fits only the permit of its own. */
  readonly #permits = new Map<number, Ms>();
  #leaseUntilMs: Ms = 0;
  /** Of the process that loaded the table; 0: there is none. */
  #run = 0;
  #addressUntilMs: Ms = 0;

  constructor(options: KernelOptions) {
    this.#options = options;
  }

  /** Until when it answers for the VIP, in real time, if nothing else happens; 0: not now. */
  get openUntilMs(): Ms {
    const nowMs = this.#options.nowMs();
    const untilMs = this.#options.hasNft
      ? Math.min(this.#leaseUntilMs, this.#addressUntilMs)
      : this.#addressUntilMs;
    return untilMs > nowMs ? untilMs : 0;
  }

  get hasAddress(): boolean {
    return this.#addressUntilMs > this.#options.nowMs();
  }

  /** A new table in the place of any other, shut. */
  loadTable(run: number): void {
    this.#run = run;
    this.#permits.clear();
    this.#leaseUntilMs = 0;
  }

  /** `nft -f`: one transaction, refused by the table of another run. It opens nothing. */
  permit(kernelLeaseMs: Ms, number: number, run: number): boolean {
    if (run !== this.#run) return false;
    this.#permits.set(number, this.#elementEnd(kernelLeaseMs));
    return true;
  }

  /** The datagram: only while the address is here (it is routed by it) and the permit lives. */
  renewByDatagram(kernelLeaseMs: Ms, number: number): void {
    if (!this.hasAddress) return;
    const isPermitted = (this.#permits.get(number) ?? 0) > this.#options.nowMs();
    if (!isPermitted && !this.#options.isRevivable) return;
    this.#leaseUntilMs = this.#elementEnd(kernelLeaseMs);
    this.#permits.set(number, this.#leaseUntilMs);
    this.#options.onOpening();
  }

  /** The port of another run is nothing to this table. */
  closeByDatagram(run: number): void {
    if (!this.hasAddress || run !== this.#run) return;
    this.#permits.clear();
    this.#leaseUntilMs = 0;
  }

  /** `ip addr replace … valid_lft`: also brings back one that has run out. */
  assignAddress(lifetimeMs: Ms): void {
    const { nowMs, realPerLocal, random } = this.#options;
    const lateMs = random.next() * ADDRESS_LATE_MS;
    this.#addressUntilMs = nowMs() + (lifetimeMs + lateMs) * realPerLocal;
    this.#options.onOpening();
  }

  deleteAddress(): void {
    this.#addressUntilMs = 0;
  }

  #elementEnd(lengthMs: Ms): Ms {
    const { nowMs, realPerLocal, random } = this.#options;
    const offMs = (random.next() * 2 - 1) * TICK_MS;
    return nowMs() + (lengthMs + offMs) * realPerLocal;
  }
}
