import { expect, it } from "vitest";
import { formatClients } from "../../../../src/cli/pgquorum/format-clients.ts";
import type { ClientRow } from "../../../../src/wire/ipc/index.ts";

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
  const list = { clients: [waiting, CLIENT], silentWorkers: [2] };
  expect(formatClients(list, 65_000))
    .toBe(`worker   client          user   database  application  state                for  keeps   backends
1 (100)  10.0.0.1:50000  alice  shop      till?[2J     idle                 5 s  LISTEN  0:70
1 (100)  [local]         alice  shop                   waiting for a place  5 s
1 clients, 1 waiting for a place
worker 2 does not answer: its clients are missing
`);
});
