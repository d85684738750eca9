import { describe, expect, test } from "vitest";
import { say } from "../../../../support/raw-client.ts";
import type { BackendView } from "../../../../../src/wire/ipc/index.ts";
import { VIEW, World, says } from "./world.ts";

const READ = "select a from t";
const WRITE = "insert into t values (1)";

function backend(id: number): BackendView {
  const found = VIEW.backends.find((one) => one.id === id);
  if (found === undefined) throw new Error(`the view has no backend ${id}`);
  return found;
}

const LOST = { severity: "ERROR", sqlstate: "08006", message: "m" } as const;

describe("a standby", () => {
  test("is connected when the first read is to go there", () => {
    const world = new World({ backends: [0] }).client(say.query(WRITE), say.query(READ));
    expect(world.story()).toBe(`>0 Q(${WRITE})\n>0 Q(${READ})`);
    world.backend(0, says.done, says.ready(), says.rows, says.done, says.ready()).story();
    world.client(say.query(READ));
    expect(world.story()).toBe("pause client\nopen 1");
    world.opened(1);
    expect(world.story()).toBe(`>1 Q(${READ})\nresume client`);
  });

  test("is connected before something is SET, so that it knows of it", () => {
    const world = new World({ backends: [0] }).client(say.query("set a.b = 1"));
    expect(world.story()).toBe("pause client\nopen 1");
    world.opened(1);
    expect(world.story()).toBe(">0 Q(set a.b = 1)\n>1 Q(set a.b = 1)\nresume client");
  });

  /** A session that has SET something while there was no standby. */
  function touched(...texts: readonly string[]): World {
    const alone = { ...VIEW, backends: VIEW.backends.slice(0, 1) };
    const world = new World({ backends: [0], view: alone });
    for (const text of texts) {
      world.client(say.query(text)).backend(0, says.done, says.ready());
    }
    world.session.viewChanged(VIEW);
    world.story();
    return world;
  }

  const hex = (text: string): string => Buffer.from(text).toString("hex");
  const found = (...rows: readonly (readonly [string, string, string])[]): Buffer[] => [
    ...rows.map(([what, name, value]) => says.row(what, hex(name), hex(value))),
    says.done,
    says.ready(),
  ];

  test("is told what was SET before it was there", () => {
    const world = touched();
    world.client(say.query("set work_mem = '5MB'; set role r"));
    world.backend(0, says.done, says.done, says.ready());
    expect(world.story()).toMatch(/^.*\n>client C C ZI\n>0 Q\(SELECT .*'work_mem'.*'role'.*\)$/s);
    world.client(say.query(READ));
    expect(world.story()).toBe("pause client");
    world.backend(0, ...found(["s", "work_mem", "5MB"], ["s", "role", "r"]));
    expect(world.story()).toBe("pause client\nopen 1");
    world.opened(1);
    expect(world.story()).toBe(
      ">1 Q(SELECT pg_catalog.set_config('work_mem', '5MB', false), pg_catalog.set_config('role', 'r', false))",
    );
    world.backend(1, says.done, says.ready());
    expect(world.story()).toBe(`>1 Q(${READ})\nresume client`);
    // It is there now: it hears of what follows, and nobody asks again.
    world.backend(1, says.rows, says.done, says.ready()).story();
    world.client(say.query("set work_mem = '6MB'"));
    expect(world.story()).toBe(">0 Q(set work_mem = '6MB')\n>1 Q(set work_mem = '6MB')");
  });

  test("that does not take it is done without", () => {
    const world = touched("set work_mem = '5MB'").client(say.query(READ));
    world.backend(0, ...found(["s", "work_mem", "5MB"]));
    world.opened(1);
    world.story();
    world.backend(1, says.error("22023"), says.ready());
    expect(world.story()).toBe(
      `drop 1: the session's state could not be brought over\n>0 Q(${READ})\nresume client`,
    );
  });

  test("that is lost while it is told is done without", () => {
    const world = touched("set work_mem = '5MB'").client(say.query(READ));
    world.backend(0, ...found(["s", "work_mem", "5MB"]));
    world.opened(1);
    world.story();
    expect(world.lost(1, "gone").story()).toBe(`>0 Q(${READ})\nresume client`);
  });

  test.each([
    ["a DO", "do $$ begin end $$"],
    ["a set_config whose name is not known", "select set_config(a, b, false) from t"],
  ])("is told what %s has set, which is looked for when it is needed", (_, text) => {
    const world = touched(text).client(say.query(READ));
    expect(world.story()).toMatch(/^>0 Q\(SELECT .*pg_settings.*\)\npause client$/s);
    world.backend(0, ...found(["s", "work_mem", "5MB"]));
    expect(world.story()).toBe("pause client\nopen 1");
    world.opened(1);
    expect(world.story()).toContain("set_config('work_mem', '5MB', false)");
  });

  test("is done without when the state cannot be read", () => {
    const world = touched("set work_mem = '5MB'").client(say.query(READ));
    world.story();
    // As it was SET, and twice more.
    for (let i = 0; i < 3; i += 1) world.backend(0, says.error("42501"), says.ready());
    expect(world.story()).toContain(`>0 Q(${READ})\nresume client`);
  });

  test("that cannot be had is done without", () => {
    const world = new World({ backends: [0] }).client(say.query("set a.b = 1"));
    world.story();
    world.session.linkFailed(1, LOST);
    expect(world.story()).toBe(">0 Q(set a.b = 1)\nresume client");
    world.backend(0, says.done, says.ready()).story();
    world.client(say.query(READ));
    expect(world.story()).toBe(`>0 Q(${READ})`);
  });

  test("that was lost has the reads of its session again when it is back", () => {
    const view = { ...VIEW, backends: [...VIEW.backends, { ...backend(1), id: 2 }] };
    const world = new World({ view, backends: [0, 1, 2], loadBalanceNode: 2 });
    const read = (from: number): string => {
      world.client(say.query(READ)).backend(from, says.rows, says.done, says.ready());
      return world.story();
    };
    const answered = ">client T D C ZI";
    expect(read(2)).toBe(`>2 Q(${READ})\n${answered}`);
    expect(world.lost(2, "gone").story()).toBe("");
    expect(read(1)).toBe(`>1 Q(${READ})\n${answered}`);
    world.session.viewChanged({ ...view, index: view.index + 1 });
    expect(world.client(say.query(READ)).story()).toBe("pause client\nopen 2");
  });

  test.each([
    ["", [say.query(WRITE)], `Q(${WRITE})`],
    [
      " in a batch",
      [say.parse("", WRITE), say.bind("", ""), say.execute(), say.sync()],
      "P() B() E S",
    ],
  ])(
    "that goes down with the view that names a primary is no matter to a write%s",
    (_, sent, what) => {
      const two = [...VIEW.backends, { ...backend(1), id: 2 }];
      const world = new World({
        view: { ...VIEW, backends: two },
        backends: [0, 2],
        loadBalanceNode: 2,
      });
      world.client(say.query(READ)).backend(2, says.rows, says.done, says.ready());
      world.isPrimaryAwaited = true;
      const awaiting = { ...VIEW, backends: two, epoch: 2, primaryId: null, awaitsPrimary: true };
      world.lost(0, "gone").session.viewChanged(awaiting);
      world.story();
      world.client(...sent);
      expect(world.story()).toBe("pause client");
      world.isPrimaryAwaited = false;
      // As follow_primary_command has it, which points the standby to the new primary.
      const backends = two.map((one) => ({
        ...one,
        state: one.id === 1 ? ("up" as const) : ("down" as const),
      }));
      world.session.viewChanged({ ...VIEW, epoch: 2, primaryId: 1, backends });
      expect(world.story()).toBe("drop 2: backend 2 is down\npause client\nopen 1");
      world.opened(1);
      expect(world.story()).toBe(`>1 ${what}\nresume client`);
    },
  );
});
