import { assert } from "../../base/index.ts";
import {
  EPOLL,
  streamError,
  type SocketCalls,
  type StreamHandle,
  type StreamHandles,
} from "../../os/index.ts";
import {
  handleOf,
  type AcceptedClient,
  type ByteSocket,
  type SocketEvents,
  type SocketIo,
  type SocketTarget,
} from "./byte-socket.ts";
import { EpollDoors } from "./epoll-doors.ts";
import { EpollPoller, READ_BYTES, type PolledSocket, type ReadMemory } from "./epoll-poller.ts";
import { EndingSocket } from "./ending-socket.ts";
import { connectHandle } from "./handle-connect.ts";
import { NO_NAME, readSocketName, type NamedAddress } from "./socket-name.ts";

/** As libuv numbers them. */
const EAGAIN = -11;
const EINTR = -4;
const ENOSPC = -28;
/** Before others have their turn. */
const READS_MAX = 16;
/** Below this the rest of a write is copied; above, the memory that it was read into is kept. */
const COPIED_BYTES_MAX = 16 * 1024;

let poller: EpollPoller | null = null;

/** Makes sockets by system calls alone. Connections are still opened by way of libuv. */
export function createEpollIo(calls: SocketCalls, handles: StreamHandles): SocketIo {
  const shared = { poller: (poller ??= new EpollPoller(calls)), handles };
  const doors = new EpollDoors(shared.poller, handles);
  return {
    listen: (door, backlog, accepted) => doors.open(door, backlog, accepted),
    close: (door) => doors.close(door),
    passable: (client) => (typeof client === "number" ? doors.handleFor(client) : client),
    kind: "epoll",
    accept: (accepted, _bytes, events) => EpollSocket.ofAccepted(shared, accepted, events),
    connect: (target, _bytes, events) => EpollSocket.connect(shared, target, events),
  };
}

interface Shared {
  readonly poller: EpollPoller;
  readonly handles: StreamHandles;
}

/** What is still to be written. */
interface Rest {
  readonly bytes: Buffer;
  /** Null: nobody else has these bytes. */
  readonly memory: ReadMemory | null;
}

class EpollSocket extends EndingSocket implements ByteSocket, PolledSocket {
  readonly #poller: EpollPoller;
  /** -1 before it is connected, and after it is closed. */
  #fd = -1;
  /** What the kernel tells of. */
  #mask = 0;
  /** Writes that the kernel has not taken wholly; also those before it was connected. */
  readonly #rests: Rest[] = [];
  #pauses = 0;
  /** Nothing is written behind what is left. */
  #isEnding = false;
  #remote: NamedAddress | null = null;

  private constructor(poller: EpollPoller, events: SocketEvents) {
    super(events);
    this.#poller = poller;
  }

  static ofAccepted(
    { poller }: Shared,
    accepted: AcceptedClient,
    events: SocketEvents,
  ): EpollSocket {
    const socket = new EpollSocket(poller, events);
    const fd = typeof accepted === "number" ? accepted : takeOver(poller, handleOf(accepted));
    socket.#attach(fd);
    return socket;
  }

  static connect(
    { poller, handles }: Shared,
    target: SocketTarget,
    events: SocketEvents,
  ): EpollSocket {
    const socket = new EpollSocket(poller, events);
    socket.giveUp = connectHandle(handles, target, (handle, error) =>
      socket.#connected(handle, error),
    );
    return socket;
  }

  get isBlocked(): boolean {
    return this.#rests.length > 0;
  }

  get remoteAddress(): string | null {
    return this.#remoteName().address;
  }

  get remotePort(): number | null {
    return this.#remoteName().port;
  }

  get localAddress(): string | null {
    return this.#fd < 0 ? null : readSocketName(this.#poller.calls.ownName, this.#fd).address;
  }

  write(bytes: Buffer, start = 0, end = bytes.length): void {
    if (this.isOver || start === end) return;
    if (this.#rests.length > 0 || this.#fd < 0) return this.#keep(bytes, start, end);
    const sent = this.#send(bytes, start, end);
    if (sent === end - start) return;
    if (sent < 0) return this.lostSoon(streamError("write", sent));
    this.#keep(bytes, start + sent, end);
    this.#poll();
  }

  pause(reason: number): void {
    // The kernel hears of it when it has something to tell.
    this.#pauses |= reason;
  }

  resume(reason: number): void {
    if (this.isOver || this.#pauses === 0) return;
    this.#pauses &= ~reason;
    if (this.#pauses === 0 && (this.#mask & EPOLL.in) === 0) this.#poll();
  }

  end(withinMs: number): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.#fd < 0) return this.close();
    this.closeWithin(withinMs);
    // Bytes that nobody read would make the kernel reset the connection, and what we wrote be lost.
    this.#pauses = 0;
    this.#isEnding = true;
    if (this.#rests.length === 0) this.#shutDown();
    this.#poll();
  }

  ready(mask: number): void {
    if (this.#rests.length > 0 && (mask & ~EPOLL.in) !== 0) this.#writeRests();
    if (this.#fd < 0 || (mask & ~EPOLL.out) === 0) return;
    if (this.#pauses === 0) this.#read();
    else this.#poll();
  }

  // ---- helpers ----------------------------------------------------------------------------

  #attach(fd: number): void {
    this.#fd = fd;
    this.#mask = EPOLL.in;
    if (!this.#poller.add(fd, this, EPOLL.in)) this.lostSoon(streamError("epoll_ctl", ENOSPC));
  }

  /** Tells the kernel what is wanted. */
  #poll(): void {
    if (this.#fd < 0) return;
    const wanted = (this.#pauses === 0 ? EPOLL.in : 0) | (this.#rests.length > 0 ? EPOLL.out : 0);
    const isNoted = this.#poller.change(this.#fd, this.#mask, wanted);
    this.#mask = wanted;
    if (!isNoted) this.lostSoon(streamError("epoll_ctl", ENOSPC));
  }

  #connected(handle: StreamHandle | null, error: Error | null): void {
    this.giveUp = null;
    if (handle === null) return this.lost(error);
    const fd = takeOver(this.#poller, handle);
    const hasEarly = this.#rests.length > 0;
    this.#attach(fd);
    this.events.connected();
    if (hasEarly) this.#writeRests();
  }

  #read(): void {
    for (let count = 0; count < READS_MAX; count += 1) {
      const got = this.#poller.read(this.#fd);
      if (typeof got === "number") return this.#readEnded(got);
      if (!this.isOver) this.events.received(got);
      // There is more only when all the room was needed.
      if (got.length < READ_BYTES || this.#pauses !== 0 || this.#fd < 0) return;
    }
  }

  /** @param error 0 at the end. */
  #readEnded(error: number): void {
    if (error === EAGAIN || error === EINTR) return;
    this.lost(error === 0 ? null : streamError("read", error));
  }

  /** @returns how many bytes the kernel took, or an error. */
  #send(bytes: Buffer, start: number, end: number): number {
    const { calls, memory, view } = this.#poller;
    const fd = this.#fd;
    const lengthBytes = end - start;
    const sent =
      bytes === view
        ? calls.sendFrom(fd, memory.address + start, lengthBytes)
        : calls.send(fd, start === 0 ? bytes : bytes.subarray(start, end), lengthBytes);
    if (sent >= 0) return sent;
    const error = calls.errno();
    return error === EAGAIN || error === EINTR ? 0 : error;
  }

  /** The bytes may change as soon as this returns, unless all that was read is kept. */
  #keep(bytes: Buffer, start: number, end: number): void {
    const isRead = bytes === this.#poller.view;
    if (isRead && end - start > COPIED_BYTES_MAX) {
      this.#rests.push({ bytes: bytes.subarray(start, end), memory: this.#poller.keepMemory() });
    } else {
      this.#rests.push({ bytes: Buffer.from(bytes.subarray(start, end)), memory: null });
    }
  }

  #writeRests(): void {
    const rests = this.#rests;
    while (rests.length > 0) {
      const { bytes, memory } = rests[0] as Rest;
      const sent = this.#send(bytes, 0, bytes.length);
      if (sent < 0) return this.lost(streamError("write", sent));
      if (sent < bytes.length) {
        rests[0] = { bytes: bytes.subarray(sent), memory };
        return this.#poll();
      }
      if (memory !== null) this.#poller.giveBack(memory);
      rests.shift();
    }
    if (this.#isEnding) this.#shutDown();
    this.#poll();
    if (!this.isOver) this.events.drained();
  }

  /** What follows is the other side's end. */
  #shutDown(): void {
    if (this.#poller.calls.shutDownWriting(this.#fd) < 0) this.close();
  }

  protected override letGo(): void {
    for (const { memory } of this.#rests) if (memory !== null) this.#poller.giveBack(memory);
    this.#rests.length = 0;
    if (this.#fd < 0) return;
    this.#poller.forget(this.#fd);
    this.#poller.calls.close(this.#fd);
    this.#fd = -1;
  }

  #remoteName(): NamedAddress {
    if (this.#remote !== null) return this.#remote;
    if (this.#fd < 0) return NO_NAME;
    this.#remote = readSocketName(this.#poller.calls.peerName, this.#fd);
    return this.#remote;
  }
}

/** The connection of a stream of libuv, which libuv knows no more of. */
function takeOver({ calls }: EpollPoller, handle: StreamHandle): number {
  const fd = calls.duplicate(handle.fd);
  assert(fd >= 0, "an open connection has a descriptor");
  handle.close();
  return fd;
}
