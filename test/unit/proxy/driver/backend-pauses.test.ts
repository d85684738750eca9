import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BackendPauses } from "../../../../src/proxy/driver/index.ts";

describe("a backend that a switchover drains", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  function draining(running: { count: number }): BackendPauses {
    const pauses = new BackendPauses({
      holdMs: () => 0,
      countRunning: (backendId) => (backendId === 0 ? running.count : 0),
      changed: () => undefined,
      tell: () => undefined,
    });
    pauses.drain(0);
    return pauses;
  }

  it("is calm at once when nothing runs there", () => {
    const calm = vi.fn();
    draining({ count: 0 }).whenCalm(calm);
    expect(calm).toHaveBeenCalledTimes(1);
  });

  it("is calm when what was on its way has been answered", () => {
    const running = { count: 1 };
    const calm = vi.fn();
    draining(running).whenCalm(calm);
    vi.advanceTimersByTime(30);
    expect(calm).not.toHaveBeenCalled();
    running.count = 0;
    vi.advanceTimersByTime(5);
    expect(calm).toHaveBeenCalledTimes(1);
  });

  it("is not waited for when something runs long: the server shows that itself", () => {
    const calm = vi.fn();
    const pauses = draining({ count: 1 });
    pauses.whenCalm(calm);
    vi.advanceTimersByTime(99);
    expect(calm).not.toHaveBeenCalled();
    vi.advanceTimersByTime(6);
    expect(calm).toHaveBeenCalledTimes(1);
    const later = vi.fn();
    pauses.whenCalm(later);
    expect(later).toHaveBeenCalledTimes(1);
  });

  it("is not waited for when the switchover is over", () => {
    const calm = vi.fn();
    const pauses = draining({ count: 1 });
    pauses.drain(null);
    pauses.whenCalm(calm);
    expect(calm).toHaveBeenCalledTimes(1);
  });
});
