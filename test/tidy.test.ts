import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { stripSource } from "./support/source-text.ts";
import { checkSources, importsOf } from "./support/tidy-rules.ts";

const ROOT = join(import.meta.dirname, "..");

function filesBelow(folder: string): readonly string[] {
  const path = join(ROOT, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1));
}

function textOf(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

const sourceFiles = filesBelow("src").filter((file) => file.endsWith(".ts"));
const ownFiles = ["src", "test", "scripts", "bin", "bench", "docs"].flatMap(filesBelow);

/** A small tidy project; a test puts one file in or replaces one. */
function project(own: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(
    Object.entries({
      "src/base/index.ts": 'export * from "./result.ts";',
      "src/base/result.ts": "export const one = 1;",
      "src/wire/ipc/index.ts": 'import { one } from "../../base/index.ts"; export const two = one;',
      "src/os/index.ts": 'import { open } from "node:fs/promises"; export { open };',
      "src/vip/core/plan.ts": 'import { two } from "../../wire/ipc/index.ts"; export { two };',
      "src/vip/driver/run.ts": 'import { two } from "../core/plan.ts"; import "../../os/index.ts";',
      "src/supervisor/main.ts": 'import "../vip/driver/run.ts"; export const run = 1;',
      "src/cli/pgpool.ts": 'const { run } = await import("../supervisor/main.ts");',
      ...own,
    }),
  );
}

describe("the rules themselves", () => {
  it("find nothing wrong with a tidy project", () => {
    expect(checkSources(project({}))).toEqual([]);
  });

  it.each([
    ["a core that opens sockets", "src/vip/core/bad.ts", 'import { connect } from "node:net";'],
    [
      "a core that only names a socket's type",
      "src/vip/core/bad.ts",
      'import type { Socket } from "node:net";',
    ],
    ["a core that opens sockets later", "src/vip/core/bad.ts", 'const net = import("node:net");'],
    ["a foundation that reads files", "src/wire/bad.ts", 'import { readFileSync } from "node:fs";'],
    ["a core that imports a package", "src/vip/core/bad.ts", 'import pg from "pg";'],
    ["a core that waits", "src/vip/core/bad.ts", "export async function wait() {}"],
    ["a core with a timer", "src/vip/core/bad.ts", "setTimeout(() => undefined, 1);"],
    ["a core that knows the date", "src/vip/core/bad.ts", "export const now = () => Date.now();"],
    ["a core that rolls dice", "src/vip/core/bad.ts", "export const die = () => Math.random();"],
    ["a core that draws keys", "src/vip/core/bad.ts", 'import { randomBytes } from "node:crypto";'],
    ["a core that reads the environment", "src/vip/core/bad.ts", "export const x = process.env.X;"],
    ["a core that logs", "src/vip/core/bad.ts", "console.log(`a ${1}`);"],
    [
      "an impure word behind a template",
      "src/vip/core/bad.ts",
      "const a = `${1} Date`; Date.now();",
    ],
    ["a core that imports a driver", "src/vip/core/bad.ts", 'import "../driver/run.ts";'],
    ["a core that imports os", "src/vip/core/bad.ts", 'import "../../os/index.ts";'],
    [
      "a pillar that imports another's core",
      "src/pcp/core/bad.ts",
      'import "../../vip/core/plan.ts";',
    ],
    [
      "a pillar that imports another's driver",
      "src/pcp/driver/bad.ts",
      'import "../../vip/driver/run.ts";',
    ],
    ["a foundation that imports another", "src/auth/bad.ts", 'import "../wire/ipc/index.ts";'],
    ["base that imports something", "src/base/bad.ts", 'import "../wire/ipc/index.ts";'],
    ["os that imports a pillar", "src/os/bad.ts", 'import "../vip/core/plan.ts";'],
    ["a way past an index.ts", "src/vip/core/bad.ts", 'import "../../base/result.ts";'],
    ["a driver that imports a root", "src/vip/driver/bad.ts", 'import "../../supervisor/main.ts";'],
    ["a root that imports another root", "src/cli/bad.ts", 'import "../supervisor/main.ts";'],
    ["a file outside the layout", "src/vip/bad/bad.ts", "export const x = 1;"],
    ["an import of nothing", "src/vip/core/bad.ts", 'import "./absent.ts";'],
  ])("refuse %s", (_what, file, text) => {
    expect(checkSources(project({ [file]: text }))).toEqual([expect.stringContaining(file)]);
  });

  it.each([
    ["a comment", "// Never calls Date.now(), async code or node:net."],
    ["a string", 'export const text = "process.exit and console.log and await";'],
    ["a template", "export const text = `setTimeout ${1} Math.random()`;"],
    ["a regular expression", "export const pattern = /Date[/'\"]process.env/;"],
    ["a name of its own", "export const processId = 1; export const updateDate1 = 2;"],
    ["a method called from", 'export const word = Buffer.from("node:net");'],
    ["hashes", 'import { createHash } from "node:crypto"; createHash("md5");'],
  ])("do not take %s for a call", (_what, text) => {
    expect(checkSources(project({ "src/vip/core/good.ts": text }))).toEqual([]);
  });

  it("see every form of import", () => {
    const text = `import a from "./a.ts";
import type { b } from './b.ts';
import "./c.ts";
export * from "./d.ts";
export {
  e,
} from "./e.ts";
const f = await import("./f.ts");
// import "./not.ts";
const not = 'import "./not.ts"';`;
    expect(importsOf(text)).toEqual(["a", "b", "c", "d", "e", "f"].map((name) => `./${name}.ts`));
  });
});

describe("the project", () => {
  it("imports downwards only, and keeps its decisions pure", () => {
    expect(sourceFiles.length).toBeGreaterThan(50);
    expect(checkSources(new Map(sourceFiles.map((file) => [file, textOf(file)])))).toEqual([]);
  });

  it("would be refused if one of its own decisions imported node:net", () => {
    const core = sourceFiles.filter((file) => /^src\/\w+\/core\/.*step\.ts$|plan\.ts$/.test(file));
    expect(core.length).toBeGreaterThan(0);
    for (const file of core) {
      const sources = new Map(sourceFiles.map((name) => [name, textOf(name)]));
      sources.set(file, `import { connect } from "node:net";\n${textOf(file)}`);
      expect(checkSources(sources)).toEqual([
        `${file} is pure and may not import node:net: see docs/ARCHITECTURE.md`,
      ]);
    }
  });

  it("knows no date where leases and the VIP are decided, so setting the clock changes nothing", () => {
    const deciding = /^src\/(?:watchdog|vip)\/|^src\/os\/(?:clock|core-runner)\.ts$/;
    const files = sourceFiles.filter((file) => deciding.test(file));
    expect(files.length).toBeGreaterThan(40);
    const dated = /\bDate\b|\bperformance\s*\.\s*timeOrigin\b|\bhrtime\b/;
    const bad = files.filter((file) => dated.test(stripSource(textOf(file)).bare));
    // The one place that asks for the time at all, and it asks the monotonic clock.
    expect(bad).toEqual(["src/os/clock.ts"]);
    expect(textOf("src/os/clock.ts")).not.toMatch(/\bDate\b/);
  });

  it("tells in the header of every module what it is for", () => {
    const silent = sourceFiles
      .filter((file) => basename(file) === "index.ts")
      .filter((file) => !textOf(file).startsWith("/**"));
    expect(silent).toEqual([]);
  });

  it("names its files in kebab-case, after what they export", () => {
    const bad = sourceFiles
      .map((file) => basename(file))
      .filter(
        (name) =>
          !/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(name) ||
          /^(utils?|helpers?|manager|common)\.ts$/.test(name),
      );
    expect(bad).toEqual([]);
  });

  it("leaves no marks of unfinished work and no test aside", () => {
    // Spelt with brackets, so that this file does not contain what it looks for.
    const marks = /\b(?:TO[D]O|FIX[M]E|XX[X])\b/;
    const aside = /\b(?:it|test|describe)\.(?:skip|only|todo)\(/;
    const bad = ownFiles.filter((file) => {
      const text = textOf(file);
      return marks.test(text) || (file.startsWith("test/") && aside.test(text));
    });
    expect(bad).toEqual([]);
  });

  it("names tests that exist where it says how its promises are tested", () => {
    const named = [...textOf("docs/safety.md").matchAll(/`(test\/[\w./-]+)`/g)].map(
      ([, path]) => path,
    );
    const folder = "test/unit/watchdog/core/consensus";
    const stories = [...textOf("docs/safety.md").matchAll(/`([\w-]+\.txt)`/g)].map(
      ([, name]) => `${folder}/${name}`,
    );
    expect([named.length > 10, stories.length > 5]).toEqual([true, true]);
    const absent = [...named, ...stories].filter((path) => !existsSync(join(ROOT, path ?? "")));
    expect(absent).toEqual([]);
  });

  it("tells a reader of the README the two commands that show and prove it", () => {
    if (!existsSync(join(ROOT, "README.md"))) return;
    expect(textOf("README.md")).toContain("scripts/lab demo");
    expect(textOf("README.md")).toContain("scripts/test");
  });
});
