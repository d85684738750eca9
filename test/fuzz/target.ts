/** What is fuzzed: a part of the product behind one way of being run and judged. */
import type { Random } from "../sim/random.ts";
import type { Features } from "./features.ts";
import type { Step } from "./script.ts";

export interface Target {
  readonly name: string;
  readonly about: string;
  /** A run that is valid, or nearly so; the engine mutates it afterwards. */
  generate(random: Random): Step[];
  /** False: steps are moved, doubled and left out, but their bytes stay as they are. */
  readonly mutatesBytes: boolean;
  /** @throws when a promise is broken. */
  run(steps: readonly Step[], features: Features): void;
}
