/** What `ip -json link` says of the network devices, and what that means for this node. */

export interface Link {
  readonly name: string;
  readonly isLoopback: boolean;
  /** It is switched on and has a carrier. */
  readonly isUp: boolean;
}

/** Null when the text is not what `ip -json link` prints. */
export function parseLinks(json: string): readonly Link[] | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  if (!Array.isArray(value)) return null;
  return value.flatMap((item: unknown) => {
    const { ifname, flags } = item as { readonly ifname?: unknown; readonly flags?: unknown };
    if (typeof ifname !== "string" || !Array.isArray(flags)) return [];
    return [
      {
        name: ifname,
        isLoopback: flags.includes("LOOPBACK"),
        isUp: flags.includes("UP") && flags.includes("LOWER_UP"),
      },
    ];
  });
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
