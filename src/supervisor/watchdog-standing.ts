/** Part of the supervisor's root: what this node may do, by what its watchdog has said. */
import type { Ms } from "../base/index.ts";
import { monotonicNowMs } from "../os/index.ts";
import { viewOfDeadWatchdog } from "../pcp/core/index.ts";
import type { WatchdogView } from "../wire/ipc/index.ts";

export class WatchdogStanding {
  #view: WatchdogView | null = null;
  /** The VIP, while clients may be connected by it. */
  #heldVip: string | null = null;
  /** Why the watchdog, which did run, cannot be started again. */
  #problem: string | null = null;
  #hasRun = false;
  #quorumLostAtMs: Ms | null;

  /** @param isUsed there is a watchdog, which has not said anything yet. */
  constructor(isUsed: boolean) {
    this.#quorumLostAtMs = isUsed ? monotonicNowMs() : null;
  }

  get view(): WatchdogView | null {
    return this.#view;
  }

  onReady(): void {
    this.#hasRun = true;
    this.#problem = null;
  }

  /** @returns the VIP when it has just left: sessions by it are of no use to anybody. */
  onView(view: WatchdogView): string | null {
    this.#view = view;
    if (view.hasQuorum) this.#quorumLostAtMs = null;
    else this.#quorumLostAtMs ??= monotonicNowMs();
    if (view.holdsVip) this.#heldVip = view.vip;
    if (view.holdsVip || view.isLeader) return null;
    const left = this.#heldVip;
    this.#heldVip = null;
    return left;
  }

  /** What is known of the cluster when the watchdog has died; null when it never said anything. */
  get viewWhenDead(): WatchdogView | null {
    return this.#view === null ? null : viewOfDeadWatchdog(this.#view, this.#problem);
  }

  /**
   * It cannot be started.
   *
   * @returns whether the node may go on without it: one that ran must not begin to flap.
   */
  onRefused(problem: string): boolean {
    if (this.#hasRun) this.#problem = problem;
    return this.#hasRun;
  }

  /**
   * Why clients must not be served; null when they may. A node that lost its quorum may hold a view
   * from before a failover: it must not write to a primary that the others have replaced.
   */
  refusal(graceMs: Ms): string | null {
    if (this.#problem !== null) {
      return `the watchdog of this pgquorum node cannot run: ${this.#problem}`;
    }
    if (this.#quorumLostAtMs === null) return null;
    if (monotonicNowMs() - this.#quorumLostAtMs < graceMs) return null;
    return "this pgquorum node has lost the quorum of its watchdog cluster";
  }
}
