/** The lab's network: a bridge that leads nowhere, and a namespace with one cable per host. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LabFailure } from "./failure.ts";
import { CLIENT_ADDRESS, CLIENT_NAMESPACE, SWITCH_NAMESPACE, VIP, type Host } from "./layout.ts";
import { makeFaultsTable } from "./network-faults.ts";
import { run, tryRun } from "./shell.ts";

export function hasNamespace(name: string): boolean {
  return existsSync(`/run/netns/${name}`);
}

export async function ensureNetwork(hosts: readonly Host[]): Promise<void> {
  if (!hasNamespace(SWITCH_NAMESPACE)) {
    const made = await tryRun(["ip", "netns", "add", SWITCH_NAMESPACE]);
    if (made.code !== 0) {
      throw new LabFailure(
        `network namespaces cannot be made here: ${made.stderr.trim()}`,
        "Run as root outside an unprivileged container, or use `scripts/lab demo --loopback`.",
      );
    }
    await inSwitch([
      "link",
      "add",
      "br0",
      "type",
      "bridge",
      "stp_state",
      "0",
      "forward_delay",
      "0",
    ]);
    await inSwitch(["link", "set", "br0", "up"]);
    await makeFaultsTable();
  }
  for (const host of hosts) {
    if (host.namespace !== null) await ensureCable(host.namespace, host.name, host.address);
  }
  await ensureCable(CLIENT_NAMESPACE, "client", CLIENT_ADDRESS);
}

async function ensureCable(namespace: string, port: string, address: string): Promise<void> {
  if (hasNamespace(namespace)) return;
  await run(["ip", "netns", "add", namespace]);
  await inSwitch(
    ["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace], // One cable.
  );
  await inSwitch(["link", "set", port, "master", "br0", "up"]);
  await run(["ip", "-n", namespace, "-batch", "-"], {
    input: `link set lo up
addr add ${address}/24 dev eth0
link set eth0 up
`,
  });
}

function inSwitch(words: readonly string[]): Promise<string> {
  return run(["ip", "-n", SWITCH_NAMESPACE, ...words]);
}

/** Every namespace that a lab of any size may have made and that exists now. */
export async function labNamespaces(): Promise<string[]> {
  const listed = await tryRun(["ip", "netns", "list"]);
  return listed.stdout
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "")
    .filter((name) => /^pgq-(sw|client|db|n\d+)$/.test(name));
}

export async function removeNamespaces(names: readonly string[]): Promise<void> {
  for (const name of names) await run(["ip", "netns", "delete", name]);
}

/** Asks each host's kernel, all at once, which of them has the virtual IP. */
export async function vipHolders(hosts: readonly Host[]): Promise<string[]> {
  const answers = await Promise.all(hosts.map((host) => hasVip(host)));
  return hosts.filter((_, index) => answers[index]).map((host) => host.name);
}

async function hasVip(host: Host): Promise<boolean> {
  if (host.namespace === null || !hasNamespace(host.namespace)) return false;
  const ran = await tryRun(["ip", "-n", host.namespace, "-j", "addr", "show", "to", VIP]);
  if (ran.code !== 0) return false;
  const links = JSON.parse(ran.stdout || "[]") as { addr_info?: { local?: string }[] }[];
  return links.some((link) => link.addr_info?.some((address) => address.local === VIP));
}

/**
 * The same, read from /proc without starting a program: quick enough to be asked every few
 * milliseconds. A host counts only while its sshd, by whose eyes we look, runs.
 */
export function vipHoldersNow(hosts: readonly Host[]): string[] {
  return hosts.filter((host) => localAddresses(host).includes(VIP)).map((host) => host.name);
}

/** The kernel's forwarding table names each own address, and on the next line says LOCAL. */
function localAddresses(host: Host): string[] {
  let lines: string[];
  try {
    const pid = Number(readFileSync(join(host.run, "sshd.pid"), "utf8"));
    lines = readFileSync(`/proc/${pid}/net/fib_trie`, "utf8").split("\n");
  } catch {
    return [];
  }
  return lines
    .filter((_, index) => lines[index + 1]?.includes("/32 host LOCAL"))
    .map((line) => line.trim().replace(/^\|-- /, ""));
}
