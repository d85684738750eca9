import { assert } from "../../base/index.ts";
import { EPOLL_CTL, type SocketCalls } from "../../os/index.ts";

/** Who wants to know that something happened on a descriptor. */
export interface PolledSocket {
  /** @param mask of EPOLL. */
  ready(mask: number): void;
}

const EVENTS_MAX = 512;
/** As many rounds before others of the event loop have their turn. */
const ROUNDS_MAX = 8;
export const READ_BYTES = 64 * 1024;
/** Messages of up to this length get the same view again. */
const VIEWS_MAX = 2048;

/** Memory that sockets read into, one after the other. */
export interface ReadMemory {
  readonly bytes: Buffer;
  readonly address: number;
  /** By length, as far as they were needed. */
  readonly views: Buffer[];
}

/**
 * Asks the kernel which sockets are ready, and tells them. All of them read into one piece of memory,
 * which so stays in the processor's cache; whoever has to keep it gets it, and another takes its place.
 */
export class EpollPoller {
  readonly calls: SocketCalls;
  readonly #epoll: number;
  readonly #events: Int32Array;
  readonly #eventsAddress: number;
  readonly #event: Int32Array;
  readonly #eventAddress: number;
  /** By descriptor. */
  readonly #sockets: (PolledSocket | null)[] = [];
  /** Counted up with every socket that comes: an event may be older than the socket it finds. */
  readonly #serials: number[] = [];
  #serial = 0;
  readonly #spare: ReadMemory[] = [];
  /** What is read into now. */
  memory: ReadMemory;
  /** What was read last, which lies at the beginning of `memory`; null once that is another. */
  view: Buffer | null = null;

  constructor(calls: SocketCalls) {
    this.calls = calls;
    this.#events = wordsOutside(EVENTS_MAX * calls.eventWords);
    this.#eventsAddress = calls.addressOf(this.#events);
    this.#event = wordsOutside(calls.eventWords);
    this.#eventAddress = calls.addressOf(this.#event);
    this.memory = this.#newMemory();
    this.#epoll = calls.createEpoll();
    assert(this.#epoll >= 0, "the kernel gives an epoll");
    const isWatched = calls.watch(this.#epoll, () => this.#look());
    assert(isWatched, "libuv watches an epoll");
  }

  /** From now on it is told of these. @returns false when the kernel has no room for it. */
  add(fd: number, socket: PolledSocket, mask: number): boolean {
    this.#serial = (this.#serial + 1) | 0;
    this.#sockets[fd] = socket;
    this.#serials[fd] = this.#serial;
    return this.#control(EPOLL_CTL.add, fd, mask);
  }

  /** A mask of 0 stands for nothing. @returns as `add`. */
  change(fd: number, from: number, to: number): boolean {
    if (from === to) return true;
    const how = from === 0 ? EPOLL_CTL.add : to === 0 ? EPOLL_CTL.remove : EPOLL_CTL.modify;
    return this.#control(how, fd, to);
  }

  /** @returns the bytes, or 0 at the end, or an error. */
  read(fd: number): Buffer | number {
    const { memory, calls } = this;
    const length = calls.receive(fd, memory.address, memory.bytes.length);
    if (length <= 0) return length === 0 ? 0 : calls.errno();
    // Most messages have the length of another before.
    const view =
      length > VIEWS_MAX
        ? memory.bytes.subarray(0, length)
        : (memory.views[length] ??= memory.bytes.subarray(0, length));
    this.view = view;
    return view;
  }

  /** It is about to be closed; unless it is open elsewhere, that ends what the kernel has noted. */
  forget(fd: number): void {
    this.#sockets[fd] = null;
  }

  /** What was read is still to be written: nobody reads into this memory until it is given back. */
  keepMemory(): ReadMemory {
    const kept = this.memory;
    this.view = null;
    this.memory = this.#spare.pop() ?? this.#newMemory();
    return kept;
  }

  giveBack(memory: ReadMemory): void {
    if (this.#spare.length === 0) this.#spare.push(memory);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #look(): void {
    const { calls } = this;
    const { eventWords, dataAt } = calls;
    const events = this.#events;
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const count = calls.lookAtEpoll(this.#epoll, this.#eventsAddress, EVENTS_MAX);
      for (let i = 0; i < count; i += 1) {
        const at = i * eventWords;
        const fd = events[at + dataAt] as number;
        if (this.#serials[fd] !== events[at + dataAt + 1]) continue;
        this.#sockets[fd]?.ready(events[at] as number);
      }
      // A few more have hardly come meanwhile.
      if (count < 2) return;
    }
  }

  #control(how: number, fd: number, mask: number): boolean {
    const event = this.#event;
    const { dataAt } = this.calls;
    event[0] = mask;
    event[dataAt] = fd;
    event[dataAt + 1] = this.#serials[fd] as number;
    return this.calls.controlEpoll(this.#epoll, how, fd, this.#eventAddress) === 0;
  }

  #newMemory(): ReadMemory {
    const bytes = Buffer.allocUnsafeSlow(READ_BYTES);
    return { bytes, address: this.calls.addressOf(bytes), views: [] };
  }
}

/** V8 never moves memory that is given to it; what it makes itself may lie in its own heap. */
function wordsOutside(count: number): Int32Array {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(Math.max(4096, count * 4));
  return new Int32Array(buffer, byteOffset, count);
}
