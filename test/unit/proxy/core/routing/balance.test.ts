import { expect, test } from "vitest";
import { chooseLoadBalanceNode } from "../../../../../src/proxy/core/routing/index.ts";
import { harmlessBuiltins } from "../../../../../src/proxy/core/routing/functions.ts";
import { backend, config, view } from "./context.ts";

const weighted = (...weights: number[]) => weights.map((weight, id) => backend(id, { weight }));

test("reads are spread by weight", () => {
  const counts = [0, 0, 0, 0];
  const cluster = view({ backends: weighted(0.1, 0.4, 0, 0.5) });
  for (let step = 0; step < 1000; step++) {
    const id = chooseLoadBalanceNode(cluster, config(), (step + 0.5) / 1000) ?? -1;
    counts[id] = (counts[id] ?? 0) + 1;
  }
  expect(counts).toEqual([100, 400, 0, 500]);
});

test("the last of the weights is reached although they do not add up to 1 exactly", () => {
  const cluster = view({ backends: weighted(0.1, 0.2, 0.7) });
  expect(chooseLoadBalanceNode(cluster, config(), 1 - Number.EPSILON)).toBe(2);
});

test.each([
  ["the main node when all weights are 0", weighted(0, 0, 0), 2, 0],
  [
    "the primary when no node with a weight lives",
    [backend(0, { weight: 0 }), backend(1, { state: "down" }), backend(2, { weight: 0 })],
    2,
    2,
  ],
  [
    "the main node when there is no primary either",
    [backend(0, { weight: 0 }), backend(1, { state: "down" })],
    null,
    0,
  ],
  [
    "nobody when none lives",
    [backend(0, { state: "down" }), backend(1, { quarantined: true })],
    0,
    null,
  ],
])("chosen is %s", (_, backends, primaryId, expected) => {
  expect(chooseLoadBalanceNode(view({ backends, primaryId }), config(), 0.5)).toBe(expected);
});

test("a lagging standby is not chosen, the primary never lags", () => {
  const backends = [
    backend(0, { replicationDelayBytes: 900 }),
    backend(1, { replicationDelayBytes: 101 }),
    backend(2, { replicationDelayBytes: 100 }),
  ];
  const chosen = [0, 0.4, 0.6, 0.99].map((unit) =>
    chooseLoadBalanceNode(view({ backends }), config({ delay_threshold: 100 }), unit),
  );
  expect(chosen).toEqual([0, 0, 2, 2]);
});

test("a lagging main node gives way to the primary when all weights are 0", () => {
  const backends = [
    backend(0, { weight: 0, replicationDelayBytes: 900 }),
    backend(1, { weight: 0 }),
  ];
  const cluster = view({ backends, primaryId: 1 });
  expect(chooseLoadBalanceNode(cluster, config({ delay_threshold: 100 }), 0)).toBe(1);
});

test("without load balancing it is the primary", () => {
  expect(
    chooseLoadBalanceNode(view({ primaryId: 2 }), config({ load_balance_mode: false }), 0),
  ).toBe(2);
});

test("no function known to write or to speak for one server alone is among the harmless ones", () => {
  const banned =
    /^(nextval|setval|currval|lastval|random.*|setseed|clock_timestamp|timeofday|set_config|lo_.*|txid_.*|gen_random_uuid|uuidv7|query_to_xml.*|ts_stat|pg_(advisory|try_advisory|sleep|notify|backend_pid|is_in_recovery|current_xact|current_wal|last_|switch_|create_|drop_|reload|rotate|terminate|cancel|promote|stat_|read_|ls_|export).*)$/;
  expect(harmlessBuiltins().filter((name) => banned.test(name))).toEqual([]);
  expect(new Set(harmlessBuiltins()).has("")).toBe(false);
});
