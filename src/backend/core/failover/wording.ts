/** The log lines of failovers, in Pgpool-II's words: monitors look for them. */
import { unreachable } from "../../../base/index.ts";
import type { CommandKind, CommandRecord, IntentKind } from "../status/index.ts";
import type { FailoverBackend, FailoverSettings } from "./settings.ts";

/** `=== Starting degeneration. shutdown host H(P) ===`; 4.3 wrote it small and without `===`. */
export function startingText(
  settings: FailoverSettings,
  kind: IntentKind,
  backendId: number,
): string {
  const place = placeOf(settings, backendId);
  switch (kind) {
    case "detach":
      return framed(settings, `Starting degeneration. shutdown host ${place}`);
    case "attach":
      return framed(settings, `Starting fail back. reconnect host ${place}`);
    case "switchover":
      return framed(settings, `Starting switchover. hand over from host ${place}`);
    case "promote":
      return `starting promotion. promote host ${place}`;
  }
  return unreachable(kind);
}

export function doneText(settings: FailoverSettings, kind: IntentKind, backendId: number): string {
  const place = placeOf(settings, backendId);
  switch (kind) {
    case "detach":
      return framed(settings, `Failover done. shutdown host ${place}`);
    case "attach":
      return framed(settings, `Failback done. reconnect host ${place}`);
    case "switchover":
      return framed(settings, `Switchover done. handed over from host ${place}`);
    case "promote":
      return framed(settings, `Promotion done. promoted host ${place}`);
  }
  return unreachable(kind);
}

/** Unlike Pgpool-II, which calls it done whatever came of it. */
export function failedText(
  settings: FailoverSettings,
  kind: IntentKind,
  backendId: number,
): string {
  if (kind === "switchover") {
    return framed(settings, `Switchover FAILED. host ${placeOf(settings, backendId)}`);
  }
  return framed(settings, `Failover FAILED. shutdown host ${placeOf(settings, backendId)}`);
}

export function followStartingText(settings: FailoverSettings, backendId: number): string {
  return framed(settings, `Starting follow primary command for node ${backendId}`);
}

export function followDetachText(settings: FailoverSettings, backendId: number): string {
  return framed(
    settings,
    `Starting follow degeneration. shutdown host ${placeOf(settings, backendId)}`,
  );
}

/** A command that failed, with the end of what it said; null when it did not fail. */
export function commandFailure(
  record: Omit<CommandRecord, "startedAt" | "endedAt">,
): { readonly message: string; readonly detail: string } | null {
  if (record.exitCode === 0) return null;
  const name = PARAMETER_NAMES[record.kind];
  const how = record.timedOut
    ? "was ended because its time was over"
    : record.signal !== null
      ? `was ended by ${record.signal}`
      : record.exitCode === null
        ? "could not be started"
        : `ended with status ${record.exitCode}`;
  const detail = record.outputTail === "" ? "It printed nothing." : record.outputTail;
  return { message: `${name} for node ${record.backendId} ${how}`, detail };
}

const PARAMETER_NAMES: Readonly<Record<CommandKind, string>> = {
  failover: "failover_command",
  failback: "failback_command",
  "follow-primary": "follow_primary_command",
  demote: "demote_command",
};

/** `127.0.0.1(5432)` */
function placeOf(settings: FailoverSettings, backendId: number): string {
  const backend = backendOf(settings, backendId);
  return backend === null ? `of node ${backendId}` : `${backend.hostname}(${backend.port})`;
}

function framed(settings: FailoverSettings, text: string): string {
  if (settings.compatVersion !== "4.3") return `=== ${text} ===`;
  return text.charAt(0).toLowerCase() + text.slice(1);
}

export function backendOf(settings: FailoverSettings, id: number | null): FailoverBackend | null {
  return settings.backends.find((backend) => backend.id === id) ?? null;
}
