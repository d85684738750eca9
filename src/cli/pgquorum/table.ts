/**
 * Rows as a table for a terminal: columns as wide as their widest cell, two blanks between, none
 * at the end of a line.
 */
export function formatTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const lines = [titles, ...rows];
  const widths = titles.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map((line) => line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  "))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** Names come from clients, and could move the cursor of a terminal. */
export function visible(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?");
}
