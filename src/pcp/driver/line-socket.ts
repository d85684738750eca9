import type { Socket } from "node:net";
import { fail, succeed, type Result } from "../../base/index.ts";

/**
 * Reads one line, of at most `bytesMax` bytes, within `timeoutMs`.
 *
 * Errors, as text: the line is too long, the other end closed or broke the connection, silence.
 */
export function readLine(
  socket: Socket,
  bytesMax: number,
  timeoutMs: number,
): Promise<Result<string, string>> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let lengthBytes = 0;
    const timer = setTimeout(() => end(fail("no answer in time")), timeoutMs);
    const end = (outcome: Result<string, string>): void => {
      clearTimeout(timer);
      socket.pause();
      socket.removeListener("data", onData);
      resolve(outcome);
    };
    const onData = (chunk: Buffer): void => {
      const newline = chunk.indexOf(0x0a);
      const part = newline === -1 ? chunk : chunk.subarray(0, newline);
      lengthBytes += part.length;
      if (lengthBytes > bytesMax) return end(fail(`a line is longer than ${bytesMax} bytes`));
      chunks.push(part);
      if (newline !== -1) end(succeed(Buffer.concat(chunks).toString("utf8")));
    };
    socket.on("data", onData);
    socket.once("error", (error) => end(fail(error.message)));
    socket.once("close", () => end(fail("the connection was closed")));
  });
}
