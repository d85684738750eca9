import { connect, type Socket } from "node:net";
import { pcpMd5Response, pcpStoredHash } from "../../auth/index.ts";
import type { Secret } from "../../base/index.ts";
import { fail, succeed, type Result } from "../../base/index.ts";
import { systemErrorText } from "../../os/index.ts";
import type { PcpFrame, PcpRequest } from "../../wire/pcp/index.ts";
import { decodeError, encodeRequest, PcpFramer, REPLY_LENGTH_MAX } from "../../wire/pcp/index.ts";
import { DEFAULT_SOCKET_DIRECTORY } from "./passfile.ts";

export interface PcpAddress {
  /** Empty or a path: a Unix socket. */
  readonly host: string;
  readonly port: number;
}

/** A client's end of a PCP connection. Every failure is the text that the person is shown. */
export class PcpSession {
  readonly #socket: Socket;
  readonly #trace: (line: string) => void;
  readonly #framer = new PcpFramer(REPLY_LENGTH_MAX);
  readonly #frames: PcpFrame[] = [];
  #isLoggedIn = false;
  #problem: string | null = null;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, trace: (line: string) => void) {
    this.#socket = socket;
    this.#trace = trace;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", (error) => this.#end(`ERROR: ${systemErrorText(error)}`));
    socket.on("close", () => this.#end("ERROR: the server closed the connection"));
  }

  static async open(
    address: PcpAddress,
    trace: (line: string) => void,
  ): Promise<Result<PcpSession, string>> {
    const isLocal = address.host === "" || address.host.startsWith("/");
    const directory = address.host === "" ? DEFAULT_SOCKET_DIRECTORY : address.host;
    const path = `${directory}/.s.PGSQL.${address.port}`;
    const where = isLocal ? `socket "${path}"` : `host "${address.host}"`;
    return new Promise((resolve) => {
      const socket = isLocal ? connect(path) : connect(address.port, address.host);
      socket.once("connect", () => {
        socket.removeAllListeners("error");
        resolve(succeed(new PcpSession(socket, trace)));
      });
      socket.once("error", (error) => {
        const why = systemErrorText(error);
        resolve(fail(`ERROR: connection to ${where} failed with error "${why}"`));
      });
    });
  }

  /** Proves the password; the server closes when it is wrong. */
  async login(user: string, password: Secret): Promise<Result<void, string>> {
    this.#send({ type: "salt" });
    const salt = await this.receive();
    if (!salt.ok) return salt;
    if (salt.value.type !== "m" || salt.value.payload.length !== 4) {
      return fail("ERROR: the server does not speak PCP");
    }
    const response = pcpMd5Response(pcpStoredHash(password), user, salt.value.payload);
    this.#send({ type: "authenticate", user, response });
    const verdict = await this.receive();
    this.#isLoggedIn = verdict.ok;
    return verdict.ok ? succeed(undefined) : verdict;
  }

  ask(request: PcpRequest): void {
    this.#traceSent(request);
    this.#send(request);
  }

  /** The next packet that is no notice. An error packet comes back as its text. */
  async receive(): Promise<Result<PcpFrame, string>> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame === undefined) {
        if (this.#problem !== null) return fail(this.#problem);
        await new Promise<void>((resolve) => (this.#wake = resolve));
      } else if (frame.type === "E") {
        return fail(errorText(frame.payload));
      } else if (frame.type !== "N") {
        return succeed(frame);
      }
    }
  }

  close(): void {
    if (this.#isLoggedIn && this.#socket.writable) this.ask({ type: "disconnect" });
    this.#socket.destroySoon();
  }

  #send(request: PcpRequest): void {
    this.#socket.write(encodeRequest(request));
  }

  /** The login is not traced, as in Pgpool-II: a proof of a password belongs in no log. */
  #traceSent(request: PcpRequest): void {
    const bytes = encodeRequest(request);
    this.#trace(traceLine("send", String.fromCharCode(bytes.readUInt8(0)), bytes.length - 1));
  }

  #onData(chunk: Buffer): void {
    const frames = this.#framer.push(chunk);
    if (!frames.ok) {
      this.#socket.destroy();
      this.#end("ERROR: the server does not speak PCP");
      return;
    }
    for (const frame of frames.value) {
      this.#trace(traceLine("recv", frame.type, frame.payload.length + 4));
      this.#frames.push(frame);
    }
    this.#wake();
  }

  #end(problem: string): void {
    this.#problem ??= problem;
    this.#wake();
  }
}

function traceLine(direction: "send" | "recv", type: string, length: number): string {
  return `DEBUG: ${direction}: tos="${type}", len=${length}\n`;
}

/** As Pgpool-II's clients print it, a blank line included. */
function errorText(payload: Buffer): string {
  const { severity, message, detail, hint } = decodeError(payload);
  const detailLine = detail === null ? "" : `DETAIL:  ${detail}\n`;
  const hintLine = hint === null ? "" : `HINT:  ${hint}\n`;
  return `${severity}:  ${message}\n${detailLine}${hintLine}`;
}
