import { fail, succeed, type Ms, type Result } from "../../../base/index.ts";

/** Longer ones are cut in messages. */
const EXCERPT_MAX = 100;

/**
 * What replication_delay_source_cmd has printed: for each backend, in the order of their numbers, its
 * delay in milliseconds, -1 where it is not known; between them blanks or line ends. Lines with
 * anything but numbers are remarks.
 *
 * @param lines of standard output and standard error.
 * @param ids of the backends, ascending.
 * @returns by id; or what is wrong.
 */
export function parseToldDelays(
  lines: readonly string[],
  ids: readonly number[],
): Result<ReadonlyMap<number, Ms>, string> {
  const numbers: number[] = [];
  let remark: string | null = null;
  for (const line of lines) {
    const words = line.split(/\s+/u).filter((word) => word !== "");
    if (words.every((word) => DELAY.test(word))) numbers.push(...words.map(Number));
    else remark ??= line.slice(0, EXCERPT_MAX);
  }
  if (numbers.length === ids.length) {
    return succeed(new Map(ids.map((id, at) => [id, Math.max(0, numbers[at] ?? 0)])));
  }
  const count = `it printed ${numbers.length} delays for ${ids.length} backends`;
  return fail(remark === null ? count : `${count}, and "${remark}"`);
}

/** No exponents, and no number that a sum of them could make infinite. */
const DELAY = /^(?:-1|\d{1,12}(?:\.\d{1,12})?)$/u;
