import { lookup, type LookupAddress, type LookupOptions } from "node:dns";

type Answer = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** Each question occupies one of the few threads that write files too: the others stay free. */
const QUESTIONS_MAX = 2;

/** By name and options: the same is asked once. */
const asked = new Map<string, Answer[]>();
const waiting: (() => void)[] = [];
let running = 0;

/**
 * For sockets that dial by name, in place of `dns.lookup`, with its errors. A name server that
 * hangs keeps no file from being written, however many sockets wait for it.
 */
export function lookupHost(hostname: string, options: LookupOptions, callback: Answer): void {
  const key = JSON.stringify([hostname, options.family, options.hints, options.all]);
  const others = asked.get(key);
  if (others !== undefined) {
    others.push(callback);
    return;
  }
  asked.set(key, [callback]);
  waiting.push(() => {
    lookup(hostname, options, (...answer: Parameters<Answer>) => {
      running -= 1;
      const callbacks = asked.get(key) ?? [];
      asked.delete(key);
      askNext();
      for (const tell of callbacks) tell(...answer);
    });
  });
  askNext();
}

function askNext(): void {
  if (running >= QUESTIONS_MAX) return;
  const ask = waiting.shift();
  if (ask === undefined) return;
  running += 1;
  ask();
}
