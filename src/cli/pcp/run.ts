import { Secret, type Result } from "../../base/index.ts";
import { fail, succeed } from "../../base/index.ts";
import type { NodeInfoRow, PoolStatusRow, ReplyPart, PcpFrame } from "../../wire/pcp/index.ts";
import {
  decodeDone,
  decodeNodeInfoPart,
  decodePoolStatusPart,
  decodeProcessInfoPart,
} from "../../wire/pcp/index.ts";
import { promptPassword } from "../programs/prompt.ts";
import type { PcpOptions } from "./options.ts";
import {
  formatDone,
  formatHealthStats,
  formatNodeCount,
  formatNodeInfo,
  formatPoolStatus,
  formatProcesses,
  formatProcessInfo,
} from "./output.ts";
import { lookUpPassword } from "./passfile.ts";
import { PcpSession } from "./session.ts";
import type { PcpTool } from "./tools.ts";
import { formatWatchdogInfo } from "./watchdog-output.ts";

/** More rows than this is no reply but a flood. */
const ROWS_MAX = 100_000;

/**
 * Logs in, asks, prints. The exit code is Pgpool-II's: 1 when there was no login, 0 once there was
 * one, even when the node then refused the request; what it said is on standard error.
 */
export async function runTool(tool: PcpTool, options: PcpOptions): Promise<number> {
  const password = await findPassword(options);
  const trace = (line: string): void => {
    if (options.debug) process.stdout.write(line);
  };
  const session = await PcpSession.open(options, trace);
  if (!session.ok) return complain(session.error, 1);
  const login = await session.value.login(options.user, password);
  if (!login.ok) {
    session.value.close();
    return complain(login.error, 1);
  }
  session.value.ask(tool.request(options));
  const output = await readReply(session.value, tool, options);
  if (output.ok) process.stdout.write(output.value);
  else complain(output.error, 0);
  session.value.close();
  return 0;
}

function complain(text: string, exitCode: number): number {
  process.stderr.write(`${text}\n`);
  return exitCode;
}

async function findPassword(options: PcpOptions): Promise<Secret> {
  if (options.password !== "prompt") {
    const found = lookUpPassword(options, (text) => process.stderr.write(`${text}\n`));
    if (found !== null) return found;
    if (options.password === "file-only") return new Secret("");
  }
  return new Secret((await promptPassword("Password: ")) ?? "");
}

async function readReply(
  session: PcpSession,
  tool: PcpTool,
  options: PcpOptions,
): Promise<Result<string, string>> {
  if (tool.reply === "node-info") {
    const rows = await readRows<NodeInfoRow>(session, decodeNodeInfoPart);
    return rows.ok ? succeed(formatNodeInfo(rows.value, options)) : rows;
  }
  if (tool.reply === "pool-status") {
    const rows = await readRows<PoolStatusRow>(session, decodePoolStatusPart);
    return rows.ok ? succeed(formatPoolStatus(rows.value, options)) : rows;
  }
  if (tool.reply === "process-info") {
    const rows = await readRows<readonly string[]>(session, decodeProcessInfoPart);
    return rows.ok ? succeed(formatProcessInfo(rows.value, options)) : rows;
  }
  const frame = await session.receive();
  if (!frame.ok) return frame;
  const texts = decodeDone(frame.value);
  if (!texts.ok) return fail(`ERROR: ${texts.error}`);
  const [first = "", ...rest] = texts.value;
  if (tool.reply === "node-count") return succeed(formatNodeCount(first, options));
  if (tool.reply === "processes") return succeed(formatProcesses(rest, options));
  if (tool.reply === "health") return succeed(formatHealthStats(texts.value, options));
  if (tool.reply === "watchdog") return formatWatchdogInfo(first, options.verbose);
  return succeed(formatDone(tool.name));
}

async function readRows<Row>(
  session: PcpSession,
  decode: (frame: PcpFrame) => Result<ReplyPart<Row>, string>,
): Promise<Result<readonly Row[], string>> {
  const rows: Row[] = [];
  while (rows.length <= ROWS_MAX) {
    const frame = await session.receive();
    if (!frame.ok) return frame;
    const part = decode(frame.value);
    if (!part.ok) return fail(`ERROR: ${part.error}`);
    if (part.value.kind === "end") return succeed(rows);
    if (part.value.kind === "row") rows.push(part.value.row);
  }
  return fail(`ERROR: the node's reply has more than ${ROWS_MAX} rows`);
}
