import { SLOTS_MAX } from "./parameters/parameter.ts";
import type { ParameterRow } from "./parameters/parameter.ts";
import { findRow, isPlain, PARAMETERS, TABLE } from "./parameters/table.ts";
import type { ParameterRows } from "./parameters/parameter.ts";

/** What a name at the start of a line stands for. */
export type NameMeaning =
  | {
      readonly kind: "parameter";
      /** The name of today, with its number if it has one. */
      readonly key: string;
      readonly row: ParameterRow;
      /** The name of today, when an older one was written. */
      readonly renamedTo: string | null;
    }
  /** The name exists, but not with (or without) this number. */
  | { readonly kind: "wrong-number"; readonly expected: string }
  /** Gone since some release: the hint says what does its work now. */
  | { readonly kind: "dropped"; readonly hint: string }
  | { readonly kind: "unknown"; readonly nearest: string | null };

export function resolveName(name: string): NameMeaning {
  const dropped = DROPPED.get(name) ?? DROPPED.get(name.replace(/[0-9]+$/, ""));
  if (dropped !== undefined) return { kind: "dropped", hint: dropped };
  const newer = NEWER_NAMES.get(name) ?? null;
  const row = findRow(newer ?? name);
  if (row !== null) {
    const key = newer ?? name;
    if (isPlain(row)) return { kind: "parameter", key, row, renamedTo: newer };
    return { kind: "wrong-number", expected: `needs a number, as in ${key}0` };
  }
  return resolveNumbered(name) ?? { kind: "unknown", nearest: nearestName(name) };
}

function resolveNumbered(name: string): NameMeaning | null {
  const cut = /^(.*?)([0-9]+)$/.exec(name);
  const [, base = "", digits = ""] = cut ?? [];
  const row = findRow(base);
  if (cut === null || row === null) return null;
  if (row.slots === undefined) return { kind: "wrong-number", expected: "takes no number" };
  const index = Number(digits);
  if (index >= SLOTS_MAX) {
    return { kind: "wrong-number", expected: `takes numbers from 0 to ${SLOTS_MAX - 1}` };
  }
  return { kind: "parameter", key: `${base}${index}`, row, renamedTo: null };
}

const NUMBERING_HINT =
  "give hostnameN, pgpool_portN and wd_portN for every node, this one included, and write this node's number into the file pgpool_node_id";
const MODE_HINT = "set backend_clustering_mode instead";

/** Names up to 4.1 whose meaning cannot be carried over line by line. */
const DROPPED: ReadonlyMap<string, string> = new Map(
  Object.entries({
    wd_hostname: NUMBERING_HINT,
    other_pgpool_hostname: NUMBERING_HINT,
    other_pgpool_port: NUMBERING_HINT,
    other_wd_port: NUMBERING_HINT,
    wd_heartbeat_port: "set heartbeat_portN for every node",
    heartbeat_destination: "set heartbeat_hostnameN for every node, this one included",
    heartbeat_destination_port: "set heartbeat_portN for every node, this one included",
    master_slave_mode: MODE_HINT,
    master_slave_sub_mode: MODE_HINT,
  }),
);

const NEWER_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries<ParameterRow>(TABLE satisfies ParameterRows).flatMap(([name, row]) =>
    (row.olderNames ?? []).map((older) => [older, name] as const),
  ),
);

/** The known name that takes the fewest slips of the keyboard, or null when none is near. */
function nearestName(name: string): string | null {
  if (name.length > 64) return null;
  const digits = /[0-9]*$/.exec(name)?.[0] ?? "";
  const stem = name.slice(0, name.length - digits.length);
  // One slip for each four letters: more would suggest names of another meaning.
  let best = { name: "", slips: Math.max(1, Math.floor(stem.length / 4)) + 1 };
  for (const { name: known, slots } of PARAMETERS) {
    const number = slots === null ? "" : digits;
    const slips = editDistance(stem.toLowerCase(), known.toLowerCase());
    if (slips < best.slips) best = { name: `${known}${number}`, slips };
  }
  return best.name === "" ? null : best.name;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
export function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const isSame = left[i - 1] === right[j - 1];
      let cost = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
      );
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[right.length] ?? 0;
}
