/** Scripts that once broke a promise, one file each; their names begin with the target. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatScript, parseScript, type Script } from "./script.ts";

export interface Kept {
  readonly file: string;
  readonly script: Script;
}

export function readCorpus(directory: string): Kept[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith(".txt"))
    .sort()
    .map((name) => ({ file: name, script: readScript(join(directory, name)) }));
}

export function readScript(path: string): Script {
  const parsed = parseScript(readFileSync(path, "utf8"));
  if (!parsed.ok) throw new Error(`${path}: ${parsed.error}`);
  return parsed.value;
}

/** @returns the path of the file. */
export function keepScript(directory: string, script: Script, why: string): string {
  const bare = formatScript(script);
  const hash = createHash("sha256").update(bare).digest("hex").slice(0, 8);
  const path = join(directory, `${script.target}-${hash}.txt`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(path, formatScript(script, why.split("\n    at ", 1).join("")));
  return path;
}
