import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { build } from "esbuild";

/**
 * A host for tests of the virtual IP: a network namespace, and in it a process of
 * `regression/402-vip-program.ts`, which prints what happens in lines of a word and a value.
 */
export const isRoot = process.getuid?.() === 0;
/** In the name of the tests, so that whoever skips them reads it. */
export const WHY = isRoot ? "" : " (skipped: only root may make network namespaces)";

/** @param outfile from there the optional packages are looked for. */
export async function buildVipProgram(outfile: string): Promise<void> {
  await build({
    entryPoints: [join(import.meta.dirname, "../regression/402-vip-program.ts")],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["netlink", "koffi"],
    banner: {
      js: 'import { createRequire as __cr } from "node:module"; const require = __cr(import.meta.url);',
    },
  });
}

export interface ProgramOptions {
  readonly namespace: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Put before it, as `setpriv …`. */
  readonly through?: readonly string[];
}

/** A process in the namespace, and the lines that it prints. */
export class VipProgram {
  readonly child: ChildProcess;
  readonly lines: { readonly atMs: number; readonly text: string }[] = [];

  constructor({ namespace, program, args, env, through = [] }: ProgramOptions) {
    const command = ["netns", "exec", namespace, ...through, process.execPath, program, ...args];
    this.child = spawn("ip", command, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    this.child.stdin?.on("error", () => undefined); // It was killed.
    let rest = "";
    this.child.stdout?.on("data", (chunk: Buffer) => {
      const parts = (rest + chunk.toString("utf8")).split("\n");
      rest = parts.pop() ?? "";
      for (const text of parts) this.lines.push({ atMs: performance.now(), text });
    });
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  last(word: string): string | null {
    const found = this.lines.findLast(({ text }) => text.startsWith(`${word} `));
    return found === undefined ? null : found.text.slice(word.length + 1);
  }

  all(word: string): string[] {
    return this.lines.filter(({ text }) => text.startsWith(`${word} `)).map(({ text }) => text);
  }

  get guardianPid(): number {
    const pid = Number(this.last("guardian"));
    return Number.isSafeInteger(pid) ? pid : 0;
  }
}

export function run(...words: string[]): string {
  const [command = "", ...args] = words;
  return spawnSync(command, args, { encoding: "utf8" }).stdout;
}

export async function delay(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** How long it took, in milliseconds. */
export async function until(
  what: string,
  condition: () => boolean,
  limitMs = 5000,
): Promise<number> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await delay(5);
  }
  return performance.now() - startMs;
}

/** The proof of release that `listener` received for this hash, or null. */
export function proofFor(listener: VipProgram, hash: string | null): string | null {
  const secrets = listener.all("datagram").map((line) => line.split(" ")[2] ?? "");
  return secrets.find((secret) => hashOf(secret) === hash) ?? null;
}

export function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Ends whatever still runs in the namespaces, and removes them. */
export function removeNamespaces(...names: string[]): void {
  for (const name of names) {
    for (const pid of run("ip", "netns", "pids", name).split("\n").filter(Boolean)) {
      run("kill", "-KILL", pid); // It may have ended by itself meanwhile.
    }
    run("ip", "netns", "del", name);
  }
}
