import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PARAMETERS, parametersMarkdown, sampleConfig } from "../../../src/config/index.ts";
import { complaints, configOf } from "./load-text.ts";

const PARAMETERS_PAGE = new URL("../../../docs/parameters.md", import.meta.url);

test("docs/parameters.md is what the table says (UPDATE_GOLDEN=1 rewrites it)", () => {
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(PARAMETERS_PAGE, parametersMarkdown());
  expect(readFileSync(PARAMETERS_PAGE, "utf8")).toBe(parametersMarkdown());
});

test("the page has a heading for every parameter, with N where a number belongs", () => {
  const headings = [...parametersMarkdown().matchAll(/^### `([^`,]+)/gm)].map((found) => found[1]);
  const expected = PARAMETERS.map(({ name, slots }) =>
    slots === null || /^health_check_|^connect_timeout$/.test(name) ? name : `${name}N`,
  );
  expect(headings).toEqual(expected);
});

test("the sample file changes nothing as it is", () => {
  expect(complaints(sampleConfig())).toEqual([
    "pgpool.conf: warning: no PostgreSQL server is configured (set backend_hostname0 and backend_port0)",
  ]);
  expect(configOf(sampleConfig()).set.size).toBe(0);
});

test("every parameter stands in the sample file, and its line can be used as it is", () => {
  const uncommented = sampleConfig().replaceAll(/^#(?=[a-z])/gm, "");
  const { set, backends, nodes } = configOf(uncommented);
  for (const { name, slots } of PARAMETERS) {
    expect(set.has(name) || (slots !== null && set.has(`${name}0`))).toBe(true);
  }
  expect(backends).toHaveLength(1);
  expect(nodes).toHaveLength(1);
});

test("no line of the sample's comments is too long for a terminal", () => {
  const comments = sampleConfig()
    .split("\n")
    .filter((line) => line.startsWith("# "));
  expect(Math.max(...comments.map((line) => line.length))).toBeLessThanOrEqual(79);
});
