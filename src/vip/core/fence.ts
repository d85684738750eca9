import type { Ms } from "../../base/index.ts";

/**
 * How the kernel takes the virtual IP out of use when the process that holds it stops running.
 *
 * - `nft`: a packet filter that closes by itself K after the last renewal, never late.
 * - `lifetime`: the address's own `valid_lft`; up to 1.5 s late, and an expired one can be revived.
 * - `none`: not at all.
 */
export interface Fence {
  readonly level: "nft" | "lifetime" | "none";
  /** K: for how long one renewal opens the filter; null unless `nft`. */
  readonly kernelLeaseMs: Ms | null;
  /** How long after the end of the leader's lease a frozen holder may still answer. */
  readonly closeBoundMs: Ms;
}

/**
 * `valid_lft` of a renewal where the address's lifetime is the fence, in whole seconds as the
 * kernel wants it. Short, because a successor that has no proof of release must wait for it; long
 * enough that a busy host renews in time.
 *
 * @param promiseMs wd_lease_time.
 */
export function vipLifetimeSeconds(promiseMs: Ms): number {
  return Math.max(1, Math.ceil(promiseMs / 2000));
}

/**
 * `valid_lft` behind a filter that is the fence: a backstop that takes the address away when nobody
 * else does. It has time, and must not take it from a holder that is merely slow.
 */
export function backstopSeconds(promiseMs: Ms): number {
  return vipLifetimeSeconds(promiseMs) + 3;
}

/** Why the filter cannot be had here, in words for the log. */
export function explainNftFailure(reason: string, kernelRelease: string): string {
  const [major = 0, minor = 0] = kernelRelease.split(".").map(Number);
  if (/ENOENT|not found/i.test(reason) && !/process rule/i.test(reason)) {
    return "the program nft is not there; install the package nftables";
  }
  if (/not permitted|EPERM|EACCES/i.test(reason)) {
    return "nft may not change the packet filter; the node needs root or CAP_NET_ADMIN";
  }
  if (major < 5 || (major === 5 && minor < 16)) {
    return `kernel ${kernelRelease} cannot filter what a device sends; it needs 5.16 or later`;
  }
  return reason;
}
