/** What can be said of a host name or an IP address without asking anybody. */

/** A plain IPv4 or IPv6 address, without prefix length or zone. */
export function isIpAddress(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

/** A name or an address, with a zone perhaps; nothing that a shell or a program could take amiss. */
export function isHostName(text: string): boolean {
  return /^[A-Za-z0-9_:][A-Za-z0-9._:%-]{0,252}$/.test(text);
}

/** Only names and addresses that never leave the machine. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  if (name === "localhost" || name === "::1") return true;
  return isIpv4(name) && name.startsWith("127.");
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return (
    parts.length === 4 &&
    parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
  );
}

/** Eight groups of 16 bits; `::` stands once for the missing ones, an IPv4 tail for two. */
function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2 || text === "") return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const tail = groups.at(-1) ?? "";
  const hasIpv4Tail = tail.includes(".");
  // The IPv4 part must end the text, so `1.2.3.4::` is none.
  if (hasIpv4Tail && (!isIpv4(tail) || !text.endsWith(tail))) return false;
  const plain = hasIpv4Tail ? groups.slice(0, -1) : groups;
  if (!plain.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  const count = plain.length + (hasIpv4Tail ? 2 : 0);
  return halves.length === 2 ? count < 8 : count === 8;
}
