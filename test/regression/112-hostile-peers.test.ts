/** `SECONDS=60 SEED=7` for a longer run; `npm run fuzz -- postgres --live` does the same. */
import { expect, test } from "vitest";
import { fuzzLive } from "../fuzz/live/fuzz-live.ts";

const SECONDS = Number(process.env.SECONDS ?? "5");
const SEED = Number(process.env.SEED ?? "1");

test.each([
  ["session", []],
  ["transaction", ["pool_mode = 'transaction'", "pool_size = 8"]],
])(
  "in %s mode hostile clients and servers neither end a worker nor disturb an honest peer",
  async (_mode, own) => {
    const config = ["num_init_children = 100", "connect_timeout = 2000", ...own];
    const result = await fuzzLive({ seed: SEED, seconds: SECONDS, config });
    expect(result.wrong.join("\n")).toBe("");
    // How many depends on the machine and who else uses it.
    expect(result.connections).toBeGreaterThan(5);
    expect(result.answers).toBeGreaterThan(5);
  },
  60_000 + SECONDS * 2000,
);
