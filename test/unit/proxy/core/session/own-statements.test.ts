import { describe, expect, test } from "vitest";
import { say } from "../../../../support/raw-client.ts";
import { World, says } from "./world.ts";

const READ = "select a from t";
const SHOW = "show pool_version";

const batch = (text: string, name = "", portal = ""): Buffer[] => [
  say.parse(name, text),
  say.bind(portal, name),
  say.describe("P", portal),
  say.execute(portal),
];

describe("statements of ours in the extended protocol", () => {
  test("a whole batch is answered here, and no server hears of it", () => {
    const world = new World().client(...batch(SHOW), say.sync());
    expect(world.story()).toBe(tell("1, 2, T, D C, ZI"));
  });

  test("a Describe of the statement says that it has no parameters", () => {
    const world = new World().client(say.parse("s", SHOW), say.describe("S", "s"), say.sync());
    expect(world.story()).toBe(tell("1, t, T, ZI"));
    world.client(say.bind("", "s"), say.execute(), say.sync());
    expect(world.story()).toBe(tell("2, D C, ZI"));
    world.client(say.close("S", "s"), say.sync());
    expect(world.story()).toBe(tell("3, ZI"));
    // Nobody knows it any more; the server says so.
    world.client(say.bind("", "s"), say.execute(), say.sync());
    expect(world.story()).toBe(">0 B(s) E S");
  });

  test("a row limit suspends the portal, which the next Execute goes on with", () => {
    const world = new World().client(say.query("begin"));
    world.backend(0, says.done, says.ready("T")).story();
    world.client(say.parse("", "show pool_nodes"), say.bind("c", ""), say.execute("c", 2));
    expect(world.story()).toBe(tell("1, 2, D D s"));
    world.client(say.sync());
    expect(world.story()).toBe(tell("ZT"));
    world.client(say.execute("c", 2), say.sync());
    expect(world.story()).toBe(tell("D C, ZT"));
    world.client(say.close("P", "c"), say.sync());
    expect(world.story()).toBe(tell("3, ZT"));
  });

  test("a portal ends with its transaction", () => {
    const world = new World().client(say.parse("s", SHOW), say.bind("c", "s"), say.sync());
    world.story();
    world.client(say.execute("c"), say.sync());
    expect(world.story()).toBe(">0 E S");
  });

  test("behind a BEGIN in the same batch it is answered when the server has answered", () => {
    const world = new World().client(
      ...batch("begin").filter((_, index) => index !== 2),
      ...batch(SHOW),
      say.sync(),
    );
    expect(world.story()).toBe(">0 P() B() E\n>0 H\npause client");
    world.backend(0, says.parsed, says.bound, says.done);
    expect(world.story()).toBe(`>client 1 2 C\n${tell("1, 2, T, D C")}\n>0 S\nresume client`);
    world.backend(0, says.ready("T"));
    expect(world.story()).toBe(tell("ZT"));
  });

  test("before a statement of a server it is answered at once", () => {
    const world = new World().client(...batch(SHOW), ...batch(READ), say.sync());
    expect(world.story()).toBe(`${tell("1, 2, T, D C")}\n>1 P() B() D E S`);
  });

  test("what stands behind a statement that failed in the same batch is skipped", () => {
    const world = new World().client(...batch("select nothing"), ...batch(SHOW), say.sync());
    world.story();
    world.backend(0, says.error("42703"));
    // The server skips it as well, so it may have it.
    expect(world.story()).toBe(">client E(42703)\n>0 P() B() D E S\nresume client");
    world.backend(0, says.ready());
    expect(world.story()).toBe(tell("ZI"));
  });

  test("an error of ours ends the batch, up to its Sync", () => {
    const world = new World().client(say.parse("", "pgpool nonsense"), say.bind("", ""));
    expect(world.story()).toBe(tell("E(42601)"));
    world.client(...batch(READ), say.sync(), say.query(READ));
    expect(world.story()).toBe(`${tell("ZI")}\n>1 Q(${READ})`);
  });

  test("an error of ours undoes what a server did in the same batch", () => {
    const world = new World().client(
      say.parse("", "insert into t values (1)"),
      say.bind("", ""),
      say.execute(),
      say.parse("", "pgpool nonsense"),
      say.sync(),
    );
    world.story();
    world.backend(0, says.parsed, says.bound, says.done);
    expect(world.story()).toBe(
      ">client 1 2 C\n>client E(42601)\n>0 B(pgquorum/)\n>0 S\nresume client",
    );
    world.backend(0, says.error("26000"), says.ready());
    expect(world.story()).toBe(tell("ZI"));
  });

  test("it waits for the answer of others, and so does what follows", () => {
    const world = new World().client(...batch("show pool_clients"), say.sync(), say.query(READ));
    expect(world.story()).toBe(`${tell("1, 2, T")}\npause client`);
    world.session.ownAnswered({ ok: true, value: { columns: ["v"], rows: [["1"]], tag: "SHOW" } });
    expect(world.story()).toBe(`${tell("D C, ZI")}\n>1 Q(${READ})\nresume client`);
  });

  test("it has no parameters", () => {
    const world = new World().client(say.parse("", SHOW), say.bind("", "", ["1"]), say.sync());
    expect(world.story()).toBe(tell("1, E(08P01), ZI"));
  });

  test("in a failed transaction it fails", () => {
    const world = new World().client(say.query("begin"), say.query(READ));
    world.backend(0, says.done, says.ready("T")).backend(0, says.error("42P01"), says.ready("E"));
    world.story();
    world.client(...batch(SHOW), say.sync());
    expect(world.story()).toBe(tell("E(25P02), ZE"));
    world.client(say.query(SHOW));
    expect(world.story()).toBe(tell("E(25P02) ZE"));
  });

  test("a message too long to be held goes on to a server behind one of ours", () => {
    const giant = say.parse("", `${READ} -- ${"x".repeat(300_000)}`);
    const world = new World().client(say.parse("s", SHOW), giant.subarray(0, 280_000));
    expect(world.story()).toMatch(/^>client 1\n>0 P\(/);
    world.client(giant.subarray(280_000), say.sync());
    expect(world.story()).toMatch(/S$/);
  });

  test("a name of ours is taken, for us and for servers, until it is deallocated", () => {
    const world = new World().client(say.parse("s", SHOW), say.sync());
    world.story();
    world.client(say.parse("s", READ), say.sync());
    expect(world.story()).toBe(tell("E(42P05), ZI"));
    world.client(say.parse("s", SHOW), say.sync());
    expect(world.story()).toBe(tell("E(42P05), ZI"));
    world.client(say.query("deallocate s"));
    expect(world.story()).toBe(tell("C ZI"));
    world.client(say.parse("s", READ), say.sync());
    expect(world.story()).toBe(">1 P(s) S");
  });

  test("a name of a server's statement cannot be one of ours", () => {
    const world = new World().client(say.parse("s", READ), say.sync());
    world.backend(1, says.parsed, says.ready()).story();
    world.client(say.parse("s", SHOW), say.sync());
    expect(world.story()).toBe(tell("E(42P05), ZI"));
  });

  test("DISCARD ALL and DEALLOCATE ALL forget those of ours", () => {
    const world = new World().client(say.parse("s", SHOW), say.sync());
    world.story();
    world.client(say.query("deallocate all"));
    world.backend(0, says.done, says.ready()).story();
    world.client(say.bind("", "s"), say.execute(), say.sync());
    expect(world.story()).toBe(">0 B(s) E S");
  });

  test("the unnamed statement is the one that was prepared last, whosever it is", () => {
    const world = new World().client(say.parse("", SHOW), say.sync());
    world.story();
    world.client(say.parse("", READ), say.sync());
    world.backend(1, says.parsed, says.ready()).story();
    world.client(say.bind("", ""), say.execute(), say.sync());
    expect(world.story()).toBe(">1 B() E S");
  });
});

test("EXPLAIN ROUTE tells where a statement would go, and sends it nowhere", () => {
  const world = new World().client(say.query("pgpool explain route select a from t"));
  expect(world.story()).toMatch(/^>client T( D)+ C ZI$/);
  world.client(say.query("pgpool explain route"));
  expect(world.story()).toBe(tell("E(42601) ZI"));
});

/** What is told together stands between two commas. */
function tell(words: string): string {
  return words
    .split(", ")
    .map((group) => `>client ${group}`)
    .join("\n");
}
