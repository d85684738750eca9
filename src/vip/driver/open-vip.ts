import { lookup } from "node:dns/promises";
import { release } from "node:os";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import type { Log } from "../../os/index.ts";
import {
  backstopSeconds,
  explainNftFailure,
  vipLifetimeSeconds,
  type Fence,
} from "../core/fence.ts";
import { commandWords } from "../core/plan.ts";
import type { Addresses } from "./addresses.ts";
import { CommandAddresses, findAddress } from "./command-addresses.ts";
import { openFrameSender } from "./frame-sender.ts";
import { Neighbours } from "./neighbours.ts";
import { loadNetlink, NetlinkAddresses } from "./netlink-addresses.ts";
import { NftFence } from "./nft-fence.ts";
import { probeNft } from "./probe-nft.ts";
import { VipHolder, type VipHolderOptions } from "./vip-holder.ts";

export interface VipSurroundings
  extends
    Pick<
      VipHolderOptions,
      "mayHoldUntilMs" | "onArmed" | "onLost" | "onNewHash" | "onReleased" | "onChange"
    >,
    Pick<VipOptions, "fences"> {
  readonly config: Config;
  /** This node's own name: its device is the VIP's, unless vip_interface says otherwise. */
  readonly hostname: string;
  /** Where peers listen for the proof of release. */
  readonly peers: readonly { readonly hostname: string; readonly port: number }[];
  readonly log: Log;
}

export interface Refusal {
  readonly message: string;
  readonly hint: string;
}

/**
 * The holder of delegate_ip as the configuration wants it; null when there is none. Errors: no
 * network device can be told for it, or the fence that was asked for cannot be had.
 */
export async function openConfiguredVip(
  surroundings: VipSurroundings,
): Promise<Result<VipHolder | null, Refusal>> {
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
  return await openVip({
    ...rest,
    vip,
    device: device.value,
    prefixLength: vip.includes(":") ? 128 : 32,
    level: config.vip_fence,
    promiseMs: config.wd_lease_time,
    // Nodes of one host differ in their number, those of different clusters in their port.
    table: `pgquorum_${config.nodeId ?? 0}_${config.port}`,
    upCommand: words("if_up_cmd", config.if_cmd_path),
    downCommand: words("if_down_cmd", config.if_cmd_path),
    arpingCommand: words("arping_cmd", config.arping_path),
    peers: peers.map((peer) => `${peer.hostname}/${peer.port}`),
  });
}

export interface VipOptions extends Omit<
  VipHolderOptions,
  "fence" | "fenceReason" | "lifetimeSeconds"
> {
  /** vip_fence. */
  readonly level: Fence["level"] | "auto";
  /** What each level means with this lease. */
  readonly fences: Readonly<Record<Fence["level"], Fence>>;
  /** wd_lease_time. */
  readonly promiseMs: Ms;
  /** Name of this node's nft table: no other node of this host has the same. */
  readonly table: string;
  /** Words of arping_cmd when the administrator set it. */
  readonly arpingCommand: readonly [string, ...string[]] | null;
}

/** Finds out by which means this host can hold and fence the address, and takes the best. */
export async function openVip(options: VipOptions): Promise<Result<VipHolder, Refusal>> {
  const { vip, log, level, promiseMs } = options;
  const netlink = await loadNetlink();
  const addresses: Addresses =
    netlink === null ? new CommandAddresses(vip, log) : new NetlinkAddresses(netlink, vip);
  const sender = await openFrameSender();
  const neighbours = new Neighbours({ ...options, sender });
  let holder: VipHolder | null = null;
  const nft = await openNft(options, addresses, () => holder?.onBypassed());
  if (level === "nft" && !nft.ok) {
    addresses.stop();
    return fail({
      message: `vip_fence = nft cannot be had on this host: ${nft.error}`,
      hint: "Remedy that, or set vip_fence = auto, which takes the best that can be had.",
    });
  }
  const inForce = level === "auto" || level === "nft" ? (nft.ok ? "nft" : "lifetime") : level;
  const fence = options.fences[inForce];
  const fenceReason = level === "auto" && !nft.ok ? nft.error : "";
  tellMeans(log, { fence, fenceReason, means: addresses.means, hasFrames: sender !== null });
  const lifetimes = {
    nft: backstopSeconds(promiseMs),
    lifetime: vipLifetimeSeconds(promiseMs),
    none: null,
  };
  holder = await VipHolder.open(
    { ...options, fence, fenceReason, lifetimeSeconds: lifetimes[inForce] },
    { addresses, neighbours, nft: nft.ok ? nft.value : null },
  );
  return succeed(holder);
}

async function openNft(
  { vip, level, fences, table }: VipOptions,
  addresses: Addresses,
  onBypassed: () => void,
): Promise<Result<NftFence, string>> {
  if (level === "lifetime" || level === "none") return fail("not asked for");
  const leaseMs = fences.nft.kernelLeaseMs;
  if (leaseMs === null) return fail("the lease has no length");
  const probed = await probeNft(table, vip.includes(":"));
  if (!probed.ok) return fail(explainNftFailure(probed.error, release()));
  const opened = await NftFence.open({
    table,
    vip,
    leaseMs,
    devices: async () => {
      const devices = await addresses.devices();
      if (!devices.ok) return devices;
      return succeed(devices.value.filter((each) => each.isExternal).map(({ name }) => name));
    },
    onBypassed,
  });
  return opened.ok ? opened : fail(explainNftFailure(opened.error, release()));
}

interface Means {
  readonly fence: Fence;
  readonly fenceReason: string;
  readonly means: string;
  readonly hasFrames: boolean;
}

function tellMeans(log: Log, { fence, fenceReason, means, hasFrames }: Means): void {
  const frames = hasFrames ? "frames of its own" : "arping";
  const detail = `addresses by ${means}, announcements by ${frames}`;
  if (fenceReason === "") {
    log.write("log", `fence of the virtual IP: ${fence.level}`, { detail });
    return;
  }
  log.write("warning", `fence of the virtual IP: ${fence.level}, because ${fenceReason}`, {
    detail,
    hint: "A frozen holder then keeps the address for up to 1.5 s longer, and its successor waits for that.",
  });
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
