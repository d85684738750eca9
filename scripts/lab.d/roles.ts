/** Who is the primary and who leads, asked anew each time. */
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "./failure.ts";
import { hostsOf, serversOf, type Host, type LabPlan } from "./layout.ts";
import { askNode } from "./pgquorum-node.ts";
import { roleOf } from "./postgres.ts";
import { waitFor } from "./shell.ts";

const LEADER_MS = 15_000;
const LEADERS_EVERY_MS = 50;

/** The one server that takes writes. */
export async function primaryOf(plan: LabPlan): Promise<Host> {
  const hosts = serversOf(plan);
  const roles = await Promise.all(hosts.map((host) => roleOf(plan, host)));
  const primaries = hosts.filter((_, index) => roles[index] === "primary");
  const [primary] = primaries;
  if (primary !== undefined && primaries.length === 1) return primary;
  throw new LabFailure(`${primaries.length} servers take writes, there must be one`);
}

/** The one host that leads; a busy machine may be between two leaders for a moment. */
export async function presentLeader(plan: LabPlan): Promise<Host> {
  const hosts = hostsOf(plan);
  const leader = await waitFor(async () => {
    const [name, ...more] = await leadersNow(hosts);
    return more.length > 0 ? null : (hosts.find((host) => host.name === name) ?? null);
  }, LEADER_MS);
  if (leader === null) throw new LabFailure("no node leads");
  return leader;
}

export async function leadersNow(hosts: readonly Host[]): Promise<string[]> {
  const answers = await Promise.all(hosts.map((host) => askNode(host)));
  return hosts
    .filter((_, index) => answers[index]?.node.state === "LEADER")
    .map((host) => host.name);
}

/** Notes every host that calls itself leader until it is stopped. */
export function watchLeaders(plan: LabPlan): { stop(): Promise<string[]> } {
  const seen = new Set<string>();
  const stopping = new AbortController();
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      for (const name of await leadersNow(hostsOf(plan))) seen.add(name);
      await sleep(LEADERS_EVERY_MS);
    }
    return [...seen];
  })();
  return {
    stop: () => {
      stopping.abort();
      return watching;
    },
  };
}
