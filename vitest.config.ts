import { defineConfig } from "vitest/config";

/** They measure to the millisecond what the kernel and frozen processes do. */
const ALONE = ["test/regression/{204,402,406}-*.test.ts"];

/**
 * Four projects: `unit` is pure and quick; `contract` runs one suite on each driver of an
 * interface; `regression` starts real servers and mostly waits for them, so two files run at a time;
 * `regression-alone` is the rest of it, one file after another when all else is over.
 */
export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts", "test/tidy.test.ts"] } },
      { test: { name: "contract", include: ["test/contract/**/*.test.ts"], testTimeout: 10_000 } },
      {
        test: {
          name: "regression",
          include: ["test/regression/**/*.test.ts"],
          exclude: ALONE,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "regression-alone",
          include: ALONE,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
