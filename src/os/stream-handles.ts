/**
 * What lies below `net.Socket`: libuv's streams as Node shows them to its own library. No part of
 * Node's documented interface, so what is found is looked at here, and tried out before bytes go that
 * way (`proxy/driver/socket-io.ts`); without it `net.Socket` does the same for a higher price.
 */
import { getSystemErrorName } from "node:util";

/** An open connection. A negative number that comes back is an error of libuv. */
export interface StreamHandle {
  /** The file descriptor. */
  readonly fd: number;
  /** Called when something was read, or with an error; the count is in `StreamHandles.state`. */
  onread: () => void;
  /** Reads go into this memory from now on. */
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: StreamRequest, bytes: Uint8Array): number;
  shutdown(request: StreamRequest): number;
  close(): void;
  /** Makes it the stream of a connection that is there already. */
  open(fd: number): number;
  /** Absent from Unix sockets. */
  getpeername?(out: SocketName): number;
  getsockname?(out: SocketName): number;
  /** Ours: whose it is. */
  owner?: unknown;
}

export interface TcpHandle extends StreamHandle {
  setNoDelay(isOn: boolean): number;
  setKeepAlive(isOn: boolean, afterSeconds: number): number;
  connect(request: StreamRequest, address: string, port: number): number;
  connect6(request: StreamRequest, address: string, port: number): number;
}

export interface PipeHandle extends StreamHandle {
  connect(request: StreamRequest, path: string): number | undefined;
}

/** A socket that others connect to. */
export interface ServerHandle {
  readonly fd: number;
  /** @param client null: an accept failed, as for want of descriptors. */
  onconnection: (status: number, client: StreamHandle | null | undefined) => void;
  listen(backlog: number): number;
  close(): void;
}

export interface TcpServerHandle extends ServerHandle {
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
  getsockname(out: SocketName): number;
  setNoDelay(isOn: boolean): number;
  setKeepAlive(isOn: boolean, afterSeconds: number): number;
}

export interface PipeServerHandle extends ServerHandle {
  bind(path: string): number;
}

/** Something under way in the kernel. */
export interface StreamRequest {
  oncomplete: ((status: number) => void) | null;
  /** Ours: whose it is. */
  owner?: unknown;
  /** Ours: what must live until it is complete. */
  bytes?: Uint8Array;
  pinned?: unknown;
}

export interface SocketName {
  address?: string;
  port?: number;
}

interface Constants {
  readonly SOCKET: number;
  readonly SERVER: number;
}

export interface StreamHandles {
  /** What the last call left: read or error at `readAt`, whether a write goes on at `isAsyncAt`. */
  readonly state: Int32Array;
  readonly readAt: number;
  readonly isAsyncAt: number;
  readonly newWrite: () => StreamRequest;
  readonly newShutdown: () => StreamRequest;
  readonly newTcp: () => TcpHandle;
  readonly newTcpServer: () => TcpServerHandle;
  readonly newTcpConnect: () => StreamRequest;
  readonly newPipe: () => PipeHandle;
  readonly newPipeServer: () => PipeServerHandle;
  readonly newPipeConnect: () => StreamRequest;
}

interface StreamBinding {
  readonly streamBaseState: unknown;
  readonly kReadBytesOrError: unknown;
  readonly kLastWriteWasAsync: unknown;
  readonly WriteWrap: new () => StreamRequest;
  readonly ShutdownWrap: new () => StreamRequest;
}

interface TcpBinding {
  readonly TCP: new (kind: number) => TcpHandle;
  readonly TCPConnectWrap: new () => StreamRequest;
  readonly constants: Constants;
}

interface PipeBinding {
  readonly Pipe: new (kind: number) => PipeHandle;
  readonly PipeConnectWrap: new () => StreamRequest;
  readonly constants: Constants;
}

/** Null: this Node does not show its streams, or not as they are known here. */
export function findStreamHandles(): StreamHandles | null {
  try {
    const stream = binding("stream_wrap") as StreamBinding;
    const tcp = binding("tcp_wrap") as TcpBinding;
    const pipe = binding("pipe_wrap") as PipeBinding;
    const { streamBaseState: state, kReadBytesOrError, kLastWriteWasAsync } = stream;
    if (!(state instanceof Int32Array)) return null;
    if (typeof kReadBytesOrError !== "number" || typeof kLastWriteWasAsync !== "number")
      return null;
    const TcpServer = tcp.TCP as unknown as new (kind: number) => TcpServerHandle;
    const PipeServer = pipe.Pipe as unknown as new (kind: number) => PipeServerHandle;
    return {
      state,
      readAt: kReadBytesOrError,
      isAsyncAt: kLastWriteWasAsync,
      newWrite: () => new stream.WriteWrap(),
      newShutdown: () => new stream.ShutdownWrap(),
      newTcp: () => new tcp.TCP(tcp.constants.SOCKET),
      newTcpServer: () => new TcpServer(tcp.constants.SERVER),
      newTcpConnect: () => new tcp.TCPConnectWrap(),
      newPipe: () => new pipe.Pipe(pipe.constants.SOCKET),
      newPipeServer: () => new PipeServer(pipe.constants.SERVER),
      newPipeConnect: () => new pipe.PipeConnectWrap(),
    };
  } catch {
    return null;
  }
}

/** Node would warn of it with `--pending-deprecation`; whoever runs us can do nothing about it. */
function binding(name: string): unknown {
  const { binding: find } = process as unknown as { binding: (name: string) => unknown };
  const before = process.noDeprecation;
  Object.assign(process, { noDeprecation: true });
  try {
    return find.call(process, name);
  } finally {
    Object.assign(process, { noDeprecation: before });
  }
}

/** An error as `net` words it, such as `connect ECONNREFUSED 127.0.0.1:5432`. */
export function streamError(call: string, status: number, where?: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  const error = new Error(`${call} ${code}${where === undefined ? "" : ` ${where}`}`);
  return Object.assign(error, { code, errno: status, syscall: call });
}
