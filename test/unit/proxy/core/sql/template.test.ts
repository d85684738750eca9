import fc from "fast-check";
import { parseSync } from "libpg-query";
import { expect, test } from "vitest";
import { createClassifier } from "../../../../../src/proxy/core/sql/index.ts";
import { Template } from "../../../../../src/proxy/core/sql/template.ts";
import { realClassifier } from "./parser.ts";
import { templateOfText } from "./text-template.ts";

const room = new Template(10_000);

/** Null when the text is kept as it is. */
function templateOf(text: string): string | null {
  // Bytes around it must not matter.
  const bytes = Buffer.from(`a1'${text}2'"`, "utf8");
  room.take(bytes, 3, bytes.length - 3);
  const found = Buffer.from(room.bytes.subarray(0, room.lengthBytes)).toString("utf8");
  return found === text ? null : found;
}

test.each([
  ["select * from t where a = 4711", "select * from t where a = 0"],
  ["select 'it''s', 12", "select '', 0"],
  ["insert into t values (1,'a'),(2,'b')", "insert into t values (0,''),(0,'')"],
  ['select "a 1", a1, $1, 1.5, 0x1F, 1e5, 7', 'select "a 1", a1, $1, 1.5, 0x1F, 1e5, 0'],
  ["select set_config( 'a', 'b', false)", "select set_config( 'a', '', false)"],
  ["select SET_CONFIG ('a', 'b', 1)", "select SET_CONFIG ('a', '', 0)"],
  [`select "f"('a', 'b'), f('a', 'b')`, `select "f"('a', ''), f('', '')`],
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

const EXPRESSIONS = [
  "a",
  "b1",
  "1",
  "22",
  "'x'",
  "'a''b'",
  '"q 1"',
  "$1",
  "1.5",
  "1e3",
  "f(1, 'x')",
  "2::int",
  "'x'::text",
  "E'x'",
  "a[1]",
  "-1",
  "(select 3)",
  "case when a = 1 then 'y' end",
  "interval '1' day",
  "set_config('a', 'b', true)",
  "set_config('a', '1', false)",
  "count(*) filter (where a > 5)",
  "now()",
  "cast(4 as numeric(10, 2))",
];
const TAILS = [
  "",
  " limit 1",
  " for update",
  " offset 2 rows",
  " order by 1",
  "; select 2",
  ";",
  " union select 'z'",
];

test("texts with the same template have the same class", async () => {
  const each = await realClassifier();
  const some = fc.array(fc.constantFrom(...EXPRESSIONS), { minLength: 1, maxLength: 4 });
  let compared = 0;
  fc.assert(
    fc.property(
      some,
      some,
      fc.constantFrom(...TAILS),
      fc.nat(99_999),
      (list, where, tail, number) => {
        const text = `select ${list.join(", ")} from t where ${where.join(" = ")}${tail}`;
        const template = templateOf(text);
        if (template === null) return;
        const other = template.replaceAll("''", `'v${number}'`);
        const classes = [text, other].map((one) => each.classify(one));
        // A refusal is kept for its own text alone, so it may differ.
        if (classes.some((found) => found.kind === "unparsable")) return;
        compared++;
        const fresh = createClassifier({
          parse: parseSync,
          cacheEntriesMax: 1,
          parseBytesMax: 9999,
        });
        expect(classes[1]).toEqual(classes[0]);
        expect(fresh.classify(other)).toEqual(classes[0]);
      },
    ),
    { numRuns: 1000 },
  );
  expect(compared).toBeGreaterThan(100);
});

const PIECES = [
  ...EXPRESSIONS,
  ...TAILS,
  ..."'\"$-/*\\.,;()[]&_0179aegEGU \t\n\0é€".split(""),
  "''",
  "$1",
  "$$",
  "--",
  "/*",
  "*/",
  "select",
  "set_config(",
  "set_config (",
  '"f"(',
  "0x1F",
  "1_000",
  "1.5e-3",
  "u&'",
  "E'",
  "\u00a0",
  "😀",
];

test("the bytes of a text are blanked exactly as its characters would be", () => {
  let blanked = 0;
  fc.assert(
    fc.property(
      fc.constantFrom("select ", "  SELECT\n", "with", "insert ", "Update ", "delete ", "set ", ""),
      fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 4 })), {
        maxLength: 15,
      }),
      (start, pieces) => {
        const text = start + pieces.join("");
        const expected = templateOfText(text);
        if (expected !== null && expected !== text) blanked++;
        expect(templateOf(text)).toBe(expected === text ? null : expected);
      },
    ),
    { numRuns: 5000 },
  );
  expect(blanked).toBeGreaterThan(500);
});

test("bytes that are no UTF-8 are parts of words", () => {
  const bytes = Buffer.from("select 1, '\xff\x27, \xe9\x31, 2", "latin1");
  room.take(bytes, 0, bytes.length);
  const found = Buffer.from(room.bytes.subarray(0, room.lengthBytes)).toString("latin1");
  expect(found).toBe("select 0, '', \xe91, 0");
});
