import { describe, expect, test } from "vitest";
import type { BackendLink } from "../../../../../src/proxy/core/session/index.ts";
import { buildMessage } from "../../../../../src/wire/postgres/index.ts";
import { say } from "../../../../support/raw-client.ts";
import { says, World } from "./world.ts";

const SELECT = "select * from t for update";

function error(sqlstate: string, routine: string): Buffer {
  const fields = ["SERROR", "VERROR", `C${sqlstate}`, "Mm", `R${routine}`];
  return buildMessage("E".codePointAt(0) ?? 0, Buffer.from(`${fields.join("\0")}\0\0`));
}
const OUTDATED = error("0A000", "RevalidateCachedQuery");
const NO_STATEMENT = error("26000", "FetchPreparedStatement");

/** Runs s, with text for each of two columns. */
const COUNTS = [
  say.any("B", Buffer.from("\0s\0\0\0\0\0\0\x02\0\0\0\0")),
  say.describe("P", ""),
  say.execute(),
  say.sync(),
];
const DESCRIBES = [say.bind("", "s"), say.describe("P", ""), say.execute(), say.sync()];
const TRUSTS = [say.bind("", "s"), say.execute(), say.sync()];

const BEFORE = Buffer.concat([says.noParameters, says.columns("a")]);
const AFTER = Buffer.concat([says.noParameters, says.columns("a", "b")]);

/** A session that shares one connection, with statement s of it prepared as pgquorum/1. */
function prepared(): World {
  const world = new World({ isSharing: true, backends: [0] });
  world.client(say.parse("s", SELECT), say.sync());
  world.backend(0, says.parsed, BEFORE, says.ready()).story();
  return world;
}

/** It has another connection from now on. */
function moved(world: World): World {
  world.idle.length = 0;
  return world;
}

const RELIES: readonly (readonly [string, readonly Buffer[]])[] = [
  ["gives each column a format", COUNTS],
  ["does not ask for the columns", TRUSTS],
];

describe("an outdated plan", () => {
  test("is prepared anew, unseen, for a client that asks what the columns are", () => {
    const world = prepared().client(...DESCRIBES);
    world.story();
    world.backend(0, OUTDATED, says.ready());
    expect(world.story()).toContain(">0 C P(pgquorum/1) B(pgquorum/1) D E S");
  });

  test.each(RELIES)(
    "is prepared anew, and found to be another, for a client that %s",
    (_, batch) => {
      const world = prepared().client(...batch);
      world.story();
      world.backend(0, OUTDATED, says.ready());
      expect(world.story()).toBe(">0 C P(pgquorum/1) D\n>0 H\npause client");
      world.backend(0, says.closed, says.parsed, AFTER);
      expect(world.story()).toMatch(/^>0 B\(pgquorum\/\) (D )?E S\nresume client$/);
      world.backend(0, NO_STATEMENT, says.ready());
      expect(world.story()).toBe(">client E(0A000)\n>client ZI\nrelease 0");
    },
  );

  test("is not shown to a client that has prepared since the change, on another connection", () => {
    const world = prepared();
    const old = world.idle.pop() as BackendLink;
    world.client(say.close("S", "s"), say.sync()).opened(0);
    world.backend(0, says.closed, says.ready());
    world.client(say.parse("s", SELECT), say.sync());
    world.backend(0, says.parsed, AFTER, says.ready()).story();
    world.idle.splice(0, 1, old);
    world.links[0] = old;
    world.client(...COUNTS);
    expect(world.story()).toBe("take 0\n>0 C P(pgquorum/1) D\n>0 H\npause client");
    world.backend(0, says.closed, says.parsed, AFTER);
    expect(world.story()).toContain(">0 B(pgquorum/1) D E S");
  });
});

describe("a statement that is prepared on another connection", () => {
  test.each(RELIES)("is executed there if it is the same, for a client that %s", (_, batch) => {
    const world = moved(prepared()).client(...batch);
    world.opened(0);
    expect(world.story()).toContain(">0 P(pgquorum/1) D\n>0 H\n");
    world.backend(0, says.parsed, BEFORE);
    expect(world.story()).toMatch(/^>0 B\(pgquorum\/1\) (D )?E S/);
    world.backend(0, says.bound, says.done, says.ready());
    expect(world.story()).toContain("release 0");
    world.client(...batch);
    expect(world.story()).toMatch(/^take 0\n>0 B\(pgquorum\/1\) (D )?E S$/);
  });

  test("is asked for no columns while it has none, or the client asks itself", () => {
    const world = moved(prepared()).client(...DESCRIBES);
    world.opened(0);
    expect(world.story()).toContain(">0 P(pgquorum/1) B(pgquorum/1) D E S");
    world.backend(0, says.parsed, says.bound, says.columns("a", "b"), says.done, says.ready());
    expect(world.story()).toContain(">client 2 T C ZI");
    // It knows the new ones by now, and may rely on them.
    world.client(...TRUSTS);
    expect(world.story()).toBe("take 0\n>0 B(pgquorum/1) E S");
  });

  test("gives the client the error of its own Parse, in its place in the batch", () => {
    const world = moved(prepared());
    world.client(say.parse("", "select 1"), say.bind("", ""), say.execute(), ...TRUSTS).opened(0);
    expect(world.story()).toContain(">0 P() B() E P(pgquorum/1) D\n>0 H\n");
    world.backend(0, says.parsed, says.bound, says.done, says.error("42703"));
    expect(world.story()).toContain(">client 1 2 C\n>client E(42703)\n>0 B(s) E S");
    world.backend(0, says.ready());
    expect(world.story()).toBe(">client ZI\nrelease 0");
  });
});
