import { PARAMETERS, SECTIONS, isPlain, maxOf, minOf } from "./parameters/table.ts";
import type { ParameterRow } from "./parameters/parameter.ts";
import { formatValue, initialValue } from "./values.ts";

/**
 * A pgpool.conf in which every parameter stands as a comment with its initial value. Read as it
 * is, it changes nothing.
 */
export function sampleConfig(): string {
  const blocks = SECTIONS.map((section) => {
    const rule = `#${"-".repeat(78)}`;
    const title = `${rule}\n# ${section.title.toUpperCase()}\n${wrapped(section.about)}\n${rule}\n`;
    const rows = Object.entries(section.rows).map(([name, row]) => sampleRow(name, row));
    return [title, ...rows].join("\n");
  });
  return `${wrapped(SAMPLE_INTRODUCTION)}\n\n${blocks.join("\n")}`;
}

const SAMPLE_INTRODUCTION =
  "pgpool.conf of pgquorum. A line reads: name = value. What follows a # is a comment; take it away from a line to set a parameter. Texts stand in single quotes. Times take the units us, ms, s, min, h, d and sizes B, kB, MB, GB, TB. Another file is read in place with: include = 'file'. Look the result over with: pgquorum check-config";

/** Where README puts the program. */
const SCRIPTS = "/opt/pgquorum/scripts";
const PLACEHOLDERS = '%d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S';

/** Values that help more than the initial one does. */
const EXAMPLES: Readonly<Record<string, string>> = {
  backend_hostname: "'server1'",
  backend_port: "5432",
  backend_weight: "1",
  backend_data_directory: "'/var/lib/postgresql/15/main'",
  backend_application_name: "'server1'",
  hostname: "'server1'",
  wd_port: "9000",
  pgpool_port: "9999",
  heartbeat_hostname: "'server1'",
  heartbeat_port: "9694",
  failover_command: `'${SCRIPTS}/failover.sh ${PLACEHOLDERS}'`,
  follow_primary_command: `'${SCRIPTS}/follow_primary.sh ${PLACEHOLDERS}'`,
  demote_command: `'${SCRIPTS}/demote.sh %a %d "%h" %p "%D" %m "%H" %r "%R"'`,
  failover_ready_command: `'${SCRIPTS}/failover_ready.sh %d "%h"'`,
  recovery_1st_stage_command: "'recovery_1st_stage'",
};

function sampleRow(name: string, row: ParameterRow): string {
  const number = isPlain(row) ? "" : "0";
  const value = EXAMPLES[name] ?? quoted(row, formatValue(row, initialValue(row)));
  const facts = [range(row), row.context === "init" ? "a change needs a restart" : ""];
  const told = facts.filter((fact) => fact !== "").join("; ");
  const about = told === "" ? row.about : `${row.about} (${told})`;
  const state = row.acts ? "" : `\n# Has no effect ${row.hasNoMeaning === true ? "here" : "yet"}.`;
  return `${wrapped(about.replaceAll("`", "'"))}${state}\n#${name}${number} = ${value}\n`;
}

function quoted(row: ParameterRow, text: string): string {
  const isBare = row.type === "bool" || row.type === "int" || row.type === "double";
  return isBare ? text : `'${text}'`;
}

/** Empty where the type says enough. */
function range(row: ParameterRow): string {
  if (row.type === "enum") return `one of ${row.values.join(", ")}`;
  if (row.type === "list") return `items are separated by ${row.separator}`;
  if (row.type !== "int" && row.type !== "double") return "";
  const [least, most] = [minOf(row), maxOf(row)].map((value) =>
    row.octal === true ? formatValue(row, value) : String(value),
  );
  return `${least} to ${most}${row.unit === undefined ? "" : ` ${row.unit}`}`;
}

const LINE_LENGTH = 78;

/** Comment lines of a width that a terminal shows. */
function wrapped(text: string): string {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > LINE_LENGTH) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line].join("\n");
}

/** The text of docs/parameters.md; a test compares it with the file. */
export function parametersMarkdown(): string {
  const sections = SECTIONS.map((section) => {
    const rows = Object.entries(section.rows).map(([name, row]) => markdownRow(name, row));
    return [`## ${section.title}`, section.about, ...rows].join("\n\n");
  });
  const acting = PARAMETERS.filter(({ acts }) => acts).length;
  const counts = `Of ${PARAMETERS.length} parameters, ${acting} act; the others are accepted, checked and logged once at start when they are set.`;
  return `${[...MARKDOWN_INTRODUCTION, counts, ...sections].join("\n\n")}\n`;
}

const MARKDOWN_INTRODUCTION = [
  "# Parameters",
  "This page is made from the table in `src/config/parameters`; change the table, not the page.",
  "`pgpool.conf` has one `name = value` a line; the equals sign may be left out, `#` starts a comment, a later line wins. Texts stand in single quotes. Whole numbers may be hexadecimal (`0x1f`) or, with a leading 0, octal. Times take the units us, ms, s, min, h and d, sizes B, kB, MB, GB and TB. `include = 'file'` reads another file in place, relative to the including one, ten levels deep. A name that ends in N carries the number of a server or node.",
];

function markdownRow(name: string, row: ParameterRow): string {
  const changes = { init: "restart", reload: "reload", session: "reload, or `PGPOOL SET`" };
  const initial = formatValue(row, initialValue(row));
  const facts = [
    `${TYPE_NAMES[row.type]}${markdownRange(row)}`,
    initial === "" ? "initially empty" : `initially \`${initial}\``,
    `changes by ${changes[row.context]}`,
    row.since === "pgquorum" ? "pgquorum's own" : `since ${row.since}`,
  ];
  const lines = [
    `- ${facts.join("; ")}`,
    ...(row.acts
      ? []
      : [row.hasNoMeaning === true ? "- has no meaning here" : "- does not act yet"]),
    ...(row.olderNames ?? []).map((older) => `- older name: \`${older}\``),
    ...(row.note === undefined ? [] : [`- ${row.note}`]),
  ];
  return `### \`${headingOf(name, row)}\`\n\n${row.about}\n\n${lines.join("\n")}`;
}

function headingOf(name: string, row: ParameterRow): string {
  if (row.slots === undefined) return name;
  return row.plain === true ? `${name}, ${name}N` : `${name}N`;
}

const TYPE_NAMES: Readonly<Record<ParameterRow["type"], string>> = {
  bool: "on or off",
  int: "whole number",
  double: "number",
  string: "text",
  secret: "secret text",
  list: "list",
  enum: "one of",
};

function markdownRange(row: ParameterRow): string {
  if (row.type === "enum") return ` ${row.values.map((value) => `\`${value}\``).join(", ")}`;
  if (row.type === "list") return ` with \`${row.separator}\``;
  return range(row) === "" ? "" : `, ${range(row)}`;
}
