/** Root of the fuzzer: `npm run fuzz -- --help`. */
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { whyBroken, Engine, type Finding } from "./engine.ts";
import { keepScript, readCorpus, readScript } from "./corpus.ts";
import { Features } from "./features.ts";
import { fuzzLive } from "./live/fuzz-live.ts";
import { HELP, parseOptions, type FuzzOptions } from "./options.ts";
import type { Script } from "./script.ts";
import { targets } from "./targets/index.ts";

/** Nothing that ends takes so long by the clock, however busy the machine is. */
const HANG_MS = 10_000;
/** Above this the process as a whole has lost a bound somewhere. */
const RSS_BYTES_MAX = 1024 * 1024 * 1024;
const FINDINGS_MAX = 5;
const REPORT_EVERY_MS = 500;

interface Task {
  readonly seed: number;
  readonly seconds: number;
  readonly names: readonly string[] | null;
  readonly corpus: string;
  /** Shared: executions begun, and scripts run, so that the watcher sees a hang. */
  readonly begun: Int32Array;
  /** Only says what this execution would have run. */
  readonly only: number | null;
}

type Report =
  | { readonly kind: "finding"; readonly finding: Finding }
  | { readonly kind: "script"; readonly script: Script }
  | {
      readonly kind: "progress";
      readonly executions: number;
      readonly rssBytes: number;
      readonly coverage: ReadonlyMap<string, number>;
      readonly isLast: boolean;
    };

if (!isMainThread) fuzzInThread(workerData as Task);

/** @returns the exit status. */
export async function main(words: readonly string[], program: URL): Promise<number> {
  const parsed = parseOptions(words);
  if (!parsed.ok) {
    process.stderr.write(`fuzz: ${parsed.error}\nTry: npm run fuzz -- --help\n`);
    return 2;
  }
  const options = parsed.value;
  if (options.wantsHelp) {
    process.stdout.write(HELP);
    for (const { name, about } of targets) process.stdout.write(`  ${name.padEnd(16)} ${about}\n`);
    return 0;
  }
  const corpus = join(import.meta.dirname, "../../test/fuzz/corpus/postgres");
  if (options.replay !== null) return replay(options.replay);
  const known = targets.map(({ name }) => name);
  const unknown = options.targets?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    process.stderr.write(`fuzz: there is no target "${unknown}"; there are ${known.join(", ")}\n`);
    return 2;
  }
  if (options.isLive) return await huntLive(options);
  return await hunt(options, corpus, program);
}

/** Half of the time in each way of pooling. */
async function huntLive(options: FuzzOptions): Promise<number> {
  const seed = options.seed ?? Date.now() % 2 ** 32;
  const seconds = options.seconds / 2;
  let status = 0;
  process.stdout.write(`seed ${seed}\n`);
  for (const mode of ["session", "transaction"]) {
    const config = [`pool_mode = '${mode}'`, "num_init_children = 100", "connect_timeout = 2000"];
    const { connections, answers, residentKibMax, wrong } = await fuzzLive({
      seed,
      seconds,
      config,
    });
    if (wrong.length > 0) status = 1;
    process.stdout.write(
      `${mode}: ${connections} hostile connections, ${answers} answers to honest peers, ` +
        `${Math.round(residentKibMax / 1024)} MiB; wrong ${wrong.length}\n${wrong.join("\n")}`,
    );
  }
  return status;
}

function replay(path: string): number {
  const script = readScript(path);
  const target = targets.find(({ name }) => name === script.target);
  if (target === undefined) throw new Error(`there is no target "${script.target}"`);
  const why = whyBroken(target, script.steps, new Features());
  process.stdout.write(why === null ? "no promise is broken\n" : `${why}\n`);
  return why === null ? 0 : 1;
}

async function hunt(options: FuzzOptions, corpus: string, program: URL): Promise<number> {
  const seed = options.seed ?? Date.now() % 2 ** 32;
  const { seconds, targets: names } = options;
  process.stdout.write(`seed ${seed}\n`);
  const begun = new Int32Array(new SharedArrayBuffer(8));
  const task: Task = { seed, seconds, names, corpus, begun, only: null };
  const startMs = performance.now();
  const findings: Finding[] = [];
  let last: Report & { kind: "progress" } = {
    kind: "progress",
    executions: 0,
    rssBytes: 0,
    coverage: new Map(),
    isLast: false,
  };
  const hung = await watch(program, task, (report) => {
    if (report.kind === "finding") {
      findings.push({ ...report.finding, script: revived(report.finding.script) });
    }
    if (report.kind === "progress") last = report;
  });
  if (hung !== null) {
    const script = await scriptOf(program, { ...task, only: hung });
    findings.push({ script, why: `still ran after ${HANG_MS} ms`, execution: hung });
  }
  for (const { script, why, execution } of findings) {
    const path = keepScript(corpus, script, why);
    process.stdout.write(`\n${script.target}, execution ${execution}: ${why}\nkept in ${path}\n`);
  }
  const tookS = (performance.now() - startMs) / 1000;
  const memory = Math.round(last.rssBytes / 1024 / 1024);
  const isFat = last.rssBytes > RSS_BYTES_MAX;
  for (const [name, count] of last.coverage) {
    process.stdout.write(`${name.padEnd(18)} ${count} situations\n`);
  }
  process.stdout.write(
    `${last.executions} executions in ${tookS.toFixed(1)} s, ${Math.round(last.executions / tookS)} a second; ` +
      `${memory} MiB; crashes ${findings.length}${isFat ? "; memory is NOT bounded" : ""}\n`,
  );
  return findings.length === 0 && !isFat ? 0 : 1;
}

/** @returns the number of an execution that hangs, or null. */
async function watch(
  program: URL,
  task: Task,
  onReport: (report: Report) => void,
): Promise<number | null> {
  const thread = new Worker(program, { workerData: task });
  let seen = -1;
  let seenSinceMs = performance.now();
  let hung: number | null = null;
  const timer = setInterval(() => {
    const now = Atomics.load(task.begun, 1);
    if (now !== seen) {
      seen = now;
      seenSinceMs = performance.now();
    } else if (performance.now() - seenSinceMs > HANG_MS && now > 0) {
      hung = Atomics.load(task.begun, 0);
      void thread.terminate();
    }
  }, REPORT_EVERY_MS);
  await new Promise<void>((resolve, reject) => {
    thread.on("message", (report: Report) => onReport(report));
    thread.once("error", reject);
    thread.once("exit", () => resolve());
  });
  clearInterval(timer);
  return hung;
}

async function scriptOf(program: URL, task: Task): Promise<Script> {
  let found: Script = { target: "lost", steps: [] };
  await watch(program, task, (report) => {
    if (report.kind === "script") found = revived(report.script);
  });
  return found;
}

function fuzzInThread(task: Task): void {
  const engine = new Engine({
    seed: task.seed,
    targets: targets.filter(({ name }) => task.names?.includes(name) ?? true),
    nowMs: processorMs,
    onRun: () => Atomics.add(task.begun, 1, 1),
  });
  for (const { script } of readCorpus(task.corpus)) engine.adopt(script);
  const endMs = performance.now() + task.seconds * 1000;
  let reportMs = 0;
  let found = 0;
  for (let nowMs = 0; nowMs < endMs && found < FINDINGS_MAX; nowMs = performance.now()) {
    const script = engine.draw();
    if (engine.executions === task.only) return tell({ kind: "script", script });
    if (task.only === null) Atomics.store(task.begun, 0, engine.executions);
    const finding = engine.run(script);
    if (finding !== null) {
      found += 1;
      tell({ kind: "finding", finding });
    }
    if (nowMs < reportMs) continue;
    reportMs = nowMs + REPORT_EVERY_MS;
    tellProgress(engine, false);
  }
  tellProgress(engine, true);
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function tellProgress(engine: Engine, isLast: boolean): void {
  const rssBytes = process.memoryUsage.rss();
  const { executions } = engine;
  tell({ kind: "progress", executions, rssBytes, coverage: engine.coverage(), isLast });
}

function tell(report: Report): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  parentPort?.postMessage(report);
}

/** Bytes come out of a message between threads as plain arrays. */
function revived(script: Script): Script {
  return {
    ...script,
    steps: script.steps.map((one) => ({ ...one, bytes: Buffer.from(one.bytes) })),
  };
}
