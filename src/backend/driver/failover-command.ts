/** Runs the administrator's commands for failover, failback and following a new primary. */
import type { Ms } from "../../base/index.ts";
import { LineAllowance, type CommandEnv } from "../core/failover/index.ts";
import type { CommandKind } from "../core/status/index.ts";
import { OUTPUT_TAIL_MAX } from "../core/status/index.ts";
import { monotonicNowMs, runCommand, type CommandRight, type Log } from "../../os/index.ts";

export interface FailoverCommand {
  /** No other command of this node, or of another on this machine, has it. */
  readonly runName: string;
  readonly kind: CommandKind;
  readonly text: string;
  readonly env: CommandEnv;
  /** 0 = none. */
  readonly timeoutMs: Ms;
}

export interface FailoverCommandEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** The last of its output, with what kept it from starting, if anything did. */
  readonly outputTail: string;
}

/**
 * Runs it to its end, or to that of its time. It dies with this process, and with this node's
 * right to lead: a command that outlived that could meet the one of the next leader. When it is
 * ended, all that carries its PGQUORUM_COMMAND_ID is ended too, wherever it has gone.
 *
 * @param signal asks it to end: it may clean up for a moment.
 */
export async function runFailoverCommand(
  command: FailoverCommand,
  log: Log,
  right: CommandRight,
  signal: AbortSignal,
): Promise<FailoverCommandEnd> {
  const allowance = new LineAllowance(monotonicNowMs());
  const write = (lines: readonly string[]): void => {
    for (const line of lines) log.write("log", `${command.kind} command: ${line}`);
  };
  const outcome = await runCommand({
    command: command.text,
    env: { ...command.env },
    mark: { name: "PGQUORUM_COMMAND_ID", value: command.runName },
    timeoutMs: command.timeoutMs,
    right,
    signal,
    onLine: (line) => write(allowance.take(line, monotonicNowMs())),
  });
  write(allowance.end());
  const said = outcome.startError ?? outcome.lines.join("\n");
  return {
    exitCode: outcome.exitCode,
    signal: outcome.signal,
    timedOut: outcome.timedOut,
    outputTail: said.slice(-OUTPUT_TAIL_MAX),
  };
}
