import { defineConfig } from "vitest/config";

/** Two projects: `unit` is pure and quick; `regression` starts a real PostgreSQL. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts", "test/tidy.test.ts"] } },
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
