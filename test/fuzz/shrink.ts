/** Makes a failing script small: fewer steps, then fewer bytes, as long as it still fails. */
import type { Step } from "./script.ts";

const TRIES_MAX = 5000;
const BYTES_SHRUNK_MAX = 512;

export function shrinkScript(
  steps: readonly Step[],
  mayCutBytes: boolean,
  fails: (steps: readonly Step[]) => boolean,
): readonly Step[] {
  let tries = 0;
  const stillFails = (candidate: readonly Step[]): boolean => {
    tries += 1;
    return tries <= TRIES_MAX && fails(candidate);
  };
  let best = shrinkList(steps, stillFails);
  if (!mayCutBytes) return best;
  for (let index = 0; index < best.length; index += 1) {
    const old = best[index] as Step;
    if (old.bytes.length > BYTES_SHRUNK_MAX) continue;
    const before = best;
    const withBytes = (bytes: readonly number[]): readonly Step[] =>
      before.map((one, i) => (i === index ? { ...one, bytes: Buffer.from(bytes) } : one));
    best = withBytes(shrinkList([...old.bytes], (bytes) => stillFails(withBytes(bytes))));
  }
  return best;
}

/** Leaves out runs of elements, long ones first. */
export function shrinkList<T>(
  list: readonly T[],
  fails: (list: readonly T[]) => boolean,
): readonly T[] {
  let best = list;
  for (let size = Math.ceil(list.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length;) {
      const candidate = [...best.slice(0, at), ...best.slice(at + size)];
      if (fails(candidate)) best = candidate;
      else at += size;
    }
  }
  return best;
}
