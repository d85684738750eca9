/**
 * What every driver's program shows, one word a feature. A program prints `## WORD`, then lines that
 * say what it saw; `## end` closes the last one. The lines must be the same whether the program talks
 * to PostgreSQL or to a node in front of it, so a program prints nothing that changes by itself.
 */
export const FEATURES = {
  connect: "several connections, start-up parameters, errors of the login",
  simple: "queries without parameters, several statements, no statement, many types",
  parameters: "parameters of many types, NULL, an array, text that looks like SQL",
  prepared: "named statements, used again and again, dropped, and by PREPARE",
  "many-prepared": "more named statements than a server connection keeps",
  pipeline: "many requests before the first answer, also with an error in the middle",
  transactions: "commit, rollback, savepoints, a failed transaction, isolation levels",
  cursors: "portals and cursors, fetched in pieces, backwards, WITH HOLD",
  "copy-in": "COPY FROM STDIN, also one that fails and one that is given up",
  "copy-out": "COPY TO STDOUT, also a long one and one that fails",
  listen: "LISTEN and NOTIFY, to itself and from another connection",
  cancel: "a running statement is cancelled, and the connection lives on",
  errors: "each phase fails: parse, bind, execute, constraints with all their fields",
  timeouts: "statement_timeout and lock_timeout",
  killed: "the server ends the connection in the middle of a statement",
  settings: "SET, SET LOCAL, RESET, set_config, at start-up too",
  temporary: "temporary tables",
  "advisory-locks": "advisory locks of transactions and of sessions",
  "large-objects": "large objects by the driver's own way or by functions",
  big: "long results, long values, long parameters",
  ddl: "tables change under prepared statements",
  text: "Unicode and bytea in both directions",
  notices: "notices and warnings arrive in order",
} as const;

export type Feature = keyof typeof FEATURES;

export const featureNames = Object.keys(FEATURES) as readonly Feature[];

export function isFeature(word: string): word is Feature {
  return Object.hasOwn(FEATURES, word);
}
