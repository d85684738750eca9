import { fail, succeed, type Result } from "../base/index.ts";
import { splitOutside } from "./list-text.ts";
import { compilePattern, type Pattern } from "./pattern.ts";

/** One item of a `*_redirect_preference_list`. */
export interface Redirect {
  /** Of the names of users, databases or applications. */
  readonly names: Pattern;
  /** Where their reads go: `primary`, any `standby`, or the server of that number. */
  readonly node: "primary" | "standby" | number;
  /** The share of the sessions that do, 0 to 1; the others go elsewhere. */
  readonly ratio: number;
}

/** What is wrong with an item, and how to write it. */
export interface ListComplaint {
  readonly message: string;
  readonly hint: string;
}

/**
 * Reads `name:node` or `name:node(ratio)`, with commas between, the name a regular expression.
 * Source: Pgpool-II manual, database_redirect_preference_list. Different: an item that is none is
 * complained of; in Pgpool-II it ends the list, or means another one than was written.
 *
 * @param parameter its name, for the complaints.
 */
export function readRedirects(
  parameter: string,
  text: string,
): { readonly redirects: readonly Redirect[]; readonly complaints: readonly ListComplaint[] } {
  const redirects: Redirect[] = [];
  const complaints: ListComplaint[] = [];
  for (const item of splitOutside(text, ",")) {
    const read = readRedirect(item);
    if (read.ok) redirects.push(read.value);
    else
      complaints.push({
        ...read.error,
        message: `"${item}" in ${parameter} ${read.error.message}`,
      });
  }
  return { redirects, complaints };
}

const FORM = "write name:node or name:node(ratio); a node is primary, standby or a number";

function readRedirect(item: string): Result<Redirect, ListComplaint> {
  const colon = item.lastIndexOf(":");
  const found = /^\s*(primary|standby|\d+)\s*(?:\(([^)]*)\))?\s*$/i.exec(item.slice(colon + 1));
  if (colon < 1 || found === null) return fail({ message: "names no node", hint: FORM });
  const [, node = "", share] = found;
  const ratio = share === undefined ? 1 : Number(share.trim() === "" ? Number.NaN : share);
  if (!(ratio >= 0 && ratio <= 1)) {
    const message = `has the ratio "${share}"`;
    return fail({ message, hint: "a ratio is a number from 0 to 1" });
  }
  const names = compilePattern(unescaped(item.slice(0, colon).trim()));
  if (!names.ok) {
    const message = `is no regular expression: ${names.error}`;
    return fail({ message, hint: "a name is matched as a whole, in any case" });
  }
  const word = node.toLowerCase();
  const target = word === "primary" || word === "standby" ? word : Number(node);
  return succeed({ names: names.value, node: target, ratio });
}

/** `\,` and `\:` stand for the characters themselves. */
function unescaped(text: string): string {
  return text.replace(/\\([,:])/g, "$1");
}
