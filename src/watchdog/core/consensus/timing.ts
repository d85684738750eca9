import { assert, type Ms } from "../../../base/index.ts";

/**
 * Lengths that all nodes of a cluster share. P is the promise, T the lease (docs/safety.md):
 * T <= 0.998 P keeps a lease shorter than every promise it stands on while clocks differ in rate
 * by at most 1e-3.
 */
export interface Timing {
  /** P: a follower that answered a round votes for nobody for this long. */
  readonly promiseMs: Ms;
  /** T: what a leader may count on, from before it sent the round. */
  readonly leaseMs: Ms;
  readonly roundMs: Ms;
  /** Candidates stand this far apart, by rank. */
  readonly slotMs: Ms;
  /** The same after a proof of release, when nobody has to wait for P. */
  readonly quickSlotMs: Ms;
  /** A process that is woken this much too late asks the others before it trusts what it knew. */
  readonly lateMs: Ms;
}

export const CLOCK_RATE_BOUND = 1e-3;

/** @param promiseMs wd_lease_time. */
export function timingFor(promiseMs: Ms): Timing {
  const leaseMs = promiseMs * 0.998;
  assert(
    leaseMs * (1 + CLOCK_RATE_BOUND) <= promiseMs * (1 - CLOCK_RATE_BOUND),
    `a lease of ${leaseMs} ms outlives a promise of ${promiseMs} ms`,
  );
  return {
    promiseMs,
    leaseMs,
    roundMs: promiseMs / 6,
    slotMs: Math.max(50, promiseMs / 12),
    quickSlotMs: Math.max(40, promiseMs / 30),
    lateMs: promiseMs / 3,
  };
}

/** How this node's kernel lets go of the VIP when nobody tells it to. */
export interface Fence {
  readonly level: "nft" | "lifetime" | "none";
  /** K: what one renewal opens the VIP for, when the kernel can refuse a late one; else null. */
  readonly kernelLeaseMs: Ms | null;
  /** How long after the end of the lease the kernel may still answer. */
  readonly closeBoundMs: Ms;
}

/** A timer of the packet filter is one tick of the slowest usual kernel late at most. */
const TICK_MS: Ms = 4;
/** The kernel removes an expired address up to 1.414 s late, as measured. */
const VALID_LFT_LATENESS_MS: Ms = 1500;

/**
 * A renewal counts for a round sent after the renewal before, and works only while that one still
 * holds: so the VIP closes at the latest two K after the round was sent, wherever the process was
 * frozen in between. Two K and a tick are no longer than the lease.
 */
export function nftFence(timing: Timing): Fence {
  const kernelLeaseMs = Math.floor(
    Math.min(timing.promiseMs * 0.42, (timing.leaseMs - TICK_MS) / 2),
  );
  assert(kernelLeaseMs > timing.roundMs, `a kernel lease of ${kernelLeaseMs} ms misses a round`);
  assert(
    2 * kernelLeaseMs + TICK_MS <= timing.leaseMs,
    `two kernel leases of ${kernelLeaseMs} ms outlive a lease of ${timing.leaseMs} ms`,
  );
  return { level: "nft", kernelLeaseMs, closeBoundMs: 0 };
}

/** @param lifetimeSeconds what each renewal grants the address (`valid_lft`). */
export function lifetimeFence(lifetimeSeconds: number): Fence {
  const closeBoundMs = lifetimeSeconds * 1000 + VALID_LFT_LATENESS_MS;
  return { level: "lifetime", kernelLeaseMs: null, closeBoundMs };
}

/** Nothing closes the VIP but the node itself, as with Pgpool-II. */
export const NO_FENCE: Fence = { level: "none", kernelLeaseMs: null, closeBoundMs: 0 };
