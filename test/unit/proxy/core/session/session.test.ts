import { describe, expect, test } from "vitest";
import { failure } from "../../../../../src/base/index.ts";
import { say } from "../../../../support/raw-client.ts";
import { VIEW, World, says } from "./world.ts";

const READ = "select a from t";
const WRITE = "insert into t values (1)";

describe("simple statements", () => {
  test("a read goes to the standby, a write to the primary, one after the other", () => {
    const world = new World().client(say.query(READ), say.query(WRITE));
    expect(world.story()).toBe(`>1 Q(${READ})\npause client`);
    world.backend(1, says.rows, says.done, says.ready());
    expect(world.story()).toBe(`>client T D C ZI\n>0 Q(${WRITE})\nresume client`);
    world.backend(0, says.done, says.ready());
    expect(world.story()).toBe(">client C ZI");
  });

  test("reads behind a write that runs stay behind it, on the primary", () => {
    const world = new World().client(say.query(WRITE), say.query(READ), say.query(READ));
    expect(world.story()).toBe(`>0 Q(${WRITE})\n>0 Q(${READ})\n>0 Q(${READ})`);
  });

  test("a transaction is wholly on the primary", () => {
    const world = new World().client(say.query("begin"));
    world.backend(0, says.done, says.ready("T"));
    world.client(say.query(READ));
    expect(world.story()).toBe(`>0 Q(begin)\n>client C ZT\n>0 Q(${READ})`);
  });

  test("SET goes to both, and the standby's reply is not the client's", () => {
    const world = new World().client(say.query("set a.b = 1"));
    expect(world.story()).toBe(">0 Q(set a.b = 1)\n>1 Q(set a.b = 1)");
    world.backend(1, says.notice, says.done, says.ready());
    expect(world.story()).toBe("");
    world.backend(0, says.done, says.ready());
    // The server is asked what has become of it, as it may be gone at any moment.
    expect(world.story()).toMatch(/^>client C ZI\n>0 Q\(SELECT 's', .*'a.b'/s);
  });

  test("a standby on which a SET failed alone is let go", () => {
    const world = new World().client(say.query("set a.b = 1"));
    world.backend(0, says.done, says.ready()).backend(1, says.error("22023"), says.ready());
    expect(world.story()).toContain("drop 1: a statement that ran on the primary failed");
    world.client(say.query(READ));
    expect(world.story()).toBe(`>0 Q(${READ})`);
  });

  test("a SET that fails everywhere leaves the session as it was", () => {
    const world = new World().client(say.query("set a.b = 1"));
    world
      .backend(0, says.error("22023"), says.ready())
      .backend(1, says.error("22023"), says.ready())
      .backend(0, says.done, says.ready());
    world.story();
    world.client(say.query(READ));
    expect(world.story()).toBe(`>1 Q(${READ})`);
  });

  test("what follows a SHOW that others have to answer waits for that answer", () => {
    const world = new World().client(say.query("show pool_clients"), say.query(READ));
    expect(world.story()).toBe("pause client");
    expect(world.session.activity).toBe("active");
    world.client(say.query(WRITE));
    expect(world.story()).toBe("");
    world.session.ownAnswered({ ok: true, value: { columns: ["v"], rows: [["1"]], tag: "SHOW" } });
    expect(world.story()).toBe(`>client T D C ZI\n>1 Q(${READ})\npause client`);
  });

  test("SHOW POOL_VERSION is answered here, in its turn and with the right status", () => {
    const world = new World().client(say.query("begin"), say.query("show pool_version"));
    expect(world.story()).toBe(">0 Q(begin)\npause client");
    world.backend(0, says.done, says.ready("T"));
    expect(world.story()).toBe(">client C ZT\n>client T D C ZT\nresume client");
  });

  test("a message in pieces is held until it is whole", () => {
    const bytes = say.query(READ);
    const world = new World();
    for (const byte of bytes) world.client(Buffer.from([byte]));
    expect(world.story()).toBe(`>1 Q(${READ})`);
  });

  test("a statement too long to be read streams to the primary", () => {
    const text = `${READ} -- ${"x".repeat(300_000)}`;
    const bytes = say.query(text);
    const world = new World().client(bytes.subarray(0, 262_200));
    expect(world.story()).toMatch(/^>0 Q\(/);
    world.client(bytes.subarray(262_200));
    expect(world.links[0]?.pending.count).toBe(1);
    world.story();
    world.client(say.query(READ));
    expect(world.story()).toBe(`>0 Q(${READ})`);
  });
});

describe("extended batches", () => {
  const batch = (text: string, name = ""): Buffer[] => [
    say.parse(name, text),
    say.bind("", name),
    say.execute(),
  ];

  test("one that only reads goes to the standby in one write", () => {
    const world = new World().client(...batch(READ), say.sync());
    expect(world.story()).toBe(">1 P() B() E S");
    world.backend(1, says.parsed, says.bound, says.rows, says.done, says.ready());
    expect(world.story()).toBe(">client 1 2 T D C ZI");
  });

  test("one write among reads takes the whole batch to the primary", () => {
    const world = new World().client(...batch(READ), ...batch(WRITE), say.sync());
    expect(world.story()).toBe(">0 P() B() E P() B() E S");
  });

  test("Flush ends the choice: the primary, up to the next Sync", () => {
    const world = new World().client(...batch(READ), say.flush());
    expect(world.story()).toBe(">0 P() B() E H");
    world.client(...batch(READ), say.sync(), ...batch(READ), say.sync());
    expect(world.story()).toBe(">0 P() B() E S\n>0 P() B() E S");
  });

  test("a Query behind an unfinished batch stays with it, and waits to know if it is skipped", () => {
    const world = new World().client(...batch(READ), say.query(READ));
    expect(world.story()).toBe(">0 P() B() E\n>0 H\npause client");
    world.backend(0, says.parsed, says.bound, says.done);
    expect(world.story()).toContain(`>0 Q(${READ})`);
    world.backend(0, says.rows, says.done, says.ready());
    world.story();
    world.client(say.query(READ));
    expect(world.story()).toBe(`>1 Q(${READ})`);
  });

  test("a statement made on the standby is made on the primary before it is bound there", () => {
    const world = new World().client(say.parse("s", READ), say.sync());
    world.backend(1, says.parsed, says.ready()).client(say.query("begin"));
    world.backend(0, says.done, says.ready("T"));
    world.story();
    world.client(say.bind("", "s"), say.execute(), say.sync());
    expect(world.story()).toBe(">0 P(s) B(s) E S");
    world.backend(0, says.parsed, says.bound, says.done, says.ready("T"));
    expect(world.story()).toBe(">client 2 C ZT");
    world.client(say.bind("", "s"), say.sync());
    expect(world.story()).toBe(">0 B(s) S");
  });

  test("Close closes it everywhere", () => {
    const world = new World().client(say.parse("s", READ), say.sync());
    world.backend(1, says.parsed, says.ready());
    world.story();
    world.client(say.close("S", "s"), say.query(WRITE));
    expect(world.story()).toContain(">1 C S");
    world.backend(1, says.closed, says.ready());
    expect(world.story()).toBe("");
  });

  test("an error skips to Sync and no further", () => {
    const world = new World().client(...batch(WRITE), say.sync(), ...batch(WRITE), say.sync());
    world.backend(0, says.error("42601"), says.ready());
    world.backend(0, says.parsed, says.bound, says.done, says.ready());
    expect(world.links[0]?.isQuiet).toBe(true);
    world.story();
    world.client(say.query(READ));
    expect(world.story()).toBe(`>1 Q(${READ})`);
  });

  test("a giant parameter streams to the primary behind what was held", () => {
    const bytes = say.bind("", "s", ["x".repeat(400_000)]);
    const world = new World().client(say.parse("s", READ), bytes.subarray(0, 300_000));
    expect(world.story()).toBe(">0 P(s)\n>0 B(s)");
    world.client(bytes.subarray(300_000), say.execute(), say.sync());
    expect(world.story()).toMatch(/E S$/);
    expect(world.links[0]?.pending.count).toBe(4);
  });
});

describe("COPY FROM STDIN", () => {
  test("streams data in one write and ends with CopyDone", () => {
    const world = new World().client(say.query("copy t from stdin"));
    world.backend(0, says.copyIn);
    world.story();
    world.client(say.copyData("1"), say.copyData("2"), say.copyDone());
    expect(world.story()).toBe(">0 d d c");
    world.backend(0, says.done, says.ready());
    expect(world.links[0]?.isQuiet).toBe(true);
  });

  test("eats a Sync that was sent with it", () => {
    const copy = [say.parse("", "copy t from stdin"), say.bind("", ""), say.execute(), say.sync()];
    const world = new World().client(...copy);
    world.backend(0, says.parsed, says.bound, says.copyIn);
    world.client(say.copyData("1"), say.copyDone(), say.sync());
    world.story();
    world.backend(0, says.done, says.ready());
    expect(world.story()).toBe(">client C ZI");
    expect(world.links[0]?.isQuiet).toBe(true);
  });

  test("leftover data after a failed COPY is dropped", () => {
    const world = new World().client(say.copyData("1"), say.copyDone(), say.query(READ));
    expect(world.story()).toBe(`>1 Q(${READ})`);
  });
});

describe("when something fails", () => {
  test("notifications pass at once, also between statements", () => {
    const world = new World().backend(0, says.notification);
    expect(world.story()).toBe(">client A");
    world.backend(1, says.notice);
    expect(world.story()).toBe("");
  });

  test("a standby lost in the middle of its result is an error, and the session goes on", () => {
    const world = new World().client(say.query(READ)).backend(1, says.rows);
    world.story();
    world.lost(1, "gone");
    expect(world.story()).toBe(">client E(08006)\n>client ZI");
    expect(world.client(say.query(READ)).story()).toBe(`>0 Q(${READ})`);
  });

  test("nothing follows a message that was cut short, and nothing a FATAL of the server", () => {
    const cut = new World().client(say.query(READ)).backend(1, says.rows.subarray(0, 13));
    cut.story();
    cut.lost(1, "gone");
    expect(cut.story()).toBe("end without a word");
    const told = new World().client(say.query(WRITE)).backend(0, says.error("08P01", "FATAL"));
    told.story();
    told.lost(0, "gone");
    expect(told.story()).toBe("end without a word");
  });

  test("bytes of a backend that are not the protocol end the session", () => {
    const world = new World().client(say.query(WRITE)).backend(0, Buffer.from([0x44, 0, 0, 0, 1]));
    expect(world.story()).toContain("drop 0: message type 0x44 claims 1 bytes");
    expect(world.story()).toBe("");
  });

  test("without a primary reads work, and a write is refused in both protocols", () => {
    const view = { ...VIEW, primaryId: null };
    const world = new World({ view, backends: [1] }).client(say.query(READ));
    world.backend(1, says.rows, says.done, says.ready()).client(say.query(WRITE));
    expect(world.story()).toBe(`>1 Q(${READ})\n>client T D C ZI\n>client E(57P03)\n>client ZI`);
    world.client(say.parse("", WRITE), say.flush(), say.execute(), say.sync());
    expect(world.story()).toBe(">client E(57P03)\n>client ZI");
  });

  test("the primary is opened when it is known again", () => {
    const view = { ...VIEW, primaryId: null };
    const world = new World({ view, backends: [1] });
    world.session.viewChanged(VIEW);
    world.client(say.query(WRITE));
    expect(world.story()).toBe("pause client\nopen 0");
    world.opened(0);
    expect(world.story()).toBe(`>0 Q(${WRITE})\nresume client`);
  });

  test("a refusal inside a transaction ends the session: its work would be lost unseen", () => {
    const world = new World().client(say.query("begin")).backend(0, says.done, says.ready("T"));
    world.setGate("refuses").story();
    world.client(say.query("commit"));
    expect(world.story()).toBe("end 57P03 no quorum");
  });

  test("a refusal ends a statement that runs, and leaves an idle session alone", () => {
    const busy = new World().client(say.query(WRITE));
    busy.story();
    expect(busy.setGate("refuses").story()).toBe("drop 0: no quorum\n>client E(08007)\n>client ZI");
    expect(new World().setGate("refuses").story()).toBe("");
  });

  test("another primary is taken by an idle session, which leaves the old one", () => {
    const world = new World();
    world.session.viewChanged({ ...VIEW, primaryId: 1 });
    expect(world.story()).toBe("drop 0: the primary is now backend 1; it was 0");
    expect(world.client(say.query(WRITE)).story()).toBe(`>1 Q(${WRITE})`);
  });

  test.each([
    ["an unknown type", Buffer.from([0x21, 0, 0, 0, 4]), "invalid frontend message type 33"],
    ["2 GB", Buffer.from([0x51, 0x80, 0, 0, 0]), "invalid message length"],
    ["a long Sync", Buffer.from([0x53, 0, 0xff, 0, 0]), "invalid message length"],
  ])("a message with %s ends the session", (_, bytes, message) => {
    expect(new World().client(bytes).story()).toBe(`end 08P01 ${message}`);
  });

  test("Terminate is swallowed, also while statements are held", () => {
    expect(new World().setGate("holds").client(say.terminate()).story()).toBe("terminated");
    expect(new World().client(say.terminate()).story()).toBe("terminated");
  });
});

describe("while the routing lease is over", () => {
  const held = "pause client";

  test("a statement waits, and goes on with the next lease", () => {
    const world = new World().setGate("holds").client(say.query(WRITE), say.query(READ));
    expect(world.story()).toBe(held);
    expect(world.setGate("holds").story()).toBe(held);
    expect(world.setGate("open").story()).toBe(`>0 Q(${WRITE})\n>0 Q(${READ})\nresume client`);
  });

  test("a statement that waited too long is refused with the reason, and the session stays", () => {
    const world = new World().setGate("holds").client(say.query(WRITE));
    expect(world.setGate("refuses").story()).toBe(
      `${held}\n>client E(57P03)\n>client ZI\nresume client`,
    );
    world.client(say.parse("", WRITE), say.bind("", ""), say.execute(), say.sync());
    expect(world.story()).toBe(">client E(57P03)\n>client ZI");
    expect(world.setGate("open").client(say.query(WRITE)).story()).toBe(`>0 Q(${WRITE})`);
  });

  test("nothing is added to what runs, and its success is not told before the next lease", () => {
    const world = new World().client(say.query(WRITE)).setGate("holds").client(say.query(WRITE));
    world.backend(0, says.done).backend(0, says.ready());
    expect(world.story()).toBe(`>0 Q(${WRITE})\n${held}`);
    expect(world.setGate("open").story()).toBe(
      `>client C\n>client ZI\n>0 Q(${WRITE})\nresume client`,
    );
  });

  test("a success that came too late is none, if there is no next lease, or another primary", () => {
    const late = (): World => {
      const world = new World().client(say.query(WRITE)).setGate("holds");
      world.backend(0, says.done, says.ready()).story();
      return world;
    };
    expect(late().setGate("refuses").story()).toBe(
      "drop 0: no quorum\n>client E(08007)\n>client ZI",
    );
    const replaced = late();
    replaced.session.viewChanged({ ...VIEW, primaryId: 1, epoch: 2 });
    expect(replaced.story()).toContain(
      "drop 0: the primary is now backend 1; it was 0\n>client E(08007)",
    );
    const again = late();
    again.session.viewChanged({ ...VIEW, epoch: 3, primaryEpoch: 3 });
    expect(again.story()).toContain("drop 0: a failover has come between\n>client E(08007)");
    const standbyLost = late();
    standbyLost.session.viewChanged({ ...VIEW, epoch: 2 });
    expect(standbyLost.setGate("open").story()).toBe(">client C ZI");
  });

  test("what the old primary says while it is replaced is told when it stays one after all", () => {
    const world = new World().client(say.query(WRITE)).replacePrimary(true);
    world.backend(0, says.done, says.ready());
    expect(world.story()).toBe(`>0 Q(${WRITE})`);
    world.isPrimaryAwaited = false;
    world.session.gateChanged();
    expect(world.story()).toBe(
      "drop 0: the primary is being replaced\n>client E(08007)\n>client ZI",
    );
  });

  test("a read on a standby is told at once", () => {
    const world = new World().client(say.query(READ)).setGate("holds");
    world.backend(1, says.rows, says.done, says.ready());
    expect(world.story()).toContain(">client T D C ZI");
  });

  test.each([
    ["COMMIT", say.query("begin"), "T" as const, say.query("commit")],
    ["the Sync of an open batch", say.parse("", WRITE), null, say.sync()],
    ["the end of a COPY", say.query("copy t from stdin"), null, say.copyDone()],
  ])("%s waits as well", (_, first, status, then) => {
    const world = new World().client(first, ...(status === null ? [say.flush()] : []));
    if (status !== null) world.backend(0, says.done, says.ready(status));
    world.story();
    expect(world.setGate("holds").client(then).story()).toBe(held);
    expect(world.setGate("open").story()).toMatch(/^>0 .*\nresume client$/);
  });

  test("the rest of a long statement waits as well: its last byte would run it", () => {
    const bytes = say.query(`insert into t values ('${"x".repeat(300_000)}')`);
    const world = new World().client(bytes.subarray(0, 270_000));
    world.story();
    expect(world.setGate("holds").client(bytes.subarray(270_000)).story()).toBe(held);
    expect(world.setGate("open").story()).toMatch(/^>0 .*\nresume client$/s);
  });

  test("what this node answers itself does not wait", () => {
    const world = new World().setGate("holds").client(say.query("show pool_version"));
    expect(world.story()).toMatch(/^>client T D C ZI/);
  });
});

describe("while a backend is paused", () => {
  const TOO_LONG = failure("backend-paused");

  function paused(...ids: readonly number[]): World {
    const world = new World();
    for (const id of ids) world.pauses[id] = "wait";
    return world;
  }

  test("a statement waits, and goes on when the pause is over", () => {
    const world = paused(0).client(say.query(WRITE));
    expect(world.story()).toBe("pause client");
    world.pauses.length = 0;
    expect(world.setGate("open").story()).toBe(`>0 Q(${WRITE})\nresume client`);
  });

  test("reads of the other one go on, and those of a paused standby go to the primary", () => {
    expect(paused(0).client(say.query(READ)).story()).toBe(`>1 Q(${READ})`);
    expect(paused(1).client(say.query(READ)).story()).toBe(`>0 Q(${READ})`);
    expect(paused(0, 1).client(say.query(READ)).story()).toBe("pause client");
  });

  test("a transaction goes on to its end, also one that is only known to be one later", () => {
    const world = new World().client(say.query("begin"));
    world.pauses[0] = "wait";
    expect(world.client(say.query(WRITE)).story()).toBe(">0 Q(begin)\npause client");
    expect(world.backend(0, says.done, says.ready("T")).story()).toBe(
      `>client C ZT\n>0 Q(${WRITE})\nresume client`,
    );
    world.backend(0, says.done, says.ready("T")).client(say.query("commit"));
    expect(world.story()).toBe(">client C ZT\n>0 Q(commit)");
    world.backend(0, says.done, says.ready()).client(say.query(WRITE));
    expect(world.story()).toBe(">client C ZI\npause client");
  });

  test("a batch that has begun goes on to its Sync", () => {
    const world = new World().client(say.parse("", WRITE), say.flush());
    world.story();
    world.pauses[0] = "wait";
    expect(world.client(say.bind("", ""), say.execute(), say.sync()).story()).toMatch(/^>0 B/);
  });

  test("what waited too long fails, and the session stays", () => {
    const world = paused(0).client(say.query(WRITE));
    world.story();
    world.pauses[0] = TOO_LONG;
    expect(world.setGate("open").story()).toBe(">client E(57P03)\n>client ZI\nresume client");
    expect(world.client(say.query(WRITE)).story()).toBe(">client E(57P03)\n>client ZI");
    world.pauses.length = 0;
    expect(world.client(say.query(WRITE)).story()).toBe(`>0 Q(${WRITE})`);
  });

  test("a SET goes on without a paused standby, which is left, and waits for the primary", () => {
    const world = paused(1).client(say.query("set work_mem = '5MB'"));
    expect(world.story()).toBe("drop 1: it is paused\n>0 Q(set work_mem = '5MB')");
    world.backend(0, says.done, says.ready()).backend(0, says.done, says.ready()).story();
    world.client(say.query(READ));
    expect(world.story()).toBe(`>0 Q(${READ})`);
    expect(paused(0).client(say.query("set work_mem = '5MB'")).story()).toBe("pause client");
  });
});

describe("while a failover runs", () => {
  test("a write waits for the new primary, which is opened then; a read does not wait", () => {
    const world = new World({ view: { ...VIEW, primaryId: null }, backends: [1] });
    world.replacePrimary(true).client(say.query(READ));
    world.backend(1, says.rows, says.done, says.ready()).client(say.query(WRITE));
    expect(world.story()).toBe(`>1 Q(${READ})\n>client T D C ZI\npause client`);
    world.isPrimaryAwaited = false;
    world.session.viewChanged(VIEW);
    expect(world.story()).toBe("pause client\nopen 0");
    world.opened(0);
    expect(world.story()).toBe(`>0 Q(${WRITE})\nresume client`);
  });

  test("a write that waited too long is refused", () => {
    const world = new World({ view: { ...VIEW, primaryId: null }, backends: [1] });
    world.replacePrimary(true).client(say.query(WRITE)).story();
    world.isPrimaryAwaited = false;
    world.session.gateChanged();
    expect(world.story()).toBe(">client E(57P03)\n>client ZI\nresume client");
  });

  test("a transaction on the old primary waits, and is rolled back with it", () => {
    const world = new World().client(say.query("begin")).backend(0, says.done, says.ready("T"));
    world.replacePrimary(true).client(say.query("commit"));
    expect(world.story()).toBe(">0 Q(begin)\n>client C ZT\npause client");
    world.session.viewChanged({ ...VIEW, primaryId: 1 });
    expect(world.story()).toBe(
      "drop 0: the primary is now backend 1; it was 0\n>client E(08006)\n>client ZI\nresume client",
    );
  });

  test("an open batch on the old primary waits, and ends the session when that takes too long", () => {
    const world = new World().client(say.parse("", WRITE), say.flush());
    world.replacePrimary(true).story();
    expect(world.client(say.sync()).story()).toBe("pause client");
    world.isPrimaryAwaited = false;
    world.session.gateChanged();
    expect(world.story()).toMatch(/^end 08006/);
  });

  test("a session that is spared goes on with the same primary", () => {
    const world = new World().replacePrimary(true).client(say.query(WRITE));
    expect(world.story()).toBe("pause client");
    world.session.viewChanged(VIEW);
    expect(world.story()).toBe(`>0 Q(${WRITE})\nresume client`);
  });
});
