import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WatchdogLink } from "../../src/supervisor/driver/cluster-link.ts";
import type { Log } from "../../src/os/index.ts";
import type { FromWatchdog } from "../../src/wire/ipc/index.ts";

/** The supervisor's side of the watchdog, with a stand-in for the watchdog's program beside it. */
const directory = mkdtempSync(join(tmpdir(), "pgquorum-link-"));
const starts = join(directory, "starts");
const lines: string[] = [];
const LOG: Log = { write: (_level, message) => void lines.push(message), named: () => LOG };

/** Notes its start; dies, refuses or serves as the environment says. */
const STAND_IN = `
import { appendFileSync } from "node:fs";
appendFileSync(process.env.STARTS, process.pid + "\\n");
process.on("message", (message) => {
  if (message.type === "stop") process.exit(0);
  if (message.type === "vote") process.send({ type: "granted", request: message.request });
  if (message.type === "propose") process.send({ type: "proposal-refused", id: message.id, reason: "no" });
});
if (process.env.HOW === "fatal") process.send({ type: "fatal", message: "m", hint: "h" }, () => process.exit(4));
else process.send({ type: "ready" });
`;

let Link: typeof WatchdogLink;

beforeAll(async () => {
  const outfile = join(directory, "cluster-link.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "../../src/supervisor/driver/cluster-link.ts")],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
  });
  writeFileSync(join(directory, "watchdog.mjs"), STAND_IN);
  const module = (await import(pathToFileURL(outfile).href)) as { WatchdogLink: typeof Link };
  Link = module.WatchdogLink;
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function startLink(how: string): { link: WatchdogLink; told: FromWatchdog[] } {
  writeFileSync(starts, "");
  const told: FromWatchdog[] = [];
  const link = new Link({ HOW: how, STARTS: starts }, LOG, (message) => void told.push(message));
  return { link, told };
}

function startCount(): number {
  return readFileSync(starts, "utf8").split("\n").length - 1;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const types = (told: readonly FromWatchdog[]): string[] => told.map(({ type }) => type);

describe("the supervisor's link to its watchdog", () => {
  it("carries messages both ways, and ends with the child", async () => {
    const { link, told } = startLink("serve");
    await until("ready", () => types(told).includes("ready"));
    link.propose(3, 0, "x");
    await until("answered", () => types(told).includes("proposal-refused"));
    const { pid } = link;
    await link.stop();
    expect(() => process.kill(pid ?? 0, 0)).toThrow();
    expect([types(told), startCount()]).toEqual([["ready", "proposal-refused"], 1]);
  });

  it("starts a watchdog that died again, and says that it had died", async () => {
    const { link, told } = startLink("serve");
    await until("ready", () => types(told).includes("ready"));
    process.kill(link.pid ?? 0, "SIGKILL");
    await until("ready again", () => types(told).filter((type) => type === "ready").length === 2);
    expect([types(told), startCount()]).toEqual([["ready", "died", "ready"], 2]);
    await link.stop();
  });

  it("starts a watchdog again that could not be started, and says why", async () => {
    const { execPath } = process;
    process.execPath = join(directory, "no such program");
    lines.length = 0;
    const { link, told } = startLink("serve");
    process.execPath = execPath;
    await until("ready", () => types(told).includes("ready"));
    expect([types(told), startCount()]).toEqual([["died", "ready"], 1]);
    expect(lines).toEqual([
      expect.stringMatching(/^the watchdog could not be started: .+; starting it again$/),
    ]);
    await link.stop();
  });

  it("answers in the place of a watchdog that is not running", async () => {
    const { link, told } = startLink("serve");
    await until("ready", () => types(told).includes("ready"));
    process.kill(link.pid ?? 0, "SIGKILL");
    await until("dead", () => types(told).includes("died"));
    link.propose(9, 0, "x");
    link.vote({ kind: "attach", backendIds: [0], confirmed: true, switchoverTo: null, reason: "" });
    expect(told.slice(2)).toMatchObject([
      { type: "proposal-refused", id: 9 },
      { type: "not-granted", why: "no-quorum" },
    ]);
    await link.stop();
  });

  it("leaves a watchdog alone that said it must not run", async () => {
    const { link, told } = startLink("fatal");
    await until("it said so", () => types(told).includes("fatal"));
    await until("it has ended", () => link.pid === null);
    await new Promise((resolve) => setTimeout(resolve, 400)); // Longer than the first restart's wait.
    expect([types(told), startCount()]).toEqual([["fatal"], 1]);
    await link.stop();
  });
});
