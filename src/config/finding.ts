/** Something to say about the configuration: at `error` the node does not start. */
export interface Finding {
  readonly level: "error" | "warning" | "notice";
  readonly file: string;
  readonly line: number | null;
  readonly message: string;
  readonly hint: string | null;
}

/** Where a setting stands, for messages about it. */
export interface Place {
  readonly file: string;
  readonly line: number | null;
}

export function finding(
  level: Finding["level"],
  place: Place,
  message: string,
  hint: string | null = null,
): Finding {
  return { level, file: place.file, line: place.line, message, hint };
}

/** One line each, in the manner of compilers: `file:line: error: message (hint)`. */
export function formatFindings(findings: readonly Finding[]): string {
  return findings.map((found) => `${formatFinding(found)}\n`).join("");
}

export function formatFinding({ level, file, line, message, hint }: Finding): string {
  const place = line === null ? file : `${file}:${line}`;
  return `${place}: ${level}: ${message}${hint === null ? "" : ` (${hint})`}`;
}
