/**
 * This node's hold on the delegate IP: arm the guardian, shut the fence, bring the address up, open
 * it by renewals, tell the neighbours, let go, prove it. It never decides who may hold it: it is
 * told when. Read `driver/vip-holder.ts` first, then `core/nft-text.ts`.
 */
export { vipLifetimeSeconds, type Fence } from "./core/fence.ts";
export {
  openConfiguredVip,
  openVip,
  type VipOptions,
  type VipSurroundings,
} from "./driver/open-vip.ts";
export { VipHolder, type VipHolderOptions } from "./driver/vip-holder.ts";
