import { expect, it } from "vitest";
import { formatClients } from "../../../../src/cli/pgquorum/format-clients.ts";
import { formatQueues } from "../../../../src/cli/pgquorum/format-queues.ts";
import type { ClientRow, QueueRow } from "../../../../src/wire/ipc/index.ts";

const CLIENT: ClientRow = {
  worker: 1,
  workerPid: 100,
  processId: 1_048_577,
  address: "10.0.0.1",
  port: 50_000,
  user: "alice",
  database: "shop",
  application: "till\u001b[2J",
  connectedAt: 1000,
  state: "idle",
  stateSince: 60_000,
  loadBalanceNode: null,
  keeps: "LISTEN",
  backends: [{ id: 0, processId: 70 }],
};

it("shows who is inside and then who waits, and which workers do not answer", () => {
  const waiting: ClientRow = {
    ...CLIENT,
    address: null,
    port: null,
    application: "",
    connectedAt: 500,
    state: "waiting for a place",
    keeps: "",
    backends: [],
  };
  const list = { rows: [waiting, CLIENT], silentWorkers: [2] };
  expect(formatClients(list, 65_000))
    .toBe(`worker   client          user   database  application  state                for  keeps   backends
1 (100)  10.0.0.1:50000  alice  shop      till?[2J     idle                 5 s  LISTEN  0:70
1 (100)  [local]         alice  shop                   waiting for a place  5 s
1 clients, 1 waiting for a place
worker 2 does not answer: its clients are missing
`);
});

it("shows the places of each worker, and the connections that clients share", () => {
  const places: QueueRow = {
    worker: 2,
    workerPid: 200,
    what: "places",
    backendId: null,
    user: "",
    database: "",
    used: 5,
    unused: 0,
    max: 0,
    waiting: 3,
    oldestWaitMs: 1234,
  };
  const connections: QueueRow = {
    ...places,
    what: "connections",
    backendId: 0,
    user: "alice",
    database: "shop",
    max: 10,
    waiting: 0,
    oldestWaitMs: 0,
  };
  const rows = [connections, places, { ...places, worker: 1, workerPid: 100 }];
  expect(formatQueues({ rows, silentWorkers: [] }))
    .toBe(`queue        worker   backend  user   database  used  unused  max  waiting  longest
places       1 (100)                            5     0            3        1.2 s
places       2 (200)                            5     0            3        1.2 s
connections  2 (200)  0        alice  shop      5     0       10   0        0.0 s
`);
});
