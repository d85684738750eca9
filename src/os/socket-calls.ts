/**
 * The system calls of sockets, called as they are (by koffi) where Node.js has only streams made of
 * them. What such a call costs beside the kernel's part is a sixth of what libuv's streams and their
 * way into JavaScript take. Linux alone; whoever uses this has another way as well.
 */
import { isMainThread } from "node:worker_threads";

/** A mask of these is in each event. */
export const EPOLL = { in: 0x1, out: 0x4, error: 0x8, hangUp: 0x10 } as const;
export const EPOLL_CTL = { add: 1, remove: 2, modify: 3 } as const;

/** Numbers below zero mean that `errno` tells why. */
export interface SocketCalls {
  /** As libuv numbers errors: negative. */
  readonly errno: () => number;
  /** Both give up at once where they would have to wait, and raise no signal. */
  readonly receive: (fd: number, address: number, lengthBytes: number) => number;
  readonly send: (fd: number, bytes: Uint8Array, lengthBytes: number) => number;
  readonly sendFrom: (fd: number, address: number, lengthBytes: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  /** The new descriptor, not inherited by children. */
  readonly accept: (fd: number) => number;
  /** Another descriptor of the same connection. */
  readonly duplicate: (fd: number) => number;
  readonly shutDownWriting: (fd: number) => number;
  readonly close: (fd: number) => number;
  /** A `sockaddr` into `address`, its length in and out by `length`. */
  readonly peerName: (fd: number, address: Uint8Array, length: Int32Array) => number;
  readonly ownName: (fd: number, address: Uint8Array, length: Int32Array) => number;
  readonly createEpoll: () => number;
  readonly controlEpoll: (epoll: number, how: number, fd: number, eventAddress: number) => number;
  /** What is ready now. */
  readonly lookAtEpoll: (epoll: number, eventsAddress: number, eventsMax: number) => number;
  /** Of an event, in words of 32 bit: the mask comes first, then `dataAt` two words of ours. */
  readonly eventWords: number;
  readonly dataAt: number;
  /** Where this memory is. It stays there as long as it is referred to. */
  readonly addressOf: (bytes: Uint8Array | Int32Array) => number;
  /**
   * Calls back from the event loop while something can be read there. For ever, and without keeping
   * the process alive.
   */
  readonly watch: (fd: number, ready: () => void) => boolean;
}

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;
const SHUT_WR = 1;
/** `UV_POLL` among libuv's kinds of handles, and `UV_READABLE`. */
const POLL_HANDLE = 8;
const READABLE = 1;

type Call = (...args: readonly unknown[]) => number;
type Koffi = (typeof import("koffi"))["default"];

let found: Promise<SocketCalls | null> | null = null;

/** Null: koffi does not load here, or this is not Linux, or not a main thread. */
export async function findSocketCalls(): Promise<SocketCalls | null> {
  found ??= find();
  return await found;
}

async function find(): Promise<SocketCalls | null> {
  const isKnown = process.arch === "x64" || process.arch === "arm64";
  if (process.platform !== "linux" || !isKnown || !isMainThread) return null;
  try {
    const { default: koffi } = await import("koffi");
    return callsBy(koffi);
  } catch {
    return null;
  }
}

function callsBy(koffi: Koffi): SocketCalls {
  const library = koffi.load(null);
  const call = (definition: string): Call => library.func(definition) as Call;
  const receive = call("long recv(int fd, int64_t to, size_t length, int flags)");
  const send = call("long send(int fd, const uint8_t *from, size_t length, int flags)");
  // The same function for memory whose address is known: nothing has to be looked up.
  const sendFrom = call("long send(int fd, int64_t from, size_t length, int flags)");
  const accept = call("int accept4(int fd, void *address, void *length, int flags)");
  const duplicate = call("int fcntl(int fd, int command, int least)");
  const shutdown = call("int shutdown(int fd, int how)");
  const createEpoll = call("int epoll_create1(int flags)");
  const wait = call("int epoll_wait(int epoll, int64_t events, int most, int timeout)");
  const sendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  return {
    errno: () => -koffi.errno(),
    receive: (fd, address, length) => receive(fd, address, length, MSG_DONTWAIT),
    send: (fd, bytes, length) => send(fd, bytes, length, sendFlags),
    sendFrom: (fd, address, length) => sendFrom(fd, address, length, sendFlags),
    listen: call("int listen(int fd, int backlog)"),
    accept: (fd) => accept(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC),
    duplicate: (fd) => duplicate(fd, F_DUPFD_CLOEXEC, 0),
    shutDownWriting: (fd) => shutdown(fd, SHUT_WR),
    close: call("int close(int fd)"),
    peerName: call("int getpeername(int fd, void *address, void *length)"),
    ownName: call("int getsockname(int fd, void *address, void *length)"),
    createEpoll: () => createEpoll(SOCK_CLOEXEC),
    controlEpoll: call("int epoll_ctl(int epoll, int how, int fd, int64_t event)"),
    lookAtEpoll: (epoll, events, most) => wait(epoll, events, most, 0),
    // `struct epoll_event` is packed on x86 alone.
    ...(process.arch === "x64" ? { eventWords: 3, dataAt: 1 } : { eventWords: 4, dataAt: 2 }),
    addressOf: (bytes) => Number(koffi.address(bytes)),
    watch: (fd, ready) => watch(koffi, fd, ready),
  };
}

/** What libuv uses must never be collected. */
const watched: unknown[] = [];

function watch(koffi: Koffi, fd: number, ready: () => void): boolean {
  const library = koffi.load(null);
  const call = (definition: string): Call => library.func(definition) as Call;
  const loop = (library.func("void *uv_default_loop()") as () => unknown)();
  const size = call("size_t uv_handle_size(int kind)")(POLL_HANDLE);
  const handle = Buffer.alloc(size);
  const type = koffi.pointer(koffi.proto("void", ["void *", "int", "int"]));
  const safely = (): void => {
    try {
      ready();
    } catch (error) {
      // C could do nothing with it.
      setImmediate(() => {
        throw error;
      });
    }
  };
  if (call("int uv_poll_init(void *loop, void *handle, int fd)")(loop, handle, fd) !== 0) {
    return false;
  }
  const callback = koffi.register(safely, type);
  watched.push(handle, callback);
  const start = library.func("uv_poll_start", "int", ["void *", "int", type]) as Call;
  if (start(handle, READABLE, callback) !== 0) return false;
  call("void uv_unref(void *handle)")(handle);
  return true;
}
