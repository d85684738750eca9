import { setTimeout as sleep } from "node:timers/promises";
import {
  PAUSE_MS_MAX,
  type ControlRequest,
  type NodeStatus,
  type PauseStatus,
} from "../../wire/ipc/index.ts";
import { askNode, EXIT_FAILED } from "./ask-node.ts";
import { complain, mistake, wholeNumber } from "./complain.ts";
import { formatBusy } from "./format-status.ts";

export interface PauseOptions {
  readonly config?: string;
  /** Seconds, as the user wrote them. */
  readonly timeout: string;
}

const LOOK_EVERY_MS = 500;

/** `pgquorum pause`: resolves when the backend is drained, or its pause is over. */
export async function pauseBackend(backend: string, options: PauseOptions): Promise<void> {
  const backendId = wholeNumber(backend, "the backend", Number.MAX_SAFE_INTEGER);
  const seconds = wholeNumber(options.timeout, "--timeout", PAUSE_MS_MAX / 1000);
  if (!backendId.ok) return complain(backendId.error);
  if (!seconds.ok || seconds.value === 0) {
    return complain(seconds.ok ? mistake("--timeout must be 1 second at least") : seconds.error);
  }
  const ask = { backendId: backendId.value, forMs: seconds.value * 1000 };
  const paused = await askNode(options.config, { command: "pause", ...ask });
  if (!paused.ok) return complain(paused.error);
  let pause = paused.value as PauseStatus | null;
  for (let told = ""; pause !== null && !pause.isDrained;) {
    const news = `backend ${pause.backendId} is paused; ${formatBusy(pause.running)}\n`;
    if (news !== told) process.stderr.write(news);
    told = news;
    await sleep(LOOK_EVERY_MS);
    const status = await askNode(options.config, { command: "status" });
    if (!status.ok) return complain(status.error);
    const { pauses } = status.value as NodeStatus;
    pause = pauses.find((one) => one.backendId === ask.backendId) ?? null;
  }
  if (pause === null) {
    const text = `backend ${backendId.value} was resumed before all that ran there had ended\n`;
    return complain({ text, exitCode: EXIT_FAILED });
  }
  const restSeconds = Math.round((pause.until - Date.now()) / 1000);
  process.stdout.write(
    `backend ${pause.backendId} is paused and drained; it is resumed in ${restSeconds} s, or by "pgquorum resume ${pause.backendId}"\n`,
  );
}

/** `pgquorum resume`. A backend that was not paused is as well as one that was. */
export async function resumeBackend(
  backend: string,
  options: { readonly config?: string },
): Promise<void> {
  const backendId = wholeNumber(backend, "the backend", Number.MAX_SAFE_INTEGER);
  if (!backendId.ok) return complain(backendId.error);
  const request: ControlRequest = { command: "resume", backendId: backendId.value };
  const resumed = await askNode(options.config, request);
  if (!resumed.ok) return complain(resumed.error);
  const what = resumed.value === true ? "is resumed" : "was not paused";
  process.stdout.write(`backend ${backendId.value} ${what}\n`);
}
