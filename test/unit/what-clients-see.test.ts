import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");

/** Test files and quoted names of tests, in the order of the page; "the same file" goes on with the last. */
const REFERENCE = /`(test\/[\w./-]+\.test\.ts)`|"([^"]+)"/g;

function namedTests(): readonly { readonly file: string; readonly name: string }[] {
  let file = "";
  return read("docs/what-clients-see.md")
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .flatMap((line) => {
      const cells = line.split("|");
      const found = (cells.at(-2) ?? "").matchAll(REFERENCE);
      return [...found].flatMap(([, path, name]) => {
        file = path ?? file;
        return name === undefined ? [] : [{ file, name }];
      });
    });
}

test("the tests that docs/what-clients-see.md names are there", () => {
  const named = namedTests();
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ file, name }) => !read(file).includes(`"${name}"`))).toEqual([]);
});
