import { expect, test } from "vitest";
import { answerShow, type ShowData } from "../../../../../src/proxy/core/show/index.ts";
import type { ClientRow, QueueRow } from "../../../../../src/wire/ipc/index.ts";
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
    clients: null,
    queues: null,
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

const client: ClientRow = {
  worker: 1,
  workerPid: 100,
  processId: 1_048_577,
  address: "10.0.0.1",
  port: 50_000,
  user: "alice",
  database: "shop",
  application: "till",
  connectedAt: 5,
  state: "idle in transaction",
  stateSince: 6,
  keeps: "",
  backends: [
    { id: 0, processId: 70 },
    { id: 1, processId: 71 },
  ],
};

test("SHOW POOL_CLIENTS lists those of all workers, and last those that wait, in turn", () => {
  const waits = { processId: 0, state: "waiting for a place", backends: [] } as const;
  const clients = [
    { ...client, ...waits, worker: 2, connectedAt: 9 },
    { ...client, ...waits, address: null, port: null, connectedAt: 8 },
    client,
  ];
  const answer = answerShow("pool_clients", data({ clients }));
  expect(answer.ok && answer.value.columns?.join(" ")).toBe(
    "worker worker_pid client_id client_addr client_port username database application_name state since connected keeps backends",
  );
  expect(answer.ok && answer.value.rows.map((row) => row.join("|"))).toEqual([
    "1|100|1048577|10.0.0.1|50000|alice|shop|till|idle in transaction|at 6|at 5||0:70 1:71",
    "1|100||[local]||alice|shop|till|waiting for a place|at 6|at 8||",
    "2|100||10.0.0.1|50000|alice|shop|till|waiting for a place|at 6|at 9||",
  ]);
});

test("SHOW POOL_QUEUES lists what clients wait for, worker by worker", () => {
  const places: QueueRow = {
    worker: 2,
    workerPid: 200,
    what: "places",
    backendId: null,
    user: "",
    database: "",
    used: 5,
    unused: 1,
    max: 0,
    waiting: 3,
    oldestWaitMs: 1234,
  };
  const shared = { backendId: 0, user: "alice", database: "shop", max: 10 };
  const queues: QueueRow[] = [
    places,
    { ...places, ...shared, worker: 1, workerPid: 100, what: "connections", waiting: 0 },
  ];
  const answer = answerShow("pool_queues", data({ queues }));
  expect(
    answer.ok && [answer.value.columns ?? [], ...answer.value.rows].map((row) => row.join("|")),
  ).toEqual([
    "worker|worker_pid|queue|backend_id|username|database|used|unused|max|waiting|oldest_wait_ms",
    "1|100|connections|0|alice|shop|5|1|10|0|1234",
    "2|200|places||||5|1||3|1234",
  ]);
});

test("SHOW POOL_CLIENTS fails clearly when the other workers cannot be asked", () => {
  expect(answerShow("pool_clients", data())).toMatchObject({
    ok: false,
    error: { sqlstate: "58000", hint: expect.stringContaining("supervisor") as string },
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
