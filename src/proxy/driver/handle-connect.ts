import { lookup } from "node:dns";
import { isIP } from "node:net";
import { joinErrors, KEEP_ALIVE_AFTER_MS, socketFile, type SocketTarget } from "./byte-socket.ts";
import {
  streamError,
  type StreamHandle,
  type StreamHandles,
  type StreamRequest,
} from "../../os/index.ts";

/** A further address is tried when one has not answered for so long, as `net` does. */
const ATTEMPT_WITHIN_MS = 250;
const ADDRESSES_MAX = 16;
/** As libuv numbers it. */
const ETIMEDOUT = -110;

type Done = (handle: StreamHandle | null, error: Error | null) => void;

interface Address {
  readonly address: string;
  readonly family: number;
}

/**
 * Connects to one address after the other until one answers. `done` is called once, and never from
 * within the call.
 *
 * @returns gives up: `done` is not called any more.
 */
export function connectHandle(
  handles: StreamHandles,
  target: SocketTarget,
  done: Done,
): () => void {
  const attempt = new ConnectAttempt(handles, target.port, done);
  const path = socketFile(target);
  const hostname = target.hostname || "127.0.0.1";
  const family = isIP(hostname);
  if (path !== null) attempt.toFile(path);
  else if (family !== 0) attempt.toAddresses([{ address: hostname, family }]);
  else {
    lookup(hostname, { all: true }, (error, addresses) => {
      if (error === null) attempt.toAddresses(addresses.slice(0, ADDRESSES_MAX));
      else attempt.finish(null, error);
    });
  }
  return () => attempt.giveUp();
}

class ConnectAttempt {
  readonly #handles: StreamHandles;
  readonly #port: number;
  readonly #failures: Error[] = [];
  #done: Done | null;
  /** The one that is trying now. */
  #handle: StreamHandle | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(handles: StreamHandles, port: number, done: Done) {
    this.#handles = handles;
    this.#port = port;
    this.#done = done;
  }

  toFile(path: string): void {
    const handle = this.#handles.newPipe();
    const request = this.#begin(handle, this.#handles.newPipeConnect(), path, () =>
      this.finish(null, this.#failures[0] ?? null),
    );
    const status = handle.connect(request, path);
    if (status !== undefined && status !== 0) this.#completeSoon(request, status);
  }

  toAddresses(addresses: readonly Address[]): void {
    if (this.#done === null) return;
    const [first, ...others] = addresses;
    if (first === undefined) return this.finish(null, joinErrors(this.#failures));
    const { address, family } = first;
    const port = this.#port;
    const handle = this.#handles.newTcp();
    handle.setNoDelay(true);
    handle.setKeepAlive(true, KEEP_ALIVE_AFTER_MS / 1000);
    const where = family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
    const next = (): void => this.toAddresses(others);
    const request = this.#begin(handle, this.#handles.newTcpConnect(), where, next);
    const status =
      family === 6
        ? handle.connect6(request, address, port)
        : handle.connect(request, address, port);
    if (status !== 0) this.#completeSoon(request, status);
    else if (others.length > 0) {
      const expire = (): void => request.oncomplete?.(ETIMEDOUT);
      this.#timer = setTimeout(expire, ATTEMPT_WITHIN_MS);
    }
  }

  finish(handle: StreamHandle | null, error: Error | null): void {
    const done = this.#done;
    this.#done = null;
    done?.(handle, error);
  }

  giveUp(): void {
    this.#done = null;
    this.#clearTimer();
    this.#handle?.close();
    this.#handle = null;
  }

  /** @param next what follows when this one fails. */
  #begin(
    handle: StreamHandle,
    request: StreamRequest,
    where: string,
    next: () => void,
  ): StreamRequest {
    this.#handle = handle;
    request.oncomplete = (status) => {
      // Closed by us, it ends once more: with ECANCELED.
      if (this.#handle !== handle) return;
      this.#handle = null;
      this.#clearTimer();
      if (status === 0) return this.finish(handle, null);
      handle.close();
      this.#failures.push(streamError("connect", status, where));
      next();
    };
    return request;
  }

  #completeSoon(request: StreamRequest, status: number): void {
    process.nextTick(() => request.oncomplete?.(status));
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
