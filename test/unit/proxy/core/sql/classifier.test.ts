import { parseSync } from "libpg-query";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createClassifier } from "../../../../../src/proxy/core/sql/index.ts";
import { realClassifier } from "./parser.ts";

/** Counts what reaches the grammar. */
async function counting(own: { parseBytesMax?: number; cacheEntriesMax?: number } = {}) {
  const parsed: string[] = [];
  const parse = (sql: string): unknown => {
    parsed.push(sql);
    return parseSync(sql);
  };
  return { parsed, classifier: await realClassifier({ ...own, parse }) };
}

describe("the grammar is asked", () => {
  test("once for texts that differ in literals only", async () => {
    const { parsed, classifier } = await counting();
    for (let id = 0; id < 50; id++)
      classifier.classify(`select a from t where id = ${id} and b = 'x${id}'`);
    expect(parsed).toHaveLength(1);
  });

  test("never for what the first words tell", async () => {
    const { parsed, classifier } = await counting();
    const texts = [
      "begin",
      "commit;",
      "set a = 1",
      "insert into t values (1)",
      "update t set a = 1",
      "show x",
      "",
    ];
    for (const text of texts) classifier.classify(text);
    expect(parsed).toEqual([]);
  });

  test("again for a text that was forgotten", async () => {
    const { parsed, classifier } = await counting({ cacheEntriesMax: 1 });
    for (const text of ["select a", "select b", "select a"]) classifier.classify(text);
    expect(parsed).toEqual(["select a", "select b", "select a"]);
  });

  test("never for a text over the bound, counted in bytes", async () => {
    const { parsed, classifier } = await counting({ parseBytesMax: 40 });
    const found = classifier.classify(`select '${"é".repeat(20)}'`);
    expect(found).toMatchObject({ kind: "write", destination: "primary", decidedBy: "lexer" });
    expect(classifier.classify("select 1").kind).toBe("read");
    expect(parsed).toEqual(["select 1"]);
  });

  test("never for a text that could exhaust its stack", async () => {
    const { parsed, classifier } = await counting();
    expect(classifier.classify(`select 1${"+1".repeat(20_000)}`).kind).toBe("write");
    expect(parsed).toEqual([]);
    expect(classifier.parserFault).toBeNull();
  });
});

describe("the bytes of a text", () => {
  test("are read between start and end only, and mean what the text means", async () => {
    const classifier = await realClassifier();
    const text = fc.oneof(
      fc.constantFrom("select 1", "begin", "set a = 'b'", "select 'é', 2", "x", "", "select f('')"),
      fc.string(),
    );
    fc.assert(
      fc.property(text, fc.uint8Array(), fc.uint8Array(), (text, before, after) => {
        const own = Buffer.from(text, "utf8");
        const input = Buffer.concat([before, own, after]);
        const end = before.length + own.length;
        const fresh = createClassifier({
          parse: parseSync,
          cacheEntriesMax: 1,
          parseBytesMax: 9999,
        });
        const found = classifier.classifyBytes(input, before.length, end);
        expect(found).toEqual(fresh.classify(text));
        expect(classifier.classifyBytes(input, before.length, end)).toEqual(found);
      }),
      { numRuns: 500 },
    );
  });

  test("that were seen before are answered with the same object", async () => {
    const { parsed, classifier } = await counting();
    const of = (text: string) => {
      const bytes = Buffer.from(text, "utf8");
      return classifier.classifyBytes(bytes, 0, bytes.length);
    };
    const first = of("select a from t where id = 1");
    expect(of("select a from t where id = 4711")).toBe(first);
    expect(of("select b from t where id = 1")).not.toBe(first);
    expect(parsed).toHaveLength(2);
  });

  test("may be no UTF-8, and then no two texts are taken for one", async () => {
    const { parsed, classifier } = await counting();
    for (const bytes of [
      Buffer.from("select \xe9", "latin1"),
      Buffer.from("select \xe8", "latin1"),
    ]) {
      expect(classifier.classifyBytes(bytes, 0, bytes.length).kind).toBe("read");
    }
    expect(parsed).toHaveLength(2);
  });

  test("with a NUL in a literal say nothing of texts without one", async () => {
    const classifier = await realClassifier();
    expect(classifier.classify("select 'a\0'").kind).toBe("write");
    expect(classifier.classify("select 'a'").kind).toBe("read");
  });
});

test("a long text that may make a temporary table ties the session to its backend", async () => {
  const { classifier } = await counting({ parseBytesMax: 30 });
  const found = classifier.classify("create temp table t as select 1 as a, 2 as b");
  expect(found).toMatchObject({ kind: "write", changesSession: true });
});

test("a long INSERT is one statement, a huge one is taken for several", async () => {
  const classifier = await realClassifier();
  const insert = (rows: number) => `insert into t values ${"(1, 'a'), ".repeat(rows)}(2)`;
  expect(classifier.classify(insert(20_000))).toMatchObject({
    multi: false,
    changesSession: false,
  });
  expect(classifier.classify(insert(120_000))).toMatchObject({ multi: true, changesSession: true });
});

test("a refusal by the grammar is kept for that very text alone", async () => {
  const classifier = await realClassifier();
  expect(classifier.classify("select 1::float(99)").kind).toBe("unparsable");
  expect(classifier.classify("select 1::float(3)").kind).toBe("read");
});

test("a text with a NUL is not cut short by the grammar", async () => {
  const classifier = await realClassifier();
  expect(classifier.classify("select 1\0; delete from t").destination).toBe("primary");
});

test("after a fault the parser is not called again, and everything it read is a write", () => {
  let calls = 0;
  const classifier = createClassifier({
    parse: () => {
      calls++;
      throw new RangeError("Maximum call stack size exceeded");
    },
    cacheEntriesMax: 10,
    parseBytesMax: 1000,
  });
  expect(classifier.classify("select a").destination).toBe("primary");
  expect(classifier.parserFault).toContain("call stack");
  expect(classifier.classify("select b")).toMatchObject({ kind: "write", destination: "primary" });
  expect(classifier.classify("begin").kind).toBe("begin");
  expect(calls).toBe(1);
});

test("no text makes it throw, and nothing but a read or a setting leaves the primary", async () => {
  const classifier = await realClassifier();
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "select",
      "insert",
      "begin",
      ";",
      "'",
      '"',
      "$$",
      "$1",
      "/*",
      "*/",
      "--",
      "\n",
      "(",
      ")",
      "set",
      "show",
      "pool_nodes",
      "with",
      "as",
      "from",
      "copy",
      "to",
      "stdout",
      "reset",
      "all",
      "into",
      "\0",
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const found = classifier.classify(pieces.join(" "));
      const mayLeave = ["read", "copy-out", "show", "show-pool", "empty", "set", "discard"];
      expect(found.destination === "primary" || mayLeave.includes(found.kind)).toBe(true);
      if (found.multi) expect(found.destination).toBe("primary");
    }),
    { numRuns: 3000 },
  );
});

describe("a text that nobody wants to read whole", () => {
  test.each([
    ["a literal of ten megabytes", `select '${"x".repeat(10_000_000)}'`],
    ["brackets 20 000 deep", `select ${"(".repeat(20_000)}1${")".repeat(20_000)}`],
    ["a comment that never ends", `select ${"/*".repeat(200_000)}`],
    ["zero bytes", `select '\0'; drop table t`],
    ["half a character", Buffer.from("select 'é").subarray(0, -1)],
  ])("is a write, soon: %s", async (_, text) => {
    const classifier = await realClassifier();
    const bytes = Buffer.from(text);
    const sql = classifier.classifyBytes(bytes, 0, bytes.length);
    expect(sql.destination).toBe("primary");
    expect(classifier.parserFault).toBeNull();
    expect(classifier.classify("select 1").kind).toBe("read");
  });
});
