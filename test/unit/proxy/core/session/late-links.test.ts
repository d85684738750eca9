import { describe, expect, test } from "vitest";
import { say } from "../../../../support/raw-client.ts";
import { World, says } from "./world.ts";

const READ = "select a from t";
const WRITE = "insert into t values (1)";

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

  test("that cannot be had is done without", () => {
    const world = new World({ backends: [0] }).client(say.query("set a.b = 1"));
    world.story();
    world.session.linkFailed(1, LOST);
    expect(world.story()).toBe(">0 Q(set a.b = 1)\nresume client");
    world.backend(0, says.done, says.ready()).story();
    world.client(say.query(READ));
    expect(world.story()).toBe(`>0 Q(${READ})`);
  });
});
