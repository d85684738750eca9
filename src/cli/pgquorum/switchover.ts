import { fail, succeed, type Result } from "../../base/index.ts";
import type { SwitchoverReport } from "../../wire/ipc/index.ts";
import { askNode, EXIT_FAILED, type AskFailure } from "./ask-node.ts";
import { formatTable } from "./table.ts";

export interface SwitchoverOptions {
  readonly config?: string;
  readonly json?: boolean;
  /** Number of a backend, as the user wrote it. */
  readonly to?: string;
  readonly dryRun?: boolean;
}

/** `pgquorum switchover`. */
export async function switchover(options: SwitchoverOptions): Promise<void> {
  const to = options.to === undefined ? succeed(null) : backendNumber(options.to);
  if (!to.ok) return complain(to.error);
  const asked = await askNode(options.config, { command: "switchover-check", to: to.value });
  if (!asked.ok) return complain(asked.error);
  // The reply comes from a node of this very version.
  const report = asked.value as SwitchoverReport;
  const json = options.json === true;
  if (options.dryRun === true || !report.isReady) {
    const text = json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report);
    process.stdout.write(text);
    if (!report.isReady) process.exitCode = EXIT_FAILED;
    return;
  }
  complain({ text: "only --dry-run is there yet\n", exitCode: EXIT_FAILED });
}

/** The checks one by one, then what comes of them. */
export function formatReport({ isReady, fromId, toId, checks }: SwitchoverReport): string {
  const rows = checks.map(({ name, result, found }) => [result, name, found]);
  const remedies = checks.flatMap(({ name, remedy }) =>
    remedy === null ? [] : [`${name}: ${remedy}\n`],
  );
  const who = `backend ${toId ?? "?"}`;
  const from = `backend ${fromId ?? "?"}`;
  const end = isReady
    ? `${who} can take over from ${from} now\n`
    : `${who} cannot take over from ${from} now; nothing was changed\n`;
  return [formatTable(["result", "check", "found"], rows), ...remedies, end].join("");
}

function backendNumber(text: string): Result<number, AskFailure> {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text)) return succeed(value);
  const mistake = `--to must be the number of a backend, as in pgpool.conf, not "${text}"\n`;
  return fail({ text: mistake, exitCode: EXIT_FAILED });
}

function complain({ text, exitCode }: AskFailure): void {
  process.stderr.write(`pgquorum: ${text}`);
  process.exitCode = exitCode;
}
