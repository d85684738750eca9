import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { succeed } from "../../src/base/index.ts";
import type { Log } from "../../src/os/index.ts";
import { startPcpServer, type PcpHandlers, type PcpServer } from "../../src/pcp/driver/index.ts";
import type { PcpLayout } from "../../src/wire/pcp/index.ts";
import { threeNodes, twoBackends } from "./pcp-views.ts";
import { freePort } from "./ports.ts";

const PCP_USER = "pcp";
export const PCP_PASSWORD = "se:cret";
const POOL_STATUS_ROWS = [
  { item: "backend_clustering_mode", value: "1", description: "clustering mode" },
  { item: "port", value: "9999", description: "port the node listens on" },
  { item: "logdir", value: "", description: "" },
];
const WORKER_PIDS = [6030, 6031, 6032];

const TIME = "2026-11-22 08:52:16";
/** All fields of 4.7: one that is used, and one that is not. */
const PROCESS_ROWS = [
  [
    "6030",
    TIME,
    "14",
    "0",
    "1",
    "shop",
    "alice",
    TIME,
    TIME,
    "",
    "3",
    "3",
    "0",
    "2",
    "4711",
  ].concat(["1", "Idle", "1", "10.0.0.1", "50000", ""]),
  ["6031", TIME, "0", "0", "0", "", "", "", "", "", "0", "0", "0", "0", "0"].concat([
    "0",
    "Wait for connection",
    "0",
    "",
    "",
    "",
  ]),
];
const HEALTH_FIELDS =
  `0|127.0.0.1|11002|up|primary|${TIME}|14|14|0|0|0|0.000000|0|349|2|28.285714|${TIME}|${TIME}||`.split(
    "|",
  );

/** A log that keeps its lines. */
export function keepingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const log = {
    lines,
    write: (level: string, message: string) => void lines.push(`${level}: ${message}`),
    named: () => log,
  };
  return log;
}

/** Handlers with fixed answers; `calls` gets a line for each command that changes something. */
export function cannedHandlers(calls: string[]): PcpHandlers {
  const done = (what: string) => {
    calls.push(what);
    return succeed(undefined);
  };
  return {
    view: () => twoBackends,
    watchdog: () => threeNodes,
    workerPids: () => WORKER_PIDS,
    poolStatus: () => POOL_STATUS_ROWS,
    processInfo: (pid) =>
      Promise.resolve(
        pid === 0 || WORKER_PIDS.includes(pid)
          ? PROCESS_ROWS.filter(([owner]) => pid === 0 || owner === String(pid))
          : null,
      ),
    healthCheckStats: (id) =>
      Promise.resolve(id < twoBackends.backends.length ? HEALTH_FIELDS : null),
    attach: (id) => done(`attach ${id}`),
    detach: (id, how) => done(`detach ${id}${how.graceful ? " gracefully" : ""}`),
    recover(id) {
      if (id > 1) return { ok: false, error: `node recovery failed, node id: ${id} is alive` };
      return done(`recover ${id}`);
    },
    promote(id, { switchover, graceful }) {
      if (id > 1) return { ok: false, error: `node id ${id} is not valid` };
      return done(
        `promote ${id}${switchover ? " switchover" : ""}${graceful ? " gracefully" : ""}`,
      );
    },
    stop: (mode, scope) => done(`stop ${mode} ${scope}`),
    reload: (scope) => done(`reload ${scope}`),
  };
}

export interface TestPcpServer {
  readonly port: number;
  readonly server: PcpServer;
  readonly calls: string[];
  readonly log: readonly string[];
  /** A password file that fits; for PCPPASSFILE. */
  readonly passFile: string;
  /** Options that every client needs. */
  readonly options: readonly string[];
}

/**
 * The real admin server on the loopback and on a socket in `directory`, with canned answers.
 *
 * @param own handlers that a test has itself.
 */
export async function startTestPcpServer(
  directory: string,
  layout: PcpLayout,
  authenticationTimeoutMs = 60_000,
  own: Partial<PcpHandlers> = {},
): Promise<TestPcpServer> {
  const port = await freePort();
  const calls: string[] = [];
  const log = keepingLog();
  const started = await startPcpServer({
    listen: { addresses: ["127.0.0.1"], port, socketDirectories: [directory] },
    layout,
    handlers: { ...cannedHandlers(calls), ...own },
    readPcpConf: () => {
      const hash = createHash("md5").update(PCP_PASSWORD).digest("hex");
      return succeed(`# users\n${PCP_USER}:${hash}\n`);
    },
    authenticationTimeoutMs,
    log,
  });
  if (!started.ok) throw new Error(started.error.message);
  const passFile = join(directory, `pcppass-${port}`);
  writeFileSync(passFile, `*:${port}:${PCP_USER}:${PCP_PASSWORD.replace(":", "\\:")}\n`, {
    mode: 0o600,
  });
  const options = ["-h", "127.0.0.1", "-p", String(port), "-U", PCP_USER, "-w"];
  return { port, server: started.value, calls, log: log.lines, passFile, options };
}
