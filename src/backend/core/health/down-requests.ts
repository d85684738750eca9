/**
 * The file `backend_down_request` in `work_dir`, by which a test makes the health check of a backend
 * fail (`health_check_test`): lines of a backend's number, a tab and `down`. When the check has
 * failed the line says `already_down`.
 *
 * Source: Pgpool-II 4.4, health_check.c as its manual and its tests use it.
 */
const LINE = /^\s*(\d+)\s+(\S+)/u;
/** Lines behind these are not read. */
const LINES_MAX = 128;

export function isDownRequested(text: string, backendId: number): boolean {
  return linesOf(text).some((line) => asksFor(line, backendId));
}

export function withRequestDone(text: string, backendId: number): string {
  return linesOf(text)
    .map((line) => (asksFor(line, backendId) ? `${backendId}\talready_down` : line))
    .map((line) => `${line}\n`)
    .join("");
}

function linesOf(text: string): readonly string[] {
  return text.replace(/\n$/u, "").split("\n").slice(0, LINES_MAX);
}

function asksFor(line: string, backendId: number): boolean {
  const [, id, word] = LINE.exec(line) ?? [];
  return Number(id) === backendId && word === "down";
}
