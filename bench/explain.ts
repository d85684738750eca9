/**
 * Where the processor time of our worker goes under the load of a cell: which calls of the system
 * it makes (strace) and which functions it is in (perf). A node of its own for each look: both slow
 * it down.
 */
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { putLoad, warmUp } from "./loads.ts";
import type { Cell } from "./plan.ts";
import { runToEnd } from "./processes.ts";
import type { Product } from "./products.ts";
import { parseShares, type Shares, type SharesOfCell } from "./shares.ts";
import type { Stage } from "./stage.ts";

const LOOK_SECONDS = 3;
/** The load runs before, while and after one looks. */
const LOAD_SECONDS = LOOK_SECONDS + 4;
const LINES_MAX = 45;
const PROGRAMS = { strace: "/usr/bin/strace", perf: "/usr/bin/perf" };

/** @returns of pgquorum and of what it is measured by, as far as perf is there and saw them. */
export async function measureShares(cell: Cell, stage: Stage): Promise<readonly SharesOfCell[]> {
  const names = [cell.measure, "pgquorum"] as const;
  const company = await stage.open(cell.setting, names);
  const found: SharesOfCell[] = [];
  try {
    for (const name of names) {
      const product = company.products.get(name);
      if (product === undefined) continue;
      await warmUp(cell, product, stage.tools);
      const shares = await lookWith(cell, product, stage, objectSharesOf);
      if (shares !== null) found.push({ cell: cell.name, product: name, shares });
    }
    return found;
  } finally {
    await company.close();
  }
}

export const hasPerf = (): boolean => existsSync(PROGRAMS.perf);

/** @returns text in Markdown. */
export async function explain(cell: Cell, stage: Stage): Promise<string> {
  const company = await stage.open(cell.setting, [cell.measure, "pgquorum"], {
    NODE_OPTIONS: "--perf-basic-prof",
  });
  const product = company.products.get("pgquorum");
  // Node leaves the names of compiled functions where perf looks for them.
  const pids = product?.server?.tree().map((one) => one.pid) ?? [];
  const maps = pids.map((pid) => `/tmp/perf-${pid}.map`);
  try {
    if (product === undefined) return `${cell.name}: pgquorum does not run`;
    await warmUp(cell, product, stage.tools);
    const processes = await lookWith(cell, product, stage, () => sharesOf(product));
    const calls = await lookWith(cell, product, stage, straceOf);
    const functions = await lookWith(cell, product, stage, functionsOf);
    return [`### ${cell.name}`, processes, calls, functions].join("\n\n");
  } finally {
    await company.close();
    await Promise.all(maps.map((map) => rm(map, { force: true })));
  }
}

async function lookWith<T>(
  cell: Cell,
  product: Product,
  stage: Stage,
  look: (pid: number, stage: Stage) => Promise<T>,
): Promise<T | null> {
  const load = putLoad(cell, product, LOAD_SECONDS, stage.tools);
  await sleep(2000);
  // The worker is the busiest of its processes: the supervisor only accepts.
  const busiest = product.server
    ?.tree()
    .toSorted((left, right) => right.ownTicks - left.ownTicks)[0];
  const seen = busiest === undefined ? null : await look(busiest.pid, stage);
  await load;
  return seen;
}

/** How the product's processor time is divided among its processes. */
async function sharesOf({ server }: Product): Promise<string> {
  const before = server?.tree() ?? [];
  await sleep(LOOK_SECONDS * 1000);
  const used = (server?.tree() ?? []).map(({ pid, ownTicks }) => {
    const earlier = before.find((one) => one.pid === pid)?.ownTicks ?? 0;
    return { pid, ticks: ownTicks - earlier };
  });
  const all = used.reduce((sum, { ticks }) => sum + ticks, 0);
  const lines = used.map(
    ({ pid, ticks }) => `${((100 * ticks) / all).toFixed(1).padStart(5)} %  ${nameOf(pid)}`,
  );
  return fenced("Processor time by process", lines.join("\n"));
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return `${pid}, which has ended`;
  }
}

async function straceOf(pid: number, { tools }: Stage): Promise<string> {
  if (!existsSync(PROGRAMS.strace)) return "strace is not installed";
  const time = ["timeout", "-s", "INT", `${LOOK_SECONDS}`];
  const ended = await runToEnd([...time, PROGRAMS.strace, "-c", "-f", "-p", `${pid}`], {
    timeoutMs: 30_000,
    abort: tools.abort,
  });
  const table = ended.stderr.replaceAll(/^.*strace: .*\n/gm, "");
  return fenced(`System calls of ${LOOK_SECONDS} s (strace -c)`, table);
}

async function objectSharesOf(pid: number, stage: Stage): Promise<Shares | null> {
  const program = basename(readlinkSync(`/proc/${pid}/exe`));
  return withPerf(pid, stage, async (report) => parseShares(await report("dso"), program));
}

async function functionsOf(pid: number, stage: Stage): Promise<string> {
  if (!hasPerf()) return "perf is not installed";
  return withPerf(pid, stage, async (report) => {
    const short = (text: string): string => text.replaceAll(/file:\S*\/dist\//g, "");
    const functions = short(await report("dso,symbol"));
    const calls = short(await report("symbol", "--children"));
    const scripts = calls.split("\n").filter((line) => line.includes("JS:"));
    return [
      fenced("By function (perf)", functions),
      fenced("In JavaScript functions and all they call; in them alone", scripts.join("\n")),
    ].join("\n\n");
  });
}

type PerfReport = (keys: string, children?: "--children") => Promise<string>;

/** @param work may ask for reports of what the process did meanwhile, which is then forgotten. */
async function withPerf<T>(
  pid: number,
  { tools }: Stage,
  work: (report: PerfReport) => Promise<T>,
): Promise<T> {
  const data = join(tools.directory, `perf-${pid}.data`);
  const o = { timeoutMs: 60_000, abort: tools.abort };
  const record = [PROGRAMS.perf, "record", "-e", "cpu-clock", "-F", "999", "-g", "-o", data];
  await runToEnd([...record, "-p", `${pid}`, "--", "sleep", `${LOOK_SECONDS}`], o);
  const made = await work(async (keys, children) => {
    const report = ["report", "-i", data, "--stdio", "-g", "none", "--percent-limit", "0.5"];
    const how = [...report, "--sort", keys, children ?? "--no-children"];
    const ended = await runToEnd([PROGRAMS.perf, ...how], o);
    if (ended.exitCode !== 0) return ended.stderr;
    return ended.stdout.replaceAll(/^(#.*)?\n/gm, "").replaceAll(/[ -]+$/gm, "");
  });
  await rm(data, { force: true });
  return made;
}

function fenced(title: string, text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return `${title}:\n\n\`\`\`\n${lines.slice(0, LINES_MAX).join("\n")}\n\`\`\``;
}
