/**
 * Whether this node may act as the leader of the cluster: the watchdog says that it leads, and the
 * lease behind that runs. Without news it leads no longer than that, whatever it was told before.
 */
import type { Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";

export interface LeadershipOptions {
  /** It leads, until then at least, by the monotonic clock. Told again when the lease grows. */
  readonly onRight: (untilMs: Ms) => void;
  readonly onChange: (leads: boolean) => void;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  /** The watchdog said so last. */
  #isLeader = false;
  /** Until when the majority stands behind what this node is; a frozen watchdog does not say more. */
  #untilMs: Ms = -Infinity;
  #timer: NodeJS.Timeout | null = null;
  #leads = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  get leads(): boolean {
    return this.#leads;
  }

  tell(isLeader: boolean): void {
    this.#isLeader = isLeader;
    this.#look();
  }

  /** The majority stands behind what this node is until then, by the monotonic clock. */
  confirm(untilMs: Ms): void {
    this.#untilMs = Math.max(this.#untilMs, untilMs);
    this.#look();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #look(): void {
    const leftMs = this.#untilMs - monotonicNowMs();
    const leads = this.#isLeader && leftMs > 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = leads && leftMs !== Infinity ? setTimeout(() => this.#look(), leftMs) : null;
    if (leads) this.#options.onRight(this.#untilMs);
    if (leads === this.#leads) return;
    this.#leads = leads;
    this.#options.onChange(leads);
  }
}
