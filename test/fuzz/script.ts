/**
 * What happens in one run, step by step. A finding is kept as text, so that it can be read, edited
 * and played again however the generators change:
 *
 *     target session
 *     client 0 "Q\u0000\u0000\u0000\rselect 1\u0000"
 *     backend 1 "Z\u0000\u0000\u0000\u0005I"
 */
import { fail, succeed, type Result } from "../../src/base/index.ts";

export interface Step {
  readonly what: string;
  readonly number: number;
  readonly bytes: Buffer;
}

export interface Script {
  readonly target: string;
  readonly steps: readonly Step[];
}

const NOTHING = Buffer.alloc(0);

export function step(what: string, bytes: Buffer = NOTHING, number = 0): Step {
  return { what, number, bytes };
}

export function formatScript(script: Script, comment = ""): string {
  const head = comment === "" ? [] : comment.split("\n").map((line) => `# ${line}`);
  const lines = script.steps.map(
    ({ what, number, bytes }) => `${what} ${number} ${JSON.stringify(bytes.toString("latin1"))}`,
  );
  return `${[...head, `target ${script.target}`, ...lines].join("\n")}\n`;
}

/** Errors: which line cannot be read. */
export function parseScript(text: string): Result<Script, string> {
  let target = "";
  const steps: Step[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const named = /^target ([\w-]+)$/.exec(line)?.[1];
    const [, what = "", number = "0", quoted = '""'] = /^([a-z-]+) (\d+) (".*")$/.exec(line) ?? [];
    if (named !== undefined) target = named;
    else if (what === "") return fail(`line ${index + 1} is no step: ${line}`);
    else steps.push(step(what, Buffer.from(unquote(quoted), "latin1"), Number(number)));
  }
  return target === "" ? fail("no line names the target") : succeed({ target, steps });
}

function unquote(text: string): string {
  return JSON.parse(text) as string;
}
