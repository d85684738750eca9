import { succeed, type Result } from "../../base/index.ts";
import type { HistoryEntry, Intent } from "../../backend/core/status/index.ts";
import { findConfigFile, requireConfig } from "../programs/config-file.ts";
import { askNode, EXIT_NOT_RUNNING, type AskFailure } from "./ask-node.ts";
import { complain, mistake, wholeNumber } from "./complain.ts";
import { formatHistory } from "./format-history.ts";

export interface HistoryOptions {
  readonly config?: string;
  readonly json?: boolean;
  /** As the user wrote them. */
  readonly limit: string;
  readonly epoch?: string;
}

const LIMIT_MAX = 100_000;

interface History {
  readonly entries: readonly HistoryEntry[];
  readonly running: Intent | null;
}

/** `pgquorum history`. While the node is stopped its file is read, and that is said. */
export async function showHistory(options: HistoryOptions): Promise<void> {
  const limit = wholeNumber(options.limit, "--limit", LIMIT_MAX);
  if (!limit.ok) return complain(limit.error);
  const epoch =
    options.epoch === undefined
      ? succeed(null)
      : wholeNumber(options.epoch, "--epoch", Number.MAX_SAFE_INTEGER);
  if (!epoch.ok) return complain(epoch.error);
  const answer = await askNode(options.config, { command: "history" });
  const history = answer.ok
    ? succeed(answer.value as History)
    : await fromFile(options.config, answer.error);
  if (!history.ok) return complain(history.error);
  const { running } = history.value;
  const asked = epoch.value;
  const isAsked = (from: number, to: number): boolean =>
    asked === null || (from <= asked && asked <= to);
  const entries = history.value.entries
    .filter((entry) => isAsked(entry.epoch, entry.lastEpoch))
    .slice(-limit.value);
  const isRunningAsked = running !== null && isAsked(running.firstEpoch, running.epoch);
  const shown: History = { entries, running: isRunningAsked ? running : null };
  const text =
    options.json === true
      ? `${JSON.stringify(shown, null, 2)}\n`
      : formatHistory(shown, Date.now());
  process.stdout.write(text);
  return undefined;
}

async function fromFile(
  configFile: string | undefined,
  failure: AskFailure,
): Promise<Result<History, AskFailure>> {
  if (failure.exitCode !== EXIT_NOT_RUNNING) return { ok: false, error: failure };
  const config = requireConfig({ configFile });
  if (!config.ok) return { ok: false, error: failure };
  const { historyFilePath, readHistoryFile } = await import("../../backend/index.ts");
  const path = historyFilePath(config.value.work_dir, config.value.nodeId);
  const kept = readHistoryFile(path);
  if (!kept.ok) return { ok: false, error: mistake(`${path} cannot be read: ${kept.error}`) };
  process.stderr.write(
    `the node of ${findConfigFile(configFile)} does not run; this is what its file has, ${path}\n`,
  );
  return succeed({ entries: kept.value, running: null });
}
