import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCorpus } from "../../fuzz/corpus.ts";
import { Engine, whyBroken } from "../../fuzz/engine.ts";
import { Features } from "../../fuzz/features.ts";
import { formatScript, parseScript, step } from "../../fuzz/script.ts";
import { shrinkScript } from "../../fuzz/shrink.ts";
import type { Target } from "../../fuzz/target.ts";
import { targets } from "../../fuzz/targets/index.ts";

const kept = readCorpus(join(import.meta.dirname, "../../fuzz/corpus/postgres"));

test.each(kept.map(({ file, script }) => ({ file, script })))(
  "$file breaks no promise any more",
  ({ script }) => {
    const target = targets.find(({ name }) => name === script.target);
    expect(target, script.target).toBeDefined();
    if (target !== undefined) expect(whyBroken(target, script.steps, new Features())).toBeNull();
  },
);

test("every kept script names a target", () => {
  const names = new Set(targets.map(({ name }) => name));
  expect(kept.filter(({ script }) => !names.has(script.target))).toEqual([]);
});

describe("the fuzzer itself", () => {
  /** Broken by two steps with a byte 7 in them, whatever else there is. */
  const fragile: Target = {
    name: "fragile",
    about: "",
    mutatesBytes: true,
    generate: (random) => Array.from({ length: 9 }, () => step("a", Buffer.of(random.below(9), 1))),
    run(steps, features) {
      const bad = steps.filter(({ bytes }) => bytes.includes(7)).length;
      features.see(bad);
      if (bad >= 2) throw new Error(`${bad} sevens`);
    },
  };
  const engineOf = (seed: number): Engine =>
    new Engine({ seed, targets: [fragile], nowMs: () => 0, onRun: () => undefined });

  test("finds what breaks a promise and makes it as small as it can be", () => {
    const engine = engineOf(1);
    let finding = null;
    for (let i = 0; i < 500 && finding === null; i += 1) finding = engine.run(engine.draw());
    expect(finding?.why).toContain("2 sevens");
    expect(finding?.script.steps.map(({ bytes }) => [...bytes])).toEqual([[7], [7]]);
  });

  test("draws the same scripts from the same seed", () => {
    const [first, second] = [engineOf(5), engineOf(5)];
    for (let i = 0; i < 50; i += 1) {
      const script = first.draw();
      expect(formatScript(second.draw())).toBe(formatScript(script));
      expect(second.run(script)?.script).toEqual(first.run(script)?.script);
    }
  });

  test("writes scripts that read back as they were", () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const script = { target: "frames", steps: [step("bytes", bytes, 3), step("serve")] };
    expect(parseScript(formatScript(script, "two\nlines"))).toEqual({ ok: true, value: script });
    expect(parseScript("target frames\nwhat?")).toMatchObject({ ok: false });
  });

  test("keeps a step whose bytes all matter", () => {
    const whole = [step("a", Buffer.of(1, 2, 3))];
    const fails = (steps: readonly { bytes: Buffer }[]): boolean =>
      steps[0]?.bytes.equals(Buffer.of(1, 2, 3)) === true;
    expect(shrinkScript(whole, true, fails)).toEqual(whole);
  });
});

test.each(targets.filter(({ name }) => name !== "session"))(
  "$name keeps its promises over two hundred scripts",
  (target) => {
    const engine = new Engine({
      seed: 1,
      targets: [target],
      nowMs: () => 0,
      onRun: () => undefined,
    });
    for (let i = 0; i < 200; i += 1) {
      const finding = engine.run(engine.draw());
      expect(finding && `${finding.why}\n${formatScript(finding.script)}`).toBeNull();
    }
  },
  30_000,
);
