/** The settings of a simulated cluster: those that people run, drawn by the seed. */
import type { Ms } from "../../src/base/index.ts";
import {
  lifetimeFence,
  nftFence,
  timingFor,
  type Fence,
  type Timing,
} from "../../src/watchdog/core/consensus/index.ts";
import type { Planted } from "./planted.ts";
import type { Random } from "./random.ts";

export interface Profile {
  readonly promiseMs: Ms;
  readonly timing: Timing;
  readonly fence: Fence;
  /** `valid_lft`. */
  readonly lifetimeMs: Ms;
  readonly commandMsMax: Ms;
  /** Nodes that are away for so long are taken off the list of voters; null: never. */
  readonly removesAfterMs: Ms | null;
}

/** wd_lease_time: `lan`, the fast profile, and the default. */
const PROMISES_MS = [300, 600, 600, 600, 3000];
const NFT_SHARE = 0.75;
const REMOVING_SHARE = 0.5;

export function profileFor(random: Random, planted: Planted): Profile {
  const promiseMs = random.pick(PROMISES_MS);
  // As `vipLifetimeSeconds` has it: whole seconds, as the kernel wants them.
  const lifetimeSeconds = Math.max(1, Math.ceil(promiseMs / 2000));
  const hasNft = random.chance(NFT_SHARE);
  const sound = timingFor(promiseMs);
  const timing = planted.timing?.(sound) ?? sound;
  const fence = hasNft ? nftFence(sound) : lifetimeFence(lifetimeSeconds);
  const removes = random.chance(REMOVING_SHARE);
  return {
    promiseMs,
    timing,
    fence: planted.fence?.(fence, timing) ?? fence,
    lifetimeMs: lifetimeSeconds * 1000,
    commandMsMax: random.magnitude(100, 8000),
    removesAfterMs: removes ? random.between(2, 5) * promiseMs : null,
  };
}
