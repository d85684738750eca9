import { describe, expect, test } from "vitest";
import {
  chooseLoadBalanceNode,
  compileRules,
  type RoutingConfig,
} from "../../../../../src/proxy/core/routing/index.ts";
import { harmlessBuiltins } from "../../../../../src/proxy/core/routing/functions.ts";
import { CLIENT } from "../../../../support/routing.ts";
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

describe("redirect lists", () => {
  const spread = (own: Partial<RoutingConfig>, backends = weighted(0.2, 0.4, 0.4)) => {
    const rules = compileRules(config(own));
    const preferences = rules.preferencesOf(CLIENT);
    const counts = backends.map(() => 0);
    for (let step = 0; step < 1000; step++) {
      const unit = (step + 0.5) / 1000;
      const id = chooseLoadBalanceNode(view({ backends }), rules.config, unit, preferences) ?? -1;
      counts[id] = (counts[id] ?? 0) + 1;
    }
    return counts;
  };

  test.each([
    ["a node", "d:1", [0, 1000, 0]],
    ["the primary, in any case", "D:primary", [1000, 0, 0]],
    ["the standbys by weight", "d:standby", [0, 500, 500]],
    ["nobody that it does not name", "x:1,dd:0", [200, 400, 400]],
    ["the first that fits", "x:0,[cd]:2,d:1", [0, 0, 1000]],
    ["a node for a share, the others by weight for the rest", "d:0(0.5)", [500, 250, 250]],
    ["the standbys for a share, the primary for the rest", "d:standby(0.5)", [500, 250, 250]],
  ])("send reads to %s", (_, list, expected) => {
    const counts = spread({ database_redirect_preference_list: list });
    counts.forEach((count, id) => expect(count).toBeCloseTo(expected[id] ?? 0, -1));
  });

  test("of applications come before those of databases, and these before those of users", () => {
    const user = { user_redirect_preference_list: "u:0" };
    const database = { database_redirect_preference_list: "d:1" };
    const app = { app_name_redirect_preference_list: "a:2" };
    expect(spread(user)).toEqual([1000, 0, 0]);
    expect(spread({ ...user, ...database })).toEqual([0, 1000, 0]);
    expect(spread({ ...user, ...database, ...app })).toEqual([0, 0, 1000]);
  });

  test("give way to the next when the node is gone", () => {
    const backends = [backend(0), backend(1), backend(2, { state: "down" })];
    const app = { app_name_redirect_preference_list: "a:2" };
    expect(spread({ ...app, database_redirect_preference_list: "d:1" }, backends)).toEqual([
      0, 1000, 0,
    ]);
    expect(spread(app, backends)).toEqual([500, 500, 0]);
  });

  test("name standbys that have no weight in vain", () => {
    const backends = weighted(1, 0, 0);
    expect(spread({ database_redirect_preference_list: "d:standby" }, backends)).toEqual([
      1000, 0, 0,
    ]);
  });
});
