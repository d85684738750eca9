// Bundles every program of the project into dist/: one file a program, shared code in chunks.
// libpg-query stays outside: it loads its WebAssembly from beside its own file. So do netlink and
// koffi: each loads a native library, and a node also runs where they could not be installed.
import { build } from "esbuild";
import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";

const programs = {
  worker: "src/proxy/worker.ts",
  watchdog: "src/watchdog/process.ts",
};
for (const name of readdirSync("src/cli")) {
  if (name.endsWith(".ts")) programs[name.replace(/\.ts$/, "")] = `src/cli/${name}`;
}
for (const name of readdirSync("scripts/lab.d", { withFileTypes: true })) {
  if (name.name === "main.ts") programs["lab"] = "scripts/lab.d/main.ts";
}
await rm("dist", { recursive: true, force: true });
await build({
  entryPoints: programs,
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: ["libpg-query", "pg-native", "netlink", "koffi"],
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  logLevel: "warning",
  outExtension: { ".js": ".mjs" },
});
