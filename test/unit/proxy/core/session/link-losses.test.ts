import { describe, expect, test } from "vitest";
import { say } from "../../../../support/raw-client.ts";
import { failure } from "../../../../../src/base/index.ts";
import { Catalog } from "../../../../../src/proxy/core/routing/index.ts";
import { buildMessage } from "../../../../../src/wire/postgres/index.ts";
import { VIEW, World, says } from "./world.ts";

const READ = "select a from t";
const WRITE = "insert into t values (1)";
const FAILING = ">0 Q(BEGIN) Q(SELECT 1 / 0 AS the_server_of_this_transaction_was_lost)";

const extended = (text: string): Buffer[] => [
  say.parse("", text),
  say.bind("", ""),
  say.execute(),
  say.sync(),
];

describe.each([false, true])("a server that is lost (shared: %s)", (isSharing) => {
  const opening = isSharing ? "open 0" : "pause client\nopen 0";

  /** Nothing but a primary. */
  function make(): World {
    const world = new World({ isSharing, backends: [0] });
    world.story();
    return world;
  }

  /** In a transaction. */
  function inside(): World {
    const world = make().client(say.query("begin")).backend(0, says.done, says.ready("T"));
    world.story();
    return world;
  }

  function lost(world: World): string {
    world.story();
    return world.lost(0, "gone").story();
  }

  /** The server of before is there again, with a transaction that fails, for the message that waits. */
  function heal(world: World): void {
    const asked = world.story();
    expect(asked.endsWith(opening) && asked.indexOf("open") === asked.lastIndexOf("open")).toBe(
      true,
    );
    world.opened(0);
    expect(world.story().split("\n")[0]).toBe(FAILING);
    world.backend(0, says.done, says.ready("T"), says.error("22012"), says.ready("E"));
  }

  test("costs an idle session nothing", () => {
    const world = make();
    if (isSharing) return;
    expect(lost(world)).toBe("");
    expect(world.client(say.query(WRITE)).story()).toBe(opening);
    world.opened(0);
    expect(world.story()).toBe(`>0 Q(${WRITE})\nresume client`);
  });

  test.each([
    ["a write by itself, which may be done", WRITE, "08007"],
    ["a statement that does nothing", "rollback", "08006"],
    ["several statements, one of which may be a COMMIT", "select 1; select 2", "08007"],
  ])("has %s fail, and the session go on", (_, text, sqlstate) => {
    const world = make().client(say.query(text));
    expect(lost(world)).toBe(
      sqlstate === "08007" && text !== WRITE
        ? `>client E(${sqlstate})\n>client ZE`
        : `>client E(${sqlstate})\n>client ZI`,
    );
  });

  test("answers each statement of a pipeline", () => {
    const world = make().client(...extended(WRITE), ...extended(WRITE));
    expect(lost(world)).toBe(">client E(08007)\n>client ZI\n>client E(08007)\n>client ZI");
    expect(world.client(...extended(WRITE)).story()).toBe(opening);
  });

  test("has a batch without its Sync fail, which cannot be committed, and the rest up to Sync be skipped", () => {
    const world = make().client(say.parse("", WRITE), say.bind("", ""), say.execute(), say.flush());
    expect(lost(world)).toBe(">client E(08006)");
    expect(world.client(say.bind("", ""), say.execute()).story()).toBe("");
    expect(world.client(say.sync()).story()).toBe(">client ZI");
  });

  test("has a batch that was answered so far fail at its next message", () => {
    const world = make().client(say.parse("", WRITE), say.flush()).backend(0, says.parsed);
    expect(lost(world)).toBe("");
    expect(world.client(say.bind("", ""), say.execute(), say.sync()).story()).toBe(
      ">client E(08006)\n>client ZI",
    );
    expect(world.client(say.query(WRITE)).story()).toBe(opening);
  });

  test("has a COPY fail, and drops its data", () => {
    const world = make().client(say.query("copy t from stdin")).backend(0, says.copyIn);
    const data = say.copyData("x".repeat(100));
    world.client(data.subarray(0, 50));
    expect(lost(world)).toBe(">client E(08007)\n>client ZI");
    expect(world.client(data.subarray(50), say.copyDone()).story()).toBe("");
    expect(world.client(say.query(WRITE)).story()).toBe(opening);
  });

  test("is told to an open transaction at its next statement, once, and it fails until it is ended", () => {
    const world = inside();
    expect(lost(world)).toBe("");
    expect(world.client(say.query(WRITE)).story()).toBe(">client E(08006)\n>client ZE");
    world.client(say.query(WRITE));
    heal(world);
    expect(world.story()).toBe(`>0 Q(${WRITE})\nresume client`);
    world.backend(0, says.error("25P02"), says.ready("E"));
    expect(world.story()).toBe(">client E(25P02)\n>client ZE");
    world.client(say.query("rollback")).backend(0, says.done, says.ready());
    expect(world.story()).toContain(">0 Q(rollback)\n>client C ZI");
  });

  test("is no error for a transaction that is rolled back anyhow", () => {
    const world = inside();
    lost(world);
    world.client(say.query("rollback"));
    heal(world);
    expect(world.story()).toBe(">0 Q(rollback)\nresume client");
    world.backend(0, says.done, says.ready());
    expect(world.story()).toContain(">client C ZI");
    expect(world.client(say.query(WRITE)).story()).toContain(`>0 Q(${WRITE})`);
  });

  test("fails the COMMIT that it never got, and the transaction is over", () => {
    const world = inside();
    lost(world);
    expect(world.client(say.query("commit")).story()).toBe(">client E(08006)\n>client ZI");
    expect(world.client(say.query(WRITE)).story()).toBe(opening);
    const batch = inside();
    lost(batch);
    expect(batch.client(...extended("commit")).story()).toBe(">client E(08006)\n>client ZI");
  });

  test("leaves open what became of a COMMIT that it got", () => {
    expect(lost(inside().client(say.query("commit")))).toBe(">client E(08007)\n>client ZI");
    expect(lost(inside().client(...extended("commit")))).toBe(">client E(08007)\n>client ZI");
  });

  test("fails a statement of a transaction, which is rolled back", () => {
    const world = inside().client(say.query(WRITE));
    expect(lost(world)).toBe(">client E(08006)\n>client ZE");
    world.client(say.query("rollback"));
    heal(world);
    expect(world.story()).toBe(">0 Q(rollback)\nresume client");
  });

  test("lets nothing run by itself that was meant for a transaction", () => {
    // The client has not waited for the answer to its BEGIN.
    const world = make().client(say.query("begin"));
    expect(lost(world)).toBe(">client E(08006)\n>client ZE");
    world.client(say.query(WRITE));
    heal(world);
    expect(world.story()).toContain(`>0 Q(${WRITE})`);
  });

  test("is not told twice to a transaction that has failed already", () => {
    const world = inside()
      .client(say.query(WRITE))
      .backend(0, says.error("23505"), says.ready("E"));
    expect(lost(world)).toBe("");
    world.client(say.query("rollback"));
    heal(world);
    expect(world.story()).toContain(">0 Q(rollback)");
  });

  test("says it in its own words, where it has any", () => {
    const world = inside().client(say.query(WRITE));
    world.story();
    world.backend(0, says.error("57P01", "FATAL"));
    expect(world.story()).toBe("drop 0: it said: m\n>client E(57P01)\n>client ZE");
    const alone = make().client(say.query(WRITE));
    alone.story();
    alone.backend(0, says.error("57P01", "FATAL"));
    expect(alone.story()).toBe("drop 0: it said: m\n>client E(57P01)\n>client ZI");
    // All was done but the commit, by then.
    const late = make()
      .client(...extended(WRITE))
      .backend(0, says.parsed, says.bound, says.done);
    late.story();
    late.backend(0, says.error("57P01", "FATAL"));
    expect(late.story()).toBe("drop 0: it said: m\n>client E(08007)\n>client ZI");
  });

  test("has words for an idle session that nobody need hear", () => {
    const world = inside().client(say.query("commit")).backend(0, says.done, says.ready());
    if (isSharing) return;
    world.story();
    world.backend(0, says.error("57P01", "FATAL"));
    expect(world.story()).toBe("drop 0: it said: m");
    expect(world.client(say.query(WRITE)).story()).toBe(opening);
  });

  test("is waited for by a transaction that it had, but not for ever", () => {
    const world = inside();
    lost(world);
    world.replacePrimary(true).client(say.query(WRITE));
    expect(world.story()).toContain(">client E(08006)\n>client ZE");
    world.client(say.query("rollback"));
    expect(world.story()).toBe("pause client");
    world.isPrimaryAwaited = false;
    world.session.gateChanged();
    expect(world.story()).toBe(">client E(57P03)\n>client ZE\nresume client");
  });

  test("takes a session with it that has something which cannot be had again", () => {
    const world = make().client(say.query("select pg_advisory_lock(1)"));
    world.backend(0, says.rows, says.done, says.ready());
    expect(lost(world)).toBe(
      "end 57P01 terminating connection because its server was lost, and its session cannot go on with another",
    );
  });

  test.each([
    ["behind a BEGIN that was sent with it", [say.query("begin")], [says.done, says.ready("T")]],
    ["in a batch", extended("begin"), [says.parsed, says.bound, says.done, says.ready("T")]],
  ])("takes that session with it also %s", (_, more, answers) => {
    const world = make().client(say.query("create temp table x (a int)"), ...more);
    world.backend(0, says.done, says.ready(), ...answers);
    expect(lost(world)).toContain("end 08006");
  });

  test("takes that session with it also behind a COMMIT AND CHAIN", () => {
    const world = inside().client(say.query("listen x")).backend(0, says.done, says.ready("T"));
    expect(lost(inside().client(say.query("listen x")))).toBe(">client E(08006)\n>client ZE");
    world.client(say.query("commit and chain")).backend(0, says.done, says.ready("T"));
    expect(lost(world)).toContain("end 08006");
  });

  describe("behind a call of a function of which nobody knows what it leaves", () => {
    const leaving = (name: string): Buffer => {
      return says.row("f", Buffer.from(name).toString("hex"));
    };

    /** In a transaction that has called f, whose server is lost; the next one says what leaves something. */
    function asked(...rows: readonly Buffer[]): World {
      const catalog = new Catalog({ namesMax: 10, lifeMs: 0 });
      const world = new World({ isSharing, backends: [0], catalog });
      world.client(say.query("begin")).backend(0, says.done, says.ready("T"));
      world.client(say.query("insert into t values (f())")).backend(0, says.done, says.ready("T"));
      // As when the primary is another.
      catalog.drop();
      expect(lost(world)).toBe("");
      world.client(say.query("rollback")).story();
      world.opened(0);
      expect(world.story()).toMatch(/^>0 Q\(WITH RECURSIVE body .*\)$/s);
      world.backend(0, ...rows, says.done, says.ready());
      return world;
    }

    test("the session goes on when the function leaves nothing", () => {
      const world = asked(leaving("g"));
      expect(world.story()).toContain(FAILING);
    });

    test("the session ends when the function may have left something", () => {
      expect(asked(leaving("f")).story()).toContain("end 57P01");
    });

    test("the session ends when the function may have been replaced since", () => {
      const catalog = new Catalog({ namesMax: 10, lifeMs: 0 });
      const world = new World({ isSharing, backends: [0], catalog }).client(say.query("begin"));
      world.backend(0, says.done, says.ready("T")).client(say.query("insert into t values (f())"));
      world.backend(0, says.done, says.ready("T"));
      catalog.altered(true);
      expect(lost(world)).toContain("end 08006");
    });

    test("the session ends when nobody can say it", () => {
      const world = asked(says.error("42501"));
      expect(world.story()).toContain("end 57P01");
    });
  });

  test("has a read run again that nobody has seen, once there is a server for it", () => {
    const alone = { ...VIEW, backends: VIEW.backends.slice(0, 1) };
    const world = new World({ isSharing, backends: [0], view: alone });
    world.client(say.query(READ));
    expect(lost(world)).toBe(`>log read moved from 0: gone\n${opening}`);
    world.opened(0);
    expect(world.story()).toBe(`>0 Q(${READ})\nresume client`);
    world.backend(0, says.rows).story();
    expect(lost(world)).toBe(">client E(08006)\n>client ZI");
  });

  test("has a read run again on a standby, and the next one where it was", () => {
    const world = new World({ isSharing, backends: [0, 1], loadBalanceNode: 0 });
    world.client(say.query(READ));
    expect(world.story()).toContain(`>0 Q(${READ})`);
    expect(lost(world)).toContain(`>1 Q(${READ})`);
    world.backend(1, says.rows, says.done, says.ready());
    expect(world.story()).toContain(">client T D C ZI");
    expect(world.client(say.query(READ)).story()).toBe(opening);
  });

  test("does not have a read run again when it says itself what was wrong with it", () => {
    const alone = { ...VIEW, backends: VIEW.backends.slice(0, 1) };
    const world = new World({ isSharing, backends: [0], view: alone }).client(say.query(READ));
    world.story();
    world.backend(0, says.error("40001"), says.ready());
    expect(world.story()).toContain(">client E(40001)\n>client ZI");
  });

  test("is waited for where it takes no connections, and a statement fails that has waited too long", () => {
    const world = make();
    if (!isSharing) world.lost(0, "gone");
    world.client(say.query(isSharing ? "begin" : WRITE));
    if (isSharing) world.lost(0, "gone").client(say.query("rollback"));
    world.story();
    world.isPrimaryAwaited = true;
    world.session.linkFailed(0, failure("backend-lost", { severity: "ERROR" }));
    expect(world.story()).toBe("pause client");
    world.isPrimaryAwaited = false;
    world.session.gateChanged();
    expect(world.story()).toBe(opening);
    world.session.linkFailed(0, failure("backend-lost", { severity: "ERROR" }));
    expect(world.story()).toMatch(/^>client E\(08006\)\n>client Z[IE]\nresume client$/);
  });
});

describe("a commit whose wait for the synchronous standby was canceled", () => {
  const canceled = buildMessage(
    "N".codePointAt(0) ?? 0,
    Buffer.from("SWARNING\0VWARNING\0C01000\0Mcanceling wait\0RSyncRepWaitForLSN\0\0"),
  );

  test.each([
    ["by itself", [say.query(WRITE)], [canceled, says.done, says.ready()], ""],
    [
      "in a batch",
      extended(WRITE),
      [says.parsed, says.bound, says.done, canceled, says.ready()],
      " 1 2 C",
    ],
    [
      "with more behind it",
      [say.query("commit; select 1")],
      [canceled, says.done, says.rows, says.done, says.ready()],
      "",
    ],
  ])("is no success: %s", (_, sent, answers, before) => {
    const world = new World().client(...sent);
    world.story();
    world.backend(0, ...answers);
    expect(world.story()).toBe(`>client${before} N\n>client E(08007)\n>client ZI`);
    world.client(say.query(WRITE)).backend(0, says.notice, says.done, says.ready());
    expect(world.story()).toContain(">client N C ZI");
  });

  const copying = "commit; copy t from stdin";

  test("has a COPY behind it fail, for which the client has no data", () => {
    const world = new World().client(say.query(copying));
    world.story();
    world.backend(0, canceled, says.done, says.copyIn);
    expect(world.story()).toBe(">client N\n>client E(08007)\n>0 f");
    world.backend(0, says.error("57014"), says.ready());
    expect(world.story()).toBe(">client ZI");
    expect(world.client(say.query(WRITE)).story()).toContain(`>0 Q(${WRITE})`);
  });

  test("lets a COPY behind it run whose data are there already", () => {
    const world = new World().client(say.query(copying), say.copyData("1\n"), say.copyDone());
    world.story();
    world.backend(0, canceled, says.done, says.copyIn, says.done, says.ready());
    expect(world.story()).toBe(">client N\n>client E(08007)\n>client ZI");
  });

  test("costs the connection when a COPY behind it has read what the client wants answered", () => {
    const world = new World().client(say.query(copying), say.query(WRITE));
    world.story();
    world.backend(0, canceled, says.done, says.copyIn);
    expect(world.story()).toBe(
      ">client N\n>client E(08007)\ndrop 0: a COPY began behind a commit that was not replicated\n" +
        ">client ZE\n>client E(08007)\n>client ZE",
    );
  });

  test("costs the connection when that COPY is part of a batch", () => {
    const world = new World().client(say.parse("", "commit"), say.bind("", ""), say.execute());
    world.client(say.parse("", "copy t from stdin"), say.bind("", ""), say.execute(), say.sync());
    world.story();
    world.backend(0, says.parsed, says.bound, canceled, says.done);
    world.backend(0, says.parsed, says.bound, says.copyIn);
    expect(world.story()).toMatch(/^>client 1 2 N\n>client E\(08007\)\ndrop 0: .*\n>client ZI$/s);
  });

  test("is none either when the server ends the connection then", () => {
    const world = new World().client(say.query(WRITE)).backend(0, canceled);
    world.story();
    expect(world.lost(0, "gone").story()).toBe(">client E(08007)\n>client ZI");
  });
});
