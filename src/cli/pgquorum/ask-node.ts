import { fail, type Result } from "../../base/index.ts";
import { askControlSocket, type ControlFailure } from "../../pcp/driver/index.ts";
import type { ControlRequest } from "../../wire/ipc/index.ts";
import { controlSocketPath } from "../../wire/ipc/index.ts";
import { findConfigFile, requireConfig } from "../programs/config-file.ts";

/** Why there is no answer: the text for the person, and the exit code for the script. */
export interface AskFailure {
  readonly text: string;
  readonly exitCode: number;
}

/** The configuration is wrong, or the node refused. */
export const EXIT_FAILED = 1;
/** Nobody serves the node's control socket. */
export const EXIT_NOT_RUNNING = 3;

/**
 * Asks the node of this machine that runs with this configuration file; the value is what the
 * command promises (see `ControlReply`).
 */
export async function askNode(
  configFile: string | undefined,
  request: ControlRequest,
): Promise<Result<unknown, AskFailure>> {
  const path = findConfigFile(configFile);
  const config = requireConfig({ configFile });
  if (!config.ok) {
    const help = "give the node's own file with -f FILE, or correct it\n";
    return fail({ text: `${config.error}${help}`, exitCode: EXIT_FAILED });
  }
  const directory = config.value.pcp_socket_dir[0] ?? "/tmp";
  const socket = controlSocketPath(directory, config.value.pcp_port);
  const reply = await askControlSocket(socket, request);
  if (!reply.ok) return fail(explain(reply.error, socket, path));
  if (!reply.value.ok) {
    return fail({ text: `the node refused: ${reply.value.error}\n`, exitCode: EXIT_FAILED });
  }
  return { ok: true, value: reply.value.value };
}

function explain({ code, message }: ControlFailure, socket: string, config: string): AskFailure {
  if (code === "ENOENT" || code === "ECONNREFUSED") {
    const text = `the node does not run: nobody answers on the socket ${socket}, which follows from
pcp_socket_dir and pcp_port in ${config}
start it with "pgpool -f ${config}", or name the file it runs with by -f FILE
`;
    return { text, exitCode: EXIT_NOT_RUNNING };
  }
  const hint =
    code === "EACCES"
      ? "ask as the user that the node runs as, or as root\n"
      : "see the node's log\n";
  return {
    text: `could not ask the node on the socket ${socket}: ${message}\n${hint}`,
    exitCode: EXIT_FAILED,
  };
}
