import fc from "fast-check";
import { expect, test } from "vitest";
import { WatcherQueue } from "../../../../../src/proxy/core/session/watcher-queue.ts";

test("watchers leave in their order, also from behind others", () => {
  const steps = fc.array(fc.oneof(fc.constant("push" as const), fc.nat(6)), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (steps) => {
      const queue = new WatcherQueue();
      const waiting: ReturnType<typeof watcher>[] = [];
      for (const step of steps) {
        if (step === "push") {
          waiting.push(watcher());
          queue.push(waiting.at(-1) as ReturnType<typeof watcher>);
        } else {
          expect(queue.takeFrom(step)).toBe(waiting.splice(step, 1)[0]);
        }
        expect(queue.first).toBe(waiting[0]);
      }
      for (const expected of waiting) expect(queue.shift()).toBe(expected);
      expect(queue.shift()).toBeUndefined();
    }),
  );
});

function watcher() {
  return { failed: () => undefined, ended: () => undefined };
}
