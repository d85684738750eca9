/**
 * wd_cli: asks the watchdog of this host how the nodes are, and tells it what an external
 * lifecheck found. Options and output are those of Pgpool-II, so that scripts go on working. Exit
 * status: 0 done, 1 wrong arguments or no such node, 255 the watchdog cannot be asked.
 */
import { join } from "node:path";
import { fail, succeed, VERSION, type Ms, type Result } from "../base/index.ts";
import { encodeNodesRequest, encodeNodeStatusRequest } from "../wire/watchdog/index.ts";
import { ask } from "./wd-cli/ask.ts";
import { formatNodes, parseNodes, selectNodes, type WdNode } from "./wd-cli/nodes.ts";
import { criteriaText, isSearching, parseOptions, type WdCliOptions } from "./wd-cli/options.ts";
import { USAGE } from "./wd-cli/usage.ts";

/** Where and with which key to ask. */
interface Target {
  readonly directory: string;
  readonly port: number;
  readonly key: string;
}

const EXIT_MISTAKE = 1;
const EXIT_UNREACHABLE = 255;
const LIST_TIMEOUT_MS: Ms = 10_000;
/** Pgpool-II says nothing to a report that it takes; pgquorum answers at once. */
const REPORT_TIMEOUT_MS: Ms = 1000;
const ALL = -1;

async function main(argv: readonly string[]): Promise<number> {
  const request = parseOptions(argv);
  if (!request.ok) return complain(request.error);
  switch (request.value.type) {
    case "help":
      process.stderr.write(USAGE);
      return 0;
    case "version":
      process.stderr.write(`wd_cli for pgquorum version ${VERSION}\n`);
      return 0;
    case "run":
      return run(request.value.options);
  }
}

async function run(options: WdCliOptions): Promise<number> {
  const { operation, criteria } = options;
  if (!isSearching(criteria) && !options.all) {
    if (operation.type === "inform") {
      return complain("ERROR: Missing node search criteria: which node is it, by -n, -N or -H?\n");
    }
    process.stderr.write("WARNING: Missing node search criteria. applying --all option\n");
  }
  const target = await findTarget(options);
  if (!target.ok) return complain(target.error);
  const { directory, port, key } = target.value;
  if (options.debug) process.stderr.write(debugText(options, target.value));
  const path = join(directory, `.s.PGPOOLWD_CMD.${port}`);
  const answer = await ask(path, encodeNodesRequest(ALL, key), LIST_TIMEOUT_MS);
  if (!answer.ok) return complain(`ERROR: ${answer.error}\n`, EXIT_UNREACHABLE);
  if (answer.value.type === "silent") {
    return complain("ERROR: the watchdog did not answer\n", EXIT_UNREACHABLE);
  }
  if (options.debug) {
    process.stdout.write(`DEBUG: From config ${directory}:${port}\n`);
    process.stdout.write(`DEBUG:************\n${answer.value.text}\n************\n`);
  }
  const nodes = parseNodes(answer.value.body);
  if (!nodes.ok) return complain(nodes.error, EXIT_UNREACHABLE);
  const found = selectNodes(nodes.value, criteria);
  if (!found.ok) return complain(found.error);
  if (operation.type === "inform") {
    return inform(path, key, found.value, operation.isAlive, options.message);
  }
  process.stdout.write(formatNodes(found.value, nodes.value.length, options.verbose));
  return 0;
}

function complain(text: string, exitCode = EXIT_MISTAKE): number {
  process.stderr.write(text);
  return exitCode;
}

/** What the arguments leave open is asked of the configuration. */
async function findTarget(options: WdCliOptions): Promise<Result<Target, string>> {
  const { socketDirectory, ipcPort, configFile, key } = options;
  if (configFile === null && socketDirectory !== null && ipcPort !== null) {
    return succeed({ directory: socketDirectory, port: ipcPort, key: key ?? "" });
  }
  // Loaded only here: reading a configuration costs more than asking.
  const { requireConfig } = await import("./programs/config-file.ts");
  const config = requireConfig({ configFile: configFile ?? undefined });
  if (!config.ok) {
    return fail(`${config.error}ERROR: Unable to get configuration. Exiting...\n`);
  }
  const { nodes, nodeId, wd_ipc_socket_dir, wd_authkey } = config.value;
  const port = ipcPort ?? nodes.find(({ id }) => id === nodeId)?.wdPort;
  if (port === undefined) {
    return fail("ERROR: no wd_port is configured for this node: is use_watchdog on?\n");
  }
  return succeed({
    directory: socketDirectory ?? wd_ipc_socket_dir,
    port,
    key: key ?? wd_authkey.reveal(),
  });
}

function debugText(options: WdCliOptions, { directory, port }: Target): string {
  const { operation, criteria, all } = options;
  const what = operation.type === "info" ? '"INFO REQUEST"' : '"INFORM NODE STATUS"';
  const isAll = operation.type === "info" && (all || !isSearching(criteria));
  return [
    `DEBUG: setting IPC address to ${directory}:${port}`,
    `DEBUG: OPERATION:${what} ALL NODE CRITERIA = ${isAll ? "TRUE" : "FALSE"}`,
    `DEBUG: Search criteria:${criteriaText(criteria)}`,
    "",
  ].join("\n");
}

async function inform(
  path: string,
  key: string,
  nodes: readonly WdNode[],
  isAlive: boolean,
  message: string | null,
): Promise<number> {
  const [node, ...others] = nodes;
  if (node === undefined || others.length > 0) {
    const ids = nodes.map(({ id }) => id).join(", ");
    return complain(`ERROR: the criteria fit the nodes ${ids}: name one of them with -n\n`);
  }
  const word = isAlive ? "alive" : "dead";
  process.stderr.write(
    `INFO: informing the node status change to watchdog\nINFO: node id :${node.id} status = "NODE ${word.toUpperCase()}" message:"${message ?? ""}"\n`,
  );
  const request = encodeNodeStatusRequest({ nodeId: node.id, isAlive, message }, key);
  const answer = await ask(path, request, REPORT_TIMEOUT_MS);
  if (!answer.ok) {
    const what = `ERROR: failed to inform watchdog about node id ${node.id} is ${word}`;
    return complain(`${what}: ${answer.error}\n`, EXIT_UNREACHABLE);
  }
  process.stderr.write(`INFO: informed watchdog about node id ${node.id} is ${word}\n`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
