/** The lab as a whole: up, down, and the wait until it really works. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "./arguments.ts";
import { LabFailure } from "./failure.ts";
import { insideClient, environmentOf } from "./inside.ts";
import {
  labSecrets,
  makeDirectories,
  readPlan,
  removeDirectory,
  writePgpass,
} from "./lab-directory.ts";
import { ACCOUNTS, everyHost, hostsOf, serversOf, VIP, type Host, type LabPlan } from "./layout.ts";
import { ensureNetwork, labNamespaces, removeNamespaces } from "./network.ts";
import { healPort } from "./network-faults.ts";
import { nodeProcesses, startNode, writeNodeConfig } from "./pgquorum-node.ts";
import { ensurePrimary, ensureStandby, program, stopServer } from "./postgres.ts";
import { processesInNamespace, signalAll, treeOf, waitUntilGone } from "./processes.ts";
import { startPostgres } from "./rejoin.ts";
import { tryRun } from "./shell.ts";
import { ensureSsh } from "./ssh.ts";
import { leadersOf, lookAtLab, type LabStatus } from "./status.ts";

type UpCommand = Extract<Command, { name: "up" }>;
export type Say = (line: string) => void;

const READY_MS: Record<LabPlan["profile"], number> = { lan: 45_000, fast: 45_000, default: 90_000 };
/** A node that does not even run by then has given up. */
const START_MS = 3_000;
const GONE_MS = 5_000;

/** Makes what is missing and starts what is not running; harmless when all of it is up. */
export async function bringUp(
  plan: LabPlan,
  { settings, isWithoutNodes }: Pick<UpCommand, "settings" | "isWithoutNodes">,
  say: Say,
): Promise<LabStatus> {
  const hosts = hostsOf(plan);
  const isNew = readPlan(plan.directory) === null;
  await makeDirectories(plan);
  const secrets = labSecrets(plan.directory);
  if (plan.mode === "namespaces") {
    say(`${hosts.length} hosts, a client and a switch between them`);
    await ensureNetwork(everyHost(plan));
    await healPort(null);
    await ensureSsh(plan, everyHost(plan));
  } else {
    say(`${hosts.length} sets of ports on the loopback`);
    await writePgpass(plan, secrets);
  }
  const servers = serversOf(plan);
  const [first, ...others] = servers;
  if (first === undefined) throw new LabFailure("a lab needs at least one host", null, 2);
  say(`PostgreSQL: a primary and ${others.length} streaming standbys`);
  await ensurePrimary(plan, servers, first, secrets);
  await Promise.all(others.map((host) => ensureStandby(plan, servers, host, first)));
  if (!isNew) for (const host of servers) await startPostgres(plan, host);
  if (isWithoutNodes) return lookAtLab(plan);
  say(`pgquorum: ${hosts.length} nodes, profile ${plan.profile}`);
  for (const host of hosts) {
    const isRunning = nodeProcesses(host).length > 0;
    if (!isRunning) writeNodeConfig(plan, host, hosts, secrets, settings);
    startNode(plan, host);
  }
  return waitUntilReady(plan, hosts);
}

/** Every node is up and follows the same leader, which holds the VIP, and a query passes. */
export async function waitUntilReady(plan: LabPlan, hosts: readonly Host[]): Promise<LabStatus> {
  const endMs = performance.now() + READY_MS[plan.profile];
  const startEndMs = performance.now() + START_MS;
  let missing = "nothing was seen";
  while (performance.now() < endMs) {
    const status = await lookAtLab(plan);
    const dead = hosts.filter((host) => nodeProcesses(host).length === 0);
    if (dead.length > 0 && performance.now() > startEndMs) {
      const names = dead.map((host) => host.name).join(", ");
      throw new LabFailure(`the node of ${names} has ended`, await tailOfLogs(dead, 12));
    }
    missing = whatIsMissing(plan, status) ?? (await queryThroughVip(plan)) ?? "";
    if (missing === "") return status;
    await sleep(100);
  }
  throw new LabFailure(
    `the lab did not come up within ${READY_MS[plan.profile] / 1000} s: ${missing}`,
    await tailOfLogs(hosts, 12),
  );
}

function whatIsMissing(plan: LabPlan, status: LabStatus): string | null {
  const silent = status.nodes.filter((node) => node.state === "DOWN");
  if (silent.length > 0) {
    return `no answer from the node of ${silent.map((node) => node.host).join(", ")}`;
  }
  const [leader, ...more] = leadersOf(status);
  if (leader === undefined || more.length > 0) return "no leader was elected";
  const astray = status.nodes.find((node) => node.leader !== leader || node.quorum !== true);
  if (astray !== undefined) return `${astray.host} does not follow the leader ${leader} yet`;
  if (plan.mode === "namespaces" && status.vip.holder !== leader) {
    return `the leader ${leader} does not hold the VIP`;
  }
  const primaries = status.backends.filter((backend) => backend.role === "primary");
  if (primaries.length !== 1) return "no node has found the primary";
  const waiting = status.backends.find((backend) => !/^(up|waiting)$/.test(backend.status));
  return waiting === undefined ? null : `backend ${waiting.host} is ${waiting.status}`;
}

async function queryThroughVip(plan: LabPlan): Promise<string | null> {
  const words = psqlWords(plan, ["-XAtqc", "SELECT 'passed'"]);
  const ran = await tryRun(words, { env: psqlEnvironment(plan), timeoutMs: 5_000 });
  if (ran.stdout.trim() === "passed") return null;
  return `a query through ${plan.mode === "loopback" ? "a node" : "the VIP"} failed: ${ran.stderr.trim()}`;
}

/** psql on the client host, through the VIP; on the loopback, through the first node. */
export function psqlWords(plan: LabPlan, args: readonly string[]): string[] {
  return insideClient(plan, program(plan, ["psql", ...args]));
}

export function psqlEnvironment(plan: LabPlan): NodeJS.ProcessEnv {
  const { user, password, database } = ACCOUNTS.application;
  const [first] = hostsOf(plan);
  const isLoopback = plan.mode === "loopback";
  return {
    ...environmentOf(plan, null),
    PGHOST: isLoopback ? "127.0.0.1" : VIP,
    PGPORT: String(first?.ports.pgpool ?? 9999),
    PGUSER: user,
    PGDATABASE: database,
    PGPASSWORD: password,
    PGCONNECT_TIMEOUT: "5",
  };
}

/** The last lines of every log of the hosts, for a person who wonders what went wrong. */
export async function tailOfLogs(hosts: readonly Host[], linesCount: number): Promise<string> {
  const parts: string[] = [];
  for (const host of hosts) {
    for (const name of existsSync(host.log) ? readdirSync(host.log).sort() : []) {
      const path = join(host.log, name);
      if (statSync(path).size === 0) continue;
      const ran = await tryRun(["tail", "-n", String(linesCount), path]);
      parts.push(`==> ${path} <==\n${ran.stdout.trimEnd()}`);
    }
  }
  return parts.join("\n\n");
}

/** Ends and removes everything of the lab in the directory, however far it had come. */
export async function takeDown(directory: string, mode: LabPlan["mode"]): Promise<void> {
  const plan = readPlan(directory);
  const hosts = plan === null ? [] : everyHost(plan);
  // Nodes first: they would see their servers die, and act.
  if (mode === "loopback") {
    await endProcesses(hosts.flatMap((host) => nodeProcesses(host)));
    await Promise.all(hosts.map((host) => stopServer(host)));
  } else {
    await endNamespaces(hosts);
  }
  removeDirectory(directory);
}

async function endNamespaces(hosts: readonly Host[]): Promise<void> {
  const namespaces = await labNamespaces();
  await endProcesses(
    hosts.flatMap((host) => nodeProcesses(host)).flatMap((process) => treeOf(process.pid)),
  );
  await Promise.all(hosts.map((host) => stopServer(host)));
  // Whatever else runs inside: sshd, commands of nodes, a psql that somebody left open.
  await endProcesses(namespaces.flatMap((name) => processesInNamespace(name)));
  await removeNamespaces(namespaces);
}

async function endProcesses(processes: Parameters<typeof signalAll>[0]): Promise<void> {
  signalAll(processes, "SIGKILL");
  if (await waitUntilGone(processes, GONE_MS)) return;
  throw new LabFailure("some processes of the lab do not end", "Try `scripts/lab down` again.");
}
