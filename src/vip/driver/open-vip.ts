import { lookup } from "node:dns/promises";
import { fail, succeed, type Result } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import type { Log } from "../../os/index.ts";
import { commandWords, vipLifetimeSeconds } from "../core/plan.ts";
import { findAddress } from "./address-commands.ts";
import { VipHolder, type VipHolderOptions } from "./vip-holder.ts";

export interface VipSurroundings extends Pick<
  VipHolderOptions,
  "mayHoldUntilMs" | "onNewHash" | "onReleased" | "onChange"
> {
  readonly config: Config;
  /** This node's own name: its device is the VIP's, unless vip_interface says otherwise. */
  readonly hostname: string;
  /** Where peers listen for the proof of release. */
  readonly peers: readonly { readonly hostname: string; readonly port: number }[];
  readonly log: Log;
}

/**
 * The holder of delegate_ip as the configuration wants it; null when there is none. Errors: no
 * network device can be told for it.
 */
export async function openConfiguredVip(
  surroundings: VipSurroundings,
): Promise<Result<VipHolder | null, { readonly message: string; readonly hint: string }>> {
  const { config, hostname, peers, ...rest } = surroundings;
  const vip = config.delegate_ip;
  if (vip === "") return succeed(null);
  const device =
    config.vip_interface === "" ? await findDevice(hostname) : succeed(config.vip_interface);
  if (!device.ok) {
    return fail({
      message: `cannot tell which network device is to hold the virtual IP ${vip}: ${device.error}`,
      hint: "Is this the host that pgpool_node_id says? If it is, set vip_interface, for example vip_interface = 'eth0'.",
    });
  }
  const words = (name: "if_up_cmd" | "if_down_cmd" | "arping_cmd", directory: string) =>
    config.set.has(name) ? commandWords(config[name], vip, directory) : null;
  const hasLifetime = config.vip_fence !== "none";
  const holder = await VipHolder.open({
    ...rest,
    vip,
    device: device.value,
    prefixLength: vip.includes(":") ? 128 : 32,
    lifetimeSeconds: hasLifetime ? vipLifetimeSeconds(config.wd_lease_time) : null,
    upCommand: words("if_up_cmd", config.if_cmd_path),
    downCommand: words("if_down_cmd", config.if_cmd_path),
    arpingCommand: words("arping_cmd", config.arping_path),
    peers: peers.map((peer) => `${peer.hostname}/${peer.port}`),
  });
  return succeed(holder);
}

/** The device with the address of this host name. */
async function findDevice(hostname: string): Promise<Result<string, string>> {
  const { address } = await lookup(hostname).catch(() => ({ address: hostname }));
  const found = await findAddress(address);
  if (!found.ok) return found;
  const [place] = found.value;
  return place === undefined
    ? fail(`no device has the address ${address} of hostname "${hostname}"`)
    : succeed(place.device);
}
