import { expect, it } from "vitest";
import { firstClusterState, startFailoverRunner } from "../../src/backend/index.ts";
import { Secret } from "../../src/base/index.ts";
import { makeSettings } from "../unit/backend/core/failover/cluster-story.ts";
import { NO_RECOVERY } from "../support/no-recovery.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.05; done";

it("kills its command when the lead is lost while the node stops, and says until when it lives", async () => {
  const log = new RecordedLog();
  const told: boolean[] = [];
  let index = 0;
  const runner = startFailoverRunner({
    prepareSwitchover: () => Promise.resolve(null),
    settings: makeSettings({ failoverCommand: STUBBORN, searchPrimaryTimeoutMs: 1 }),
    origin: "n0",
    initial: firstClusterState([0, 1, 2], new Set(), Date.now()),
    login: { user: "x", password: new Secret(""), database: "" },
    connectTimeoutMs: 10,
    recovery: NO_RECOVERY,
    log,
    propose: ({ state }) => {
      index += 1;
      runner.deliver({ type: "committed", index, state });
      runner.deliver({ type: "settled", index });
    },
    onKilling: (isKilling) => told.push(isKilling),
  });
  runner.deliver({ type: "committed", index: 0, state: null });
  runner.mayLeadUntil(Infinity);
  runner.deliver({ type: "leadership", leads: true, wallMs: Date.now() });
  const request = { kind: "detach", backendIds: [0], confirmed: true } as const;
  const granted = { ...request, switchoverTo: null, reason: "asked for" };
  runner.deliver({ type: "granted", request: granted, wallMs: Date.now() });
  await expect.poll(() => log.lines.some((line) => line.includes("command: up"))).toBe(true);
  const stopped = runner.stop();
  expect(told).toEqual([true]);
  const lostAtMs = performance.now();
  runner.deliver({ type: "leadership", leads: false, wallMs: Date.now() });
  await stopped;
  // Asked politely, it would have been waited for: two seconds.
  expect(performance.now() - lostAtMs).toBeLessThan(1000);
  expect(told.at(-1)).toBe(false);
}, 20_000);
