/**
 * scripts/lab: reads the words, does the command, and says on the way what takes long. Progress
 * goes to the standard error, results to the standard output.
 */
import { HELP, LOAD_WORD, parseArguments, type Command } from "./arguments.ts";
import { LabFailure } from "./failure.ts";
import { environmentOf, insideClient, insideHost } from "./inside.ts";
import { labDirectory, needPlan, readPlan } from "./lab-directory.ts";
import { everyHost, hostsOf, serversOf, type Host, type LabMode, type LabPlan } from "./layout.ts";
import { bringUp, psqlEnvironment, psqlWords, tailOfLogs, takeDown } from "./lifecycle.ts";
import { locked, undoing } from "./locked-work.ts";
import { labNamespaces } from "./network.ts";
import { cutPort, flapPort, healPort, losePort } from "./network-faults.ts";
import { newPlan } from "./new-plan.ts";
import { partProcesses, signalNode, startNode } from "./pgquorum-node.ts";
import { roleOf, signalServer } from "./postgres.ts";
import { attachServer, startPostgres } from "./rejoin.ts";
import { runAttached } from "./shell.ts";
import { formatStatus, leadersOf, lookAtLab } from "./status.ts";

const LOG_LINES = 200;
const startedMs = performance.now();

function say(line: string): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(5);
  process.stderr.write(`[${seconds} s] ${line}\n`);
}

async function main(): Promise<number> {
  if (process.argv[2] === LOAD_WORD) {
    const { runLoad } = await import("./demo/index.ts");
    await runLoad();
    return 0;
  }
  const { isLoopback, command } = parseArguments(process.argv.slice(2));
  if (command.name === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  const mode = isLoopback ? "loopback" : "namespaces";
  if (mode === "namespaces" && process.getuid?.() !== 0) {
    throw new LabFailure(
      "the lab makes network namespaces, which needs root",
      `Run it as root, or without a VIP: scripts/lab ${command.name} --loopback`,
    );
  }
  return perform(command, mode, labDirectory(mode));
}

async function perform(command: Command, mode: LabMode, directory: string): Promise<number> {
  switch (command.name) {
    case "help":
      return 0;
    case "up":
      return up(command, mode, directory);
    case "down":
      return down(mode, directory);
    case "demo": {
      return demo(command, mode, directory);
    }
    case "switchover":
      return switchover(needPlan(directory), command);
    case "status": {
      const status = await lookAtLab(needPlan(directory));
      const text = command.isJson ? JSON.stringify(status) : formatStatus(status);
      process.stdout.write(`${text}\n`);
      return 0;
    }
    case "psql": {
      const plan = needPlan(directory);
      return runAttached(psqlWords(plan, command.words), psqlEnvironment(plan));
    }
    case "exec":
      return exec(needPlan(directory), command.host, command.words);
    case "kill":
      return kill(needPlan(directory), command);
    case "start":
      return start(needPlan(directory), command);
    case "cut":
    case "loss":
    case "flap":
    case "heal":
      return disturb(needPlan(directory), command);
    case "logs": {
      const host = await findHost(needPlan(directory), command.host);
      process.stdout.write(`${await tailOfLogs([host], LOG_LINES)}\n`);
      return 0;
    }
  }
}

async function up(
  command: Extract<Command, { name: "up" }>,
  mode: LabMode,
  directory: string,
): Promise<number> {
  const old = readPlan(directory);
  mustFit(old, command);
  await mustBeFree(old, mode);
  const plan =
    old ??
    newPlan({
      directory,
      mode,
      nodesCount: command.nodesCount ?? 3,
      profile: command.profile ?? "fast",
      isDatabaseApart: command.isDatabaseApart ?? false,
    });
  const work = async (): Promise<number> => {
    const status = await bringUp(plan, command, say);
    say("up");
    process.stdout.write(`${formatStatus(status)}\n`);
    return 0;
  };
  // What this command made, it removes; a lab that was there before stays to be looked at.
  const cleanUp = async (): Promise<void> => {
    if (old === null) await takeDown(directory, mode);
  };
  return locked(mode, () => undoing(work, cleanUp));
}

async function demo(
  command: Extract<Command, { name: "demo" }>,
  mode: LabMode,
  directory: string,
): Promise<number> {
  const { runDemo } = await import("./demo/index.ts");
  await mustBeFree(readPlan(directory), mode);
  const plan = newPlan({ directory, mode, nodesCount: 3, profile: "fast", isDatabaseApart: false });
  const cleanUp = (): Promise<void> => takeDown(directory, mode);
  return locked(mode, () => undoing(() => runDemo(plan, command, say), cleanUp));
}

async function switchover(
  plan: LabPlan,
  { to, isDryRun }: Extract<Command, { name: "switchover" }>,
): Promise<number> {
  const { runSwitchover } = await import("./demo/index.ts");
  const leader = await findHost(plan, "LEADER");
  const target = to === null ? null : await findHost(plan, to);
  return runSwitchover(plan, { leader, to: target, isDryRun }, say);
}

/** The namespaces have fixed names, so there can be only one lab with them. */
async function mustBeFree(own: LabPlan | null, mode: LabMode): Promise<void> {
  if (own !== null || mode === "loopback" || (await labNamespaces()).length === 0) return;
  throw new LabFailure(
    "the namespaces pgq-* are in use by a lab of another directory",
    "`PGQ_LAB_DIR=… scripts/lab down` removes it; without its directory, only its hosts.",
  );
}

function mustFit(old: LabPlan | null, command: Extract<Command, { name: "up" }>): void {
  if (old === null) return;
  const isOther =
    (command.nodesCount ?? old.nodesCount) !== old.nodesCount ||
    (command.profile ?? old.profile) !== old.profile ||
    (command.isDatabaseApart ?? old.isDatabaseApart) !== old.isDatabaseApart ||
    command.settings.length > 0;
  if (!isOther) return;
  throw new LabFailure(
    `a lab of ${old.nodesCount} nodes with the profile ${old.profile} is up already`,
    "`scripts/lab down` removes it.",
  );
}

async function down(mode: LabMode, directory: string): Promise<number> {
  return locked(mode, async () => {
    await takeDown(directory, mode);
    say(`nothing of the lab is left in ${directory}`);
    return 0;
  });
}

async function exec(plan: LabPlan, name: string, words: readonly string[]): Promise<number> {
  if (name === "client") return runAttached(insideClient(plan, words), psqlEnvironment(plan));
  const host = await findHost(plan, name);
  return runAttached(insideHost(host, words), environmentOf(plan, host));
}

async function kill(
  plan: LabPlan,
  { host: name, part, signal }: Extract<Command, { name: "kill" }>,
): Promise<number> {
  const host = await findHost(plan, name);
  const count =
    part === "postgres"
      ? await signalServer(host, `SIG${signal}`)
      : await signalNode(partProcesses(host, part), `SIG${signal}`);
  if (count === 0) throw new LabFailure(`${part} of ${host.name} does not run`);
  process.stdout.write(`${host.name}: ${signal} to ${part}, ${count} processes\n`);
  return 0;
}

async function start(
  plan: LabPlan,
  { host: name, part, isAsIs, clockOffsetSeconds }: Extract<Command, { name: "start" }>,
): Promise<number> {
  const host = await findHost(plan, name);
  const having = part === "node" ? hostsOf(plan) : serversOf(plan);
  if (!having.some((each) => each.name === host.name)) {
    const names = having.map((each) => each.name).join(", ");
    throw new LabFailure(`${host.name} has no ${part} in this lab`, `It runs on ${names}.`);
  }
  if (part === "node") {
    startNode(plan, host, clockOffsetSeconds);
    process.stdout.write(`${host.name}: node started\n`);
    return 0;
  }
  const how = await startPostgres(plan, host, isAsIs);
  const words = {
    ran: "PostgreSQL ran already",
    started: "PostgreSQL started",
    rejoined: "PostgreSQL follows the new primary",
  };
  const attached = (await attachServer(plan, host)) ? ", and the nodes use it again" : "";
  process.stdout.write(`${host.name}: ${words[how]}${attached}\n`);
  return 0;
}

async function disturb(
  plan: LabPlan,
  command: Extract<Command, { name: "cut" | "loss" | "flap" | "heal" }>,
): Promise<number> {
  if (plan.mode === "loopback") {
    throw new LabFailure("the loopback has no cable to cut", "Use the lab with namespaces.");
  }
  const { host } = command;
  const port = host === null || host === "client" ? host : (await findHost(plan, host)).name;
  const done = await disturbPort(port, command);
  process.stdout.write(`${port ?? "all hosts"}: ${done}\n`);
  return 0;
}

/** Returns what was done, in words. */
async function disturbPort(
  port: string | null,
  command: Extract<Command, { name: "cut" | "loss" | "flap" | "heal" }>,
): Promise<string> {
  if (port === null || command.name === "heal") {
    await healPort(port);
    return "connected";
  }
  switch (command.name) {
    case "cut": {
      const { ways, from } = command.cut;
      await cutPort(port, command.cut);
      const way = ways.length > 1 ? "" : `, ${ways.join("")} only`;
      return `cut off${from === "everybody" ? "" : ` from ${from}`}${way}`;
    }
    case "loss":
      await losePort(port, command.percent);
      return `loses ${command.percent} % of its frames`;
    case "flap":
      await flapPort(port, command.times, command.downMs);
      return `its cable was out, ${command.times} × ${command.downMs} ms`;
  }
}

/** A host by `n1` or `pgq-n1`, by what it does now (LEADER, PRIMARY). */
async function findHost(plan: LabPlan, name: string): Promise<Host> {
  const hosts = everyHost(plan);
  if (name === "LEADER") return only(hosts, leadersOf(await lookAtLab(plan)), "leads");
  if (name === "PRIMARY") {
    const servers = serversOf(plan);
    const roles = await Promise.all(servers.map((host) => roleOf(plan, host)));
    const names = servers.filter((_, index) => roles[index] === "primary").map((host) => host.name);
    return only(hosts, names, "is primary");
  }
  const host = hosts.find((each) => each.name === name.replace(/^pgq-/, ""));
  if (host !== undefined) return host;
  const known = hosts.map((each) => each.name).join(", ");
  throw new LabFailure(`there is no host ${name}`, `Use one of ${known}, LEADER or PRIMARY.`, 2);
}

function only(hosts: readonly Host[], names: readonly string[], what: string): Host {
  const host = hosts.find((each) => each.name === names[0]);
  if (host !== undefined && names.length === 1) return host;
  const found = names.length === 0 ? "no host" : names.join(" and ");
  throw new LabFailure(`${found} ${what} at the moment`, "`scripts/lab status` shows more.");
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof LabFailure)) throw error;
  process.stderr.write(`scripts/lab: ${error.message}\n`);
  if (error.hint !== null) process.stderr.write(`${error.hint}\n`);
  process.exitCode = error.exitCode;
}
