import { loadModule, parseSync } from "libpg-query";
import { describe, expect, test } from "vitest";
import { Catalog } from "../../../../../src/proxy/core/routing/index.ts";
import { LeavingCalls } from "../../../../../src/proxy/core/session/leaving-functions.ts";
import { createClassifier } from "../../../../../src/proxy/core/sql/index.ts";
import { says } from "./world.ts";

await loadModule();
const classifier = createClassifier({ parse: parseSync, cacheEntriesMax: 10, parseBytesMax: 1000 });
const classify = classifier.classify.bind(classifier);

const hex = (text: string): string => Buffer.from(text).toString("hex");
const ANSWER = Buffer.concat([
  says.row("f", hex("Leaves")),
  says.row("f", hex("leaves")),
  says.row("t", hex("watched")),
  says.row("s", hex("app.who")),
]);

function calls(answer: Buffer | null): LeavingCalls {
  const made = new LeavingCalls(new Catalog({ namesMax: 10, lifeMs: 0 }));
  made.mayLeave(classify("select f()"));
  made.learn(answer, made.drops);
  return made;
}

describe("functions that leave something", () => {
  test.each([
    ["select leaves()", true],
    ["select s.leaves(1) from t", true],
    ['select "Leaves"()', true],
    ["insert into t values (1, leaves('x'))", true],
    ["update t set a = leaves() where b = 1", true],
    ["prepare p as select leaves()", true],
    ["insert into watched values (1)", true],
    ["delete from s.watched", true],
    ["select 'leaves()' from watched", false],
    ["insert into leaves (a) values (1)", false],
    ["select other()", false],
  ])("are found in: %s", (text, mayLeave) => {
    expect(calls(ANSWER).mayLeave(classify(text))).toBe(mayLeave);
  });

  test("are asked for when something is called that may be one, and once only", () => {
    const catalog = new Catalog({ namesMax: 10, lifeMs: 0 });
    const asking = new LeavingCalls(catalog);
    asking.mayLeave(classify("select count(*), lower(a) from t group by 2"));
    expect(asking.isOpen).toBe(false);
    asking.mayLeave(classify("select leaves()"));
    expect(asking.isOpen).toBe(true);
    expect(asking.learn(ANSWER, asking.drops)).toBe(true);
    expect(asking.settings).toEqual(["app.who"]);
    const other = new LeavingCalls(catalog);
    other.mayLeave(classify("select f()"));
    expect(other.isOpen).toBe(false);
    catalog.drop(false);
    other.mayLeave(classify("select f()"));
    expect(other.isOpen).toBe(false);
    catalog.drop();
    other.mayLeave(classify("select f()"));
    expect(other.isOpen).toBe(true);
  });

  test("count as called while nothing is known, and are asked for a few times only", () => {
    const asking = new LeavingCalls(new Catalog({ namesMax: 10, lifeMs: 0 }));
    for (let round = 0; round < 3; round += 1) {
      asking.mayLeave(classify("select f()"));
      expect(asking.learn(null, asking.drops)).toBe(true);
    }
    expect(asking.mayLeave(classify("select f()"))).toBe(true);
    expect(asking.isOpen).toBe(false);
    expect(asking.mayLeave(classify("select a from t"))).toBe(false);
  });

  test.each([
    ["create table x (a int)", false],
    ["create temp table x as select 1", false],
    ["create index on t (a)", false],
    ["drop table x", false],
    ["insert into t values (1)", false],
    ["create table x partition of t for values in (1)", true],
    ["create or replace function f() returns int language sql as 'select 1'", true],
    ["create trigger x before insert on t execute function f()", true],
    ["alter table t enable trigger x", true],
    ["create extension x", true],
    ["do 'begin end'", true],
    ["create table x (a int); create function f() returns int language sql as 'select 1'", true],
  ])("may be others after it: %s", (text, mayBe) => {
    expect(classify(text).changesFunctions).toBe(mayBe);
  });

  test("of before a DDL are not believed after it", () => {
    const catalog = new Catalog({ namesMax: 10, lifeMs: 0 });
    const asking = new LeavingCalls(catalog);
    const { drops } = asking;
    asking.mayLeave(classify("select f()"));
    catalog.drop();
    expect(asking.learn(Buffer.alloc(0), drops)).toBe(false);
    expect(catalog.leaving).toBeNull();
  });
});
