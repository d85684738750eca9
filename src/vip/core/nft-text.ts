import type { Ms } from "../../base/index.ts";
import { addressBytes } from "./address-bytes.ts";

/**
 * The packet filter that is the fence, as text for `nft -f`. One table of a node:
 *
 *     permit   set by us, by its privilege; dies K later; opens nothing
 *     lease    set by the kernel alone, when a renewal datagram comes while the permit lives
 *     gated    the address may be on this host because of us: let nothing of it pass without a lease
 *     silent   it was on this host lately: let nothing leave as the address without a lease
 *     rivals   hardware addresses of others that claim the address while it is gated
 *
 * A renewal is a datagram to the virtual IP; while that is on this host it leaves by `lo`, where
 * the chain `renew` swallows it. Its length is the number of the arm: a permit that an earlier arm
 * sets late fits no renewal of a later one.
 *
 * Why `silent` lasts longer: what the address has sent waits in the kernel, before this filter, while
 * the hardware address of its receiver is being asked for, and leaves when the answer comes, also
 * when the sender's address was deleted meanwhile. The kernel asks three times, a second apart
 * (`mcast_solicit`, `retrans_time_ms`), then throws the queue away. `SILENT_MS` is longer than that,
 * and it ends by itself: a host that passes on the frames of the next holder does so again then.
 */
export interface FenceText {
  readonly table: string;
  /** Of this run alone: a change that one run asked for and that comes late alters no table of another. */
  readonly run: string;
  readonly vip: string;
  /** Whose datagrams count: the effective user of this process and of its guardian. */
  readonly userId: number;
  readonly renewPort: number;
  readonly closePort: number;
  /** K. */
  readonly leaseMs: Ms;
}

/** Hardware addresses that claimed the virtual IP are remembered for so long. */
const RIVALS_FOR = "1m";
/** See above; no device should be made to ask for longer than this. */
export const SILENT_MS: Ms = 8000;
const UDP_HEADER_BYTES = 8;

/** What is in a renewal beside its length: something that nobody else knows. */
export const NONCE_BYTES = 16;
/** Numbers of arms come again after so many; the permit of the same number is long dead then. */
export const ARMS_MAX = 1000;

/** Length of the renewal datagrams of this arm, without headers. */
export function renewalBytes(arm: number): number {
  return NONCE_BYTES + (arm % ARMS_MAX);
}

/**
 * The gate is shut: nobody knows yet where the address is.
 *
 * @param start `replaced` whatever an earlier run left; `new`: refused when there is something.
 */
export function tableText(
  text: FenceText,
  devices: readonly string[],
  start: "new" | "replaced",
): string {
  const { table, run } = text;
  const isIPv6 = text.vip.includes(":");
  const key = keyOf(text.vip);
  const typeOf = isIPv6 ? "typeof meta protocol" : "typeof ip daddr";
  return `${start === "new" ? `create table netdev ${table}\n` : removeText(table)}table netdev ${table} {
  set permit { typeof udp length; size ${ARMS_MAX}; flags dynamic,timeout; }
  set lease { ${typeOf}; size 16; flags dynamic,timeout; }
  set gated { ${typeOf}; size 16; elements = { ${key} }; }
  set silent { ${typeOf}; size 16; flags timeout; }
  set rivals { typeof ether saddr; size 64; flags dynamic,timeout; }
  counter renewed { }
  counter refused { }
  counter blocked_in { }
  counter blocked_out { }
  chain ${run} { }
  chain renew {
    type filter hook egress device "lo" priority 0; policy accept;
${renewRules(text)}
  }
  chain gate_in {
${isIPv6 ? gateIn6(text.vip) : GATE_IN_4}
  }
  chain gate_out {
${isIPv6 ? gateOut6(text.vip) : GATE_OUT_4}
  }
}
${devices.map((device, index) => deviceText(table, device, index)).join("")}`;
}

function renewRules({ vip, userId, renewPort, closePort, leaseMs }: FenceText): string {
  const isIPv6 = vip.includes(":");
  const to = `${isIPv6 ? "ip6" : "ip"} daddr ${vip} udp dport`;
  const lease = isIPv6 ? "meta protocol" : "ip daddr";
  const renewed = `update @permit { udp length timeout ${leaseMs}ms } update @lease { ${lease} timeout ${leaseMs}ms }`;
  // "in the permit" before "update": a permit that has died is not revived.
  return `    ${to} ${closePort} meta skuid ${userId} delete @lease { ${lease} } delete @permit { udp length } drop
    ${to} ${renewPort} meta skuid ${userId} udp length @permit ${renewed} counter name renewed drop
    ${to} { ${renewPort}, ${closePort} } counter name refused drop`;
}

const GATE_IN_4 = `    arp operation { request, reply } arp saddr ip @gated update @rivals { ether saddr timeout ${RIVALS_FOR} }
    ip daddr @gated ip daddr != @lease counter name blocked_in drop
    arp daddr ip @gated arp daddr ip != @lease counter name blocked_in drop`;

const GATE_OUT_4 = ["gated", "silent"]
  .flatMap((set) =>
    ["ip saddr", "arp saddr ip"].map(
      (name) => `    ${name} @${set} ${name} != @lease counter name blocked_out drop`,
    ),
  )
  .join("\n");

/**
 * Neighbour discovery names the address inside its message, where a set of addresses cannot be
 * looked up; so these sets hold the one word `ip6` instead.
 */
function gateIn6(vip: string): string {
  return `    meta protocol @gated icmpv6 type nd-neighbor-advert ${target(vip)} update @rivals { ether saddr timeout ${RIVALS_FOR} }
    meta protocol @lease accept
    meta protocol != @gated accept
    ip6 daddr ${vip} counter name blocked_in drop
    icmpv6 type nd-neighbor-solicit ${target(vip)} counter name blocked_in drop`;
}

function gateOut6(vip: string): string {
  return `    meta protocol @lease accept
    meta protocol != @gated meta protocol != @silent accept
    ip6 saddr ${vip} counter name blocked_out drop
    icmpv6 type nd-neighbor-advert ${target(vip)} counter name blocked_out drop`;
}

/** The target of a neighbour solicitation or advertisement stands 8 bytes into it. */
function target(vip: string): string {
  return `@th,64,128 0x${addressBytes(vip).toString("hex")}`;
}

/** The gate of one device. `index` is any number that no other gate of the table has. */
export function deviceText(table: string, device: string, index: number): string {
  return `add chain netdev ${table} in${index} { type filter hook ingress device "${device}" priority -500; policy accept; }
add rule netdev ${table} in${index} jump gate_in
add chain netdev ${table} out${index} { type filter hook egress device "${device}" priority 0; policy accept; }
add rule netdev ${table} out${index} jump gate_out
`;
}

export function dropDeviceText(table: string, index: number): string {
  return `delete chain netdev ${table} in${index}
delete chain netdev ${table} out${index}
`;
}

/**
 * One transaction: the gate is shut for the address, and the permit of this arm is there. Nothing is
 * taken out: nft would end only when the kernel has freed it, 10 ms later.
 */
export function armText(text: FenceText, arm: number): string {
  const { table, vip, leaseMs } = text;
  const length = UDP_HEADER_BYTES + renewalBytes(arm);
  return `${ownTable(text)}add element netdev ${table} gated { ${keyOf(vip)} }
add element netdev ${table} permit { ${length} timeout ${leaseMs}ms }
`;
}

/**
 * The address is read back as gone: packets of others that only pass by are not ours to stop, and
 * whoever claims the address from now on is no rival.
 *
 * @param wasUsed something may still wait to leave as the address.
 */
export function ungateText(text: FenceText, wasUsed: boolean): string {
  const { table, vip } = text;
  const silent = `add element netdev ${table} silent { ${keyOf(vip)} timeout ${SILENT_MS}ms }\n`;
  return `${ownTable(text)}flush set netdev ${table} gated
flush set netdev ${table} silent
flush set netdev ${table} rivals
${wasUsed ? silent : ""}`;
}

/** Fails, and the whole transaction with it, when the table is of another run. */
function ownTable({ table, run }: FenceText): string {
  return `flush chain netdev ${table} ${run}\n`;
}

export function removeText(table: string): string {
  return `table netdev ${table} {
}
delete table netdev ${table}
`;
}

/** A device whose name nft can spell; the kernel allows stranger ones, which nobody has. */
export function canName(device: string): boolean {
  return /^[^"\\\s]{1,15}$/.test(device);
}

function keyOf(vip: string): string {
  return vip.includes(":") ? "ip6" : vip;
}

/** What `nft -j list table` shows of the fence. */
export interface FenceSeen {
  readonly isOpen: boolean;
  readonly rivals: readonly string[];
  readonly blockedIn: number;
  readonly blockedOut: number;
}

/** Null when the text is no such listing. */
export function parseFence(json: string): FenceSeen | null {
  let root: unknown;
  try {
    root = JSON.parse(json);
  } catch {
    return null;
  }
  const entries = (root as { nftables?: unknown } | null)?.nftables;
  if (!Array.isArray(entries)) return null;
  const sets = new Map<string, readonly unknown[]>();
  const packets = new Map<string, number>();
  for (const { set, counter } of entries as readonly Listed[]) {
    if (set !== undefined) sets.set(set.name, set.elem ?? []);
    if (counter !== undefined) packets.set(counter.name, counter.packets);
  }
  return {
    isOpen: (sets.get("lease") ?? []).length > 0,
    rivals: (sets.get("rivals") ?? []).map((entry) => {
      return typeof entry === "string" ? entry : ((entry as Element).elem?.val ?? "");
    }),
    blockedIn: packets.get("blocked_in") ?? 0,
    blockedOut: packets.get("blocked_out") ?? 0,
  };
}

interface Listed {
  readonly set?: { readonly name: string; readonly elem?: readonly unknown[] };
  readonly counter?: { readonly name: string; readonly packets: number };
}

interface Element {
  readonly elem?: { readonly val?: string };
}
