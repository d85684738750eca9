import { dirname, join } from "node:path/posix";
import { stripSource } from "./source-text.ts";

/** Path below the project's root (`src/base/result.ts`) and text of every source file. */
export type Sources = ReadonlyMap<string, string>;

/**
 * Where a file stands in the order of imports, which point down only:
 *
 *     root        supervisor/main, proxy/worker, watchdog/process, cli: join everything
 *     driver      own core, os, foundations
 *     os          foundations
 *     core        foundations               (pure)
 *     foundation  config, auth, wire: base  (pure)
 *     base        nothing                   (pure)
 *
 * `face` is the index.ts of a whole pillar: its own core and driver.
 */
type Zone =
  | { readonly kind: "base" | "os" }
  | { readonly kind: "foundation"; readonly name: string }
  | { readonly kind: "core" | "driver" | "face" | "root"; readonly name: string };

const FOUNDATIONS = new Set(["config", "auth", "wire"]);
/** Pure code may use these of Node: nothing in them touches the world, once `RANDOM` is refused. */
const PURE_NODE_MODULES = new Set(["node:assert", "node:buffer", "node:crypto"]);
/** PostgreSQL's grammar is text in, tree out; nothing else of npm is let into pure code. */
const PURE_PACKAGES = new Set(["libpg-query"]);

const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\basync\b/, "async"],
  [/\bawait\b/, "await"],
  [/\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/, "a timer"],
  [/\bDate\b/, "Date"],
  [/\bperformance\b/, "performance"],
  [/\bMath\s*\.\s*random\b/, "Math.random"],
  [/\brandom(?:Bytes|UUID|Int|Fill|FillSync)\b|\bgetRandomValues\b/, "random numbers"],
  [/(?<![\w.])process\s*[.[]/, "process"],
  [/(?<![\w.])console\s*[.[]/, "console"],
  [/(?<![\w.])fetch\s*\(/, "fetch"],
];

/** The roots that a root may import: `pgpool` becomes the supervisor. */
const ROOT_IMPORTS: ReadonlySet<string> = new Set(["src/cli/pgpool.ts src/supervisor/main.ts"]);

/** Each broken rule as a sentence; none when the sources are tidy. */
export function checkSources(sources: Sources): readonly string[] {
  const problems: string[] = [];
  for (const [file, text] of sources) {
    const { bare } = stripSource(text);
    const zone = zoneOf(file);
    if (zone === null) {
      problems.push(`${file} stands in no known place of src/`);
      continue;
    }
    if (isPure(zone)) {
      for (const [pattern, what] of IMPURE) {
        if (pattern.test(bare)) problems.push(`${file} is pure and may not use ${what}`);
      }
    }
    for (const target of importsOf(text)) {
      const problem = target.startsWith(".")
        ? checkLocal(file, zone, join(dirname(file), target), sources)
        : checkForeign(file, zone, target);
      if (problem !== null) problems.push(`${problem}: see docs/ARCHITECTURE.md`);
    }
  }
  return problems;
}

/** What a file imports, in every form: static, for its effect, re-exported, dynamic. */
export function importsOf(text: string): readonly string[] {
  const { withStrings, bare } = stripSource(text);
  const pattern = /(?<![.\w])(?:from\s*|import\s*\(?\s*|require\s*\(\s*)(["'])([^"'\n]+)\1/g;
  return [...withStrings.matchAll(pattern)]
    .filter((match) => /^[fir]/.test(bare.slice(match.index)))
    .map((match) => match[2] ?? "");
}

function zoneOf(file: string): Zone | null {
  const [top, first, second, ...rest] = file.split("/");
  if (top !== "src" || first === undefined || second === undefined) return null;
  if (first === "base" || first === "os") return { kind: first };
  if (FOUNDATIONS.has(first)) return { kind: "foundation", name: first };
  if (first === "cli") return { kind: "root", name: "cli" };
  if (rest.length > 0 && (second === "core" || second === "driver")) {
    return { kind: second, name: first };
  }
  if (rest.length > 0) return null;
  return { kind: second === "index.ts" ? "face" : "root", name: first };
}

function isPure(zone: Zone): boolean {
  return zone.kind === "base" || zone.kind === "foundation" || zone.kind === "core";
}

function checkForeign(file: string, zone: Zone, target: string): string | null {
  if (!isPure(zone)) return null;
  const isAllowed = PURE_NODE_MODULES.has(target) || PURE_PACKAGES.has(target);
  return isAllowed ? null : `${file} is pure and may not import ${target}`;
}

function checkLocal(file: string, zone: Zone, target: string, sources: Sources): string | null {
  if (!sources.has(target)) return `${file} imports ${target}, which does not exist`;
  const other = zoneOf(target);
  if (other === null || !mayImport(zone, other, `${file} ${target}`)) {
    return `${file} may not import ${target}`;
  }
  const index = indexBetween(file, target, sources);
  return index === null ? null : `${file} may import ${dirname(index)} only by its index.ts`;
}

function mayImport(from: Zone, to: Zone, pair: string): boolean {
  switch (from.kind) {
    case "base":
      return to.kind === "base";
    case "foundation":
      return to.kind === "base" || (to.kind === "foundation" && to.name === from.name);
    case "core":
      return isFoundation(to) || (to.kind === "core" && to.name === from.name);
    case "os":
      return isFoundation(to) || to.kind === "os";
    case "driver":
      return isFoundation(to) || to.kind === "os" || isOwn(from.name, to, ["core", "driver"]);
    case "face":
      return isFoundation(to) || isOwn(from.name, to, ["core", "driver"]);
    case "root":
      return to.kind !== "root" || to.name === from.name || ROOT_IMPORTS.has(pair);
  }
}

function isFoundation(zone: Zone): boolean {
  return zone.kind === "base" || zone.kind === "foundation";
}

function isOwn(name: string, zone: Zone, kinds: readonly Zone["kind"][]): boolean {
  return "name" in zone && zone.name === name && kinds.includes(zone.kind);
}

/** The index.ts that an import reaches past: of a folder around the target, not around the file. */
function indexBetween(file: string, target: string, sources: Sources): string | null {
  for (let folder = dirname(target); folder !== "src" && folder !== "."; folder = dirname(folder)) {
    const index = `${folder}/index.ts`;
    if (file.startsWith(`${folder}/`)) return null;
    if (sources.has(index) && target !== index && !isWithinFace(index, target, sources))
      return index;
  }
  return null;
}

/**
 * A pillar may have an index.ts for itself and others for its parts; the root that joins the
 * pillar's own halves imports the parts.
 */
function isWithinFace(index: string, target: string, sources: Sources): boolean {
  const isPillarFace = index.split("/").length === 3 && zoneOf(index)?.kind === "face";
  return isPillarFace && target.endsWith("/index.ts") && sources.has(target);
}
