import { loadModule, parseSync } from "libpg-query";
import { createClassifier, type Classifier } from "../../../../../src/proxy/core/sql/index.ts";

/** A classifier with PostgreSQL's real grammar, as the worker makes it. */
export async function realClassifier(
  own: { cacheEntriesMax?: number; parseBytesMax?: number; parse?: (sql: string) => unknown } = {},
): Promise<Classifier> {
  await loadModule();
  return createClassifier({
    parse: parseSync,
    cacheEntriesMax: 1000,
    parseBytesMax: 64 * 1024,
    ...own,
  });
}
