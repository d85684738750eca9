/** `npm run test:cluster -- vip`: reads the words, runs the rounds, tells what came of them. */
import { formatOutcome } from "./figures.ts";
import { HELP, parseVipOptions } from "./options.ts";
import { isProbe, runQueryProbe } from "./query-probe.ts";
import { runRounds } from "./run-rounds.ts";
import { runWords } from "./run-words.ts";

await runWords({
  name: "vip",
  help: HELP,
  parse: parseVipOptions,
  part: { isAsked: isProbe, run: runQueryProbe },
  run: runRounds,
  format: formatOutcome,
});
