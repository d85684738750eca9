import { fork } from "node:child_process";
import { fail, succeed, type Result } from "../../base/index.ts";
import type { ToLauncher } from "../../wire/ipc/index.ts";

/** Set in the environment of a node that a launcher waits for. */
export const LAUNCHED = "PGQUORUM_LAUNCHED";

/** A node that listens does so within a second or two; on a busy machine later. */
const START_TIMEOUT_MS = 60_000;
/** How long a node that has said why it gives up may take to clean up behind itself. */
const CLEAN_UP_TIMEOUT_MS = 5000;

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
    let outcome: Result<void, string> = fail(
      `the node (pid ${child.pid}) has not said within ${START_TIMEOUT_MS / 1000} s that it serves; see its log`,
    );
    const end = (): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      if (child.connected) child.disconnect();
      child.unref();
      resolve(outcome);
    };
    let timer = setTimeout(end, START_TIMEOUT_MS);
    child.once("error", (error) => {
      outcome = fail(`could not start the node: ${error.message}`);
      end();
    });
    // `close` comes behind the last message, `exit` may come before it.
    child.once("close", (code, signal) => {
      const how = signal === null ? `exit code ${code}` : signal;
      if (!hasFailed)
        outcome = fail(`the node ended at once (${how}); start it with -n to see why`);
      end();
    });
    let hasFailed = false;
    child.on("message", (message: ToLauncher) => {
      if (message.type === "started") {
        outcome = succeed(undefined);
        end();
        return;
      }
      // Its ports, files and pid are free only when it has ended.
      hasFailed = true;
      outcome = fail(message.message);
      clearTimeout(timer);
      timer = setTimeout(end, CLEAN_UP_TIMEOUT_MS);
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
