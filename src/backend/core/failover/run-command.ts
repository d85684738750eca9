/** Starting a command of the administrator, and keeping what became of it. */
import { COMMAND_TEXT_MAX, type CommandKind, type CommandRecord } from "../status/index.ts";
import type { Intent } from "../status/index.ts";
import { formatCommand, type DemoteAction } from "./command-text.ts";
import type { CommandEnv, ConductorEvent } from "./conductor-events.ts";
import type { CommandRun, Turn } from "./conductor-state.ts";
import { backendOf } from "./wording.ts";

export interface CommandOrder {
  readonly kind: CommandKind;
  readonly template: string;
  readonly backendId: number;
  readonly event: Pick<Intent, "epoch" | "eventId" | "oldPrimaryId" | "oldMainId">;
  readonly newMainId: number | null;
  /** 1 for the first run. */
  readonly attempt: number;
  /** Of demote_command. */
  readonly action?: DemoteAction;
  readonly env?: Pick<CommandEnv, "PGQUORUM_FOLLOW_STOPPED">;
}

export function startCommand(turn: Turn, order: CommandOrder): CommandRun {
  const { settings } = turn.state;
  const { kind, backendId, event } = order;
  const text = formatCommand(order.template, {
    backend: backendOf(settings, backendId) ?? unknownBackend(backendId),
    newMain: backendOf(settings, order.newMainId),
    oldMainId: event.oldMainId,
    oldPrimary: backendOf(settings, event.oldPrimaryId),
    oldPrimaryId: event.oldPrimaryId,
    ...(order.action === undefined ? {} : { action: order.action }),
  });
  const commandId = turn.takeId();
  turn.log(`execute command: ${text}`);
  turn.act({
    type: "run-command",
    commandId,
    kind,
    backendId,
    text,
    env: {
      PGQUORUM_EPOCH: String(event.epoch),
      PGQUORUM_EVENT_ID: event.eventId,
      PGQUORUM_ATTEMPT: String(order.attempt),
      ...order.env,
    },
    timeoutMs: kind === "follow-primary" ? settings.followTimeoutMs : settings.commandTimeoutMs,
  });
  turn.set({ runningIds: [...turn.state.runningIds, commandId] });
  return { commandId, startedAt: turn.wallMs, text };
}

export function recordOf(
  turn: Turn,
  run: CommandRun,
  what: Pick<CommandRecord, "kind" | "backendId" | "epoch">,
  end: Extract<ConductorEvent, { readonly type: "command-finished" }>,
): CommandRecord {
  return {
    ...what,
    text: run.text.slice(0, COMMAND_TEXT_MAX),
    startedAt: run.startedAt,
    endedAt: turn.wallMs,
    exitCode: end.exitCode,
    signal: end.signal,
    timedOut: end.timedOut === true,
    outputTail: end.outputTail,
  };
}

/** Left the configuration while its failover runs. */
function unknownBackend(id: number): Parameters<typeof formatCommand>[1]["backend"] {
  return {
    id,
    hostname: "",
    port: 0,
    dataDirectory: "",
    mayFailover: true,
    alwaysPrimary: false,
  };
}
