import { describe, expect, test } from "vitest";
import { Catalog } from "../../../../../src/proxy/core/routing/index.ts";
import { mayHaveColumns } from "../../../../../src/proxy/core/session/prepared-columns.ts";
import { say } from "../../../../support/raw-client.ts";
import { says, World } from "./world.ts";

const RAN = [says.bound, says.done, says.ready()];

/** A session that shares its connections, with s prepared, and what the client sends then. */
function session(...messages: readonly Buffer[]): World {
  const world = new World({ isSharing: true, backends: [0] });
  world.client(...messages);
  return world;
}

describe("the columns of a statement", () => {
  test("may be there unless its first word says otherwise", () => {
    const may = ["select 1", "(values (1))", "-- x\nwith x as (select 1) table x", "fetch c"];
    for (const text of may) expect(mayHaveColumns(text)).toBe(true);
    expect(mayHaveColumns("insert into t values (1) returning a")).toBe(true);
    for (const text of ["", " -- x", "begin", "/* x */ insert into t values (1)", "showy"]) {
      expect(mayHaveColumns(text)).toBe(false);
    }
  });
});

describe("an EXECUTE that is prepared again", () => {
  test("has no columns when its name meant nothing at first, whatever it means now", () => {
    const world = session(say.parse("", "execute s"), say.sync());
    world.backend(0, says.parsed, says.ready());
    world.client(say.parse("s", "select a from t for update"), say.sync());
    world.backend(0, says.parsed, says.ready());
    world.idle.length = 0;
    world.story();
    world.client(say.describe("S", ""), say.sync());
    world.opened(0);
    // That of s first, by its own name; then an unnamed one without text.
    expect(world.story()).toBe("open 0\n>0 P(s) P() D S\nresume client");
  });

  test("has the columns of what its name meant at first", () => {
    const world = session(
      say.parse("s", "select a from t for update"),
      say.parse("", "execute s"),
      say.sync(),
    );
    expect(world.story()).toBe("take 0\n>0 P(pgquorum/1) D P(s) P() S");
    const columns = says.rows.subarray(0, 7);
    world.backend(0, says.parsed, columns, says.parsed, says.parsed, says.ready());
    world.client(say.parse("t", "deallocate all"), say.bind("", "t"), say.execute(), say.sync());
    world.backend(0, says.parsed, says.noRows, says.bound, says.tag("DEALLOCATE ALL"));
    world.backend(0, says.ready());
    expect(world.story()).toMatch(/release 0$/);
    world.idle.length = 0;
    world.client(say.describe("S", ""), say.sync());
    world.opened(0);
    expect(world.story()).toBe("open 0\n>0 P(s) P() C D S\nresume client");
    // What its name meant is there by that name for a moment; that must not be longer.
    world.backend(0, says.parsed, says.error("57014"), says.ready());
    expect(world.story()).toBe(">client E(57014)\n>client ZI");
    world.client(say.parse("s", "values (1)"), say.sync());
    expect(world.story()).toMatch(/^>0 C P\((s|pgquorum\/\d)\) (D )?S$/);
  });
});

test("an EXECUTE without a name is still there when we have asked the server something", () => {
  const found = says.row("k", `${1 << 2}`, null);
  const world = session(say.query("listen b")).backend(0, says.done, says.ready());
  world.backend(0, found, says.done, says.ready());
  world.client(say.parse("", "execute s"), say.sync()).backend(0, says.parsed, says.ready());
  world.story();
  world.client(say.parse("l", "listen c"), say.bind("", "l"), say.execute(), say.sync());
  world.backend(0, says.parsed, says.columns(), ...RAN);
  expect(world.story()).toMatch(/>0 C C P\(pgquorum\/ask\) B\(pgquorum\/ask\) E C C S$/);
  world.backend(0, says.closed, says.closed, says.parsed, says.bound, found, says.done);
  world.backend(0, says.closed, says.closed, says.ready());
  expect(world.session.reasonsToKeep).toEqual(["LISTEN"]);
  world.client(say.describe("S", ""), say.sync());
  expect(world.story()).toBe(">0 D S");
});

test("an EXECUTE without a name is still there when we have asked what functions leave", () => {
  const world = new World({ backends: [0], catalog: new Catalog({ namesMax: 10, lifeMs: 0 }) });
  world.client(say.parse("", "execute s"), say.sync()).backend(0, says.parsed, says.ready());
  world.story();
  world.client(say.parse("f", "insert into t values (f())"), say.bind("", "f"), say.execute());
  world.client(say.sync()).backend(0, says.parsed, ...RAN);
  expect(world.story()).toMatch(/>0 C C P\(pgquorum\/ask\) B\(pgquorum\/ask\) E C C S$/);
  world.backend(0, says.closed, says.closed, says.parsed, says.bound, says.done);
  world.backend(0, says.closed, says.closed, says.ready());
  world.client(say.describe("S", ""), say.sync());
  expect(world.story()).toBe(">0 D S");
});

describe("a FETCH", () => {
  test("that was prepared outside a transaction is described as it was then", () => {
    const world = session(say.parse("f", "fetch c"), say.sync());
    world.backend(0, says.parsed, says.ready());
    world.client(say.query("begin")).backend(0, says.done, says.ready("T"));
    world.story();
    world.client(say.describe("S", "f"), say.sync());
    expect(world.story()).toBe(">0 D S");
  });

  test("that another session has prepared since is prepared anew, and described without columns", () => {
    const world = session(say.parse("f", "fetch c"), say.sync());
    world.backend(0, says.parsed, says.ready());
    world.idle.length = 0;
    world.client(say.bind("", "f"), say.execute(), say.sync());
    world.opened(0);
    world.backend(0, says.parsed, ...RAN).story();
    world.client(say.describe("S", "f"), say.sync());
    expect(world.story()).toBe("take 0\n>0 C P(pgquorum/1) D S");
  });
});

describe("a text of several statements in a transaction that has failed", () => {
  test("gets the statements that it names in a new transaction, which fails as well", () => {
    const world = session(say.parse("s", "select a from t for update"), say.sync());
    world.backend(0, says.parsed, says.ready());
    world.client(say.query("begin")).backend(0, says.done, says.ready("T"));
    world.client(say.query("select 1/0")).backend(0, says.error("22012"), says.ready("E"));
    world.story();
    world.client(say.query("rollback; deallocate s"));
    expect(world.story()).toBe(
      ">0 Q(ROLLBACK AND CHAIN)\n>0 P(s) E S\n>0 Q(rollback; deallocate s)",
    );
    world.backend(0, says.done, says.ready("T"), says.parsed, says.error("34000"), says.ready("E"));
    world.backend(0, says.done, says.done, says.ready());
    expect(world.story()).toContain(">client C C ZI");
  });

  test("goes there as it is when it is refused", () => {
    const world = session(say.parse("s", "select a from t for update"), say.sync());
    world.backend(0, says.parsed, says.ready());
    world.client(say.query("begin")).backend(0, says.done, says.ready("T"));
    world.client(say.query("select 1/0")).backend(0, says.error("22012"), says.ready("E"));
    world.story();
    world.client(say.query("select 1; deallocate s"));
    expect(world.story()).toBe(">0 Q(select 1; deallocate s)");
  });
});
