import { isInNetwork, parseAddress, parseNetwork, withoutIpv4Mapping } from "./address.ts";
import type { HbaAddress, HbaClient, HbaName, HbaRule } from "./types.ts";

/**
 * The first rule that fits the client, or null: then nobody vouches for it and it is refused.
 * A rule of another kind is never tried after a failed proof.
 */
export function matchHba(rules: readonly HbaRule[], client: HbaClient): HbaRule | null {
  const parsed = client.address === null ? null : parseAddress(client.address);
  const address = parsed === null ? null : withoutIpv4Mapping(parsed);
  return (
    rules.find(
      (rule) =>
        fitsConnection(rule, client) &&
        (rule.address === null || fitsAddress(rule.address, address, client.ownAddresses)) &&
        fitsName(rule.databases, client.database, client.user) &&
        fitsName(rule.users, client.user, client.user),
    ) ?? null
  );
}

function fitsConnection(rule: HbaRule, client: HbaClient): boolean {
  switch (rule.connection) {
    case "local":
      return client.type === "local";
    case "host":
      return client.type === "host";
    case "hostssl":
      return client.type === "host" && client.tls;
    case "hostnossl":
      return client.type === "host" && !client.tls;
  }
}

function fitsAddress(
  rule: HbaAddress,
  address: Uint8Array | null,
  ownAddresses: readonly string[],
): boolean {
  if (rule.kind === "all") return true;
  if (address === null) return false;
  switch (rule.kind) {
    case "samehost":
      return ownAddresses.some((own) => isOwnHost(own, address));
    case "samenet":
      return ownAddresses.some((own) => {
        const network = parseNetwork(own);
        return network !== null && isInNetwork(address, network);
      });
    case "networks":
      return rule.networks.some((network) => isInNetwork(address, network));
  }
}

function isOwnHost(own: string, address: Uint8Array): boolean {
  const network = parseNetwork(own.split("/")[0] ?? "");
  return network !== null && isInNetwork(address, network);
}

function fitsName(names: readonly HbaName[], wanted: string, user: string): boolean {
  return names.some((item) => {
    switch (item.kind) {
      case "all":
        return true;
      case "sameuser":
        return wanted === user;
      case "name":
        return item.name === wanted;
    }
  });
}
