import { defineConfig } from "vitest/config";

/**
 * Three projects: `unit` is pure and quick; `contract` runs one suite on each driver of an
 * interface; `regression` starts a real PostgreSQL.
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
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
