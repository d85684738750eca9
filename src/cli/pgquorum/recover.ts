/** `pgquorum recover`: asks for online recovery of a server and tells how it goes. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Recovery, RecoveryReport } from "../../wire/ipc/index.ts";
import { askNode, EXIT_FAILED } from "./ask-node.ts";
import { askedBy, complain, mistake, wholeNumber } from "./complain.ts";

export interface RecoverOptions {
  readonly config?: string;
  readonly json?: boolean;
}

const LOOK_EVERY_MS = 500;
/** The leader begins within milliseconds. */
const BEGIN_MS_MAX = 10_000;
const ATTACH_MS_MAX = 10_000;
const MEBIBYTE = 1024 * 1024;

export async function recover(backend: string, options: RecoverOptions): Promise<void> {
  const number = wholeNumber(backend, "the backend", Number.MAX_SAFE_INTEGER);
  if (!number.ok) return complain(number.error);
  const backendId = number.value;
  const by = askedBy("recover");
  const startedMs = performance.now();
  const begun = await askNode(options.config, { command: "recover", backendId, by });
  if (!begun.ok) return complain(begun.error);
  const eventId = String(begun.value);
  let overMs: number | null = null;
  for (let told = ""; ; await sleep(LOOK_EVERY_MS)) {
    const answer = await askNode(options.config, { command: "recovery", eventId });
    if (!answer.ok) return complain(answer.error);
    // The reply comes from a node of this very version.
    const report = answer.value as RecoveryReport;
    const elapsedMs = performance.now() - startedMs;
    const { end, isAttached, recovery } = report;
    if (end !== null) overMs ??= elapsedMs;
    const waitedMs = elapsedMs - (overMs ?? elapsedMs);
    if (end !== null && (end.problem !== null || isAttached || waitedMs > ATTACH_MS_MAX)) {
      return tellEnd(backendId, report, elapsedMs, options.json === true);
    }
    if (end === null && recovery === null && elapsedMs > BEGIN_MS_MAX) {
      return complain(mistake("the leader has not begun the recovery; its log says why"));
    }
    const news = recovery === null ? "" : formatProgress(recovery, report.copied);
    if (news !== told && news !== "") {
      process.stderr.write(`${(elapsedMs / 1000).toFixed(1).padStart(6)} s  ${news}\n`);
    }
    told = news;
  }
}

/** `first stage: node 0 is copied from node 1, 23 of 41 MiB` */
export function formatProgress(
  { stage, backendId, sourceId }: Recovery,
  copied: RecoveryReport["copied"],
): string {
  switch (stage) {
    case "first stage": {
      const what = `first stage: node ${backendId} is copied from node ${sourceId}`;
      if (copied === null) return what;
      const bytes = Math.floor(copied.bytes / MEBIBYTE);
      if (copied.ofBytes === null) return `${what}, ${bytes} MiB`;
      return `${what}, ${bytes} of ${Math.ceil(copied.ofBytes / MEBIBYTE)} MiB`;
    }
    case "remote start":
      return `node ${backendId} is started`;
    case "waiting for the server":
      return `waiting until node ${backendId} lets us in`;
  }
}

function tellEnd(
  backendId: number,
  { end, isAttached }: RecoveryReport,
  elapsedMs: number,
  isJson: boolean,
): void {
  const problem = end?.problem ?? (isAttached ? null : "it was not attached; the log says why");
  const elapsed = Math.round(elapsedMs);
  if (isJson) {
    const result = { backendId, recovered: problem === null, problem, elapsedMs: elapsed };
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    if (problem !== null) process.exitCode = EXIT_FAILED;
  } else if (problem === null) {
    const seconds = (elapsed / 1000).toFixed(1);
    process.stdout.write(`node ${backendId} was recovered and attached in ${seconds} s\n`);
  } else complain(mistake(`node ${backendId} was not recovered: ${problem}`));
}
