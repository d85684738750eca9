import { defineConfig } from "vitest/config";

/** The installed product in the lab: one lab at a time, and each step takes seconds. */
export default defineConfig({
  test: {
    include: ["test/cluster/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    sequence: { concurrent: false },
  },
});
