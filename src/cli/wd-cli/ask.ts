import { connect } from "node:net";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import {
  decodeIpcBody,
  decodeIpcFrame,
  IPC_REPLIES,
  IPC_REPLY_BYTES_MAX,
} from "../../wire/watchdog/index.ts";

export type IpcAnswer =
  | {
      readonly type: "done";
      readonly text: string;
      readonly body: Readonly<Record<string, unknown>> | null;
    }
  /** The request was taken; nothing came back in time, or the connection was closed. */
  | { readonly type: "silent" };

/**
 * Sends one request to the watchdog on this host and waits for the reply.
 *
 * Errors, as text: the socket cannot be reached; the watchdog refuses.
 */
export function ask(
  path: string,
  request: Buffer,
  timeoutMs: Ms,
): Promise<Result<IpcAnswer, string>> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const socket = connect(path);
    const timer = setTimeout(() => end(succeed({ type: "silent" })), timeoutMs);
    const end = (outcome: Result<IpcAnswer, string>): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    socket.once("connect", () => socket.write(request));
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const reply = readReply(bytes);
      if (reply !== null) end(reply);
    });
    socket.on("end", () => end(succeed({ type: "silent" })));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const why = WHY[error.code ?? ""] ?? error.message;
      end(fail(`could not ask the watchdog by the socket "${path}": ${why}`));
    });
  });
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist; is the node up, and is that its wd_ipc_socket_dir and wd_port?",
  ECONNREFUSED: "nobody serves it; is the node up?",
  EACCES: "this user may not open it; ask as the user that runs the node",
};

/** Null: more is to come. */
function readReply(bytes: Buffer): Result<IpcAnswer, string> | null {
  const frame = decodeIpcFrame(bytes, IPC_REPLY_BYTES_MAX);
  if (!frame.ok) return fail("the watchdog's reply is too long");
  if (frame.value === null) return null;
  const { type, body } = frame.value;
  switch (type) {
    case IPC_REPLIES.ok: {
      const text = body.toString("utf8").replace(/\0+$/, "");
      return succeed({ type: "done", text, body: decodeIpcBody(body) });
    }
    case IPC_REPLIES.inTransition:
      return fail("the watchdog cluster is in transition: ask again in a moment");
    case IPC_REPLIES.timeout:
      return fail("the watchdog did not get the whole request in time");
    default: {
      const message = decodeIpcBody(body)?.["MESSAGE"];
      return fail(typeof message === "string" ? message : "the watchdog refuses the request");
    }
  }
}
