import { userInfo } from "node:os";
import { fail, succeed, type Result } from "../../base/index.ts";
import { EXIT_FAILED, type AskFailure } from "./ask-node.ts";

/** Tells it on standard error, and the exit code to whoever started us. */
export function complain({ text, exitCode }: AskFailure): void {
  process.stderr.write(`pgquorum: ${text}`);
  process.exitCode = exitCode;
}

/** Something that the user wrote wrong. */
export function mistake(text: string): AskFailure {
  return { text: `${text}\n`, exitCode: EXIT_FAILED };
}

/** @param what the thing that the number is for, at the beginning of a sentence. */
export function wholeNumber(text: string, what: string, max: number): Result<number, AskFailure> {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return succeed(value);
  return fail(mistake(`${what} must be a whole number up to ${max}, not "${text}"`));
}

/** Who runs this program; a user whom the system does not know by name is told by number. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.() ?? "?"}`;
  }
}

/** For the history. */
export function askedBy(command: string): string {
  return `${userName()} by pgquorum ${command}`;
}
