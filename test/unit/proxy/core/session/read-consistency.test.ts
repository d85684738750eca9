import { expect, test } from "vitest";
import { say } from "../../../../support/raw-client.ts";
import { ReplayClock } from "../../../../../src/proxy/core/replay/index.ts";
import { VIEW, World, says } from "./world.ts";

const READ = "select a from t";
const WRITE = "insert into t values (1)";
const TIMELINE = 1;

/** A session, and the standby's answers. */
function make(isSharing: boolean): { world: World; clock: ReplayClock } {
  const clock = new ReplayClock();
  const world = new World({ isSharing, clock });
  world.mayWaitForReplay = true;
  return { world, clock };
}

function primaryIsAt(clock: ReplayClock, lsn: number): void {
  clock.primaryAnswered(clock.primaryAsked(), lsn, TIMELINE, 0);
}

const WAITS = "wait for 1";

test.each([false, true])(
  "a read behind a write waits for its standby (shared: %s)",
  (isSharing) => {
    const { world, clock } = make(isSharing);
    world.client(say.query(READ)).backend(1, says.rows, says.done, says.ready());
    expect(world.story()).toContain(`>1 Q(${READ})`);
    world.client(say.query(WRITE)).backend(0, says.done, says.ready());
    primaryIsAt(clock, 100);
    clock.standbyAnswered(1, 99, [TIMELINE], 0);
    world.story();
    world.client(say.query(READ));
    expect(world.story()).toContain(WAITS);
    expect(world.session.isBehind(1)).toBe(true);
    clock.standbyAnswered(1, 100, null, 0);
    expect(world.session.isBehind(1)).toBe(false);
    world.session.replayWaited();
    expect(world.story()).toContain(`>1 Q(${READ})`);
  },
);

test.each([false, true])("and goes to the primary when it may not (shared: %s)", (isSharing) => {
  const { world } = make(isSharing);
  world.client(say.query(WRITE)).backend(0, says.done, says.ready());
  world.story();
  world.client(say.parse("", READ), say.bind("", ""), say.execute(), say.sync());
  expect(world.story()).toContain(WAITS);
  world.mayWaitForReplay = false;
  world.session.replayWaited();
  expect(world.story()).toContain(">0 P() B() E S");
});

test("what was asked for while the write ran does not count", () => {
  const { world, clock } = make(true);
  world.client(say.query(WRITE));
  const early = clock.primaryAsked();
  world.backend(0, says.done, says.ready());
  clock.primaryAnswered(early, 100, TIMELINE, 0);
  clock.standbyAnswered(1, 100, [TIMELINE], 0);
  expect(world.session.isBehind(1)).toBe(true);
  primaryIsAt(clock, 100);
  expect(world.session.isBehind(1)).toBe(false);
});

test("what was read on the primary is never gone again, but what shows nothing does not count", () => {
  const { world } = make(true);
  world.client(say.query("begin")).backend(0, says.done, says.ready("T"));
  world.client(say.query("rollback")).backend(0, says.done, says.ready());
  expect(world.session.isBehind(1)).toBe(false);
  world.client(say.query("begin")).backend(0, says.done, says.ready("T"));
  world.client(say.query(READ)).backend(0, says.rows, says.done, says.ready("T"));
  world.client(say.query("commit")).backend(0, says.done, says.ready());
  expect(world.session.isBehind(1)).toBe(true);
});

test("the end of a transaction counts, not the last statement in it", () => {
  const { world, clock } = make(true);
  world.client(say.query("begin")).backend(0, says.done, says.ready("T"));
  world.client(say.query(WRITE)).backend(0, says.done, says.ready("T"));
  primaryIsAt(clock, 100);
  clock.standbyAnswered(1, 100, [TIMELINE], 0);
  // No standby has what is not committed.
  expect(world.session.isBehind(1)).toBe(true);
  world.client(say.query("commit")).backend(0, says.done, says.ready());
  expect(world.session.isBehind(1)).toBe(true);
});

test("without a primary a standby that may be behind is not read from", () => {
  const { world } = make(true);
  world.client(say.query(WRITE)).backend(0, says.done, says.ready());
  world.session.viewChanged({ ...VIEW, primaryId: null });
  world.story();
  world.client(say.query(READ));
  expect(world.story()).toContain(">client E(57P03)");
});

test("a position that the client named counts in a session that is eventual", () => {
  const world = new World({ isSharing: true });
  expect(world.session.isBehind(1)).toBe(false);
  world.session.namedPosition = 50;
  expect(world.session.namedPosition).toBe(50);
  expect(world.session.isBehind(1)).toBe(true);
  world.client(say.query("discard all")).backend(0, says.done, says.ready());
  expect(world.session.namedPosition).toBe(0);
});
