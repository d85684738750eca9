import { connect, type Socket } from "node:net";
import { fail, type Result } from "../../base/index.ts";
import { systemErrorText } from "../../os/index.ts";
import type { ControlReply, ControlRequest } from "../../wire/ipc/index.ts";
import { parseControlReply } from "../../wire/ipc/index.ts";
import { readLine } from "./line-socket.ts";

/** Why a node could not be asked; `code` is the system's, such as ENOENT or ECONNREFUSED. */
export interface ControlFailure {
  readonly code: string;
  readonly message: string;
}

const REPLY_BYTES_MAX = 16 * 1024 * 1024;
const REPLY_TIMEOUT_MS = 10_000;

/**
 * Asks the node that serves this socket. Errors: nobody serves it, or the reply is none; a reply
 * that says no is not an error here.
 */
export async function askControlSocket(
  path: string,
  request: ControlRequest,
): Promise<Result<ControlReply, ControlFailure>> {
  const socket = await connecting(path);
  if (!(socket instanceof Object && "write" in socket)) return fail(socket);
  socket.write(`${JSON.stringify(request)}\n`);
  const line = await readLine(socket, REPLY_BYTES_MAX, REPLY_TIMEOUT_MS);
  socket.destroy();
  const reply = line.ok ? parseControlReply(line.value) : line;
  return reply.ok ? reply : fail({ code: "EPROTO", message: reply.error });
}

function connecting(path: string): Promise<Socket | ControlFailure> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    // Stays on: a connection may break later, and the line reader tells of it.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      resolve({ code: error.code ?? "", message: systemErrorText(error) });
    });
  });
}
