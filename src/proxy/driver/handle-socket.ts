import {
  handleOf,
  LISTENING,
  type AcceptedClient,
  type ByteSocket,
  type SocketEvents,
  type SocketIo,
  type SocketTarget,
} from "./byte-socket.ts";
import { EndingSocket } from "./ending-socket.ts";
import { connectHandle } from "./handle-connect.ts";
import { ReadSlabs, type ReadSlot } from "./read-slabs.ts";
import {
  streamError,
  type SocketName,
  type StreamHandle,
  type StreamHandles,
  type StreamRequest,
} from "../../os/index.ts";

/** What the sockets of a process share. */
interface Shared {
  readonly handles: StreamHandles;
  /** By size. */
  readonly slabs: Map<number, ReadSlabs>;
  /** Used for every write; one that does not finish at once keeps it, and the next gets a new one. */
  spareWrite: StreamRequest;
}

/** Makes sockets right above libuv's streams: no object, event or copy for a read or a write. */
export function createHandleIo(handles: StreamHandles): SocketIo {
  const shared: Shared = { handles, slabs: new Map(), spareWrite: handles.newWrite() };
  return {
    ...LISTENING,
    kind: "handle",
    accept: (accepted, bytes, events) => HandleSocket.ofAccepted(shared, accepted, bytes, events),
    connect: (target, bytes, events) => HandleSocket.connect(shared, target, bytes, events),
  };
}

/** As libuv numbers the end of a stream. */
const EOF = -4095;

// What libuv calls, with the handle or the request as `this`.
let onRead: (this: StreamHandle) => void;
let onWritten: (this: StreamRequest, status: number) => void;
let onShutDown: (this: StreamRequest, status: number) => void;

class HandleSocket extends EndingSocket implements ByteSocket {
  readonly #shared: Shared;
  /** Null before it is connected, and after it is closed. */
  #handle: StreamHandle | null = null;
  /** Given back with the handle. */
  #slot: ReadSlot | null;
  /** What was read last: messages often have the length of the one before. */
  #view: Buffer;
  /** Writes that the kernel has not taken wholly. */
  #writesOpen = 0;
  #pauses = 0;
  /** Written before it was connected; null once it is. */
  #early: Buffer[] | null = null;
  #remote: SocketName | null = null;

  private constructor(shared: Shared, readBufferBytes: number, events: SocketEvents) {
    super(events);
    this.#shared = shared;
    this.#slot = slabsOf(shared, readBufferBytes).take();
    this.#view = this.#slot.view;
  }

  static ofAccepted(
    shared: Shared,
    accepted: AcceptedClient,
    readBufferBytes: number,
    events: SocketEvents,
  ): HandleSocket {
    const socket = new HandleSocket(shared, readBufferBytes, events);
    socket.#attach(handleOf(accepted));
    return socket;
  }

  static connect(
    shared: Shared,
    target: SocketTarget,
    readBufferBytes: number,
    events: SocketEvents,
  ): HandleSocket {
    const socket = new HandleSocket(shared, readBufferBytes, events);
    socket.#early = [];
    socket.giveUp = connectHandle(shared.handles, target, (handle, error) =>
      socket.#connected(handle, error),
    );
    return socket;
  }

  get isBlocked(): boolean {
    return this.#writesOpen > 0;
  }

  get remoteAddress(): string | null {
    return this.#remoteName().address ?? null;
  }

  get remotePort(): number | null {
    return this.#remoteName().port ?? null;
  }

  get localAddress(): string | null {
    const name: SocketName = {};
    this.#handle?.getsockname?.(name);
    return name.address ?? null;
  }

  write(bytes: Buffer, start = 0, end = bytes.length): void {
    if (this.isOver || start === end) return;
    this.#write(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  }

  pause(reason: number): void {
    if (this.isOver) return;
    if (this.#pauses === 0) this.#handle?.readStop();
    this.#pauses |= reason;
  }

  resume(reason: number): void {
    if (this.isOver || this.#pauses === 0) return;
    this.#pauses &= ~reason;
    if (this.#pauses === 0) this.#handle?.readStart();
  }

  end(withinMs: number): void {
    if (this.isOver) return;
    this.isOver = true;
    const handle = this.#handle;
    if (handle === null) return this.close();
    this.closeWithin(withinMs);
    // Bytes that nobody read would make the kernel reset the connection, and what we wrote be lost.
    if (this.#pauses > 0) handle.readStart();
    const request = this.#shared.handles.newShutdown();
    request.owner = this;
    request.oncomplete = onShutDown;
    if (handle.shutdown(request) !== 0) this.close();
  }

  static {
    onRead = function (this: StreamHandle): void {
      const socket = this.owner as HandleSocket | null;
      if (socket === null) return;
      const { state, readAt } = socket.#shared.handles;
      socket.#read(state[readAt] as number);
    };
    onWritten = function (this: StreamRequest, status: number): void {
      (this.owner as HandleSocket).#written(this, status);
    };
    onShutDown = function (this: StreamRequest, status: number): void {
      const socket = this.owner as HandleSocket;
      this.owner = null;
      // What follows is the other side's end.
      if (status < 0) socket.close();
    };
  }

  // ---- helpers ----------------------------------------------------------------------------

  #attach(handle: StreamHandle): void {
    this.#handle = handle;
    handle.owner = this;
    handle.onread = onRead;
    handle.useUserBuffer((this.#slot as ReadSlot).view);
    if (this.#pauses === 0) handle.readStart();
  }

  #connected(handle: StreamHandle | null, error: Error | null): void {
    this.giveUp = null;
    if (handle === null) return this.lost(error);
    const early = this.#early ?? [];
    this.#early = null;
    this.#attach(handle);
    for (const bytes of early) this.#write(bytes);
    this.events.connected();
    for (const _ of early) this.#writeEnded();
  }

  #read(bytesOrError: number): void {
    if (bytesOrError > 0) {
      if (this.isOver) return;
      if (this.#view.length !== bytesOrError) {
        this.#view = (this.#slot as ReadSlot).view.subarray(0, bytesOrError);
      }
      this.events.received(this.#view);
    } else if (bytesOrError < 0) {
      this.lost(bytesOrError === EOF ? null : streamError("read", bytesOrError));
    }
  }

  #write(bytes: Buffer): void {
    const shared = this.#shared;
    if (this.#handle === null) {
      if (this.#early === null) return;
      this.#early.push(bytes);
      this.#writesOpen += 1;
      return;
    }
    const { handles, spareWrite: request } = shared;
    const status = this.#handle.writeBuffer(request, bytes);
    if (status !== 0) return this.lostSoon(streamError("write", status));
    if (handles.state[handles.isAsyncAt] === 0) return;
    shared.spareWrite = handles.newWrite();
    this.#writesOpen += 1;
    request.owner = this;
    request.bytes = bytes;
    request.pinned = pin(shared, bytes);
    request.oncomplete = onWritten;
  }

  #written(request: StreamRequest, status: number): void {
    (request.pinned as ReadSlot | null)?.release();
    request.owner = null;
    if (status < 0 && this.#handle !== null) return this.lost(streamError("write", status));
    this.#writeEnded();
  }

  #writeEnded(): void {
    this.#writesOpen -= 1;
    if (this.#writesOpen === 0 && !this.isOver) this.events.drained();
  }

  protected override letGo(): void {
    this.#early = null;
    if (this.#handle !== null) {
      // Garbage collection gets to handles late: what they refer to must not wait for that.
      this.#handle.owner = null;
      this.#handle.close();
      this.#handle = null;
    }
    this.#slot?.release();
    this.#slot = null;
  }

  #remoteName(): SocketName {
    if (this.#remote !== null) return this.#remote;
    const name: SocketName = {};
    if (this.#handle?.getpeername?.(name) === 0) this.#remote = name;
    return name;
  }
}

function slabsOf(shared: Shared, slotBytes: number): ReadSlabs {
  let slabs = shared.slabs.get(slotBytes);
  if (slabs === undefined) {
    slabs = new ReadSlabs(slotBytes);
    shared.slabs.set(slotBytes, slabs);
  }
  return slabs;
}

/** Keeps a read buffer from being used again while a write of its bytes goes on. */
function pin(shared: Shared, bytes: Buffer): ReadSlot | null {
  for (const slabs of shared.slabs.values()) {
    const slot = slabs.slotOf(bytes);
    if (slot !== null) return slot.use();
  }
  return null;
}
