import { expect, it } from "vitest";
import { withCheck } from "../../../../../src/backend/core/health/index.ts";
import { NO_CHECKS } from "../../../../../src/wire/ipc/index.ts";

it("counts checks by how they ended, and times those that were not skipped", () => {
  const checks = [
    { outcome: "succeeded", retries: 0, durationMs: 8.4, endedAt: 1 },
    { outcome: "succeeded", retries: 2, durationMs: 2, endedAt: 2 },
    { outcome: "failed", retries: 3, durationMs: 30, endedAt: 3 },
    { outcome: "skipped", retries: 0, durationMs: 1, endedAt: 4 },
  ] as const;
  expect(checks.reduce(withCheck, NO_CHECKS)).toEqual({
    total: 4,
    succeeded: 2,
    failed: 1,
    skipped: 1,
    retries: 5,
    retriesMax: 3,
    durationMax: 30,
    durationMin: 2,
    durationSum: 40,
    lastAt: 4,
    lastSucceededAt: 2,
    lastSkippedAt: 4,
    lastFailedAt: 3,
  });
});
