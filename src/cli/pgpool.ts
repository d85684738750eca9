/**
 * `pgpool`: starts, stops and reloads a node, with the options and exit codes of Pgpool-II: 1 for
 * a wrong command line, 3 for what its log calls FATAL.
 */
import { VERSION } from "../base/index.ts";
import type { Config } from "../config/index.ts";
import { formatFindings } from "../config/index.ts";
import { isPgpoolAlive, readPidFile } from "../os/index.ts";
import { findConfigFile, readConfig } from "./programs/config-file.ts";

import { launchNode, LAUNCHED, tellLauncher } from "./pgpool/launch.ts";
import { parsePgpoolOptions, pgpoolUsage, type PgpoolOptions } from "./pgpool/options.ts";
import { reloadNode, stopNode, type SignalFailure } from "./pgpool/signal-node.ts";

const EXIT_USAGE = 1;
const EXIT_FATAL = 3;

/** Scripts look for `pgpool-II version`; what follows is ours. */
const VERSION_LINE = `pgpool-II version ${VERSION} (pgquorum)`;

async function main(argv: readonly string[]): Promise<number | null> {
  const options = parsePgpoolOptions(argv);
  if (!options.ok) {
    const complaint = options.error === "" ? "" : `pgpool: ${options.error}\n`;
    process.stderr.write(complaint + pgpoolUsage(VERSION_LINE));
    return EXIT_USAGE;
  }
  switch (options.value.action) {
    case "help":
      process.stderr.write(pgpoolUsage(VERSION_LINE));
      return 0;
    case "version":
      process.stderr.write(`${VERSION_LINE}\n`);
      return 0;
    case "start":
    case "stop":
    case "reload":
      return act(options.value);
  }
}

async function act(options: PgpoolOptions): Promise<number | null> {
  const { config, findings } = readConfig(options);
  const important = findings.filter(({ level }) => level !== "notice");
  if (config === null) {
    process.stderr.write(formatFindings(important));
    process.stderr.write("FATAL:  the configuration has errors\n");
    return EXIT_FATAL;
  }
  if (options.action === "stop") {
    const show = (text: string): boolean => process.stderr.write(text);
    const stopped = await stopNode(config.pid_file_name, options.stopMode, show);
    return stopped.ok ? 0 : fatal(stopped.error, EXIT_FATAL);
  }
  if (options.action === "reload") {
    const reloaded = reloadNode(config.pid_file_name);
    // Pgpool-II's reload ends with another code than its stop.
    return reloaded.ok ? 0 : fatal(reloaded.error, EXIT_USAGE);
  }
  return start(options, config);
}

function fatal({ message, detail }: SignalFailure, exitCode: number): number {
  process.stderr.write(`FATAL:  ${message}\nDETAIL:  ${detail}\n`);
  return exitCode;
}

/** Null when the node runs in this process: its exit code is then its own. */
async function start(options: PgpoolOptions, config: Config): Promise<number | null> {
  const running = readPidFile(config.pid_file_name);
  if (running.ok && running.value !== process.pid && isPgpoolAlive(running.value)) {
    const text = `pid file found. is another pgpool(${running.value}) is running?`;
    await tellLauncher({ type: "failed", message: text });
    process.stderr.write(`ERROR: ${text}\n`);
    return EXIT_USAGE;
  }
  if (running.ok) {
    process.stderr.write("NOTICE: pid file found but it seems bogus. Trying to start anyway...\n");
  }
  if (options.foreground) return runHere(options);
  const program = process.argv[1] ?? "";
  const launched = await launchNode(program, backgroundArguments(options));
  if (launched.ok) return 0;
  process.stderr.write(`FATAL:  ${launched.error}\n`);
  return EXIT_FATAL;
}

/** The same arguments, with every path absolute: the node's directory will be `/`. */
function backgroundArguments(options: PgpoolOptions): string[] {
  const args = ["--dont-detach", "--config-file", findConfigFile(options.configFile)];
  if (options.hbaFile !== undefined) args.push("--hba-file", options.hbaFile);
  if (options.pcpFile !== undefined) args.push("--pcp-file", options.pcpFile);
  if (options.keyFile !== undefined) args.push("--key-file", options.keyFile);
  if (options.discardStatus) args.push("--discard-status");
  if (options.clearOidMaps) args.push("--clear-oidmaps");
  if (options.debug) args.push("--debug");
  return args;
}

/**
 * Becomes the node. The supervisor is loaded only here, so that stop, reload and help stay quick.
 * Its promise resolves when the node serves, and is rejected with what the person must know.
 */
async function runHere(options: PgpoolOptions): Promise<number | null> {
  const { runSupervisor } = await import("../supervisor/main.ts");
  try {
    await runSupervisor({
      configFile: findConfigFile(options.configFile),
      hbaFile: options.hbaFile,
      pcpFile: options.pcpFile,
      keyFile: options.keyFile,
      foreground: process.env[LAUNCHED] === undefined,
      discardStatus: options.discardStatus,
      clearOidMaps: options.clearOidMaps,
      debug: options.debug,
    });
    await tellLauncher({ type: "started" });
    return null;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await tellLauncher({ type: "failed", message });
    process.stderr.write(`FATAL:  ${message}\n`);
    return EXIT_FATAL;
  }
}

const exitCode = await main(process.argv.slice(2));
if (exitCode !== null) process.exitCode = exitCode;
