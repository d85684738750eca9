/**
 * The file `pgpool_status`: one line a backend slot, from 0 up, `up`, `down` or `unused`. Written
 * for tools and for a way back to Pgpool-II; read once, before the cluster has a state of its own.
 */
import { fail, succeed, type Result } from "../../../base/index.ts";
import { BACKENDS_MAX, isLive, type ClusterState } from "./cluster-state.ts";

export type StatusLine = "up" | "down" | "unused";

/**
 * The text of the file, or null when it must stay as it is: with no backend up it would keep the
 * next start from using any (Pgpool-II does not write it then either).
 */
export function formatStatusText(state: ClusterState): string | null {
  if (!state.backends.some(isLive)) return null;
  const lastId = state.backends.at(-1)?.id ?? -1;
  const byId = new Map(state.backends.map((backend) => [backend.id, backend]));
  let text = "";
  for (let id = 0; id <= lastId; id += 1) {
    const backend = byId.get(id);
    const line: StatusLine = backend === undefined ? "unused" : isLive(backend) ? "up" : "down";
    text += `${line}\n`;
  }
  return text;
}

/**
 * The lines by id. Case and blanks around a word do not matter.
 *
 * Errors: a line with another word; too many lines; a file in which nothing is up.
 */
export function parseStatusText(text: string): Result<readonly StatusLine[], string> {
  const lines: StatusLine[] = [];
  for (const [index, line] of text.replace(/\n$/u, "").split("\n").entries()) {
    const word = line.trim().toLowerCase();
    if (word !== "up" && word !== "down" && word !== "unused") {
      return fail(`line ${index + 1} is neither up, down nor unused`);
    }
    if (lines.length === BACKENDS_MAX) return fail(`it has more than ${BACKENDS_MAX} lines`);
    lines.push(word);
  }
  if (!lines.includes("up")) return fail("no backend is up in it");
  return succeed(lines);
}

/** The ids of the backends that the file says were down. */
export function downIdsOf(lines: readonly StatusLine[]): ReadonlySet<number> {
  return new Set(lines.flatMap((line, id) => (line === "down" ? [id] : [])));
}
