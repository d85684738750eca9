import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Core } from "../../../src/base/index.ts";
import { CoreRunner, type Tick } from "../../../src/os/index.ts";

interface Event {
  readonly type: "add";
  readonly name: string;
}

interface State {
  readonly seen: readonly string[];
  readonly dueAtMs: number | null;
}

/** Remembers events; each event performs `<name>1`, `<name>2`; a tick clears what is due; `until 50` moves it. */
const core: Core<State, Event | Tick, string> = {
  step(state, event, nowMs) {
    if (event.type === "tick") {
      const isDue = state.dueAtMs !== null && nowMs >= state.dueAtMs;
      const seen = [...state.seen, isDue ? "due" : "early"];
      return { state: { seen, dueAtMs: isDue ? null : state.dueAtMs }, actions: [] };
    }
    const seen = [...state.seen, event.name];
    const until = /^until (\d+)$/.exec(event.name)?.[1];
    const dueAtMs = until === undefined ? state.dueAtMs : Number(until);
    return { state: { seen, dueAtMs }, actions: [`${event.name}1`, `${event.name}2`] };
  },
  wakeAtMs: (state) => state.dueAtMs,
};

describe("the loop that runs a core", () => {
  let nowMs = 0;
  let runner: CoreRunner<State, Event, string>;
  const performed: string[] = [];
  const gates = new Map<string, (failure?: Event) => void>();

  function startWith(dueAtMs: number | null): void {
    performed.length = 0;
    gates.clear();
    nowMs = 0;
    runner = new CoreRunner<State, Event, string>(
      core,
      { seen: [], dueAtMs },
      {
        nowMs: () => nowMs,
        perform(action) {
          performed.push(action);
          if (!action.startsWith("slow")) return undefined;
          return new Promise<Event | void>((resolve) => gates.set(action, resolve));
        },
      },
    );
  }

  async function open(gate: string, failure?: Event): Promise<void> {
    gates.get(gate)?.(failure);
    await vi.advanceTimersByTimeAsync(0);
  }

  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    runner.stop();
    vi.useRealTimers();
  });

  it("performs the actions of an event in order before it takes the next", async () => {
    startWith(null);
    runner.deliver({ type: "add", name: "slow" });
    runner.deliver({ type: "add", name: "b" });
    expect(performed).toEqual(["slow1"]);
    await open("slow1");
    expect(performed).toEqual(["slow1", "slow2"]);
    expect(runner.state.seen).toEqual(["slow"]);
    await open("slow2");
    expect(performed).toEqual(["slow1", "slow2", "b1", "b2"]);
  });

  it("steps the failure of an action before all that came in meanwhile, and does not do the rest", async () => {
    startWith(10);
    runner.deliver({ type: "add", name: "slow" });
    runner.deliver({ type: "add", name: "b" });
    nowMs = 20;
    await open("slow1", { type: "add", name: "failed" });
    expect(performed).toEqual(["slow1", "failed1", "failed2", "b1", "b2"]);
    expect(runner.state.seen).toEqual(["slow", "failed", "due", "b"]);
  });

  it("ticks when the core wants to be woken", async () => {
    startWith(50.5);
    nowMs = 51;
    await vi.advanceTimersByTimeAsync(50);
    expect(runner.state.seen).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(runner.state.seen).toEqual(["due"]);
  });

  it("sets the timer again when it fires too early", async () => {
    startWith(20);
    await vi.advanceTimersByTimeAsync(20);
    expect(runner.state.seen).toEqual([]);
    nowMs = 20;
    await vi.advanceTimersByTimeAsync(20);
    expect(runner.state.seen).toEqual(["due"]);
  });

  it("wakes at the moment named last, be it later or earlier than the one before", async () => {
    startWith(20);
    nowMs = 10;
    runner.deliver({ type: "add", name: "until 50" });
    await vi.advanceTimersByTimeAsync(20);
    nowMs = 30;
    runner.deliver({ type: "add", name: "until 40" });
    await vi.advanceTimersByTimeAsync(9);
    nowMs = 40;
    expect(runner.state.seen).toEqual(["until 50", "until 40"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(runner.state.seen).toEqual(["until 50", "until 40", "due"]);
  });

  it("puts a tick that is due before the events that wait", async () => {
    startWith(10);
    runner.deliver({ type: "add", name: "slow" });
    runner.deliver({ type: "add", name: "b" });
    nowMs = 10;
    await open("slow1");
    await open("slow2");
    expect(runner.state.seen).toEqual(["slow", "due", "b"]);
  });

  it("takes nothing any more once it is stopped", async () => {
    startWith(10);
    runner.deliver({ type: "add", name: "slow" });
    runner.stop();
    await open("slow1");
    runner.deliver({ type: "add", name: "b" });
    nowMs = 10;
    await vi.advanceTimersByTimeAsync(100);
    expect(performed).toEqual(["slow1"]);
    expect(runner.state.seen).toEqual(["slow"]);
  });
});
