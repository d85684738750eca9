import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { PARAMETERS } from "../../../src/config/index.ts";
import { findRow } from "../../../src/config/parameters/table.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PAGE = join(ROOT, "docs/compatibility.md");
const HEADING = "## Parameters that do not act yet\n";

/** Their values stand in `config.backends` and `config.nodes` under other names. */
const RENAMED = new Set(
  `backend_port backend_weight backend_data_directory backend_flag backend_application_name
  health_check_period health_check_timeout health_check_max_retries health_check_retry_delay
  pgpool_port heartbeat_hostname heartbeat_port`.split(/\s+/),
);

/** All code outside the configuration itself, comments left out. */
function codeThatReads(): string {
  return readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.startsWith("config/"))
    .map((file) => readFileSync(join(ROOT, "src", file), "utf8"))
    .join("\n")
    .replaceAll(/^\s*(?:\*|\/\/|\/\*).*$/gm, "");
}

const hasNoMeaning = (name: string): boolean => findRow(name)?.hasNoMeaning === true;

test("every parameter that acts is read somewhere", () => {
  const code = codeThatReads();
  const unread = PARAMETERS.filter(
    ({ name, acts }) => acts && !RENAMED.has(name) && !new RegExp(`\\b${name}\\b`).test(code),
  );
  expect(unread.map(({ name }) => name)).toEqual([]);
});

test("docs/compatibility.md lists the parameters that do not act (UPDATE_GOLDEN=1 rewrites it)", () => {
  const waiting = PARAMETERS.filter(({ name, acts }) => !acts && !hasNoMeaning(name));
  const names = waiting.map(({ name }) => `\`${name}\``);
  const list = `\nAccepted and checked; setting one is said once in the log at start.\n\n${names.join(", ")}\n`;
  const text = readFileSync(PAGE, "utf8");
  const before = text.slice(0, text.indexOf(HEADING) + HEADING.length);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(PAGE, before + list);
  expect(readFileSync(PAGE, "utf8")).toBe(before + list);
});

test("docs/compatibility.md says why a parameter has no meaning here", () => {
  const text = readFileSync(PAGE, "utf8");
  const said = text.slice(0, text.indexOf(HEADING));
  const names = PARAMETERS.map(({ name }) => name).filter(hasNoMeaning);
  expect(names).toContain("serialize_accept");
  for (const name of names) expect(said).toContain(`\`${name}\``);
});
