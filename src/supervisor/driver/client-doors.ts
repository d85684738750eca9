import type { ChildProcess, SendHandle } from "node:child_process";
import { lookup } from "node:dns/promises";
import { chmodSync } from "node:fs";
import { createServer, isIP, type Server, type Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { fail, succeed, type Result } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import {
  clientPortProblem,
  findStreamHandles,
  type Log,
  type ServerHandle,
  type SocketProblem,
  type StreamHandles,
} from "../../os/index.ts";
import type { ToWorker } from "../../wire/ipc/index.ts";

/** Where clients come in. */
interface Place {
  readonly name: string;
  /** Null for a Unix socket. */
  readonly address: string | null;
  readonly path: string | null;
}

interface Door extends Place {
  readonly handle: ServerHandle;
}

export interface ClientDoorsOptions {
  readonly config: Pick<
    Config,
    | "port"
    | "listen_addresses"
    | "unix_socket_directories"
    | "unix_socket_permissions"
    | "num_init_children"
    | "listen_backlog_multiplier"
  >;
  readonly log: Pick<Log, "write">;
  /** Only where sockets cannot be shared: a client that is to be given to a worker. */
  readonly onClient: (client: Socket) => void;
  /** `net`: share no sockets, for tests. */
  readonly wantedIo: string | undefined;
}

/** As in `listen.ts`: an address of a family that this machine does not have. */
const ABSENT = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL"]);
const EVERY_IPV6 = "::";
const EVERY_IPV4 = "0.0.0.0";
/** A client that vanished is found out after a minute at the earliest. */
const KEEP_ALIVE_AFTER_S = 60;

/**
 * The sockets that clients connect to. They are bound here and never listened on: the workers do
 * that, each with its own copy. What no worker has accepted yet waits in the kernel, whatever
 * becomes of the workers. A socket must not be listened on here, or this process would be asked to
 * accept as well.
 *
 * Where Node does not show its handles, this process accepts, and gives away each client.
 */
export class ClientDoors {
  readonly #doors: Door[] = [];
  readonly #servers: Server[] = [];

  /** Errors: an address is taken, unknown, or not to be used by us. Then nothing stays open. */
  static async open(o: ClientDoorsOptions): Promise<Result<ClientDoors, SocketProblem>> {
    const doors = new ClientDoors();
    const problem = await doors.#openAll(o);
    if (problem === null) return succeed(doors);
    doors.close();
    return fail(problem);
  }

  give(worker: ChildProcess): void {
    for (const { name, path, handle } of this.#doors) {
      const message: ToWorker = { type: "door", name, path };
      worker.send(message, handle as unknown as SendHandle, () => undefined);
    }
    const message: ToWorker = { type: "doors-given" };
    worker.send(message, () => undefined);
  }

  /** Nobody gets in from now on, but by a worker that still accepts. Removes the socket files. */
  close(): void {
    for (const { handle } of this.#doors.splice(0)) handle.close();
    for (const server of this.#servers.splice(0)) server.close();
  }

  async #openAll(o: ClientDoorsOptions): Promise<SocketProblem | null> {
    const { port, listen_addresses, unix_socket_directories } = o.config;
    const handles = o.wantedIo === "net" ? null : findStreamHandles();
    const open = async (place: Place): Promise<string | null> =>
      handles === null ? await this.#serve(place, o) : this.#bind(place, o, handles);
    for (const address of listen_addresses) {
      const name = `${address} port ${port}`;
      const code = await openName(address, (one) => open({ name, address: one, path: null }));
      if (code !== null) return clientPortProblem(name, code, null);
    }
    for (const directory of unix_socket_directories) {
      const path = `${directory}/.s.PGSQL.${port}`;
      const name = `Unix socket "${path}"`;
      const code = await open({ name, address: null, path });
      if (code !== null) return clientPortProblem(name, code, path);
      setMode(path, o);
    }
    return null;
  }

  /** @returns the code of an error, or null. */
  #bind(place: Place, o: ClientDoorsOptions, handles: StreamHandles): string | null {
    let handle: ServerHandle;
    let status: number;
    if (place.address === null) {
      const pipe = handles.newPipeServer();
      handle = pipe;
      status = pipe.bind(place.path ?? "");
    } else {
      const tcp = handles.newTcpServer();
      const { port } = o.config;
      handle = tcp;
      status =
        isIP(place.address) === 6
          ? tcp.bind6(place.address, port, 0)
          : tcp.bind(place.address, port);
      // A used port is told only by `listen`; until then the socket has none.
      const name: { port?: number } = {};
      if (status === 0 && (tcp.getsockname(name) !== 0 || name.port !== port)) {
        tcp.close();
        return "EADDRINUSE";
      }
      // Linux gives both to the sockets that are accepted.
      tcp.setNoDelay(true);
      tcp.setKeepAlive(true, KEEP_ALIVE_AFTER_S);
    }
    if (status === 0) this.#doors.push({ ...place, handle });
    else handle.close();
    return status === 0 ? null : getSystemErrorName(status);
  }

  async #serve(place: Place, o: ClientDoorsOptions): Promise<string | null> {
    const server = createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true });
    const { config } = o;
    const backlog = config.num_init_children * config.listen_backlog_multiplier;
    const where =
      place.address === null
        ? { path: place.path ?? "" }
        : { host: place.address, port: config.port };
    server.on("connection", o.onClient);
    return await new Promise((resolve) => {
      server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      server.listen({ ...where, backlog, exclusive: true }, () => {
        this.#servers.push(server);
        server.on("error", ({ message: detail }) => {
          o.log.write("warning", "could not accept a client", { detail });
        });
        resolve(null);
      });
    });
  }
}

/** Every address that a name has and this machine too. */
async function openName(
  name: string,
  open: (address: string) => Promise<string | null>,
): Promise<string | null> {
  const addresses = name === "*" ? [EVERY_IPV6] : await addressesOf(name);
  if (typeof addresses === "string") return addresses;
  let openedCount = 0;
  let absent = "ENOTFOUND";
  for (const address of addresses) {
    const code = await open(address);
    if (code === null) openedCount += 1;
    else if (ABSENT.has(code)) absent = code;
    else return code;
  }
  if (openedCount > 0) return null;
  return name === "*" ? await open(EVERY_IPV4) : absent;
}

async function addressesOf(name: string): Promise<readonly string[] | string> {
  if (isIP(name) !== 0) return [name];
  try {
    const found = await lookup(name, { all: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function setMode(path: string, { config, log }: ClientDoorsOptions): void {
  try {
    chmodSync(path, config.unix_socket_permissions);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    log.write("warning", `could not set permissions of "${path}"`, { detail });
  }
}
