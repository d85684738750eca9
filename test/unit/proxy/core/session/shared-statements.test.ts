import { describe, expect, test } from "vitest";
import { KnownStatements } from "../../../../../src/proxy/core/session/known-statements.ts";
import {
  restoreNames,
  SharedStatements,
} from "../../../../../src/proxy/core/session/shared-statements.ts";
import { UNKNOWN_SHAPE } from "../../../../../src/proxy/core/session/statement-shape.ts";
import { buildError } from "../../../../../src/wire/postgres/index.ts";
import { say } from "../../../../support/raw-client.ts";
import { says, World } from "./world.ts";

const WRITE = "insert into t values (1)";
const RUN = [say.execute(), say.sync()];

/** A session that shares one connection, with statement s of it prepared as pgquorum/1. */
function prepared(): World {
  const world = new World({ isSharing: true, backends: [0] });
  world.client(say.parse("s", WRITE), say.sync());
  world.backend(0, says.parsed, says.noRows, says.ready());
  expect(world.story()).toBe("take 0\n>0 P(pgquorum/1) D S\n>client 1\n>client ZI\nrelease 0");
  return world;
}

/** The session gets another connection the next time. */
function moved(world: World): World {
  world.idle.length = 0;
  return world;
}

test("a statement without a name is prepared on another connection before its Describe, in a transaction of its own", () => {
  const world = new World({ isSharing: true, backends: [0] });
  world.client(say.parse("", WRITE), say.sync());
  world.backend(0, says.parsed, says.ready());
  expect(world.story()).toContain("release 0");
  moved(world).client(say.describe("S", ""), say.query("begin isolation level serializable"));
  world.opened(0);
  expect(world.story()).toContain(">0 P() S");
  world.backend(0, says.parsed, says.ready());
  expect(world.story()).toContain(">0 D\n");
});

describe("a named statement of a session that shares its connections", () => {
  test("has a name of ours there, and the connection is given back", () => {
    const world = prepared();
    world.client(say.bind("", "s"), ...RUN).backend(0, says.bound, says.done, says.ready());
    expect(world.story()).toBe("take 0\n>0 B(pgquorum/1) E S\n>client 2 C ZI\nrelease 0");
  });

  test("is prepared on another connection before it is used there, and the client does not see it", () => {
    const world = moved(prepared()).client(say.bind("", "s"), ...RUN);
    world.opened(0);
    expect(world.story()).toContain(">0 P(pgquorum/1) B(pgquorum/1) E S");
    world.backend(0, says.parsed, says.bound, says.done, says.ready());
    expect(world.story()).toBe(">client 2 C ZI\nrelease 0");
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe("take 0\n>0 B(pgquorum/1) E S");
  });

  test("is prepared before a transaction that may begin behind its Describe", () => {
    const world = moved(prepared()).client(
      say.describe("S", "s"),
      say.query("begin isolation level serializable"),
    );
    world.opened(0);
    expect(world.story()).toContain(">0 P(pgquorum/1) S");
    world.backend(0, says.parsed, says.ready());
    expect(world.story()).toContain(">0 D");
  });

  test("is described where it was prepared for that, though the connection could be given back", () => {
    const world = moved(prepared()).client(say.describe("S", "s"), say.flush());
    world.opened(0);
    world.story();
    world.backend(0, says.parsed, says.ready());
    expect(world.story()).toBe(">0 D H\nresume client");
    world.backend(0, says.noRows).client(say.query("begin isolation level serializable"));
    expect(world.story()).toBe(">client t n\n>0 S\npause client");
    world.backend(0, says.ready());
    expect(world.story()).toContain("take 0\n>0 Q(begin isolation level serializable)");
  });

  test("is prepared for a Query apart from a batch before it that has done nothing, as a transaction may begin", () => {
    const world = prepared().client(say.describe("S", "s"), say.parse("", "savepoint a"));
    const begins = "start transaction isolation level repeatable read; deallocate s";
    world.client(say.query(begins));
    expect(world.story()).toBe("take 0\n>0 D P()\n>0 H\npause client");
    world.backend(0, says.noRows, says.parsed);
    expect(world.story()).toBe(">client t n 1\n>0 S\npause client");
    world.backend(0, says.ready());
    expect(world.story()).toBe(`release 0\ntake 0\n>0 P(s) S\n>0 Q(${begins})\nresume client`);
  });

  test("is prepared for a Query inside a batch before it that has bound something", () => {
    const world = prepared().client(say.describe("S", "s"), say.parse("", "set a.b = 1"));
    world.client(say.bind("", ""), say.query("execute s"));
    world.story();
    world.backend(0, says.noRows, says.parsed, says.bound);
    expect(world.story()).toBe(">client t n 1 2\n>0 P(s)\n>0 Q(execute s)\nresume client");
  });

  test("is prepared for a Query inside a batch before it when a COPY may have read the Sync before that", () => {
    const world = prepared();
    const copies = [say.parse("c", "copy t from stdin"), say.bind("", "c"), ...RUN];
    world.client(...copies, say.copyDone(), say.close("P", ""), say.query("execute s"));
    expect(world.story()).toMatch(/ S\n>0 c\n>0 C\n>0 H\npause client$/);
    const copied = [says.parsed, says.noRows, says.bound, says.copyIn, says.done] as const;
    world.backend(0, ...copied, says.closed);
    expect(world.story()).toBe(
      ">client 1\n>client 2 G C 3\n>0 P(s)\n>0 Q(execute s)\nresume client",
    );
  });

  test("lets the connection go when its Describe must wait for more than its being prepared", () => {
    const world = moved(prepared()).client(say.describe("S", "s"), say.flush());
    world.opened(0);
    world.story();
    world.setGate("holds").backend(0, says.parsed, says.ready());
    expect(world.story()).toBe("pause client\nrelease 0");
  });

  test("that cannot be prepared there gives the client that error", () => {
    const world = moved(prepared()).client(say.bind("", "s"), ...RUN);
    world.opened(0);
    world.story();
    world.backend(0, says.error("42P01"), says.ready());
    expect(world.story()).toBe(">client E(42P01)\n>client ZI\nrelease 0");
    // It may be there or not: closed first, it can be prepared in both cases.
    world.client(say.describe("S", "s"), say.sync());
    expect(world.story()).toBe("take 0\n>0 C P(pgquorum/1) D S");
    world.backend(0, says.closed, says.parsed, says.rows.subarray(0, 7), says.ready());
    expect(world.story()).toContain(">client T ZI");
  });

  test("is parsed by the server for every client that parses it", () => {
    const world = prepared().client(say.close("S", "s"), say.sync());
    world.backend(0, says.closed, says.ready());
    world.story();
    world.client(say.parse("other", WRITE), say.sync());
    expect(world.story()).toBe("take 0\n>0 C P(pgquorum/1) D S");
    world.backend(0, says.closed, says.parsed, says.ready());
    expect(world.story()).toBe(">client 1 ZI\nrelease 0");
  });

  test("is not shared with one of the same client, so that errors tell them apart", () => {
    const world = prepared().client(say.parse("other", WRITE), say.sync());
    expect(world.story()).toBe("take 0\n>0 P(pgquorum/2) D S");
  });

  test("makes the server refuse its name the second time", () => {
    const world = prepared().client(say.parse("s", `${WRITE}, (2)`), say.sync());
    expect(world.story()).toBe("take 0\n>0 P(pgquorum/1) S");
  });

  test("is closed for its client alone", () => {
    const world = prepared().client(say.close("S", "s"), say.bind("", "s"), ...RUN);
    expect(world.story()).toBe("take 0\n>0 C B(s) E S");
    world.backend(0, says.closed, says.error("26000"), says.ready());
    expect(world.story()).toBe(">client 3\n>client E(26000)\n>client ZI\nrelease 0");
    world.client(say.parse("s", WRITE), say.sync());
    expect(world.story()).toBe("take 0\n>0 C P(pgquorum/1) D S");
  });

  test("stays when its Close is skipped after an error", () => {
    const world = prepared().client(say.bind("", "none"), say.close("S", "s"), say.sync());
    world.backend(0, says.error("26000"), says.ready());
    world.story();
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe("take 0\n>0 B(pgquorum/1) E S");
  });

  test("is not used by the next batch while it is open whether its Close will be skipped", () => {
    const world = prepared();
    world.client(say.bind("", "none"), say.close("S", "s"), say.sync(), say.bind("", "s"), ...RUN);
    expect(world.story()).toBe("take 0\n>0 B(none) C S\npause client");
    world.backend(0, says.error("26000"), says.ready());
    expect(world.story()).toContain(">0 B(pgquorum/1) E S");
  });

  test("makes room for another one on a connection that has too many", () => {
    const world = prepared();
    for (const name of ["t", "u"]) {
      world.client(say.parse(name, `${WRITE} -- ${name}`), say.sync());
      world.backend(0, ...(name === "u" ? [says.closed] : []), says.parsed, says.ready());
    }
    expect(world.story()).toBe(
      "take 0\n>0 P(pgquorum/2) D S\n>client 1 ZI\nrelease 0\n" +
        "take 0\n>0 C P(pgquorum/3) D S\n>client 1 ZI\nrelease 0",
    );
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe("take 0\n>0 C P(pgquorum/1) B(pgquorum/1) E S");
  });

  test("is deallocated by SQL, with something of ours in its place", () => {
    const world = prepared().client(say.query("deallocate s"));
    expect(world.story()).toBe(
      'take 0\n>0 C P(pgquorum/deallocated) S\n>0 Q(DEALLOCATE "pgquorum/deallocated")',
    );
    world.backend(0, says.closed, says.parsed, says.ready(), says.done, says.ready());
    expect(world.story()).toBe(">client C ZI\nrelease 0");
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe("take 0\n>0 B(s) E S");
  });

  test("is executed by SQL under its own name, for which the session keeps the connection", () => {
    const world = prepared().client(say.query("execute s"));
    expect(world.story()).toBe("take 0\n>0 P(s) S\n>0 Q(execute s)");
    world.backend(0, says.parsed, says.ready(), says.done, says.ready());
    expect(world.story()).toBe(">client C ZI");
    expect(world.session.reasonsToKeep).toContain("prepared statement");
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe(">0 B(s) E S");
  });

  test("is gone with all others after DEALLOCATE ALL, and only if that succeeds", () => {
    const world = prepared().client(say.query("deallocate all"));
    world.backend(0, says.error("25P02"), says.ready());
    world.story();
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe("take 0\n>0 B(pgquorum/1) E S");
    world.backend(0, says.bound, says.done, says.ready());
    world.client(say.query("deallocate all")).backend(0, says.done, says.ready());
    world.story();
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe("take 0\n>0 B(s) E S");
  });

  test("is known there when it was prepared behind a DEALLOCATE ALL that was still on its way", () => {
    const world = prepared().client(
      say.parse("", "deallocate all"),
      say.bind("", ""),
      say.execute(),
      say.sync(),
      say.parse("t", `${WRITE} -- t`),
      say.sync(),
    );
    world.backend(0, says.parsed, says.bound, says.tag("DEALLOCATE ALL"), says.ready());
    world.backend(0, says.parsed, says.ready());
    world.story();
    world.client(say.bind("", "t"), ...RUN);
    // The unnamed one goes first: it might be another session's by now.
    expect(world.story()).toBe("take 0\n>0 C B(pgquorum/2) E S");
  });

  test("keeps the connection when it was made behind a DEALLOCATE ALL and cannot be shared", () => {
    const world = prepared().client(
      say.parse("", "deallocate all"),
      say.bind("", ""),
      say.execute(),
      say.sync(),
      say.parse("t", `${WRITE} -- ${"x".repeat(70_000)}`),
      say.sync(),
    );
    world.backend(0, says.parsed, says.bound, says.tag("DEALLOCATE ALL"), says.ready());
    world.backend(0, says.parsed, says.ready());
    expect(world.story()).not.toContain("release");
    expect(world.session.reasonsToKeep).toEqual(["prepared statement"]);
  });

  test("keeps the connection when it was made behind a DEALLOCATE ALL that ends what is unknown", () => {
    const world = prepared().client(say.query("select 1; deallocate s"));
    world.backend(0, says.parsed, says.ready(), says.done, says.done, says.ready());
    const prepares = [say.parse("t", `${WRITE} -- t`), say.sync()];
    const run = [say.parse("", "deallocate all"), say.bind("", ""), say.execute()];
    world.client(...run, ...prepares);
    expect(world.story()).toMatch(/P\(t\)/);
    world.backend(0, says.parsed, says.bound, says.tag("DEALLOCATE ALL"));
    world.backend(0, says.parsed, says.ready());
    expect(world.story()).not.toContain("release");
    expect(world.session.reasonsToKeep).toEqual(["prepared statement"]);
  });

  test("is not gone when a cursor has got the name of a portal that would have dropped it", () => {
    const world = prepared().client(say.query("begin")).backend(0, says.done, says.ready("T"));
    world.client(say.parse("", "deallocate all"), say.bind("p", ""), say.sync());
    world.backend(0, says.parsed, says.bound, says.ready("T"));
    for (const text of ["rollback", "begin", "declare p cursor for values (1), (2)"]) {
      world
        .client(say.query(text))
        .backend(0, says.done, says.ready(text === "rollback" ? "I" : "T"));
    }
    world.client(say.execute("p", 1), say.execute("p"), say.sync());
    world.backend(0, says.row("1"), says.suspended, says.row("2"), says.tag("SELECT 1"));
    world.backend(0, says.ready("T")).story();
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe(">0 B(pgquorum/1) E S");
  });

  test("is gone when the portal that drops it was not replaced by a Bind that failed", () => {
    const world = prepared().client(say.query("begin")).backend(0, says.done, says.ready("T"));
    world.client(say.parse("", "deallocate all"), say.bind("p", ""), say.sync());
    world.backend(0, says.parsed, says.bound, says.ready("T"));
    world.client(say.query("savepoint a")).backend(0, says.done, says.ready("T"));
    world.client(say.bind("p", "s"), say.sync()).backend(0, says.error("42P03"), says.ready("E"));
    world.client(say.query("rollback to a")).backend(0, says.done, says.ready("T"));
    world.client(say.execute("p"), say.sync());
    world.backend(0, says.tag("DEALLOCATE ALL"), says.ready("T")).story();
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toBe(">0 B(s) E S");
  });

  test("is deallocated by a statement that SQL executes", () => {
    const world = prepared().client(say.parse("d", "deallocate s"), say.sync());
    world.backend(0, says.parsed, says.noRows, says.ready());
    world.story();
    world.client(say.query("execute d"));
    expect(world.story()).toBe("take 0\n>0 P(d) P(s) S\n>0 Q(execute d)");
    world.backend(0, says.parsed, says.parsed, says.ready(), says.done, says.ready());
    world.story();
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toMatch(/^>0 (?:C )?B\(s\) E S$/);
  });

  test("stays when a statement that SQL executes fails to deallocate it", () => {
    const world = prepared().client(say.parse("d", "deallocate s"), say.sync());
    world.backend(0, says.parsed, says.noRows, says.ready());
    world.client(say.parse("", "execute d"), say.bind("", ""), ...RUN);
    world.backend(0, says.parsed, says.parsed, says.bound, says.parsed);
    world.backend(0, says.error("57014"), says.ready());
    world.story();
    world.client(say.parse("s", WRITE), say.sync());
    world.backend(0, says.error("42P05"), says.ready());
    world.client(say.bind("", "s"), ...RUN);
    expect(world.story()).toContain(">0 B(s) E S");
  });

  test("is gone with all others after a DEALLOCATE ALL that SQL executes", () => {
    const world = prepared().client(say.parse("d", "deallocate all"), say.sync());
    world.backend(0, says.parsed, says.noRows, says.ready());
    world.client(say.query("execute d"));
    world.backend(0, says.parsed, says.ready(), says.done, says.ready());
    world.story();
    world.client(say.parse("s", WRITE), say.sync());
    expect(world.story()).toMatch(/>0 P\(pgquorum\/\d\) D S/);
  });

  test("is in a circle of statements that execute each other, which ends with an error", () => {
    const world = prepared().client(
      say.parse("a", "execute b"),
      say.parse("b", "execute a"),
      say.sync(),
    );
    world.backend(0, says.parsed, says.parsed, says.parsed, says.ready());
    world.story();
    world.client(say.query("execute a")).backend(0, says.error("54001"), says.ready());
    expect(world.story()).toBe(">0 Q(execute a)\n>client E(54001)\n>client ZI");
  });

  test("keeps the connection when it may have taken the name of a DEALLOCATE ALL that is executed", () => {
    const world = new World({ isSharing: true, backends: [0] });
    world.client(say.parse("d", "deallocate all"), say.sync());
    world.backend(0, says.parsed, says.ready());
    expect(world.story()).toContain("release 0");
    // It takes away the name, and the next Parse takes it.
    world.client(say.query("select 1; deallocate d"));
    world.backend(0, says.parsed, says.ready(), says.done, says.done, says.ready());
    world.client(say.parse("d", WRITE), say.sync());
    world.backend(0, says.parsed, says.ready());
    world.client(say.bind("", "d"), say.execute(), say.sync());
    world.backend(0, says.bound, says.tag("INSERT 0 1"), says.ready());
    expect(world.story()).not.toContain("release");
    expect(world.session.reasonsToKeep).toEqual(["prepared statement"]);
  });

  test("is too long to be shared", () => {
    const world = new World({ isSharing: true, backends: [0] });
    world.client(say.parse("s", `${WRITE} -- ${"x".repeat(70_000)}`), say.sync());
    world.backend(0, says.parsed, says.ready());
    expect(world.story()).toBe("take 0\n>0 P(s) S\n>client 1 ZI");
    expect(world.session.reasonsToKeep).toEqual(["prepared statement"]);
  });
});

describe("shared statements", () => {
  const text = (n: number): Buffer => Buffer.from(`select ${n}\0\0\0`);

  test("are one for equal texts in equal scopes", () => {
    const shared = new SharedStatements(10);
    const one = shared.use(text(1), "");
    expect(shared.use(text(1), "")).toBe(one);
    expect(shared.use(text(1), "other")).not.toBe(one);
    expect(shared.use(text(2), "")).not.toBe(one);
  });

  test("have a secret in their names", () => {
    const one = new SharedStatements(10, 10, "c0ffee_").use(text(1), "");
    expect(one?.name.toString()).toBe("pgquorum/c0ffee_1");
    const message = (name: string): Buffer =>
      buildError({ severity: "ERROR", sqlstate: "26000", message: `"${name}" is unknown` });
    const told = restoreNames(message("pgquorum/c0ffee_1"), (name) =>
      name === "pgquorum/c0ffee_1" ? "s" : null,
    );
    expect(told).toEqual(message("s"));
  });

  test("make room when nobody uses them, and are refused when all are used", () => {
    const shared = new SharedStatements(10, 2);
    const one = shared.use(text(1), "");
    shared.use(text(2), "");
    expect(shared.use(text(3), "")).toBeNull();
    if (one !== null) shared.release(one);
    const three = shared.use(text(3), "");
    expect(three?.name.toString()).toBe("pgquorum/3");
    expect(shared.use(text(1), "")).toBeNull();
  });

  test("that a connection knows make room for others, those in use last", () => {
    const shared = new SharedStatements(10);
    const known = new KnownStatements();
    const all = [1, 2, 3].flatMap((n) => shared.use(text(n), "") ?? []);
    for (const one of all) known.add(one, UNKNOWN_SHAPE);
    expect(known.evict(4)).toBeNull();
    expect(known.evict(3)).toBe(all[0]);
    expect(all.map((one) => known.has(one, null))).toEqual([false, true, true]);
    expect(known.size).toBe(2);
  });

  test("have their clients' names in errors", () => {
    const message = 'bind message supplies 0 parameters, but prepared statement "pgquorum/7" ...';
    const error = (text_: string): Buffer =>
      buildError({ severity: "ERROR", sqlstate: "08P01", message: text_ });
    const restored = restoreNames(error(message), (name) => (name === "pgquorum/7" ? "é" : null));
    expect(restored).toEqual(error(message.replace("pgquorum/7", "é")));
    const other = error("no name of ours");
    expect(restoreNames(other, () => "x")).toBe(other);
    expect(restoreNames(error(message), () => null)).toEqual(error(message));
  });
});
