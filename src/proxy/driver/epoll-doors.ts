import { assert } from "../../base/index.ts";
import {
  EPOLL,
  type ServerHandle,
  type SocketCalls,
  type StreamHandle,
  type StreamHandles,
} from "../../os/index.ts";
import type { Accepted } from "./byte-socket.ts";
import type { EpollPoller, PolledSocket } from "./epoll-poller.ts";
import { NO_NAME, readSocketName } from "./socket-name.ts";

/** For want of descriptors nobody is accepted for so long. */
const REST_MS = 100;

/** As libuv numbers them: there is nobody, or nobody any more. */
const NOBODY_THERE = new Set([-4, -11, -71, -103]);

/** Accepts clients by system calls, from sockets that libuv has bound and does not listen on. */
export class EpollDoors {
  readonly #poller: EpollPoller;
  readonly #handles: StreamHandles;
  readonly #doors = new Map<ServerHandle, Door>();

  constructor(poller: EpollPoller, handles: StreamHandles) {
    this.#poller = poller;
    this.#handles = handles;
  }

  /** @returns as `SocketIo.listen`. */
  open(handle: ServerHandle, backlog: number, accepted: Accepted): number {
    const { calls } = this.#poller;
    if (calls.listen(handle.fd, backlog) < 0) return calls.errno();
    const door = new Door(this.#poller, handle.fd, accepted);
    this.#doors.set(handle, door);
    return 0;
  }

  close(handle: ServerHandle): void {
    this.#doors.get(handle)?.close();
    this.#doors.delete(handle);
    handle.close();
  }

  /** A stream of libuv for a client that nobody has read yet. */
  handleFor(fd: number): StreamHandle {
    const isTcp = readSocketName(this.#poller.calls.ownName, fd) !== NO_NAME;
    const handle = isTcp ? this.#handles.newTcp() : this.#handles.newPipe();
    const status = handle.open(fd);
    assert(status === 0 || status === undefined, "libuv takes an open connection");
    return handle;
  }
}

class Door implements PolledSocket {
  readonly #poller: EpollPoller;
  readonly #calls: SocketCalls;
  readonly #fd: number;
  readonly #accepted: Accepted;
  #mask: number = EPOLL.in;
  #timer: NodeJS.Timeout | null = null;

  constructor(poller: EpollPoller, fd: number, accepted: Accepted) {
    this.#poller = poller;
    this.#calls = poller.calls;
    this.#fd = fd;
    this.#accepted = accepted;
    poller.add(fd, this, EPOLL.in);
  }

  /** One at a time, as other workers accept as well. */
  ready(): void {
    const fd = this.#calls.accept(this.#fd);
    if (fd >= 0) return this.#accepted(0, fd);
    const error = this.#calls.errno();
    if (NOBODY_THERE.has(error)) return;
    // The kernel would say at once again that somebody is there.
    this.#set(0);
    this.#timer = setTimeout(() => this.#set(EPOLL.in), REST_MS).unref();
    this.#accepted(error, null);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    // Other processes have the socket open, so that closing it would not end this.
    this.#set(0);
    this.#poller.forget(this.#fd);
  }

  #set(mask: number): void {
    this.#poller.change(this.#fd, this.#mask, mask);
    this.#mask = mask;
  }
}
