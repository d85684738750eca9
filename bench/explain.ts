/**
 * Where the processor time of our worker goes under the load of a cell: which calls of the system
 * it makes (strace) and which functions it is in (perf). A node of its own for each look: both slow
 * it down.
 */
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { putLoad, warmUp } from "./loads.ts";
import type { Cell } from "./plan.ts";
import { runToEnd } from "./processes.ts";
import type { Product } from "./products.ts";
import type { Stage } from "./stage.ts";

const LOOK_SECONDS = 3;
/** The load runs before, while and after one looks. */
const LOAD_SECONDS = LOOK_SECONDS + 4;
const LINES_MAX = 45;
const PROGRAMS = { strace: "/usr/bin/strace", perf: "/usr/bin/perf" };

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
    const functions = await lookWith(cell, product, stage, perfOf);
    const rival = company.products.get(cell.measure);
    const beside = rival === undefined ? "" : await lookWith(cell, rival, stage, objectsOf);
    const title = `The same of the busiest process of ${cell.measure}`;
    return [`### ${cell.name}`, processes, calls, functions, `${title}: ${beside}`].join("\n\n");
  } finally {
    await company.close();
    await Promise.all(maps.map((map) => rm(map, { force: true })));
  }
}

type Look = (pid: number, stage: Stage) => Promise<string>;

async function lookWith(cell: Cell, product: Product, stage: Stage, look: Look): Promise<string> {
  const load = putLoad(cell, product, LOAD_SECONDS, stage.tools);
  await sleep(2000);
  // The worker is the busiest of its processes: the supervisor only accepts.
  const busiest = product.server
    ?.tree()
    .toSorted((left, right) => right.ownTicks - left.ownTicks)[0];
  const seen = busiest === undefined ? "it is gone" : await look(busiest.pid, stage);
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

async function objectsOf(pid: number, stage: Stage): Promise<string> {
  return perfOf(pid, stage, false);
}

async function perfOf(pid: number, { tools }: Stage, isWhole = true): Promise<string> {
  if (!existsSync(PROGRAMS.perf)) return "perf is not installed";
  const data = join(tools.directory, `perf-${pid}.data`);
  const o = { timeoutMs: 60_000, abort: tools.abort };
  const record = [PROGRAMS.perf, "record", "-e", "cpu-clock", "-F", "999", "-g", "-o", data];
  await runToEnd([...record, "-p", `${pid}`, "--", "sleep", `${LOOK_SECONDS}`], o);
  const reportBy = async (keys: string, ...how: readonly string[]): Promise<string> => {
    const report = ["report", "-i", data, "--stdio", "-g", "none", "--percent-limit", "0.5"];
    const ended = await runToEnd([PROGRAMS.perf, ...report, "--sort", keys, ...how], o);
    if (ended.exitCode !== 0) return ended.stderr;
    return ended.stdout
      .replaceAll(/^(#.*)?\n/gm, "")
      .replaceAll(/file:\S*\/dist\//g, "")
      .replaceAll(/[ -]+$/gm, "");
  };
  const objects = fenced(
    "By program, library and kernel (perf)",
    await reportBy("dso", "--no-children"),
  );
  if (!isWhole) return objects;
  const functions = fenced("By function (perf)", await reportBy("dso,symbol", "--no-children"));
  const calls = await reportBy("symbol", "--children");
  const scripts = calls.split("\n").filter((line) => line.includes("JS:"));
  const within = fenced(
    "In JavaScript functions and all they call; in them alone",
    scripts.join("\n"),
  );
  await rm(data, { force: true });
  return [objects, functions, within].join("\n\n");
}

function fenced(title: string, text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return `${title}:\n\n\`\`\`\n${lines.slice(0, LINES_MAX).join("\n")}\n\`\`\``;
}
