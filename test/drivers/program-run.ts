/** Runs a driver's program to its end; one that falls silent is stopped. */
import { spawn } from "node:child_process";
import { parseOutput, type Output } from "./program-output.ts";
import type { Feature } from "./features.ts";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Target {
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

export interface ProgramRun {
  readonly output: Output;
  readonly stderr: string;
  /** The feature in which it fell silent or ended; null when it came to its end. */
  readonly stoppedIn: string | null;
}

/** A program that prints nothing for so long hangs. */
const SILENCE_MS = 30_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * @param tag a word that nothing else in the database contains; names and values of this run have it.
 */
export async function runProgram(
  command: Command,
  target: Target,
  o: { readonly features: readonly Feature[]; readonly tag: string },
): Promise<ProgramRun> {
  const child = spawn(command.program, [...command.args, ...o.features], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      ...command.env,
      PGHOST: "127.0.0.1",
      PGPORT: `${target.port}`,
      PGUSER: target.user,
      PGDATABASE: target.database,
      DRIVER_TAG: o.tag,
    },
  });
  let text = "";
  let stderr = "";
  let isSilent = false;
  const silence = setTimeout(() => {
    isSilent = true;
    child.kill("SIGKILL");
  }, SILENCE_MS);
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    silence.refresh();
    text += chunk;
    if (text.length > OUTPUT_BYTES_MAX) child.kill("SIGKILL");
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr = (stderr + chunk).slice(-20_000);
  });
  const end = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(signal ?? `exit status ${code}`));
  });
  clearTimeout(silence);
  const isWhole = /^## end$/m.test(text);
  if (!isWhole) text += `\n${isSilent ? "silent: the program hangs" : `ended: ${end}`}\n`;
  const last = /.*^## (\S+)$/ms.exec(text)?.[1] ?? "the beginning";
  return { output: parseOutput(text, o.tag), stderr, stoppedIn: isWhole ? null : last };
}

/** A program that hangs or dies in one feature is begun again with those that are left. */
export async function runFeatures(
  command: Command,
  target: Target,
  o: { readonly features: readonly Feature[]; readonly nextTag: () => string },
): Promise<ProgramRun> {
  const output = new Map<Feature, readonly string[]>();
  let stderr = "";
  let stoppedIn: string | null = null;
  let left = o.features;
  while (left.length > 0) {
    const run = await runProgram(command, target, { features: left, tag: o.nextTag() });
    for (const [feature, lines] of run.output) output.set(feature, lines);
    stderr += run.stderr;
    if (run.stoppedIn === null) break;
    stoppedIn = run.stoppedIn;
    const at = left.findIndex((feature) => feature === run.stoppedIn);
    if (at < 0) break;
    left = left.slice(at + 1);
  }
  return { output, stderr, stoppedIn };
}
