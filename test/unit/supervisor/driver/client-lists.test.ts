import { expect, test, vi } from "vitest";
import { ClientLists } from "../../../../src/supervisor/driver/client-lists.ts";
import type { ClientRow } from "../../../../src/wire/ipc/index.ts";

const row = (user: string): ClientRow => ({
  worker: 1,
  workerPid: 1,
  processId: 1,
  address: null,
  port: null,
  user,
  database: "d",
  application: "",
  connectedAt: 0,
  state: "idle",
  stateSince: 0,
  keeps: "",
  backends: [],
});

function story(workers: readonly number[]): { lists: ClientLists; asked: string[] } {
  const asked: string[] = [];
  const ask = (worker: number, id: number): void => void asked.push(`${worker}/${id}`);
  return { lists: new ClientLists({ workers: () => workers, ask }), asked };
}

test("a list has the clients of all workers, and the answers of an earlier question do not count", async () => {
  const { lists, asked } = story([1, 2]);
  const first = lists.collect();
  expect(asked).toEqual(["1/1", "2/1"]);
  lists.answered(1, 1, [row("a")]);
  lists.answered(1, 1, [row("again")]);
  lists.answered(2, 0, [row("old")]);
  lists.answered(2, 1, [row("b"), row("c")]);
  const list = await first;
  expect(list.clients.map(({ user }) => user)).toEqual(["a", "b", "c"]);
  expect(list.silentWorkers).toEqual([]);
});

test("who asks while a list is made gets the next one, together with others", async () => {
  const { lists, asked } = story([1]);
  const first = lists.collect();
  const [second, third] = [lists.collect(), lists.collect()];
  lists.answered(1, 1, [row("old")]);
  expect((await first).clients[0]?.user).toBe("old");
  await vi.waitUntil(() => asked.length === 2);
  lists.answered(1, 2, [row("new")]);
  expect((await second).clients[0]?.user).toBe("new");
  expect(await third).toBe(await second);
  expect(asked).toEqual(["1/1", "1/2"]);
});

test("a worker that ends or does not answer holds nobody up", async () => {
  vi.useFakeTimers();
  const { lists } = story([1, 2, 3]);
  const list = lists.collect();
  lists.workerLeft(1);
  lists.answered(2, 1, [row("a")]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(await list).toMatchObject({ clients: [{ user: "a" }], silentWorkers: [3] });
  vi.useRealTimers();
});

test("without workers the list is empty", async () => {
  expect(await story([]).lists.collect()).toEqual({ clients: [], silentWorkers: [] });
});
