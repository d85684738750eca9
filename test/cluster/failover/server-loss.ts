/** How a primary is lost, and how it comes back by itself while its successor takes writes. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../../../scripts/lab.d/layout.ts";
import { cutPort, healPort, WAYS } from "../../../scripts/lab.d/network-faults.ts";
import { postmaster, signalServer } from "../../../scripts/lab.d/postgres.ts";
import { signalAll, treeOf, waitUntilGone } from "../../../scripts/lab.d/processes.ts";

export const SERVER_LOSSES = ["kill", "freeze", "cut"] as const;
export type ServerLoss = (typeof SERVER_LOSSES)[number];

const CHILDREN_LIVE_MS = 100;
const CHILDREN_END_MS = 5_000;
/** So long both run, the old one perhaps with clients and standbys of its own. */
const BOTH_RUN_MS = 1_500;

/**
 * `kill`: its postmaster alone, as its children see that and end, each in its own time.
 *
 * @param begins called when that is about to be done.
 */
export async function loseServer(
  server: Host,
  how: ServerLoss,
  begins: () => void = () => undefined,
): Promise<void> {
  switch (how) {
    case "kill": {
      const target = postmaster(server);
      if (target === null) return;
      const family = treeOf(target.pid);
      begins();
      signalAll([target], "SIGKILL");
      // Until then one of them may still answer. Looking at a hundred processes takes time that
      // those need who are to notice.
      await sleep(CHILDREN_LIVE_MS);
      await waitUntilGone(family, CHILDREN_END_MS);
      return;
    }
    case "freeze":
      await signalServer(server, "SIGSTOP");
      return;
    case "cut":
      await cutPort(server.name, { ways: WAYS, from: "everybody" });
      return;
  }
}

export async function bringBack(server: Host, how: ServerLoss): Promise<void> {
  if (how === "kill") return;
  if (how === "freeze") await signalServer(server, "SIGCONT");
  else await healPort(server.name);
  await sleep(BOTH_RUN_MS);
}
