import { expect, test } from "vitest";
import { answerShow, type ShowData } from "../../../../../src/proxy/core/show/index.ts";
import type {
  ClientRow,
  ConnectionRow,
  NodeActivity,
  QueueRow,
} from "../../../../../src/wire/ipc/index.ts";
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
    activity: null,
    compat: "4.7",
    nowMs: 100_000,
    placesMax: 4,
    idleSecondsMax: 0,
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

test("SHOW POOL_NODES says in a notice that maintenance is on", () => {
  const maintenance = { since: 5, by: "root on node 1", reason: "a new switch" };
  const shown = (name: string): unknown => {
    const answer = answerShow(name, data({ view: view({ maintenance }) }));
    return answer.ok ? answer.value.notice : answer.error;
  };
  expect(shown("pool_nodes")).toBe(
    "maintenance is on since at 5 by root on node 1: a new switch; no failover happens by itself",
  );
  expect(shown("pool_version")).toBeUndefined();
});

test("SHOW POOL_NODES tells delays as times where delay_threshold_by_time is set, since 4.4", () => {
  const backends = [
    backend(0, { replicationDelayMs: 7 }),
    backend(1, { replicationDelayMs: 12.5, replicationDelayBytes: 320 }),
    backend(2, { replicationDelayMs: 2000 }),
  ];
  const inTime = view({ delayIsTime: true, backends });
  const delays = (compat: "4.3" | "4.4"): unknown[] => {
    const answer = answerShow("pool_nodes", data({ view: inTime, compat }));
    return answer.ok ? answer.value.rows.map((row) => row[10]) : [];
  };
  expect(delays("4.4")).toEqual(["0.000000 second", "0.012500 second", "2.000000 seconds"]);
  expect(delays("4.3")).toEqual(["0", "320", "0"]);
});

test("without streaming replication a backend is the main node or a replica", () => {
  const raw = view({ isStreaming: false });
  for (const [name, at] of [
    ["pool_nodes", 6],
    ["pool_backend_stats", 4],
    ["pool_health_check_stats", 4],
  ] as const) {
    const activity = { workers: [], statistics: [], health: [] };
    const answer = answerShow(name, data({ view: raw, activity }));
    expect(answer.ok && answer.value.rows.map((row) => row[at]), name).toEqual([
      "main",
      "replica",
      "replica",
    ]);
  }
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
  loadBalanceNode: 1,
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

const activity: NodeActivity = {
  workers: [
    {
      worker: 1,
      workerPid: 100,
      startedAt: 1,
      clientsServed: 9,
      clients: [client, { ...client, state: "waiting for a place", backends: [] }],
      connections: [
        connection(0, 70, { usedCount: 3 }),
        connection(1, 71),
        connection(0, 72, { leftAt: 4 }),
      ],
      statistics: [],
    },
    {
      worker: 2,
      workerPid: 200,
      startedAt: 2,
      clientsServed: 0,
      clients: [],
      connections: [],
      statistics: [],
    },
  ],
  statistics: [12, 10, 30, 0, 2, 30, 0, 0, 1, 99],
  health: [
    {
      backendId: 1,
      total: 19,
      succeeded: 12,
      failed: 1,
      skipped: 6,
      retries: 3,
      retriesMax: 3,
      durationMax: 83_003,
      durationMin: 0,
      durationSum: 83_074,
      lastAt: 5,
      lastSucceededAt: 6,
      lastSkippedAt: 7,
      lastFailedAt: null,
    },
  ],
};

function connection(
  backendId: number,
  processId: number,
  own: Partial<ConnectionRow> = {},
): ConnectionRow {
  return {
    backendId,
    processId,
    user: "alice",
    database: "shop",
    openedAt: 3,
    usedCount: 1,
    leftAt: null,
    ...own,
  };
}

function shown(name: string, own: Partial<ShowData> = {}): string[] {
  const answer = answerShow(name, data({ activity, ...own }));
  if (!answer.ok) throw new Error(answer.error.message);
  const { columns, rows } = answer.value;
  for (const row of rows) expect(row).toHaveLength(columns?.length ?? 0);
  return rows.map((row) => row.join("|"));
}

test("SHOW POOL_PROCESSES has a row for each place for a client, taken or free", () => {
  expect(shown("pool_processes")).toEqual([
    "100|at 1|9|shop|alice|at 3|3|Idle in transaction",
    "100|at 1|9|||||Wait for connection",
    "200|at 2|0|||||Wait for connection",
    "100|at 1|9|||||Wait for connection",
  ]);
});

test("SHOW POOL_POOLS lists the server connections with who uses them", () => {
  expect(shown("pool_pools")).toEqual([
    "100|at 1|9|0|0|shop|alice|at 3|at 5||99|3|0|3|70|1|Idle in transaction|0|10.0.0.1|50000|",
    "100|at 1|9|0|1|shop|alice|at 3|at 5||99|3|0|1|71|1|Idle in transaction|1|10.0.0.1|50000|",
    "100|at 1|9|1|0|shop|alice|at 3||at 4|0|3|0|1|72|0|Wait for connection|0|||",
  ]);
});

test("SHOW POOL_POOLS says when client_idle_limit will end a client", () => {
  const [first, , free] = shown("pool_pools", { idleSecondsMax: 160 });
  expect(first).toContain("|at 5||99 (1:01 before client disconnected)|3|");
  expect(free).toContain("|at 4|0|3|");
  const [late] = shown("pool_pools", { idleSecondsMax: 10 });
  expect(late).toContain("|99 (0:00 before client disconnected)|");
});

test.each([
  ["4.3", "status"],
  ["4.5", "load_balance_node"],
  ["4.7", "statement"],
] as const)("the last column of SHOW POOL_POOLS in %s is %s", (compat, last) => {
  const answer = answerShow("pool_pools", data({ activity, compat }));
  expect(answer.ok && answer.value.columns?.at(-1)).toBe(last);
  expect(shown("pool_pools", { compat })).toHaveLength(3);
});

test("SHOW POOL_BACKEND_STATS counts by what statements are", () => {
  expect(shown("pool_backend_stats")).toEqual([
    "0|h0|5432|up|primary|12|10|30|0|2|30|0|0|1",
    "1|h1|5432|up|standby|99|0|0|0|0|0|0|0|0",
    "2|h2|5432|quarantine|standby|0|0|0|0|0|0|0|0|0",
  ]);
  expect(shown("pool_nodes")[1]).toContain("|standby|standby|99|true|");
});

test("SHOW POOL_HEALTH_CHECK_STATS tells how the checks went", () => {
  const [never, often] = shown("pool_health_check_stats");
  expect(never).toBe("0|h0|5432|up|primary|at 7|0|0|0|0|0|0.000000|0|0|0|0.000000||||");
  expect(often).toBe(
    "1|h1|5432|up|standby|at 0|19|12|1|6|3|0.230769|3|83003|0|6390.307692|at 5|at 6|at 7|",
  );
});

test("SHOW POOL_CACHE is what Pgpool-II shows without a cache", () => {
  expect(shown("pool_cache")).toEqual(["0|0|0.00|0|0|0|0|0|0"]);
});

test("without the supervisor's answer the counts of before are told, or that there are none", () => {
  expect(shown("pool_nodes", { activity: null })[0]).toContain("|primary|primary|12|false|");
  expect(answerShow("pool_processes", data())).toMatchObject({
    ok: false,
    error: { sqlstate: "58000" },
  });
});
