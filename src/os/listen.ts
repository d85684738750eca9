import { lookup } from "node:dns/promises";
import { chmod, unlink } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { fail, succeed, type Result } from "../base/index.ts";
import { systemErrorText } from "./files.ts";
import { prepareUnixSocketPath, type SocketProblem } from "./unix-socket.ts";

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
/** A machine without IPv6 refuses its addresses so, though the name `localhost` has one. */
const ABSENT = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL"]);

/**
 * Listens on every address that a name has; `*` means every address of the machine, IPv6 included
 * where it exists.
 *
 * Errors: the name is unknown, the port is taken, or no address of the name is this machine's.
 */
export async function listenOnAddress(
  name: string,
  port: number,
  options: AcceptOptions,
): Promise<Result<Listener, SocketProblem>> {
  const hosts = name === "*" ? succeed([EVERY_IPV6]) : await addressesOf(name);
  if (!hosts.ok) return hosts;
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    for (const server of servers) await closing(server);
  };
  let absent: NodeJS.ErrnoException | null = null;
  for (const host of hosts.value) {
    const server = createServer(options.onConnection);
    const opened = await opening(server, { host, port });
    if (opened.ok) servers.push(server);
    else if (ABSENT.has(opened.error.code ?? "")) absent = opened.error;
    else {
      await close();
      return fail(portProblem(host, port, opened.error, options));
    }
  }
  if (servers.length > 0 || absent === null) return succeed({ close });
  if (name === "*") return listenOnAddress(EVERY_IPV4, port, options);
  return fail(portProblem(name, port, absent, options));
}

async function addressesOf(name: string): Promise<Result<readonly string[], SocketProblem>> {
  try {
    const found = await lookup(name, { all: true });
    return succeed([...new Set(found.map(({ address }) => address))]);
  } catch (error) {
    return fail({
      message: `could not find the address of "${name}" to listen on: ${systemErrorText(error)}`,
      hint: "Write a name that this machine resolves, an address, or *.",
    });
  }
}

function portProblem(
  host: string,
  port: number,
  error: NodeJS.ErrnoException,
  options: AcceptOptions,
): SocketProblem {
  return {
    message: `could not listen on ${host} port ${port}: ${systemErrorText(error)}`,
    hint:
      error.code === "EADDRINUSE"
        ? `Another process listens there: stop it, or change ${options.portParameter}.`
        : `Is ${host} an address of this machine, and may this user listen on the port?`,
  };
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
  options: Pick<AcceptOptions, "onConnection">,
): Promise<Result<Listener, SocketProblem>> {
  const prepared = await prepareUnixSocketPath(path);
  if (!prepared.ok) return prepared;
  const server = createServer(options.onConnection);
  // Node binds before `listen` returns: at no moment may anybody connect whom `mode` keeps out.
  const umask = process.umask(0o777 & ~mode);
  const bound = opening(server, { path });
  process.umask(umask);
  const opened = await bound;
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
