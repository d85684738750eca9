import { expect, test } from "vitest";
import { SilentStandbys } from "../../../../../src/proxy/core/routing/index.ts";
import { VIEW } from "../session/world.ts";

const statesIn = (standbys: SilentStandbys): string[] =>
  standbys.seenBy(VIEW).backends.map((backend) => backend.state);

test("a standby that was asked and said nothing is down for sessions, until it answers", () => {
  const standbys = new SilentStandbys();
  expect(standbys.suspect(1)).toBe(true);
  expect(standbys.suspect(1)).toBe(false);
  expect(standbys.seenBy(VIEW)).toBe(VIEW);
  expect(standbys.told(1, false)).toBe("silent");
  expect(statesIn(standbys)).toEqual(["up", "down"]);
  expect(standbys.silent).toEqual([1]);
  expect(standbys.told(1, false)).toBe("nothing");
  expect(standbys.told(1, true)).toBe("again");
  expect(standbys.seenBy(VIEW)).toBe(VIEW);
  expect(standbys.isEmpty).toBe(true);
  standbys.suspect(1);
  expect(standbys.told(1, true)).toBe("answers");
});

test("what the node calls down, or made the primary, is judged no more", () => {
  for (const change of [
    { primaryId: 1 },
    { backends: VIEW.backends.map((one) => ({ ...one, state: "down" as const })) },
  ]) {
    const standbys = new SilentStandbys();
    standbys.suspect(1);
    standbys.told(1, false);
    standbys.viewTaken({ ...VIEW, ...change });
    expect(standbys.isEmpty).toBe(true);
    expect(standbys.told(1, true)).toBe("nothing");
  }
});
