/**
 * Two small shells that let no command outlive its right to run, whatever happens to us:
 *
 *     this process ──pipe──> guard: kills the group when the pipe ends without "done", or when the
 *          │                        time that it was told last is over, even while we are frozen
 *          └─────────pipe──> starter: becomes the command when it hears "go", after the guard
 *                                     has heard of it; ends instead when we are gone
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Writable } from "node:stream";
import type { Ms } from "../base/index.ts";
import { monotonicNowMs } from "./clock.ts";

export interface CommandGuard {
  /** The group that it kills, or lets be. */
  watch(group: number): void;
  /** Kill it then, unless this is said again before with a later time. */
  allowUntil(untilMs: Ms): void;
  /** The command has ended. */
  dismiss(): void;
}

/** Longer than this needs no clock. */
const TIME_MS_MAX: Ms = 24 * 3600 * 1000;

const WORTH_TELLING = 0.8;

/**
 * Enters: the group's id, then seconds or `done`, a line each. A new time makes a new sleeper, and
 * only then ends the one before. A sleep that cannot be started kills at once. The argument is the
 * mark of what belongs to the command: what has it in its environment is killed with the group, a
 * few times over because it may fork meanwhile.
 */
const GUARD_SCRIPT = `
mark=$1
end_all() {
  kill -KILL "-$group"
  if [ -z "$mark" ]; then return; fi
  for look in 1 2 3; do
    for file in $(grep -lsaF -e "$mark" /proc/[0-9]*/environ); do
      pid=\${file#/proc/}
      kill -KILL "\${pid%/environ}"
    done
  done
}
read -r group || exit 0
sleeper=
while read -r word; do
  if [ "$word" = done ]; then trap "" TERM; kill -TERM 0; exit 0; fi
  before=$sleeper
  ( sleep "$word"; end_all ) </dev/null &
  sleeper=$!
  if [ -n "$before" ]; then kill "$before"; fi
done
end_all`;

const STARTER_SCRIPT = 'read -r go <&3 && exec 3<&- && exec "$@"';
/** Where the starter reads. */
const STARTER_PIPE = 3;

/** @param mark `NAME=value` in the environment of all that belongs to the command. */
export function startGuard(mark: string | null): CommandGuard {
  const guard = spawn("/bin/sh", ["-c", GUARD_SCRIPT, "guard", mark ?? ""], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => undefined);
  guard.stdin.on("error", () => undefined);
  guard.unref();
  let toldUntilMs: Ms = -Infinity;
  return {
    watch: (group) => void guard.stdin.write(`${group}\n`),
    allowUntil(untilMs) {
      const nowMs = monotonicNowMs();
      const leftMs = untilMs - nowMs;
      // Each time costs two processes, so a little more is not worth telling.
      if (leftMs > TIME_MS_MAX || toldUntilMs - nowMs > leftMs * WORTH_TELLING) return;
      toldUntilMs = untilMs;
      guard.stdin.write(`${(Math.max(leftMs, 0) / 1000).toFixed(3)}\n`);
    },
    dismiss: () => void guard.stdin.end("done\n"),
  };
}

/** The program and its arguments, to be started by a shell that waits for `letGo`. */
export function throughStarter(
  program: string,
  args: readonly string[],
): readonly [string, readonly string[]] {
  return ["/bin/sh", ["-c", STARTER_SCRIPT, "starter", program, ...args]];
}

export function letGo(child: ChildProcess): void {
  const pipe = child.stdio[STARTER_PIPE] as Writable | null | undefined;
  pipe?.on("error", () => undefined); // It was killed before it began.
  pipe?.end("go\n");
}
