/**
 * The pcp_* programs, one under many names: the first argument is the name it was called by.
 * Options, output and exit codes are those of Pgpool-II, so that scripts go on working.
 */
import { VERSION } from "../base/index.ts";
import { parseOptions } from "./pcp/options.ts";
import { runTool } from "./pcp/run.ts";
import { PCP_TOOLS, usage } from "./pcp/tools.ts";

async function main(argv: readonly string[]): Promise<number> {
  const [name = "", ...args] = argv;
  const tool = PCP_TOOLS.find((known) => known.name === name);
  if (tool === undefined) {
    const names = PCP_TOOLS.map((known) => known.name).join(", ");
    process.stderr.write(`pcp: unknown program "${name}"; known: ${names}\n`);
    return 1;
  }
  if (args[0] === "-?" || args[0] === "--help") {
    process.stderr.write(usage(tool));
    return 0;
  }
  if (args[0] === "-V" || args[0] === "--version") {
    process.stderr.write(`${tool.name} (pgquorum) ${VERSION}\n`);
    return 0;
  }
  const options = parseOptions(tool, args);
  if (!options.ok) {
    process.stderr.write(`${options.error.text}\n`);
    return options.error.exitCode;
  }
  for (const warning of options.value.warnings) process.stderr.write(`${warning}\n`);
  return runTool(tool, options.value);
}

process.exitCode = await main(process.argv.slice(2));
// A terminal's input may be open still after a prompt; nothing more is read from it.
process.stdin.destroy();
