import { createServer } from "node:net";

/**
 * Below what the kernel gives to outgoing connections and what the lab uses on the loopback, so
 * that nobody takes a port between the look at it here and the start of its server. Test files
 * that run at the same time have a share each.
 */
const FIRST_PORT = 10_000;
const SHARE = 5000;
const SHARES_COUNT = 3;

const base = FIRST_PORT + (Number(process.env["VITEST_POOL_ID"] ?? 0) % SHARES_COUNT) * SHARE;
let next = Math.floor(Math.random() * SHARE);

/** A port of the loopback that was free a moment ago, and is not given out again soon. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < SHARE; tries += 1) {
    const port = base + next;
    next = (next + 1) % SHARE;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${base} to ${base + SHARE} is free`);
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
