/** The measured tables in docs/performance.md stand between two marks. Pure. */
import { fail, succeed, type Result } from "../src/base/index.ts";

export const BEGIN = "<!-- written by npm run bench -- relay --write-docs -->";
export const END = "<!-- end of what the bench wrote -->";

/** Errors: the marks are not there. */
export function putTables(page: string, tables: string): Result<string, string> {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) return fail(`the marks "${BEGIN}" and "${END}" are missing`);
  const [before, after] = [page.slice(0, begin + BEGIN.length), page.slice(end)];
  return succeed(`${before}\n\n${tables}\n${after}`);
}
