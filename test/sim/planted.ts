/** Where a mistake can be planted: every field changes one thing of the simulated cluster. */
import type {
  Action,
  Durable,
  Fence,
  State,
  Timing,
} from "../../src/watchdog/core/consensus/index.ts";
import type { StepFunction } from "./core.ts";
import type { ConductorStep } from "./model/supervisor.ts";

export interface Planted {
  readonly timing?: (timing: Timing) => Timing;
  readonly fence?: (fence: Fence, timing: Timing) => Fence;
  readonly startState?: (state: State) => State;
  readonly step?: (step: StepFunction) => StepFunction;
  readonly conduct?: (step: ConductorStep) => ConductorStep;
  readonly stored?: (durable: Durable) => Durable;
  readonly order?: (actions: readonly Action[]) => readonly Action[];
  readonly usesWallClock?: boolean;
  readonly isRevivable?: boolean;
  readonly provesEarly?: boolean;
  readonly renewsOnWaking?: boolean;
  readonly actsOnUncommitted?: boolean;
  readonly repeatsCommand?: boolean;
  readonly neverProbes?: boolean;
  readonly ignoresLease?: boolean;
  readonly ignoresDrain?: boolean;
  readonly believesReplay?: boolean;
  readonly forgetsDamagedFile?: boolean;
  readonly armOpens?: boolean;
  readonly neverKills?: boolean;
}
