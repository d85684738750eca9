import type { SocketEvents } from "./byte-socket.ts";

/**
 * How a socket ends whose connection we hold ourselves: what it holds is given back once, and its
 * end is told once, never from within a call, and not at all when nobody wants to hear of it.
 */
export abstract class EndingSocket {
  protected readonly events: SocketEvents;
  /** Nobody wants to hear of it any more. */
  protected isOver = false;
  /** Ends the attempt to connect that is under way. */
  protected giveUp: (() => void) | null = null;
  #endTimer: NodeJS.Timeout | null = null;

  protected constructor(events: SocketEvents) {
    this.events = events;
  }

  destroy(): void {
    this.isOver = true;
    this.close();
  }

  /** Gives back what it holds, if that was not done yet. */
  protected abstract letGo(): void;

  /** What is left to be written has so much time. */
  protected closeWithin(ms: number): void {
    this.#endTimer = setTimeout(() => this.close(), ms);
  }

  /** A write found that it is gone: closed now, told when whoever wrote is done. */
  protected lostSoon(cause: Error): void {
    this.close();
    process.nextTick(() => this.lost(cause));
  }

  protected lost(cause: Error | null): void {
    this.close();
    if (this.isOver) return;
    this.isOver = true;
    this.events.closed(cause);
  }

  protected close(): void {
    this.giveUp?.();
    this.giveUp = null;
    if (this.#endTimer !== null) clearTimeout(this.#endTimer);
    this.#endTimer = null;
    this.letGo();
  }
}
