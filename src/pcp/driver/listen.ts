import { chmod, unlink } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { fail, succeed, type Result } from "../../base/index.ts";
import { prepareUnixSocketPath, systemErrorText, type SocketProblem } from "../../os/index.ts";

/** A place where a server listens, and how it is given up. */
export interface Listener {
  /** Stops accepting; connections that are open stay so. Removes the file of a Unix socket. */
  close(): Promise<void>;
}

export interface AcceptOptions {
  /** Called for each connection; the receiver owns it. */
  readonly onConnection: (socket: Socket) => void;
  /** The parameter that a person changes when the port is taken. */
  readonly portParameter: string;
}

const EVERY_IPV4 = "0.0.0.0";
const EVERY_IPV6 = "::";

/**
 * Listens on a TCP address. `*` means every address of the machine, IPv6 included where it exists.
 *
 * Errors: the port is taken, or the address is not this machine's; the message names both.
 */
export async function listenOnAddress(
  address: string,
  port: number,
  options: AcceptOptions,
): Promise<Result<Listener, SocketProblem>> {
  if (address !== "*") return listenAt({ host: address, port }, options);
  const both = await listenAt({ host: EVERY_IPV6, port }, options);
  // A machine without IPv6 refuses "::"; a port that is taken is taken for both.
  return both.ok ? both : listenAt({ host: EVERY_IPV4, port }, options);
}

async function listenAt(
  where: { readonly host: string; readonly port: number },
  options: AcceptOptions,
): Promise<Result<Listener, SocketProblem>> {
  const server = createServer({ allowHalfOpen: false }, options.onConnection);
  const opened = await opening(server, where);
  if (opened.ok) return succeed({ close: () => closing(server) });
  const isTaken = opened.error.code === "EADDRINUSE";
  return fail({
    message: `could not listen on ${where.host} port ${where.port}: ${systemErrorText(opened.error)}`,
    hint: isTaken
      ? `Another process listens there: stop it, or change ${options.portParameter}.`
      : `Is ${where.host} an address of this machine, and may this user listen on the port?`,
  });
}

/**
 * Listens on a Unix socket, after removing what a dead process left there.
 *
 * @param mode permission bits of the socket file.
 * Errors: see `prepareUnixSocketPath`; and what the system says on listening.
 */
export async function listenOnPath(
  path: string,
  mode: number,
  options: AcceptOptions,
): Promise<Result<Listener, SocketProblem>> {
  const prepared = await prepareUnixSocketPath(path);
  if (!prepared.ok) return prepared;
  const server = createServer(options.onConnection);
  const opened = await opening(server, { path });
  const problem = (error: unknown): SocketProblem => ({
    message: `could not listen on the socket "${path}": ${systemErrorText(error)}`,
    hint: "Let the user that runs pgpool write to the socket directory.",
  });
  if (!opened.ok) return fail(problem(opened.error));
  try {
    await chmod(path, mode);
  } catch (error) {
    await closing(server);
    return fail(problem(error));
  }
  return succeed({
    async close() {
      await closing(server);
      // Node removes the file itself; a file that is left would look like a crash.
      await unlink(path).catch(() => undefined);
    },
  });
}

function opening(
  server: Server,
  where: { host: string; port: number } | { path: string },
): Promise<Result<void, NodeJS.ErrnoException>> {
  return new Promise((resolve) => {
    server.once("error", (error) => resolve(fail(error)));
    // The sockets belong to this process alone, also where its children share others.
    server.listen({ ...where, exclusive: true }, () => {
      server.removeAllListeners("error");
      // An accept that fails, as for want of descriptors, costs that client, not the server.
      server.on("error", () => undefined);
      resolve(succeed(undefined));
    });
  });
}

/** Does not wait for open connections: their owner ends them. */
function closing(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => undefined);
    setImmediate(resolve);
  });
}
