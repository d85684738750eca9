/**
 * Sockets with a path: what a crash left behind is removed, what somebody serves is not.
 */
import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { fail, succeed, type Result } from "../base/index.ts";
import { systemErrorText } from "./files.ts";

/** `sockaddr_un` of Linux holds 108 bytes with the NUL. */
export const UNIX_SOCKET_PATH_BYTES_MAX = 107;

/** Long enough for a busy server on a busy machine; a dead socket refuses at once. */
const PROBE_TIMEOUT_MS = 2000;

export interface SocketProblem {
  readonly message: string;
  readonly hint: string;
}

/**
 * Makes a path free to listen on: a socket file that nobody answers is removed.
 *
 * Errors: the path is too long, its directory cannot be used, the file is no socket, or a process
 * serves it. Two processes that prepare one path at the same time may both succeed; the pid file
 * keeps two nodes of one configuration apart.
 */
export async function prepareUnixSocketPath(path: string): Promise<Result<void, SocketProblem>> {
  if (Buffer.byteLength(path) > UNIX_SOCKET_PATH_BYTES_MAX) {
    return fail({
      message: `the socket path "${path}" is longer than ${UNIX_SOCKET_PATH_BYTES_MAX} bytes`,
      hint: "Choose a directory with a shorter path.",
    });
  }
  const found = await kindOfFile(path);
  if (!found.ok) return found;
  if (found.value === "none") return succeed(undefined);
  if (found.value === "other") {
    return fail({
      message: `"${path}" exists and is no socket`,
      hint: "Move that file away, or choose another directory or port.",
    });
  }
  if (await isAnswered(path)) {
    return fail({
      message: `another process serves the socket "${path}"`,
      hint: "Stop that process, or choose another port or socket directory.",
    });
  }
  return removeStale(path);
}

async function kindOfFile(
  path: string,
): Promise<Result<"none" | "socket" | "other", SocketProblem>> {
  try {
    return succeed((await lstat(path)).isSocket() ? "socket" : "other");
  } catch (error) {
    if (!isMissing(error)) return fail(unusable(path, error));
  }
  try {
    await lstat(dirname(path));
    return succeed("none");
  } catch (error) {
    return fail(unusable(path, error));
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "ENOENT";
}

function unusable(path: string, error: unknown): SocketProblem {
  return {
    message: `could not use the socket directory "${dirname(path)}": ${systemErrorText(error)}`,
    hint: "Make the directory and let the user that runs pgpool write to it.",
  };
}

/** Whoever accepts, or would if it were less busy, serves the socket. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (isServed: boolean): void => {
      socket.destroy();
      resolve(isServed);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end(true));
    socket.once("connect", () => end(true));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      end(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

async function removeStale(path: string): Promise<Result<void, SocketProblem>> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) return fail(unusable(path, error));
  }
  return succeed(undefined);
}
