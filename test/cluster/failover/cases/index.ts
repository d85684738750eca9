/** The cases, in the order in which they are played. */
import type { Case } from "./case.ts";
import { CANCELS } from "./cancels.ts";
import { CRASH } from "./crash.ts";
import { FALSE_PRIMARY } from "./false-primary.ts";
import { FREEZE } from "./freeze.ts";
import { MIXED } from "./mixed.ts";
import { RECOVERY } from "./recovery.ts";
import { STALLS } from "./stalls.ts";
import { STEPS_CASE } from "./steps.ts";
import { SWITCHOVER } from "./switchover.ts";

export type { Case } from "./case.ts";

export const CASE_NAMES = [
  "switchover",
  "crash",
  "freeze",
  "steps",
  "mixed",
  "cancels",
  "stalls",
  "false-primary",
  "recovery",
] as const;
export type CaseName = (typeof CASE_NAMES)[number];

export const CASES: Readonly<Record<CaseName, Case>> = {
  switchover: SWITCHOVER,
  crash: CRASH,
  freeze: FREEZE,
  steps: STEPS_CASE,
  mixed: MIXED,
  cancels: CANCELS,
  stalls: STALLS,
  "false-primary": FALSE_PRIMARY,
  recovery: RECOVERY,
};
