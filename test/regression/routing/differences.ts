/**
 * Where pgquorum deliberately does not what Pgpool-II 4.3.5 does. Each has its row in
 * docs/compatibility.md. A statement that one of these covers must differ exactly so; one that none
 * covers must not differ: so an unexpected difference fails the suite, and so does an expected one that
 * is gone, and one that nothing of the corpus shows.
 */
import type { Protocol } from "./corpus.ts";

export interface Difference {
  readonly name: string;
  /** The first words of its row in docs/compatibility.md. */
  readonly row: string;
  /** Rules of the corpus. */
  readonly rules: readonly string[];
  /** Titles of scripts; undefined: all, and statements of their own. */
  readonly scripts?: RegExp;
  readonly statements?: RegExp;
  readonly configurations?: readonly string[];
  readonly protocols?: readonly Protocol[];
  /** `P`, `S`, `P+S` or `none`. */
  readonly pgpool2: string;
  readonly pgquorum: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    name: "VALUES is a read",
    row: "`VALUES`",
    rules: ["Plain reads"],
    statements: /^values/i,
    pgpool2: "P",
    pgquorum: "S",
  },
];
