import { expect, test } from "vitest";
import { answerShow, type ShowData } from "../../../../../src/proxy/core/show/index.ts";
import { backend, view } from "../routing/context.ts";

function data(own: Partial<ShowData> = {}): ShowData {
  return {
    view: view({
      backends: [
        backend(0, { weight: 0.25, pgRole: "primary", selectCount: 12, stateChangedAt: 7 }),
        backend(1, {
          weight: 0.75,
          pgRole: "standby",
          replicationDelayBytes: 320,
          replicationState: "streaming",
          replicationSyncState: "async",
        }),
        backend(2, { weight: 0, state: "down", quarantined: true, pgStatus: "down" }),
      ],
    }),
    loadBalanceNode: 1,
    version: "4.7.0 (pgquorum)",
    poolStatus: [{ item: "port", value: "9999", description: "where clients connect" }],
    formatTime: (wallMs) => `at ${wallMs}`,
    ...own,
  };
}

test("SHOW POOL_NODES tells of each backend in Pgpool-II's columns", () => {
  const answer = answerShow("pool_nodes", data());
  expect(answer).toEqual({
    ok: true,
    value: {
      columns:
        "node_id hostname port status pg_status lb_weight role pg_role select_cnt load_balance_node replication_delay replication_state replication_sync_state last_status_change".split(
          " ",
        ),
      rows: [
        "0 h0 5432 up up 0.250000 primary primary 12 false 0 - - 7",
        "1 h1 5432 up up 0.750000 standby standby 0 true 320 streaming async 0",
        "2 h2 5432 quarantine down 0.000000 standby unknown 0 false 0 - - 0",
      ].map((row) => {
        const cells = row.split(" ").map((cell) => (cell === "-" ? "" : cell));
        return [...cells.slice(0, 13), `at ${cells[13]}`];
      }),
      tag: "SELECT 3",
    },
  });
});

test("SHOW POOL_VERSION is one cell", () => {
  expect(answerShow("pool_version", data())).toEqual({
    ok: true,
    value: { columns: ["pool_version"], rows: [["4.7.0 (pgquorum)"]], tag: "SELECT 1" },
  });
});

test("SHOW POOL_STATUS hands on the rows in order", () => {
  expect(answerShow("pool_status", data())).toEqual({
    ok: true,
    value: {
      columns: ["item", "value", "description"],
      rows: [["port", "9999", "where clients connect"]],
      tag: "SELECT 1",
    },
  });
});

test("a SHOW that is not there yet says so and names those that are", () => {
  const answer = answerShow("pool_cache", data());
  expect(answer).toMatchObject({
    ok: false,
    error: { message: "SHOW POOL_CACHE is not available yet", sqlstate: "0A000" },
  });
});
