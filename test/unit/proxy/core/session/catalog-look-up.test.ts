import { expect, test } from "vitest";
import { say } from "../../../../support/raw-client.ts";
import { Catalog } from "../../../../../src/proxy/core/routing/index.ts";
import { World, says } from "./world.ts";

const READ = "select f(a) from t";
const WRITE = "insert into t values (1)";
const KNOWS = { namesMax: 100, lifeMs: 0 };

function world(own: { isSharing?: boolean } = {}): { world: World; catalog: Catalog } {
  const catalog = new Catalog(KNOWS);
  return { world: new World({ ...own, catalog }), catalog };
}

/** A story in which our own questions are short. */
function story(of: World): string {
  return of.story().replaceAll(/Q\(SELECT 'r'[^]*?GROUP BY v\.i\)/g, "Q(names)");
}

const ANSWER = [says.row("r", "0", "1"), says.row("f", "0", "s"), says.done, says.ready()];

test("the first read of a name waits until the primary has said what it is", () => {
  const { world: at } = world();
  at.client(say.query(READ), say.query(READ));
  expect(story(at)).toBe("pause client\n>0 Q(names)");
  at.backend(0, ...ANSWER);
  expect(story(at)).toBe(`>1 Q(${READ})\n>1 Q(${READ})\nresume client`);
});

test("what the primary says decides", () => {
  const { world: at } = world();
  at.client(say.query(READ));
  at.backend(0, says.row("r", "0", "5"), says.row("f", "0", "s"), says.done, says.ready());
  expect(story(at)).toContain(`>0 Q(${READ})`);
});

test("a name that it does not know goes to the primary", () => {
  const { world: at } = world();
  at.client(say.query(READ)).backend(0, says.row("r", "0", "1"), says.done, says.ready());
  expect(story(at)).toContain(`>0 Q(${READ})`);
});

test("a question that fails sends the statement to the primary, and is not asked for ever", () => {
  const { world: at } = world();
  const asked: boolean[] = [];
  for (let round = 0; round < 5; round += 1) {
    at.client(say.query(READ));
    asked.push(story(at).includes("names"));
    if (asked.at(-1) === true) at.backend(0, says.error("42501"), says.ready());
    expect(asked.at(-1) === false || story(at).includes(`>0 Q(${READ})`)).toBe(true);
    at.backend(0, says.done, says.ready());
    // No function of the database leaves something in a session.
    if (round === 0) at.backend(0, says.done, says.ready());
    at.story();
  }
  expect(asked).toEqual([true, true, true, false, false]);
});

test("writes, and what a transaction does, ask nothing", () => {
  const { world: at } = world();
  at.client(say.query(WRITE), say.query("begin"), say.query(READ));
  expect(story(at)).toBe(`>0 Q(${WRITE})\n>0 Q(begin)\n>0 Q(${READ})`);
});

test("DDL makes an answer void that is still on its way", () => {
  const { world: at, catalog } = world();
  at.client(say.query(READ));
  at.story();
  catalog.drop();
  at.backend(0, ...ANSWER);
  expect(story(at)).toContain(`>0 Q(${READ})`);
  expect(catalog.relation("t")).toBeUndefined();
});

test("a batch asks for all its statements at once", () => {
  const { world: at } = world();
  const batch = [say.parse("s", "select f(1)"), say.bind("", "s"), say.execute()];
  at.client(
    ...batch,
    say.parse("", "select * from t"),
    say.bind("", ""),
    say.execute(),
    say.sync(),
  );
  expect(story(at)).toBe("pause client\n>0 Q(names)");
  at.backend(0, ...ANSWER);
  expect(story(at)).toBe(">1 P(s) B(s) E P() B() E S\nresume client");
});

test("a shared connection is taken for the question and given back", () => {
  const { world: at } = world({ isSharing: true });
  at.client(say.query(READ));
  expect(story(at)).toBe("take 0\n>0 Q(names)");
  at.backend(0, ...ANSWER);
  expect(story(at)).toBe(`take 1\n>1 Q(${READ})\nresume client\nrelease 0`);
  at.client(say.query(READ));
});

test("a shared connection that is lost while it is asked costs the client nothing", () => {
  const { world: at } = world({ isSharing: true });
  at.client(say.query(READ));
  at.story();
  const [link] = at.links;
  if (link !== undefined) at.session.linkLost(link, "it closed");
  expect(story(at)).toBe("open 0");
});

test("one that another session has made superfluous is given back at once", () => {
  const catalog = new Catalog(KNOWS);
  const at = new World({ isSharing: true, backends: [1], catalog });
  at.client(say.query(READ));
  expect(story(at)).toBe("open 0");
  const facts = { relations: new Map([["t", 1]]), functions: new Map([["f", "stable" as const]]) };
  catalog.learn({ relations: ["t"], functions: ["f"] }, facts, catalog.drops);
  at.opened(0);
  expect(story(at)).toBe(`take 1\n>1 Q(${READ})\nresume client\nrelease 0`);
});
