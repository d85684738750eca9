/** The cluster under test: how it is made, when it is whole, and how it is made whole again. */
import { setTimeout as sleep } from "node:timers/promises";
import { hostsOf, VIP, type Host, type LabPlan } from "../../../scripts/lab.d/layout.ts";
import { bringUp, type Say } from "../../../scripts/lab.d/lifecycle.ts";
import { healPort } from "../../../scripts/lab.d/network-faults.ts";
import { askNode, partProcesses, signalNode } from "../../../scripts/lab.d/pgquorum-node.ts";
import { tryRun } from "../../../scripts/lab.d/shell.ts";
import type { NodeStatus } from "../../../src/wire/ipc/index.ts";
import { monotonicNowMs } from "../../../src/os/index.ts";
import type { Observer } from "./observer.ts";
import type { QueryProbe } from "./query-probe.ts";
import type { Fence } from "./options.ts";

export interface Stage {
  readonly plan: LabPlan;
  readonly hosts: readonly Host[];
  readonly observer: Observer;
  readonly probe: QueryProbe;
  readonly fence: Fence;
  readonly say: Say;
}

/** What all nodes agree upon. */
export interface Standing {
  readonly leader: Host;
  readonly term: number;
}

export const LEASE_MS: Readonly<Record<LabPlan["profile"], number>> = {
  lan: 300,
  fast: 600,
  default: 3000,
};
const LOOK_EVERY_MS = 40;
/** The holder is made to speak every millisecond, so one that is silent for so long is none. */
const SILENT_MS = 100;

/** One server is enough here, and no trouble on its way may become a failover of it. */
export function settingsFor(fence: Fence): string[] {
  return [`vip_fence = '${fence}'`, "backend_flag0 = 'DISALLOW_TO_FAILOVER'"];
}

/** Waits until every node follows one leader, which speaks as the address. Null: it does not. */
export async function whole(stage: Stage, withinMs: number): Promise<Standing | null> {
  const endMs = monotonicNowMs() + withinMs;
  for (;;) {
    const answers = await Promise.all(stage.hosts.map((host) => askNode(host)));
    const standing = standingOf(stage.hosts, answers);
    const last = stage.observer.last;
    const isHeld = last !== null && monotonicNowMs() - last.atMs < SILENT_MS;
    if (standing !== null && isHeld && last.port === standing.leader.name) return standing;
    if (monotonicNowMs() > endMs) return null;
    await sleep(LOOK_EVERY_MS);
  }
}

function standingOf(
  hosts: readonly Host[],
  answers: readonly (NodeStatus | null)[],
): Standing | null {
  const heard = answers.flatMap((answer) => answer?.watchdog ?? []);
  const [first] = heard;
  const leader = hosts.find((host) => host.id === first?.leaderId);
  if (first === undefined || leader === undefined || heard.length < hosts.length) return null;
  const isAgreed = heard.every(
    (view) => view.leaderId === first.leaderId && view.term === first.term && view.hasQuorum,
  );
  const own = heard.find((view) => view.selfId === leader.id);
  const isServing = answers.every((answer) => answer?.view.primaryId !== null);
  const isReady = own?.isLeader === true && own.holdsVip && own.guardianPid !== null && isServing;
  return isAgreed && isReady ? { leader, term: first.term } : null;
}

/** Ends every node at once and starts all of them again, perhaps with another fence. */
export async function startAnew(stage: Pick<Stage, "plan" | "fence" | "say">): Promise<void> {
  const hosts = hostsOf(stage.plan);
  for (const host of hosts) {
    const targets = partProcesses(host, "all");
    await signalNode(targets, "SIGKILL");
    await dropAddress(host);
  }
  await healPort(null);
  await bringUp(
    stage.plan,
    { settings: settingsFor(stage.fence), isWithoutNodes: false },
    () => undefined,
  );
}

/** Without a fence, nothing takes the address from a host whose processes are all gone. */
export async function dropAddress(host: Host): Promise<void> {
  await tryRun(["ip", "-n", host.namespace ?? "", "addr", "del", `${VIP}/32`, "dev", "eth0"]);
}
