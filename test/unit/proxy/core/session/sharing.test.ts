import { describe, expect, test } from "vitest";
import { say } from "../../../../support/raw-client.ts";
import { LEAVES } from "../../../../../src/proxy/core/sql/index.ts";
import { World, says } from "./world.ts";

const READ = "select a from t";
const WRITE = "insert into t values (1)";

const hex = (text: string): string => Buffer.from(text).toString("hex");

const sharing = (backends: readonly number[] = [0, 1]): World =>
  new World({ isSharing: true, backends });

describe("where connections are shared", () => {
  test("a statement takes one, and its ReadyForQuery gives it back", () => {
    const world = sharing().client(say.query(READ));
    expect(world.story()).toBe(`take 1\n>1 Q(${READ})`);
    world.backend(1, says.rows, says.done, says.ready());
    expect(world.story()).toBe(">client T D C ZI\nrelease 1");
    world.client(say.query(WRITE));
    expect(world.story()).toBe(`take 0\n>0 Q(${WRITE})`);
    world.backend(0, says.done, says.ready());
    expect(world.story()).toBe(">client C ZI\nrelease 0");
  });

  test("a transaction keeps it to its end", () => {
    const world = sharing().client(say.query("begin"));
    world.backend(0, says.done, says.ready("T"));
    expect(world.story()).toBe("take 0\n>0 Q(begin)\n>client C ZT");
    world.client(say.query(READ)).backend(0, says.error("22012"), says.ready("E"));
    expect(world.story()).toBe(`>0 Q(${READ})\n>client E(22012)\n>client ZE`);
    world.client(say.query("rollback")).backend(0, says.done, says.ready());
    expect(world.story()).toBe(">0 Q(rollback)\n>client C ZI\nrelease 0");
  });

  test("a batch keeps it to its Sync, also when all was answered before", () => {
    const world = sharing().client(say.parse("", READ), say.bind("", ""), say.flush());
    world.backend(0, says.parsed, says.bound);
    expect(world.story()).toBe("take 0\n>0 P() B() H\n>client 1 2");
    world.client(say.execute(), say.sync()).backend(0, says.done, says.ready());
    expect(world.story()).toBe(">0 E S\n>client C ZI\nrelease 0");
  });

  test("a COPY keeps it, and the rest of a message that began there as well", () => {
    const world = sharing().client(say.query("copy t from stdin"));
    world.backend(0, says.copyIn);
    const data = say.copyData("x".repeat(100));
    world.client(data.subarray(0, 50)).backend(0, says.error("22P04"), says.ready());
    expect(world.story()).not.toContain("release");
    world.client(data.subarray(50)).client(say.query(READ));
    expect(world.story()).toContain(`>0 Q(${READ})`.replace(">0", "take 1\n>1"));
  });

  test("a pipeline of queries keeps it until all are answered", () => {
    const world = sharing().client(say.query(WRITE), say.query(WRITE));
    world.backend(0, says.done, says.ready());
    expect(world.story()).not.toContain("release");
    world.backend(0, says.done, says.ready());
    expect(world.story()).toBe(">client C ZI\nrelease 0");
  });

  test("a session waits for one, is read meanwhile, and goes on with the one it gets", () => {
    const world = sharing([]).client(say.query(WRITE));
    expect(world.story()).toBe("open 0");
    world.client(say.query(READ));
    expect(world.story()).toBe("");
    world.opened(0);
    expect(world.story()).toBe(`>0 Q(${WRITE})\n>0 Q(${READ})\nresume client`);
  });

  test("a statement that waited in vain fails, and the session goes on", () => {
    const world = sharing([]).client(say.query(WRITE));
    world.story();
    world.session.linkFailed(0, { severity: "ERROR", sqlstate: "53300", message: "m" });
    expect(world.story()).toBe(">client E(53300)\n>client ZI\nresume client");
    world.client(say.parse("", WRITE), say.bind("", ""), say.execute(), say.sync());
    world.session.linkFailed(0, { severity: "ERROR", sqlstate: "53300", message: "m" });
    expect(world.story()).toBe("open 0\n>client E(53300)\n>client ZI\nresume client");
    world.client(say.query(WRITE));
    world.opened(0);
    expect(world.story()).toBe(`open 0\n>0 Q(${WRITE})\nresume client`);
  });

  test("a statement that is canceled while it waits fails, and the one behind it goes on", () => {
    const world = sharing([]).client(say.query(WRITE), say.query("select 2"));
    expect(world.story()).toBe("open 0");
    expect(world.session.waitsCancelably).toBe(true);
    world.session.cancelWaiting();
    expect(world.story()).toBe(">client E(57014)\n>client ZI\nopen 1");
  });

  test("a standby that cannot be had is done without until the view changes", () => {
    const world = sharing([0]).client(say.query(READ));
    expect(world.story()).toBe("open 1");
    world.session.linkFailed(1, { severity: "ERROR", sqlstate: "08006", message: "m" });
    expect(world.story()).toBe(`take 0\n>0 Q(${READ})\nresume client`);
  });

  test("a slow client keeps it until what was written to it is through", () => {
    const world = sharing().client(say.query(WRITE));
    world.isClientSlow = true;
    world.backend(0, says.done, says.ready());
    expect(world.story()).not.toContain("release");
    world.isClientSlow = false;
    world.session.written();
    expect(world.story()).toBe("release 0");
  });

  test("a session that leaves something behind keeps it, says why, and lets go when it is gone", () => {
    const world = sharing().client(say.query("listen news"));
    world.backend(0, says.done, says.ready());
    expect(world.story()).toMatch(/^take 0\n>0 Q\(listen news\)\n>client C ZI\n>0 Q\(SELECT 'k'/);
    // Somebody notifies while we look what is left.
    world.backend(0, says.notification);
    expect(world.story()).toBe(">client A");
    world.backend(0, says.row("k", String(LEAVES.listening), null), says.done, says.ready());
    expect(world.story()).toBe("");
    expect(world.session.reasonsToKeep).toEqual(["LISTEN"]);
    world.backend(0, says.notification);
    expect(world.story()).toBe(">client A");
    world.client(say.query("unlisten *")).backend(0, says.done, says.ready());
    expect(world.story()).toContain(">client C ZI\n>0 Q(SELECT 'k'");
    world.backend(0, says.done, says.ready());
    expect(world.story()).toBe("release 0");
    expect(world.session.reasonsToKeep).toEqual([]);
  });

  test("a kept connection gets a statement only when another has answered those before it", () => {
    const world = sharing().client(say.query("listen news"));
    world.backend(0, says.done, says.ready());
    world.backend(0, says.row("k", String(LEAVES.listening), null), says.done, says.ready());
    world.story();
    world.client(say.query(READ), say.query(WRITE));
    expect(world.story()).not.toContain(WRITE);
    world.backend(1, says.rows, says.done, says.ready());
    expect(world.story()).toContain(`>client T D C ZI\n`);
  });

  test("what was SET is brought to the next connection before anything else runs there", () => {
    const world = sharing().client(say.query("set work_mem = '1MB'"));
    world.backend(0, says.done, says.ready()).story();
    world.backend(0, says.row("s", hex("work_mem"), hex("1MB")), says.done, says.ready());
    expect(world.story()).toBe("release 0");
    world.client(say.query(READ));
    expect(world.story()).toBe(
      "take 1\n>1 Q(SELECT pg_catalog.set_config('work_mem', '1MB', false))",
    );
    world.backend(1, says.rows, says.done, says.ready());
    expect(world.story()).toBe(`>1 Q(${READ})\nresume client`);
    world.backend(1, says.rows, says.done, says.ready());
    world.client(say.query(READ));
    // The connection is in that state now.
    expect(world.story()).toBe(`>client T D C ZI\nrelease 1\ntake 1\n>1 Q(${READ})`);
  });

  test("a state that cannot be brought over fails the statement, and closes the connection", () => {
    const world = sharing().client(say.query("set role nobody"));
    world.backend(0, says.done, says.ready()).story();
    world.backend(0, says.row("s", hex("role"), hex("nobody")), says.done, says.ready());
    world.client(say.query(READ)).story();
    world.backend(1, says.error("22023"), says.ready());
    expect(world.story()).toBe(
      "drop 1: the session's state could not be brought over\n>client E(22023)\n>client ZI\nresume client",
    );
  });

  test("bringing the state over that another one's time limit cuts short is tried elsewhere", () => {
    const world = sharing().client(say.query("set work_mem = '1MB'"));
    world.backend(0, says.done, says.ready()).story();
    world.backend(0, says.row("s", hex("work_mem"), hex("1MB")), says.done, says.ready());
    world.client(say.query(READ)).story();
    const cut = [says.error("57014"), says.ready()] as const;
    world.backend(1, ...cut);
    expect(world.story()).toMatch(/^drop 1: .* in time\nopen 1$/);
  });

  test("a look at what a session has left that its own time limit cuts short is taken again", () => {
    const world = sharing().client(say.query("set statement_timeout = 1"));
    world.backend(0, says.done, says.ready());
    const [, probe = ""] = world.story().split("\n>0 Q").slice(1);
    expect(probe).toContain("statement_timeout");
    const cut = [says.error("57014"), says.ready()] as const;
    // The limit is found out first, then lifted.
    const patiently = />0 C C( P\(pgquorum\/ask\) B\(pgquorum\/ask\) E C C){3} S$/;
    for (let i = 1; i < 20; i += 1) expect(world.backend(0, ...cut).story()).toMatch(patiently);
    // It would go on for ever.
    expect(world.backend(0, ...cut).story()).toBe("");
    expect(world.session.reasonsToKeep).toEqual(["setting that cannot be carried over"]);
    world.client(say.query("select 1 from t for update")).backend(0, says.done, says.ready());
    expect(world.story()).toMatch(patiently);
    world.backend(0, says.row("s", hex("statement_timeout"), hex("1ms")), says.done, says.row());
    world.backend(0, says.done, says.done, says.ready());
    expect(world.story()).toBe("release 0");
    expect(world.session.reasonsToKeep).toEqual([]);
  });

  test("the unnamed statement of one session is not that of the next", () => {
    const world = sharing([0]).client(say.parse("", WRITE), say.sync());
    world.backend(0, says.parsed, says.ready());
    expect(world.story()).toBe("take 0\n>0 P() S\n>client 1 ZI\nrelease 0");
    const other = sharing([]);
    const link = world.links[0];
    if (link === undefined) throw new Error("no link");
    other.idle.push(link);
    other.client(say.bind("", ""), say.execute(), say.sync());
    expect(world.story()).toBe(">0 C B() E S");
  });

  test("the unnamed statement is there again on another connection", () => {
    const world = sharing([0]).client(say.parse("", WRITE), say.sync());
    world.backend(0, says.parsed, says.ready());
    world.idle.length = 0;
    world.client(say.bind("", ""), say.execute(), say.sync());
    world.story();
    world.opened(0);
    expect(world.story()).toBe(">0 P() B() E S\nresume client");
  });

  test("an idle connection that is lost is no loss", () => {
    const world = sharing().client(say.query(READ));
    world.backend(1, says.done, says.ready()).story();
    world.lost(1, "gone");
    expect(world.story()).toBe("");
  });
});
