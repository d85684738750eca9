#!/usr/bin/env node
// `npm run test:routing`: where statements run, through the real Pgpool-II and through pgquorum.
import { importBundled, prepare } from "../../../scripts/run-bundled.mjs";

const words = process.argv.slice(2);
const isHelp = words.includes("--help") || words.includes("-h");
const prepared = isHelp ? 0 : prepare();
process.exitCode =
  prepared === 0
    ? await importBundled("routing", ["test/regression/routing/main.ts"], (main, { root }) =>
        main(words, root),
      )
    : prepared;
