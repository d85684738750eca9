/**
 * This node's hold on the delegate IP: arm the guardian, bring the address up, tell the
 * neighbours, renew, let go, prove it. It never decides who may hold it: it is told until when.
 * Read `core/plan.ts` first.
 */
export { vipLifetimeSeconds } from "./core/plan.ts";
export { openConfiguredVip, type VipSurroundings } from "./driver/open-vip.ts";
export { VipHolder, type VipHolderOptions } from "./driver/vip-holder.ts";
