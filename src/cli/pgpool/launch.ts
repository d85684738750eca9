import { fork } from "node:child_process";
import { fail, succeed, type Result } from "../../base/index.ts";
import type { ToLauncher } from "../../wire/ipc/index.ts";

/** Set in the environment of a node that a launcher waits for. */
export const LAUNCHED = "PGQUORUM_LAUNCHED";

/** A node that listens does so within a second or two; on a busy machine later. */
const START_TIMEOUT_MS = 60_000;

/**
 * Starts the node in the background: a session of its own, no terminal, `/` as its directory.
 * Resolves when it serves.
 *
 * @param program the program to start, with the arguments of a foreground start.
 * Errors: what the node said before it gave up, or that it ended or hung without a word.
 */
export function launchNode(
  program: string,
  args: readonly string[],
): Promise<Result<void, string>> {
  const child = fork(program, args, {
    detached: true,
    cwd: "/",
    env: { ...process.env, [LAUNCHED]: "1" },
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      end(
        fail(
          `the node (pid ${child.pid}) has not said within ${START_TIMEOUT_MS / 1000} s that it serves; see its log`,
        ),
      );
    }, START_TIMEOUT_MS);
    const end = (outcome: Result<void, string>): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      if (child.connected) child.disconnect();
      child.unref();
      resolve(outcome);
    };
    child.once("error", (error) => end(fail(`could not start the node: ${error.message}`)));
    child.once("exit", (code, signal) => {
      const how = signal === null ? `exit code ${code}` : signal;
      end(fail(`the node ended at once (${how}); start it with -n to see its log`));
    });
    child.on("message", (message: ToLauncher) => {
      if (message.type === "started") end(succeed(undefined));
      if (message.type === "failed") end(fail(message.message));
    });
  });
}

/** Tells the launcher, if one waits, how the start went; then the channel is of no more use. */
export async function tellLauncher(message: ToLauncher): Promise<void> {
  if (process.env[LAUNCHED] === undefined || !process.connected) return;
  await new Promise<void>((resolve) => {
    process.send?.(message, () => resolve());
  });
  if (process.connected) process.disconnect();
}
