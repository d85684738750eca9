/**
 * `npm run test:cluster -- failover`: reads the words, plays the cases, tells what came of them.
 * Progress goes to the standard error, results to the standard output.
 */
import { runWords } from "../vip/run-words.ts";
import { isCrowd } from "./crowd/link.ts";
import { runCrowd } from "./crowd/process.ts";
import { formatOutcome } from "./figures.ts";
import { HELP, parseFailoverOptions } from "./options.ts";
import { runCases } from "./run-cases.ts";

await runWords({
  name: "failover",
  help: HELP,
  parse: parseFailoverOptions,
  part: { isAsked: isCrowd, run: runCrowd },
  run: runCases,
  format: formatOutcome,
});
