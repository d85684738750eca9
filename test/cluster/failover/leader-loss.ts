/**
 * The leader's node is killed at a step of the failover of a primary. Nothing in the product knows
 * of it: a step is held open from outside, by what any installation may meet, and what the step is
 * known by is named with each.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import type { Host } from "../../../scripts/lab.d/layout.ts";
import { cutPort, healPort, WAYS } from "../../../scripts/lab.d/network-faults.ts";
import { partProcesses, signalNode } from "../../../scripts/lab.d/pgquorum-node.ts";
import { signalServer } from "../../../scripts/lab.d/postgres.ts";
import type { NodeLogs } from "./node-log.ts";
import type { Standing } from "./round.ts";
import { commandNotes, holdCommands, type Stage } from "./stage.ts";

export const STEPS = {
  /**
   * The supervisor, which alone proposes intents, is stopped before the primary is lost. The step is
   * there when the leader's watchdog has counted the votes. Exact.
   */
  "before the intent": beforeIntent,
  /**
   * A follower's supervisor is stopped, so the leader waits for the end of that node's routing lease
   * between the commit and the command. The step is there when the leader logs the committed intent.
   * Exact when no command of that leader has begun.
   */
  "after the intent": afterIntent,
  /** The command itself waits before its work. Exact. */
  "during the command": duringCommand,
  /**
   * The command waits behind its work; the supervisor is stopped, and then the command ends. Exact:
   * its end is written down, and nobody was there to hear of it.
   */
  "after the command": afterCommand,
  /**
   * The new primary is frozen, so the leader's question for its role gets no answer; then the leader
   * is cut from its peers and the primary goes on. The step is there when the leader logs that it has
   * found the primary, which it can tell to nobody any more. Exact when it gets to that in its lease.
   */
  "before the new primary is published": beforePublishing,
} as const;
export type Step = keyof typeof STEPS;
export const STEP_NAMES = Object.keys(STEPS) as Step[];

export interface LossScene extends Standing {
  readonly stage: Stage;
  readonly logs: NodeLogs;
  /** Takes the primary away. */
  readonly lose: () => Promise<unknown>;
}

const STEP_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 2;
/** The first look for the primary comes 50 ms behind the command, and its answer is awaited longer. */
const LOOKING_MS = 150;

/** @returns when the leader's node is dead. Throws when the step was not reached. */
export async function loseLeaderAt(step: Step, scene: LossScene): Promise<void> {
  await STEPS[step](scene);
}

async function beforeIntent({ leader, logs, lose }: LossScene): Promise<void> {
  await signalNode(partProcesses(leader, "supervisor"), "SIGSTOP");
  await lose();
  await until("the votes were counted", () => logs.first(/granted/, leader) !== null);
  await killNode(leader);
}

async function afterIntent({ stage, leader, primary, logs, lose }: LossScene): Promise<void> {
  const follower = stage.hosts.find(({ id }) => id !== leader.id && id !== primary.id);
  const held = follower === undefined ? [] : partProcesses(follower, "supervisor");
  const before = commandNotes(stage.plan).length;
  await signalNode(held, "SIGSTOP");
  try {
    await lose();
    await until(
      "the intent was committed",
      () => logs.first(/Starting degeneration/, leader) !== null,
    );
    await killNode(leader);
  } finally {
    await signalNode(held, "SIGCONT");
  }
  const early = commandNotes(stage.plan).slice(before);
  if (early.some(({ on, what }) => on === leader.name && what === "begin")) {
    throw new LabFailure("the command had begun before its leader was killed: not this step");
  }
}

async function duringCommand({ stage, leader, lose }: LossScene): Promise<void> {
  const hold = holdCommands(stage.plan, "begin");
  try {
    await held(stage, "held-begin", lose);
    await killNode(leader);
  } finally {
    hold.letGo();
  }
}

async function afterCommand({ stage, leader, lose }: LossScene): Promise<void> {
  const hold = holdCommands(stage.plan, "done");
  const before = commandNotes(stage.plan).length;
  try {
    await held(stage, "held-done", lose);
    await signalNode(partProcesses(leader, "supervisor"), "SIGSTOP");
  } finally {
    hold.letGo();
  }
  const isEnded = (): boolean =>
    commandNotes(stage.plan)
      .slice(before)
      .some(({ what }) => what === "end");
  await until("the command ended", isEnded);
  await killNode(leader);
}

async function beforePublishing({ stage, leader, logs, lose }: LossScene): Promise<void> {
  const hold = holdCommands(stage.plan, "done");
  let promoted: Host | undefined;
  try {
    const newMain = await held(stage, "held-done", lose);
    promoted = stage.hosts[newMain];
    if (promoted !== undefined) await signalServer(promoted, "SIGSTOP");
  } finally {
    hold.letGo();
  }
  await sleep(LOOKING_MS);
  await cutPort(leader.name, { ways: WAYS, from: "peers" });
  if (promoted !== undefined) await signalServer(promoted, "SIGCONT");
  try {
    const isFound = (): boolean =>
      logs.first(/find_primary_node: primary node is/, leader) !== null;
    await until("the new primary was found", isFound);
  } finally {
    await killNode(leader);
    await healPort(leader.name);
  }
}

/** @returns the candidate of the command that waits. */
async function held(stage: Stage, what: string, lose: () => Promise<unknown>): Promise<number> {
  const before = commandNotes(stage.plan).length;
  await lose();
  const find = (): number | undefined =>
    commandNotes(stage.plan)
      .slice(before)
      .find((note) => note.what === what)?.newMain;
  await until("failover_command ran", () => find() !== undefined);
  return find() ?? -1;
}

async function until(what: string, isThere: () => boolean): Promise<void> {
  const endMs = performance.now() + STEP_WITHIN_MS;
  while (!isThere()) {
    if (performance.now() > endMs) {
      throw new LabFailure(`within ${STEP_WITHIN_MS / 1000} s the step was not reached: ${what}?`);
    }
    await sleep(LOOK_EVERY_MS);
  }
}

/** Every process of it but the guardian, as a crash of the node would end it. */
async function killNode(host: Host): Promise<void> {
  await signalNode(partProcesses(host, "node"), "SIGKILL");
}
