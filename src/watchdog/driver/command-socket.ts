import type { Socket } from "node:net";
import { join } from "node:path";
import { fail, succeed, type Ms, type Result, type Secret } from "../../base/index.ts";
import { listenOnPath, type Log, type SocketProblem } from "../../os/index.ts";
import {
  decodeIpcFrame,
  encodeIpcFrame,
  encodeIpcRefusal,
  IPC_REPLIES,
  IPC_REQUEST_BYTES_MAX,
} from "../../wire/watchdog/index.ts";
import { answerCommand, type CommandFacts, type Report } from "../core/commands/index.ts";

export interface CommandSocketOptions {
  /** wd_ipc_socket_dir. */
  readonly directory: string;
  /** This node's own wd_port. */
  readonly port: number;
  /** wd_authkey; when empty, whoever may open the socket may ask. */
  readonly key: Secret;
  readonly log: Log;
  readonly facts: () => CommandFacts;
  /** What an external lifecheck found of a configured node, this one included. */
  readonly onReport: (report: Report) => void;
  /** For a whole request to come in. */
  readonly requestTimeoutMs?: Ms;
}

export interface CommandSocket {
  readonly path: string;
  stop(): Promise<void>;
}

const CONNECTIONS_MAX = 32;
const REQUEST_TIMEOUT_MS: Ms = 5000;
/** Only the user that runs the node, besides root: the others would have to guess the key only. */
const SOCKET_MODE = 0o700;
/** Lines about refused requests; whoever asks on and on must not fill the disk. */
const COMPLAINTS_MAX = 20;

/**
 * Serves `.s.PGPOOLWD_CMD.<wd_port>`, as Pgpool-II does for external lifechecks and `wd_cli`: one
 * request a connection, one reply. A file that a dead process left behind is replaced.
 *
 * Errors: see `listenOnPath`; nothing is served then.
 */
export async function openCommandSocket(
  options: CommandSocketOptions,
): Promise<Result<CommandSocket, SocketProblem>> {
  const path = join(options.directory, `.s.PGPOOLWD_CMD.${options.port}`);
  const open = new Set<Socket>();
  const complain = complaintsTo(options.log);
  const listener = await listenOnPath(path, SOCKET_MODE, {
    onConnection(socket) {
      if (open.size >= CONNECTIONS_MAX) {
        socket.destroy();
        return;
      }
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      serve(socket, options, complain);
    },
  });
  if (!listener.ok) return fail(listener.error);
  return succeed({
    path,
    async stop() {
      await listener.value.close();
      for (const socket of open) socket.destroySoon();
    },
  });
}

function complaintsTo(log: Log): (why: string) => void {
  let count = 0;
  return (why) => {
    count += 1;
    if (count > COMPLAINTS_MAX) return;
    const message = "a request on the watchdog's command socket was refused";
    log.write("warning", message, { detail: why });
  };
}

function serve(
  socket: Socket,
  options: CommandSocketOptions,
  complain: (why: string) => void,
): void {
  let bytes = Buffer.alloc(0);
  const finish = (reply: Buffer): void => {
    clearTimeout(timer);
    socket.removeListener("data", onData);
    socket.resume(); // What still comes is thrown away, so that the end is seen.
    socket.end(reply, () => socket.destroySoon());
  };
  const timer = setTimeout(() => {
    finish(encodeIpcFrame(IPC_REPLIES.timeout, ""));
  }, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS);
  const onData = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    const frame = decodeIpcFrame(bytes, IPC_REQUEST_BYTES_MAX);
    if (!frame.ok) {
      complain("its length is out of range");
      finish(encodeIpcRefusal("the length of the request is out of range"));
    } else if (frame.value !== null) {
      const answer = answerCommand(frame.value, options.key, options.facts());
      if (answer.refused !== null) complain(answer.refused);
      if (answer.report !== null) options.onReport(answer.report);
      finish(answer.reply);
    }
  };
  socket.on("data", onData);
  // A client that does not wait for the reply, as Pgpool-II's wd_cli with --inform, is no fault.
  socket.on("error", () => undefined);
  socket.once("close", () => clearTimeout(timer));
}
