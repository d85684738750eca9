/** Reads the corpus from its files. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseCorpus, type Unit } from "./corpus.ts";

/** @param root of the project. */
export function readCorpus(root: string): readonly Unit[] {
  const directory = join(root, "test/regression/routing/corpus");
  const texts = readdirSync(directory)
    .sort()
    .map((name) => {
      const text = readFileSync(join(directory, name), "utf8");
      return [name.replace(/\.sql$/, ""), text] as const;
    });
  return parseCorpus(new Map(texts));
}
