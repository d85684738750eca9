import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { unreachable, type Result } from "../../base/index.ts";
import { CoreRunner, monotonicNowMs, type Log } from "../../os/index.ts";
import type { PcpError, PcpLayout } from "../../wire/pcp/index.ts";
import { PcpFramer, REQUEST_LENGTH_MAX } from "../../wire/pcp/index.ts";
import type { Answer, Command, PcpAction, PcpConnection, PcpEvent } from "../core/index.ts";
import { acceptPcpConnection, pcpCore } from "../core/index.ts";
import type { PcpHandlers } from "./handlers.ts";

export interface PcpConnectionOptions {
  readonly layout: PcpLayout;
  readonly handlers: PcpHandlers;
  readonly readPcpConf: () => Result<string, string>;
  readonly authenticationTimeoutMs: number;
  readonly log: Log;
}

/** How long a client may take to read the last reply before it is cut off. */
const FAREWELL_MS = 2000;

/** Joins an accepted socket to the core; all that happens to the connection passes `deliver`. */
export function servePcpConnection(socket: Socket, options: PcpConnectionOptions): void {
  const framer = new PcpFramer(REQUEST_LENGTH_MAX);
  const initial = acceptPcpConnection({
    salt: randomBytes(4),
    layout: options.layout,
    timeoutMs: options.authenticationTimeoutMs,
    nowMs: monotonicNowMs(),
  });
  const runner = new CoreRunner<PcpConnection, PcpEvent, PcpAction>(pcpCore, initial, { perform });

  function perform(action: PcpAction): void {
    switch (action.type) {
      case "send":
        if (socket.writable) socket.write(action.bytes);
        return;
      case "read-pcp-conf": {
        const text = options.readPcpConf();
        runner.deliver({
          type: "pcp-conf-read",
          text: text.ok ? text.value : null,
          problem: text.ok ? "" : text.error,
        });
        return;
      }
      case "perform":
        // Not awaited: the connection may end, and its clock runs, while the command does.
        void performCommand(action, options.handlers).then((answer) => {
          runner.deliver({ type: "command-answered", answer });
        });
        return;
      case "report":
        report(action.error, options.log);
        return;
      case "close":
        closeSoon(socket);
        return;
    }
    unreachable(action);
  }

  socket.on("data", (chunk: Buffer) => {
    const frames = framer.push(chunk);
    if (frames.ok) runner.deliver({ type: "frames-received", frames: frames.value });
    else {
      socket.pause();
      runner.deliver({ type: "bytes-refused" });
    }
  });
  // An error is followed by `close`, and says nothing that a log needs: the client went away.
  socket.on("error", () => undefined);
  socket.on("close", () => {
    runner.deliver({ type: "disconnected" });
    runner.stop();
  });
}

function closeSoon(socket: Socket): void {
  socket.end();
  const timer = setTimeout(() => socket.destroy(), FAREWELL_MS);
  socket.once("close", () => clearTimeout(timer));
}

function report(error: PcpError, log: Log): void {
  log.write(error.severity === "FATAL" ? "fatal" : "error", error.message, {
    ...(error.detail === null ? {} : { detail: error.detail }),
    ...(error.hint === null ? {} : { hint: error.hint }),
  });
}

async function performCommand(
  { command, user }: { readonly command: Command; readonly user: string },
  handlers: PcpHandlers,
): Promise<Answer> {
  switch (command.type) {
    case "node-info":
    case "node-count":
      return { type: "view", view: handlers.view() };
    case "process-count":
      return { type: "processes", pids: handlers.workerPids() };
    case "process-info":
      return { type: "process-info", rows: await handlers.processInfo(command.processId) };
    case "health-check-stats": {
      const fields = await handlers.healthCheckStats(command.backendId);
      return { type: "health-check-stats", fields };
    }
    case "pool-status":
      return { type: "pool-status", rows: handlers.poolStatus() };
    case "watchdog-info":
      return { type: "watchdog", view: handlers.watchdog() };
    case "attach":
      return answerOf(await handlers.attach(command.backendId, user));
    case "recover":
      return answerOf(await handlers.recover(command.backendId, user));
    case "detach":
      return answerOf(await handlers.detach(command.backendId, { ...command, user }));
    case "promote":
      return answerOf(await handlers.promote(command.backendId, { ...command, user }));
    case "stop":
      return answerOf(await handlers.stop(command.mode, command.scope));
    case "reload":
      return answerOf(await handlers.reload(command.scope));
  }
  return unreachable(command);
}

function answerOf(outcome: Result<void, string>): Answer {
  return outcome.ok ? { type: "done" } : { type: "refused", reason: outcome.error };
}
