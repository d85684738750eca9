/** The cases, in the order in which they are played. */
import type { Case } from "./case.ts";
import { CRASH } from "./crash.ts";
import { FREEZE } from "./freeze.ts";
import { STALLS } from "./stalls.ts";

export type { Case } from "./case.ts";

export const CASE_NAMES = ["crash", "freeze", "stalls"] as const;
export type CaseName = (typeof CASE_NAMES)[number];

export const CASES: Readonly<Record<CaseName, Case>> = {
  crash: CRASH,
  freeze: FREEZE,
  stalls: STALLS,
};
