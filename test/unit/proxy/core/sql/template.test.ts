import fc from "fast-check";
import { expect, test } from "vitest";
import { templateOf } from "../../../../../src/proxy/core/sql/template.ts";
import { realClassifier } from "./parser.ts";

test.each([
  ["select * from t where a = 4711", "select * from t where a = 0"],
  ["select 'it''s', 12", "select '', 0"],
  ["insert into t values (1,'a'),(2,'b')", "insert into t values (0,''),(0,'')"],
  ['select "a 1", a1, $1, 1.5, 0x1F, 1e5, 7', 'select "a 1", a1, $1, 1.5, 0x1F, 1e5, 0'],
  ['select "a""5" where b=3', 'select "a""5" where b=0'],
])("the literals of %s are blanked", (text, template) => {
  expect(templateOf(text)).toBe(template);
});

test.each([
  ["without literals", "select a from t"],
  ["whose literal decides", "set transaction_read_only = 'off'"],
  ["with a comment that could hide a quote", "select 1 -- it's"],
  ["with a block comment", "select 1 /* ' */"],
  ["with a dollar quote", "select $$'$$, 1"],
  ["with a backslash in a string", "select 'a\\', 1"],
  ["with a prefixed string", "select E'a', 1"],
  ["with a unicode string", "select U&'a', 1"],
  ["with an open string", "select 1, 'a"],
  ["with an open identifier", 'select 1, "a'],
])("a text %s has no template", (_, text) => {
  expect(templateOf(text)).toBeNull();
});

const PIECES = [
  "select",
  "insert into t values",
  "with x as",
  "a",
  "b1",
  "1",
  "22",
  "'x'",
  "''",
  "'a''b'",
  '"q"',
  "$1",
  "1.5",
  ".5",
  "1e3",
  ",",
  "(",
  ")",
  "+",
  "-",
  "from t",
  "where",
  "=",
  "::int",
  "E'x'",
  "f(",
  "for update",
  ";",
  "limit",
  "'it'",
  "/*",
  "*/",
  "--",
  "\n",
  "$$",
  "\\",
  "set_config('a','b',true)",
];

test("texts with the same template have the same class", async () => {
  const each = await realClassifier();
  const text = fc
    .array(fc.constantFrom(...PIECES), { maxLength: 14 })
    .map((pieces) => pieces.join(" "));
  fc.assert(
    fc.property(text, fc.nat(99_999), (text, number) => {
      const template = templateOf(`select ${text}`);
      if (template === null) return;
      const other = template
        .replaceAll("''", `'v${number}'`)
        .replace(/(?<![\w.$"])0(?![\w.$"])/g, "81");
      const classes = [template, other].map((one) => each.classify(one));
      // A refusal is kept for its own text alone, so it may differ.
      if (classes.some((found) => found.kind === "unparsable")) return;
      expect(classes[0]).toEqual(classes[1]);
    }),
    { numRuns: 2000 },
  );
});
