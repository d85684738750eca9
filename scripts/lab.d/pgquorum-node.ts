/** The pgquorum node of each host: configured, started, asked and signalled. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { controlSocketPath, parseControlReply, type NodeStatus } from "../../src/wire/ipc/index.ts";
import { pgpoolConf, poolHbaConf, poolPasswd, type Secrets } from "./config-texts.ts";
import { environmentOf, insideHost } from "./inside.ts";
import { ACCOUNTS, files, type Host, type LabPlan } from "./layout.ts";
import {
  processesInNamespace,
  processesWithEnvironment,
  processInfo,
  runsProgram,
  signalAll,
  treeOf,
  waitUntilGone,
  type ProcessInfo,
} from "./processes.ts";
import { startDetached } from "./shell.ts";

const STATUS_TIMEOUT_MS = 1_000;
const REPLY_BYTES_MAX = 4 * 1024 * 1024;
const KILLED_WITHIN_MS = 2_000;

export type NodePart = "all" | "node" | "supervisor" | "watchdog" | "guardian";

export function writeNodeConfig(
  plan: LabPlan,
  host: Host,
  hosts: readonly Host[],
  secrets: Secrets,
  extra: readonly string[],
): void {
  const { user, password } = ACCOUNTS.pcp;
  const hash = createHash("md5").update(password).digest("hex");
  const write = (path: string, text: string): void => writeFileSync(path, text, { mode: 0o600 });
  write(files.pgpoolConf(host), pgpoolConf(plan, host, hosts, secrets, extra));
  write(files.poolHba(host), poolHbaConf(plan));
  write(files.poolPasswd(host), poolPasswd(plan, secrets));
  write(files.pcpConf(host), `${user}:${hash}\n`);
  write(files.pcpPass(host), `*:*:${user}:${password}\n`);
  write(join(host.etc, "pgpool_node_id"), `${host.id}\n`);
}

/**
 * Starts the node in the background, unless it runs. It is up once it answers `askNode`.
 *
 * @param clockOffsetSeconds by which its monotonic clock differs from that of the other hosts.
 */
export function startNode(plan: LabPlan, host: Host, clockOffsetSeconds = 0): void {
  if (nodeProcesses(host).length > 0) return;
  const pgpool = [join(plan.repository, "bin", "pgpool"), "-n", "-f", files.pgpoolConf(host)];
  const others = ["-F", files.pcpConf(host), "-a", files.poolHba(host)];
  const words = insideHost(host, [...shiftedClock(clockOffsetSeconds), ...pgpool, ...others]);
  startDetached(words, files.nodeLog(host), environmentOf(plan, host));
}

/** A namespace of time holds for children only, hence the fork. */
function shiftedClock(offsetSeconds: number): string[] {
  if (offsetSeconds === 0) return [];
  const offset = String(offsetSeconds);
  return ["unshare", "--time", "--fork", "--monotonic", offset, "--boottime", offset, "--"];
}

/** What the node says of itself over its control socket; null when it does not answer. */
export function askNode(host: Host, timeoutMs = STATUS_TIMEOUT_MS): Promise<NodeStatus | null> {
  return new Promise((resolve) => {
    const socket = connect(controlSocketPath(host.run, host.ports.pcp));
    let text = "";
    const end = (status: NodeStatus | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(status);
    };
    const timer = setTimeout(() => end(null), timeoutMs);
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${JSON.stringify({ command: "status" })}\n`));
    socket.on("data", (part: string) => {
      text += part;
      if (text.length > REPLY_BYTES_MAX) end(null);
    });
    socket.on("error", () => end(null));
    socket.on("end", () => {
      const reply = parseControlReply(text);
      end(reply.ok && reply.value.ok ? (reply.value.value as NodeStatus) : null);
    });
  });
}

/** Every Node process of the node. */
export function nodeProcesses(host: Host): ProcessInfo[] {
  const candidates =
    host.namespace === null
      ? processesWithEnvironment(`PGQUORUM_CONFIG=${files.pgpoolConf(host)}`)
      : processesInNamespace(host.namespace);
  return candidates.filter((process) => runsProgram(process, globalThis.process.execPath));
}

/** From the pid file, if that process really is a node of ours. */
function supervisorPid(host: Host): number | null {
  try {
    const pid = Number.parseInt(readFileSync(files.pidFile(host), "utf8"), 10);
    const info = processInfo(pid);
    const isNode = info !== null && runsProgram(info, globalThis.process.execPath);
    return isNode ? pid : null;
  } catch {
    return null;
  }
}

/**
 * Signals a part of a node, see `partProcesses`. Returns how many processes got the signal. After
 * KILL they have ended.
 */
export async function signalNode(
  targets: readonly ProcessInfo[],
  signal: NodeJS.Signals,
): Promise<number> {
  // Else those that outlive the first by a millisecond see it gone and still let go in order.
  if (signal === "SIGKILL") signalAll(targets, "SIGSTOP");
  const count = signalAll(targets, signal);
  if (signal === "SIGKILL") await waitUntilGone(targets, KILLED_WITHIN_MS);
  return count;
}

/** The processes of one part of the node that run now, in the order to signal them. */
export function partProcesses(host: Host, part: NodePart): ProcessInfo[] {
  const all = nodeProcesses(host);
  switch (part) {
    case "all":
      return parentsFirst(withCommands(all, host));
    case "node":
      return parentsFirst(all);
    case "supervisor":
      return all.filter((process) => process.pid === supervisorPid(host));
    case "watchdog":
      return all.filter((process) => isWatchdog(process));
    case "guardian":
      return withCommands(all, host).filter((process) => isGuardian(process));
  }
}

/** And the guardian, also one that survived its watchdog, and every command that they run. */
function withCommands(nodes: readonly ProcessInfo[], host: Host): ProcessInfo[] {
  const around = host.namespace === null ? [] : processesInNamespace(host.namespace);
  const roots = [...nodes, ...around.filter((process) => isGuardian(process))];
  const family = roots.flatMap((process) => treeOf(process.pid));
  return [...new Map(family.map((process) => [process.pid, process])).values()];
}

function isGuardian(process: ProcessInfo): boolean {
  return process.title.startsWith("pgpool: guardian");
}

/** A parent that is signalled first cannot restart the children that die after it. */
function parentsFirst(processes: readonly ProcessInfo[]): ProcessInfo[] {
  const pids = new Set(processes.map((process) => process.pid));
  const roots = processes.filter((process) => !pids.has(process.parentPid));
  const children = processes.filter((process) => pids.has(process.parentPid));
  return [...roots, ...children];
}

function isWatchdog(process: ProcessInfo): boolean {
  return /watchdog/.test(process.title);
}
