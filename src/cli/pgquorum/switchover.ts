import { setTimeout as sleep } from "node:timers/promises";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import {
  DRAIN_MS_MAX,
  type SwitchoverAnswer,
  type SwitchoverNews,
  type SwitchoverReport,
} from "../../wire/ipc/index.ts";
import { askNode, EXIT_FAILED, type AskFailure } from "./ask-node.ts";
import { askedBy, complain, mistake } from "./complain.ts";
import { formatTable } from "./table.ts";

export interface SwitchoverOptions {
  readonly config?: string;
  readonly json?: boolean;
  /** Number of a backend, as the user wrote it. */
  readonly to?: string;
  readonly dryRun?: boolean;
  /** Seconds, as the user wrote them. */
  readonly drainTimeout?: string;
  readonly onTimeout?: string;
}

const LOOK_EVERY_MS: Ms = 50;
/** A leader says within that what it makes of the wish: longer than a checkpoint may take. */
const SILENCE_MS_MAX: Ms = 75_000;

/** `pgquorum switchover`: resolves when it is over, one way or the other. */
export async function switchover(options: SwitchoverOptions): Promise<void> {
  const wish = readWish(options);
  if (!wish.ok) return complain(wish.error);
  const { to, drainTimeoutMs, onTimeout } = wish.value;
  const isJson = options.json === true;
  if (options.dryRun === true) {
    const asked = await askNode(options.config, { command: "switchover-check", to });
    // The reply comes from a node of this very version, here and below.
    return asked.ok ? showReport(asked.value as SwitchoverReport, isJson) : complain(asked.error);
  }
  const by = askedBy("switchover");
  const request = { command: "switchover", to, drainTimeoutMs, onTimeout, by } as const;
  const asked = await askNode(options.config, request);
  if (!asked.ok) return complain(asked.error);
  const { report, id } = asked.value as SwitchoverAnswer;
  if (id === null) return showReport(report, isJson);
  if (!isJson) process.stdout.write(formatBeginning(report));
  const news = await follow(options.config, id, isJson ? () => undefined : tellStep);
  if (!news.ok) return complain(news.error);
  const text = isJson ? formatJson(report, news.value) : formatEnd(report, news.value);
  process.stdout.write(text);
  if (news.value.state !== "done") process.exitCode = EXIT_FAILED;
}

/** Errors: the node does not answer any more, or nobody has heard of the switchover. */
async function follow(
  config: string | undefined,
  id: string,
  tell: (news: SwitchoverNews, from: number) => void,
): Promise<Result<SwitchoverNews, AskFailure>> {
  let heardAtMs = performance.now();
  for (let told = 0; ; await sleep(LOOK_EVERY_MS)) {
    const asked = await askNode(config, { command: "switchover-news", id });
    if (!asked.ok) return asked;
    const news = asked.value as SwitchoverNews;
    if (news.steps.length > told) tell(news, told);
    told = Math.max(told, news.steps.length);
    if (news.state === "done" || news.state === "failed") return succeed(news);
    if (news.state !== "unknown") heardAtMs = performance.now();
    if (performance.now() - heardAtMs < SILENCE_MS_MAX) continue;
    const text =
      'nothing is heard of the switchover; see "pgquorum status" and "pgquorum history"\n';
    return fail({ text, exitCode: EXIT_FAILED });
  }
}

/** Times count from the moment when clients began to wait. */
function tellStep({ steps, startedAt }: SwitchoverNews, from: number): void {
  for (const { name, at } of steps.slice(from)) {
    process.stdout.write(`${formatMoment(at, startedAt)}  ${name}\n`);
  }
}

function formatMoment(at: number, startedAt: number | null): string {
  return `${at - (startedAt ?? at)} ms`.padStart(9);
}

/** What is worth knowing although it can be done, then what is going to happen. */
function formatBeginning({ fromId, toId, checks }: SwitchoverReport): string {
  const warnings = checks
    .filter(({ result }) => result === "warning")
    .map(({ name, found, remedy }) => `warning: ${name}: ${found}. ${remedy ?? ""}\n`);
  return `${warnings.join("")}backend ${toId} takes over from backend ${fromId}\n`;
}

function formatEnd({ fromId, toId }: SwitchoverReport, news: SwitchoverNews): string {
  const { state, startedAt, endedAt, problem } = news;
  const ms = endedAt === null || startedAt === null ? 0 : endedAt - startedAt;
  if (state === "done") {
    return `${formatMoment(ms, 0)}  done: backend ${toId} is the primary; clients waited about ${ms} ms\n`;
  }
  const primary = news.toId;
  const now =
    primary === null
      ? 'no primary is known: see "pgquorum status"'
      : primary === fromId
        ? `backend ${fromId} goes on as the primary`
        : `backend ${primary} is the primary`;
  return `failed: ${problem}\n${now}\n`;
}

function formatJson(report: SwitchoverReport, news: SwitchoverNews): string {
  const { startedAt, endedAt } = news;
  const pausedMs = startedAt === null || endedAt === null ? null : endedAt - startedAt;
  return `${JSON.stringify({ ...news, pausedMs, checks: report.checks }, null, 2)}\n`;
}

function showReport(report: SwitchoverReport, isJson: boolean): void {
  process.stdout.write(isJson ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  if (!report.isReady) process.exitCode = EXIT_FAILED;
}

/** The checks one by one, then what comes of them. */
function formatReport({ isReady, fromId, toId, checks }: SwitchoverReport): string {
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

interface Wish {
  readonly to: number | null;
  readonly drainTimeoutMs: number | null;
  readonly onTimeout: "abort" | "cancel" | null;
}

function readWish({ to, drainTimeout, onTimeout }: SwitchoverOptions): Result<Wish, AskFailure> {
  if (to !== undefined && !/^\d{1,9}$/.test(to)) {
    return fail(mistake(`--to must be the number of a backend, as in pgpool.conf, not "${to}"`));
  }
  const drainTimeoutMs = drainTimeout === undefined ? null : Number(drainTimeout) * 1000;
  const isTime = drainTimeoutMs === null || (drainTimeoutMs >= 0 && drainTimeoutMs <= DRAIN_MS_MAX);
  if (!isTime || (drainTimeout !== undefined && !/^\d+(\.\d{1,3})?$/.test(drainTimeout))) {
    return fail(mistake(`--drain-timeout must be seconds up to ${DRAIN_MS_MAX / 1000}`));
  }
  if (onTimeout !== undefined && onTimeout !== "abort" && onTimeout !== "cancel") {
    return fail(mistake(`--on-timeout must be abort or cancel, not "${onTimeout}"`));
  }
  return succeed({
    to: to === undefined ? null : Number(to),
    drainTimeoutMs: drainTimeoutMs === null ? null : Math.round(drainTimeoutMs),
    onTimeout: onTimeout ?? null,
  });
}
