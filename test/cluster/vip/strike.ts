/** Does to a host what a fault says, and undoes it. */
import {
  cutPort,
  flapPort,
  healPort,
  losePort,
  WAYS,
} from "../../../scripts/lab.d/network-faults.ts";
import type { Cut } from "../../../scripts/lab.d/network-faults.ts";
import {
  nodeProcesses,
  partProcesses,
  signalNode,
  startNode,
  type NodePart,
} from "../../../scripts/lab.d/pgquorum-node.ts";
import { waitUntilGone } from "../../../scripts/lab.d/processes.ts";
import type { Host } from "../../../scripts/lab.d/layout.ts";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import { monotonicNowMs } from "../../../src/os/index.ts";
import type { PlannedRound } from "./faults.ts";
import { dropAddress, LEASE_MS, type Stage } from "./stage.ts";

export interface Strike {
  /** The moment before it happened. */
  readonly atMs: number;
  readonly detail: string;
  readonly undo: () => Promise<void>;
}

const CLIENTS_MS = 1_000;
const STOP_MS = 20_000;
/** Hours, days and a year ahead: no two nodes of the lab agree on the monotonic time. */
const CLOCK_OFFSETS_SECONDS = [3_600, 86_400, 1_000_000, 31_536_000];
const NOTHING = async (): Promise<void> => undefined;

export async function strike(stage: Stage, planned: PlannedRound, victim: Host): Promise<Strike> {
  const { fault, dice } = planned;
  switch (fault.name) {
    case "stop":
      return stopped(stage, victim, 0);
    case "clock": {
      const choice = Math.floor(dice * CLOCK_OFFSETS_SECONDS.length);
      return stopped(stage, victim, CLOCK_OFFSETS_SECONDS[choice] ?? 0);
    }
    case "kill-node":
      return killed(stage, victim, "node");
    case "kill-all":
      return killed(stage, victim, "all");
    case "kill-watchdog":
      return signalled(stage, victim, ["watchdog"]);
    case "kill-pair":
      return signalled(stage, victim, ["watchdog", "guardian"]);
    case "freeze-watchdog":
      return frozen(victim, "watchdog");
    case "freeze-node":
    case "follower-freeze":
      return frozen(victim, "all");
    case "cut":
    case "follower-cut":
      return cut(victim, { ways: WAYS, from: "everybody" });
    case "cut-in":
      return cut(victim, { ways: ["in"], from: "everybody" });
    case "cut-out":
      return cut(victim, { ways: ["out"], from: "everybody" });
    case "cut-peers":
      return cut(victim, { ways: WAYS, from: "peers" });
    case "cut-postgres":
      return cut(victim, { ways: WAYS, from: "postgres" });
    case "loss":
      return lossy(victim, 10 + Math.round(dice * 60));
    case "flap":
      return flapped(stage, victim, dice);
  }
}

async function stopped(stage: Stage, victim: Host, clockOffsetSeconds: number): Promise<Strike> {
  const everybody = nodeProcesses(victim);
  const targets = partProcesses(victim, "supervisor");
  let atMs = monotonicNowMs();
  let detail = clockOffsetSeconds === 0 ? "" : `+${clockOffsetSeconds} s`;
  await signalNode(targets, "SIGTERM");
  // It lets the clients finish, also one whose goodbye was lost in an earlier round.
  await waitUntilGone(everybody, CLIENTS_MS);
  if (stage.observer.last?.port === victim.name) {
    detail = `${detail}${detail === "" ? "" : ", "}SIGINT, as a client stays`;
    atMs = monotonicNowMs();
    await signalNode(targets, "SIGINT");
  }
  const undo = async (): Promise<void> => {
    if (!(await waitUntilGone(everybody, STOP_MS))) {
      throw new LabFailure(`the node of ${victim.name} does not stop within ${STOP_MS / 1000} s`);
    }
    startNode(stage.plan, victim, clockOffsetSeconds);
  };
  return { atMs, detail, undo };
}

async function killed(stage: Stage, victim: Host, part: NodePart): Promise<Strike> {
  const targets = partProcesses(victim, part);
  const atMs = monotonicNowMs();
  await signalNode(targets, "SIGKILL");
  const undo = async (): Promise<void> => {
    if (stage.fence === "none") await dropAddress(victim);
    startNode(stage.plan, victim);
  };
  return { atMs, detail: "", undo };
}

/** The supervisor stays, and starts again what died. */
async function signalled(stage: Stage, victim: Host, parts: readonly NodePart[]): Promise<Strike> {
  const targets = parts.flatMap((part) => partProcesses(victim, part));
  const atMs = monotonicNowMs();
  await signalNode(targets, "SIGKILL");
  const undo = stage.fence === "none" ? () => dropAddress(victim) : NOTHING;
  return { atMs, detail: "", undo };
}

async function frozen(victim: Host, part: NodePart): Promise<Strike> {
  const targets = partProcesses(victim, part);
  const atMs = monotonicNowMs();
  await signalNode(targets, "SIGSTOP");
  // What the frozen ones were about to start meanwhile cannot be there: they are frozen.
  const undo = async (): Promise<void> => {
    await signalNode(targets, "SIGCONT");
  };
  return { atMs, detail: "", undo };
}

async function cut(victim: Host, how: Cut): Promise<Strike> {
  const atMs = monotonicNowMs();
  await cutPort(victim.name, how);
  return { atMs, detail: "", undo: () => healPort(victim.name) };
}

async function lossy(victim: Host, percent: number): Promise<Strike> {
  const atMs = monotonicNowMs();
  await losePort(victim.name, percent);
  return { atMs, detail: `${percent} %`, undo: () => healPort(victim.name) };
}

/** Sometimes shorter than the lease, sometimes longer. */
async function flapped(stage: Stage, victim: Host, dice: number): Promise<Strike> {
  const times = 1 + Math.floor(dice * 3);
  const downMs = Math.round(50 + ((dice * 7919) % 1) * 1.5 * LEASE_MS[stage.plan.profile]);
  const atMs = monotonicNowMs();
  await flapPort(victim.name, times, downMs);
  return { atMs, detail: `${times} × ${downMs} ms`, undo: NOTHING };
}
