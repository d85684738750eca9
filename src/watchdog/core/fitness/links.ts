/** What `ip -o link` says of the network devices, and what that means for this node. */

export interface Link {
  readonly name: string;
  readonly isLoopback: boolean;
  /** It is switched on and has a carrier. */
  readonly isUp: boolean;
}

/** `2: e0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 …`; null for any other line. */
export function parseLink(line: string): Link | null {
  const match = /^\d+:\s+([^\s@]+?)(?:@[^\s]+)?:\s+<([^>]*)>/.exec(line);
  const [, name, list] = match ?? [];
  if (name === undefined || list === undefined) return null;
  const flags = list.split(",");
  return {
    name,
    isLoopback: flags.includes("LOOPBACK"),
    isUp: flags.includes("UP") && flags.includes("LOWER_UP"),
  };
}

/** The word in wd_monitoring_interfaces_list that stands for every device but loopback. */
const ANY = "any";

/**
 * Whether at least one of the watched devices has a link. A device that does not exist has none.
 *
 * @param watched wd_monitoring_interfaces_list.
 */
export function hasLink(links: readonly Link[], watched: readonly string[]): boolean {
  const isAny = watched.some((name) => name.toLowerCase() === ANY);
  return links.some(({ name, isLoopback, isUp }) => {
    return isUp && (isAny ? !isLoopback : watched.includes(name));
  });
}
