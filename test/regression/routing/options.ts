/** The words after `npm run test:routing --`. */
import { CONFIGURATIONS } from "./configurations.ts";
import type { Protocol } from "./corpus.ts";

export interface Options {
  readonly configurations: readonly string[];
  readonly protocols: readonly Protocol[];
  /** Rules and titles that contain this. */
  readonly only: string | null;
  /** A file for all that was compared. */
  readonly log: string | null;
}

const names = CONFIGURATIONS.map(({ name }) => name);

export const HELP = `npm run test:routing -- [OPTION…]

Replays statements and scripts through the real Pgpool-II and through pgquorum, in front of the same
three PostgreSQL servers, reads in the servers' own logs where each statement ran, and compares. Exit
status 0 when all differences are documented ones.

  --configuration NAME   only this one, may be given more than once:
                         ${names.join(", ")}
  --protocol NAME        only this one: simple, extended
  --only TEXT            rules, titles of scripts and statements that contain it
  --log FILE             writes down each statement: where it ran and how it ended
`;

/** A text is what is wrong with the words. */
export function parseOptions(words: readonly string[]): Options | string {
  const configurations: string[] = [];
  const protocols: Protocol[] = [];
  let only: string | null = null;
  let log: string | null = null;
  for (let at = 0; at < words.length; at += 2) {
    const [word, value] = [words[at] ?? "", words[at + 1] ?? ""];
    if (word === "--configuration" && names.includes(value)) configurations.push(value);
    else if (word === "--protocol" && (value === "simple" || value === "extended")) {
      protocols.push(value);
    } else if (word === "--only" && value !== "") only = value;
    else if (word === "--log" && value !== "") log = value;
    else return `unknown: ${word} ${value}`.trimEnd();
  }
  return {
    configurations: configurations.length > 0 ? configurations : names,
    protocols: protocols.length > 0 ? protocols : ["simple", "extended"],
    only,
    log,
  };
}
