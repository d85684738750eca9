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
const MISCOUNTED = error("08P01", "PortalSetResultFormat");

/** Runs s, with text for each of two columns. */
const COUNTS = [
  say.any("B", Buffer.from("\0s\0\0\0\0\0\0\x02\0\0\0\0")),
  say.describe("P", ""),
  say.execute(),
  say.sync(),
];
const DESCRIBES = [say.bind("", "s"), say.describe("P", ""), say.execute(), say.sync()];
const TRUSTS = [say.bind("", "s"), say.execute(), say.sync()];

/** A session that shares one connection, with statement s of it prepared as pgquorum/1. */
function prepared(): World {
  const world = new World({ isSharing: true, backends: [0] });
  world.client(say.parse("s", SELECT), say.sync()).backend(0, says.parsed, says.ready()).story();
  return world;
}

describe("an outdated plan", () => {
  test("is prepared anew, unseen, for a client that asks what the columns are", () => {
    const world = prepared().client(...DESCRIBES);
    world.story();
    world.backend(0, OUTDATED, says.ready());
    expect(world.story()).toContain(">0 C P(pgquorum/1) B(pgquorum/1) D E S");
  });

  test.each([
    ["gives each column a format", COUNTS],
    ["does not ask for the columns", TRUSTS],
  ])("is shown to a client that %s", (_, batch) => {
    const world = prepared().client(...batch);
    world.story();
    world.backend(0, OUTDATED, says.ready());
    expect(world.story()).toBe(">client E(0A000)\n>client ZI\nrelease 0");
  });

  test("is not shown to a client that has prepared since the change, on another connection", () => {
    const world = prepared();
    const old = world.idle.pop() as BackendLink;
    world.client(say.close("S", "s"), say.sync()).opened(0);
    world.backend(0, says.closed, says.ready());
    world.client(say.parse("s", SELECT), say.sync()).backend(0, says.parsed, says.ready()).story();
    world.idle.splice(0, 1, old);
    world.links[0] = old;
    world.client(...COUNTS);
    expect(world.story()).toBe("take 0\n>0 B(pgquorum/1) D E S");
    world.backend(0, OUTDATED, says.ready());
    expect(world.story()).toContain(">0 C P(pgquorum/1) B(pgquorum/1) D E S");
  });
});

describe("a Bind that counts other columns than there are", () => {
  test("meets an outdated plan, where the statement was given to the server anew", () => {
    const world = prepared();
    world.idle.length = 0;
    world.client(...COUNTS).opened(0);
    world.story();
    world.backend(0, says.parsed, MISCOUNTED, says.ready());
    expect(world.story()).toBe(">client E(0A000)\n>client ZI\nrelease 0");
  });

  test("is wrong, where the client's own Parse was the last", () => {
    const world = prepared().client(...COUNTS);
    world.story();
    world.backend(0, MISCOUNTED, says.ready());
    expect(world.story()).toBe(">client E(08P01)\n>client ZI\nrelease 0");
  });
});
