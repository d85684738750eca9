import type { CommandRecord, HistoryEntry, Intent } from "../../backend/core/status/index.ts";
import { formatLocalTime } from "../../os/index.ts";
import { visible } from "./table.ts";

/** What `pgquorum history` prints; the newest event comes last, where a terminal shows it. */
export function formatHistory(
  {
    entries,
    running,
  }: { readonly entries: readonly HistoryEntry[]; readonly running: Intent | null },
  nowMs: number,
): string {
  const blocks = entries.map(formatEntry);
  if (running !== null) blocks.push(formatRunning(running, nowMs));
  return blocks.length === 0 ? "nothing has been done yet\n" : blocks.join("\n");
}

function formatEntry(entry: HistoryEntry): string {
  const { epoch, lastEpoch, startedAt, endedAt } = entry;
  const tookMs = endedAt - startedAt;
  const took = tookMs > 0 ? ` in ${formatMs(tookMs)}` : "";
  const outcome = entry.outcome === "failed" ? "FAILED" : "done";
  const epochs = lastEpoch > epoch ? `epochs ${epoch} to ${lastEpoch}` : `epoch ${epoch}`;
  const lines = [
    `${formatMoment(startedAt)}  ${nameOf(entry)}: ${outcome}${took}  (${epochs})`,
    ...pair("problem", entry.problem),
    ...pair("cause", entry.reason),
    ...pair("asked by", entry.by),
    ...pair("primary", formatPrimary(entry)),
    ...formatVotes(entry),
    ...formatSteps(entry.steps, startedAt),
    ...entry.commands.flatMap((command) => formatCommand(command, startedAt)),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function formatRunning(intent: Intent, nowMs: number): string {
  const { startedAt, progress } = intent;
  const lines = [
    `${formatMoment(startedAt)}  ${nameOf(intent)}: RUNNING for ${formatMs(nowMs - startedAt)}  (epoch ${intent.epoch})`,
    ...pair("cause", intent.reason),
    ...pair("asked by", intent.by),
    ...formatVotes(intent),
    ...formatSteps(progress.steps, startedAt),
    ...progress.commands.flatMap((command) => formatCommand(command, startedAt)),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function nameOf({ kind, backendIds }: Pick<HistoryEntry, "kind" | "backendIds">): string {
  const ids = backendIds.join(", ");
  if (kind === "primary") return `primary found, node ${ids}`;
  if (kind === "configured") return `backends configured, node ${ids}`;
  return ids === "" ? kind.replace("-", " ") : `${kind} node ${ids}`;
}

function formatPrimary({ oldPrimaryId, newPrimaryId }: HistoryEntry): string {
  if (oldPrimaryId === null && newPrimaryId === null) return "";
  const [before, after] = [oldPrimaryId, newPrimaryId].map((id) =>
    id === null ? "none" : `node ${id}`,
  );
  return before === after ? (after ?? "") : `${before} before, ${after} after`;
}

function formatVotes({ votes, startedAt }: Pick<HistoryEntry, "votes" | "startedAt">): string[] {
  return votes.map(({ nodeId, at, reason }) =>
    line("vote", `node ${nodeId} at ${formatOffset(at - startedAt)}: ${visible(reason)}`),
  );
}

function formatSteps(steps: HistoryEntry["steps"], startedAt: number): string[] {
  const words = steps.map(({ name, at }) => `${formatOffset(at - startedAt)} ${visible(name)}`);
  return words.length === 0 ? [] : [line("steps", words.join(", "))];
}

function formatCommand(command: CommandRecord, startedAt: number): string[] {
  const took = formatMs(command.endedAt - command.startedAt);
  const at = formatOffset(command.startedAt - startedAt);
  const what = `${PARAMETERS[command.kind] ?? command.kind} for node ${command.backendId}`;
  const output = command.outputTail.split("\n").filter((text) => text !== "");
  return [
    line("command", `${what} at ${at}, epoch ${command.epoch}: ${endOf(command)} after ${took}`),
    line("", visible(command.text)),
    ...output.map((text) => line("", `| ${visible(text)}`)),
  ];
}

const PARAMETERS: Readonly<Partial<Record<CommandRecord["kind"], string>>> = {
  failover: "failover_command",
  failback: "failback_command",
  "follow-primary": "follow_primary_command",
};

function endOf({ exitCode, signal, timedOut }: CommandRecord): string {
  if (timedOut) return `its time was over, ended by ${signal ?? `itself with status ${exitCode}`}`;
  if (signal !== null) return `ended by ${signal}`;
  return exitCode === null ? "could not be started" : `status ${exitCode}`;
}

function pair(name: string, text: string): string[] {
  return text === "" ? [] : [line(name, visible(text))];
}

function line(name: string, text: string): string {
  return `  ${name.padEnd(NAME_WIDTH)}  ${text}`;
}

const NAME_WIDTH = "asked by".length;

function formatMoment(wallMs: number): string {
  return `${formatLocalTime(wallMs)}.${String(Math.floor(wallMs) % 1000).padStart(3, "0")}`;
}

function formatOffset(ms: number): string {
  return ms < 0 ? `-${formatMs(-ms)}` : `+${formatMs(ms)}`;
}

function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
