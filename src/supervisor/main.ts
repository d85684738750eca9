/**
 * Root of the supervisor: reads the configuration, takes the pid file, starts the node, and turns
 * signals into what they ask for. The other processes of the node are its children.
 */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { fail, succeed, type Result } from "../base/index.ts";
import { formatFindings, loadConfig } from "../config/index.ts";
import {
  openLog,
  raisePriority,
  logOptionsFor,
  readTextFile,
  removePidFile,
  systemErrorText,
  writePidFile,
  type ConfigFilePaths,
} from "../os/index.ts";
import { Node } from "./node.ts";

export interface SupervisorOptions {
  /** Absolute paths; the files beside pgpool.conf when not given. */
  readonly configFile: string;
  readonly hbaFile: string | undefined;
  readonly pcpFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly foreground: boolean;
  /** Ignore pgpool_status at start. */
  readonly discardStatus: boolean;
  readonly clearOidMaps: boolean;
  readonly debug: boolean;
}

/** Ended by a problem that the log names. */
const EXIT_PROBLEM = 3;
/** Below the watchdog's. */
const NICENESS = -5;

/**
 * Becomes the node. Resolves when it serves; afterwards signals and administrators end it.
 *
 * @throws Error with what the person must know when the node cannot start.
 */
export async function runSupervisor(options: SupervisorOptions): Promise<void> {
  process.title = "pgpool";
  const { configFile, hbaFile, pcpFile } = options;
  const { config, findings } = loadConfig({
    configFile,
    ...(hbaFile === undefined ? {} : { hbaFile }),
    ...(pcpFile === undefined ? {} : { pcpFile }),
    readText: readTextFile,
  });
  if (config === null) throw new Error(formatFindings(findings).trimEnd());
  const log = openLog(logOptionsFor(config, "main", options.debug));
  for (const found of findings) {
    const level = found.level === "notice" ? "notice" : "warning";
    log.write(level, formatFindings([found]).trimEnd());
  }
  // A server that is lost is noticed, and replaced, on a machine that a thousand sessions keep busy.
  if (!raisePriority(NICENESS)) {
    log.write("debug1", "the supervisor's priority could not be raised; it needs CAP_SYS_NICE");
  }
  const workDir = isWritableDirectory(config.work_dir);
  if (!workDir.ok) {
    throw new Error(
      `cannot use work_dir "${config.work_dir}": ${workDir.error}\nHINT:  Make the directory and let the user that runs pgpool write to it.`,
    );
  }
  const pidFile = writePidFile(config.pid_file_name, process.pid);
  if (!pidFile.ok) {
    throw new Error(`${pidFile.error}\nHINT:  pid_file_name must lie in a writable directory.`);
  }
  const end = (exitCode: number): void => {
    removePidFile(config.pid_file_name, process.pid);
    log.close();
    process.exit(exitCode);
  };
  const paths: ConfigFilePaths = {
    configFile,
    hbaFile: config.files.hba,
    pcpFile: config.files.pcp,
  };
  let failStart: (problem: Error) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    failStart = reject;
  });
  failed.catch(() => undefined); // Looked at only while the node starts.
  const node = new Node({
    paths,
    config,
    log,
    debug: options.debug,
    discardStatus: options.discardStatus,
    onEnd: (problem) => {
      if (problem === null) end(0);
      // Before anybody is told: whoever starts the node again at once must not find it.
      removePidFile(config.pid_file_name, process.pid);
      failStart(new Error(problem ?? ""));
      // A start that failed is reported by the caller, which then ends the process.
      setTimeout(() => end(EXIT_PROBLEM), 100);
    },
  });
  process.on("SIGTERM", () => void node.stop("smart"));
  process.on("SIGINT", () => void node.stop("fast"));
  process.on("SIGQUIT", () => void node.stop("fast"));
  process.on("SIGHUP", () => node.reload());
  process.on("SIGUSR1", () => undefined); // Internal to Pgpool-II; Node would start its debugger.
  process.on("SIGUSR2", () => undefined);
  const started = await Promise.race([node.start(), failed]);
  if (!started.ok) {
    await node.stop("fast", started.error);
    throw new Error(started.error);
  }
}

/** Errors: what the system says of the directory. */
function isWritableDirectory(path: string): Result<void, string> {
  try {
    accessSync(join(path, "."), constants.W_OK | constants.X_OK);
    return succeed(undefined);
  } catch (error) {
    return fail(systemErrorText(error));
  }
}
