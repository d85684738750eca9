import { describe, expect, test } from "vitest";
import { say } from "../../../../support/raw-client.ts";
import { VIEW, World, says } from "./world.ts";

const READ = "select a from t";
const CONFLICT = "40001";

const standby = VIEW.backends[1];
if (standby === undefined) throw new Error("the view has a standby");
/** A primary that takes no reads while there are standbys, and two of those. */
const TWO_STANDBYS = { ...VIEW, backends: [...VIEW.backends, { ...standby, id: 2 }] };

const extended = [say.parse("", READ), say.bind("", ""), say.execute(), say.sync()];
const begun = [says.parsed, says.bound];

describe.each([false, true])(
  "a read that fails because of its standby (shared: %s)",
  (isSharing) => {
    const make = (): World => {
      const world = new World({ isSharing, view: TWO_STANDBYS, backends: [0, 1, 2] });
      world.story();
      return world;
    };
    const sent = (id: number, what: string): string =>
      isSharing ? `take ${id}\n>${id} ${what}` : `>${id} ${what}`;

    test("is sent to another when the standby is gone", () => {
      const world = make().client(say.query(READ));
      expect(world.story()).toBe(sent(1, `Q(${READ})`));
      world.lost(1, "it closed the connection");
      expect(world.story()).toBe(
        `>log read moved from 1: it closed the connection\n${sent(2, `Q(${READ})`)}\nresume client`,
      );
      world.backend(2, says.rows, says.done, says.ready());
      expect(world.story()).toContain(">client T D C ZI");
    });

    test("is sent to the primary when all standbys are gone, and the next read as well", () => {
      const world = make().client(...extended);
      world.lost(1, "gone").lost(2, "gone too");
      expect(world.story()).toContain(sent(0, "P() B() E S"));
      world.backend(0, ...begun, says.done, says.ready());
      expect(world.story()).toContain(">client 1 2 C ZI");
      world.client(...extended);
      expect(world.story()).toBe(sent(0, "P() B() E S"));
    });

    test("is sent to another after a conflict with recovery, and the next one where it was", () => {
      const world = make()
        .client(...extended)
        .backend(1, ...begun);
      expect(world.story()).not.toContain(">client");
      world.backend(1, says.error(CONFLICT));
      expect(world.story()).not.toContain(">client");
      world.backend(1, says.ready());
      const moved = world.story();
      expect(moved).toContain(sent(2, "P() B() E S"));
      if (isSharing) expect(moved).toContain("release 1");
      world.backend(2, ...begun, says.done, says.ready());
      expect(world.story()).toContain(">client 1 2 C ZI");
      world.client(say.query(READ));
      expect(world.story()).toContain(`>1 Q(${READ})`);
    });

    test("is sent to another when the standby says why it goes, and then goes", () => {
      const world = make().client(say.query(READ)).backend(1, says.error("57P01", "FATAL"));
      expect(world.story()).toContain(">log read moved from 1: 57P01 m");
      world.lost(1, "it closed the connection");
      const story = world.story();
      expect(story).toContain(sent(2, `Q(${READ})`));
      expect(story).not.toMatch(/log|client [TDE]/);
    });

    test("is not repeated once the client has seen a row", () => {
      const world = make().client(say.query(READ)).backend(1, says.rows);
      expect(world.story()).toContain(">client T D");
      world.backend(1, says.error(CONFLICT), says.ready());
      expect(world.story()).toContain(">client E(40001)\n>client ZI");
    });

    test("is not repeated when the statement is at fault", () => {
      const world = make()
        .client(...extended)
        .backend(1, ...begun, says.error("22012"), says.ready());
      const story = world.story();
      expect(story).toContain(">client 1 2\n>client E(22012)\n>client ZI");
    });

    test("is not repeated on the primary, nor in a transaction", () => {
      const world = make().client(say.query("begin")).backend(0, says.done, says.ready("T"));
      world.client(say.query(READ)).backend(0, says.error(CONFLICT), says.ready("E"));
      expect(world.story()).toContain(">client E(40001)\n>client ZE");
    });

    test("is not repeated when another statement was sent behind it", () => {
      const world = make().client(say.query(READ), say.query(READ));
      world.backend(1, says.error(CONFLICT), says.ready());
      expect(world.story()).toContain(">client E(40001)\n>client ZI");
    });

    test("names what it prepares on the other server, where the first never got to it", () => {
      const batch = [say.parse("s", READ), say.bind("", "s"), say.execute(), say.sync()];
      const world = make().client(...batch);
      expect(world.story()).toContain(">1 P(");
      world.lost(1, "gone");
      expect(world.story()).toContain(">2 P(");
      world.backend(2, ...begun, says.done, says.ready());
      expect(world.story()).toContain(">client 1 2 C ZI");
      world.client(say.bind("", "s"), say.execute(), say.sync());
      expect(world.story()).toMatch(/>2 B\([^)]+\) E S/);
    });

    test("is answered with what the standby said before, when it goes on", () => {
      const world = make()
        .client(...extended)
        .backend(1, ...begun);
      world.backend(1, says.notice).backend(1, says.done, says.ready());
      expect(world.story()).toContain(">client 1 2 N\n>client C ZI");
    });

    test("does not wait for a connection to a standby that is found to be down", () => {
      const world = new World({ isSharing, view: TWO_STANDBYS, backends: [0] });
      world.client(say.query(READ));
      expect(world.story()).toContain("open 1");
      const backends = TWO_STANDBYS.backends.map((one) =>
        one.id === 1 ? { ...one, state: "down" as const } : one,
      );
      world.session.viewChanged({ ...TWO_STANDBYS, backends });
      expect(world.story()).toMatch(/give up\n(pause client\n)?open 2/);
    });
  },
);
