import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { judge, placesOf, roleOf, type Compared } from "../../regression/routing/compare.ts";
import { CONFIGURATIONS } from "../../regression/routing/configurations.ts";
import { markOf, parseCorpus, textOf, type Unit } from "../../regression/routing/corpus.ts";
import { DIFFERENCES, type Difference } from "../../regression/routing/differences.ts";
import { vanished } from "../../regression/routing/report.ts";
import type { Lane } from "../../regression/routing/stage.ts";

const ROOT = join(import.meta.dirname, "../../..");

const corpus = (text: string): readonly Unit[] => parseCorpus(new Map([["file", text]]));

const SCRIPT = `# Writes
insert into t\\nvalues (1)
> @extended a script
begin read write
// a remark
@parse p select $1::text
@run p
@settle
@bare commit

@app=reports select 1`;

describe("the corpus", () => {
  test("is statements and scripts under rules, with words before them", () => {
    const [first, script, last] = corpus(SCRIPT) as [Unit, Unit, Unit];
    expect(textOf(first, 0)).toBe("insert into t\nvalues (1) /*u0.0*/");
    expect([first.rule, first.title, first.protocols]).toEqual([
      "Writes",
      null,
      ["simple", "extended"],
    ]);
    expect([script.title, script.protocols]).toEqual(["a script", ["extended"]]);
    expect(script.steps.map((step) => step.kind)).toEqual([
      "statement",
      "parse",
      "run",
      "settle",
      "statement",
    ]);
    expect(textOf(script, 4)).toBe("commit");
    expect(last.application).toBe("reports");
  });

  test("says where it is wrong", () => {
    expect(() => corpus("select 1")).toThrow("file:1: a statement before the first rule");
    expect(() => corpus("# R\n@settle")).toThrow("file:2: @settle stands in scripts only");
  });
});

describe("where a statement ran", () => {
  const lane: Lane = { product: "pgpool2", protocol: "extended", port: 1, database: "d" };
  const [first, script] = corpus(SCRIPT) as [Unit, Unit];
  const played = new Map(
    [first, script].map((unit) => [
      unit,
      unit.steps.map((_, at) => ({
        outcome: "ok",
        inTransaction: false,
        fromMs: at * 100,
        toMs: at * 100 + 50,
      })),
    ]),
  );
  const seen = { node: 1, database: "d", application: "u1", atMs: 20, text: "", parameters: "" };

  test("is told by its mark, in its text or in a parameter, and by its text when it has none", () => {
    const placeOf = placesOf(lane, played, [
      { ...seen, node: 2, text: textOf(first, 0) ?? "" },
      { ...seen, node: 0, text: textOf(first, 0) ?? "" },
      { ...seen, text: textOf(script, 1) ?? "", parameters: "parameters: $1 = 'u1.2'" },
      { ...seen, text: "commit" },
      { ...seen, text: "commit", database: "another" },
    ]);
    expect(placeOf(first, 0)).toBe("0+2");
    expect([0, 1, 2, 3, 4].map((at) => placeOf(script, at))).toEqual([
      "none",
      "none",
      "1",
      "none",
      "1",
    ]);
  });

  test("is also where a plain BEGIN stood in for the client's", () => {
    expect(placesOf(lane, played, [{ ...seen, text: "BEGIN" }])(script, 0)).toBe("1");
    expect(placesOf(lane, played, [{ ...seen, text: "BEGIN", atMs: 70 }])(script, 0)).toBe("none");
    expect(markOf(script, 0)).toBe("u1.0");
  });

  test("counts as primary, standby or both", () => {
    expect(["none", "0", "1", "1+2", "0+2"].map(roleOf)).toEqual(["none", "P", "S", "S", "P+S"]);
  });
});

describe("a verdict", () => {
  const [configuration] = CONFIGURATIONS as [(typeof CONFIGURATIONS)[0]];
  const [unit] = corpus("# Writes\nvalues (1)") as [Unit];
  const difference: Difference = {
    name: "one",
    row: "",
    rules: ["Writes"],
    statements: /^values/,
    pgpool2: "P",
    pgquorum: "S",
  };
  const at = (theirs: string, ours: string): Compared => ({
    configuration: configuration.name,
    protocol: "simple",
    unit,
    index: 0,
    text: "values (1)",
    inTransaction: false,
    pgpool2: { place: theirs, outcome: "ok" },
    pgquorum: { place: ours, outcome: "ok" },
  });

  test("is wrong for a difference that nobody expects", () => {
    expect(judge(at("0", "0"), configuration, []).kind).toBe("equal");
    expect(judge(at("0", "1"), configuration, []).kind).toBe("wrong");
    expect(judge(at("1", "2"), configuration, []).kind).toBe("wrong");
    expect(judge(at("1", "2"), { ...configuration, comparesRoles: true }, []).kind).toBe("equal");
  });

  test("is wrong as well for an expected one that is gone, or turned round", () => {
    expect(judge(at("0", "1"), configuration, [difference])).toEqual({
      kind: "documented",
      difference,
    });
    expect(judge(at("0", "0"), configuration, [difference]).kind).toBe("wrong");
    expect(judge(at("1", "0"), configuration, [difference]).kind).toBe("wrong");
    expect(vanished([], [difference])).toEqual([difference]);
  });
});

describe("a documented difference", () => {
  test.each(DIFFERENCES.map((one) => [one.name, one.row]))("%s has its row", (_name, row) => {
    expect(readFileSync(join(ROOT, "docs/compatibility.md"), "utf8")).toContain(`| ${row}`);
  });
});
