import { Socket } from "node:net";
import { assert } from "../../base/index.ts";
import type { ServerHandle, StreamHandle } from "../../os/index.ts";

/** What happens on a socket. */
export interface SocketEvents {
  /** A view of a read buffer, valid during the call. */
  received(bytes: Buffer): void;
  /** Everything that was written is with the kernel again, after `isBlocked` was true. */
  drained(): void;
  connected(): void;
  /**
   * Once, whatever the reason, unless we ended or destroyed it ourselves; `cause` is null for an
   * orderly end. Never called from within a call of ours.
   */
  closed(cause: Error | null): void;
}

/**
 * A socket that reads into a buffer that is there already, and writes views without copying them. The
 * price is a rule: when a write did not finish at once (`isBlocked`), the bytes may still be in use, and
 * whoever read them must not be read again before `drained`. That is back-pressure as well.
 */
export interface ByteSocket {
  readonly isBlocked: boolean;
  /** Null for a Unix socket, and once it is closed. */
  readonly remoteAddress: string | null;
  readonly localAddress: string | null;
  readonly remotePort: number | null;
  /** After the end of the socket the bytes are dropped. */
  write(bytes: Buffer, start?: number, end?: number): void;
  /** Stops reading for this reason; each reason is one bit. */
  pause(reason: number): void;
  resume(reason: number): void;
  /** Writes what is left, then closes; at the latest after `withinMs`. No event follows. */
  end(withinMs: number): void;
  /** Closes at once; what is not with the kernel yet is lost. No event follows. */
  destroy(): void;
}

export interface SocketTarget {
  /**
   * What starts with `/` is the directory of a PostgreSQL socket file; with a NUL, the like in
   * Linux's abstract namespace.
   */
  readonly hostname: string;
  readonly port: number;
}

/** By a handle that listens, a server with `pauseOnConnect`, or as a descriptor; nobody has read it yet. */
export type AcceptedClient = StreamHandle | Socket | number;

/** A way to make sockets. */
export interface SocketIo {
  readonly kind: "net" | "handle" | "epoll";
  accept(accepted: AcceptedClient, readBufferBytes: number, events: SocketEvents): ByteSocket;
  connect(target: SocketTarget, readBufferBytes: number, events: SocketEvents): ByteSocket;
  /** Accepts clients from a socket that is bound. @returns 0, or an error as libuv numbers it. */
  listen(door: ServerHandle, backlog: number, accepted: Accepted): number;
  /** Closes it; the socket itself may be open in other processes. */
  close(door: ServerHandle): void;
  /** What can be sent to another process. */
  passable(client: AcceptedClient): StreamHandle | Socket;
}

/** Null: an accept failed with this status, as for want of descriptors. */
export type Accepted = (status: number, client: AcceptedClient | null) => void;

/** How libuv does that. */
export const LISTENING = {
  listen(door: ServerHandle, backlog: number, accepted: Accepted): number {
    door.onconnection = (status, client) => accepted(status, client ?? null);
    return door.listen(backlog);
  },
  close: (door: ServerHandle): void => door.close(),
  passable(client: AcceptedClient): StreamHandle | Socket {
    assert(typeof client !== "number", "libuv gives handles");
    return client;
  },
};

/** How a silent peer is found out: probes begin after this. */
export const KEEP_ALIVE_AFTER_MS = 60_000;

/** Null: the target is no Unix socket. */
export function socketFile({ hostname, port }: SocketTarget): string | null {
  return /^[/\0]/u.test(hostname) ? `${hostname}/.s.PGSQL.${port}` : null;
}

/** What each address of a host said, as one error. */
export function joinErrors(errors: readonly Error[]): Error | null {
  const [first] = errors;
  if (first === undefined || errors.length === 1) return first ?? null;
  const message = errors.map((error) => error.message).join("; ");
  return Object.assign(new Error(message), { code: (first as NodeJS.ErrnoException).code });
}

export function handleOf(accepted: AcceptedClient): StreamHandle {
  assert(typeof accepted !== "number", "descriptors come from who takes them");
  if (!(accepted instanceof Socket)) return accepted;
  const owner = accepted as unknown as { _handle: StreamHandle | null };
  const handle = owner._handle;
  owner._handle = null;
  assert(handle !== null, "an accepted socket is open");
  return handle;
}
