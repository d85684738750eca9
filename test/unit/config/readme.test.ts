import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { complaints, configOf } from "./load-text.ts";

const README = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");

/** The block that a newcomer copies. */
function configurationOfReadme(): string {
  const block = /\n {3}```\n([\s\S]*?use_watchdog[\s\S]*?)\n {3}```\n/.exec(README)?.[1] ?? "";
  return block.replaceAll(/^ {3}/gm, "");
}

test("the configuration of three hosts in README.md loads without a word", () => {
  const files = { "/etc/pgq/pgpool_node_id": "0\n" };
  expect(complaints(configurationOfReadme(), files)).toEqual([]);
  const config = configOf(configurationOfReadme(), files);
  expect(config.nodes.map((node) => node.hostname)).toEqual([
    "10.0.0.11",
    "10.0.0.12",
    "10.0.0.13",
  ]);
  expect(config.backends).toHaveLength(3);
});
