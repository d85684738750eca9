import { expect, test, vi } from "vitest";
import { NodeLists } from "../../../../src/supervisor/driver/node-lists.ts";

function story(workers: readonly number[]): { lists: NodeLists<string>; asked: string[] } {
  const asked: string[] = [];
  const ask = (worker: number, id: number): void => void asked.push(`${worker}/${id}`);
  return { lists: new NodeLists<string>({ workers: () => workers, ask }), asked };
}

test("a list has the clients of all workers, and the answers of an earlier question do not count", async () => {
  const { lists, asked } = story([1, 2]);
  const first = lists.collect();
  expect(asked).toEqual(["1/1", "2/1"]);
  lists.answered(1, 1, ["a"]);
  lists.answered(1, 1, ["again"]);
  lists.answered(2, 0, ["old"]);
  lists.answered(2, 1, ["b", "c"]);
  const list = await first;
  expect(list.rows).toEqual(["a", "b", "c"]);
  expect(list.silentWorkers).toEqual([]);
});

test("who asks while a list is made gets the next one, together with others", async () => {
  const { lists, asked } = story([1]);
  const first = lists.collect();
  const [second, third] = [lists.collect(), lists.collect()];
  lists.answered(1, 1, ["old"]);
  expect((await first).rows[0]).toBe("old");
  await vi.waitUntil(() => asked.length === 2);
  lists.answered(1, 2, ["new"]);
  expect((await second).rows[0]).toBe("new");
  expect(await third).toBe(await second);
  expect(asked).toEqual(["1/1", "1/2"]);
});

test("a worker that ends or does not answer holds nobody up", async () => {
  vi.useFakeTimers();
  const { lists } = story([1, 2, 3]);
  const list = lists.collect();
  lists.workerLeft(1);
  lists.answered(2, 1, ["a"]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(await list).toMatchObject({ rows: ["a"], silentWorkers: [3] });
  vi.useRealTimers();
});

test("without workers the list is empty", async () => {
  expect(await story([]).lists.collect()).toEqual({ rows: [], silentWorkers: [] });
});
