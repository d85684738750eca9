import type { ServerIdentity } from "../status/index.ts";

/** What has to be waited for on a server while clients are held. */
export type WatchOrder =
  /** Nothing of any client runs there, and no transaction is open. */
  | { readonly what: "drained"; readonly backendId: number }
  /** It has replayed the record that begins at this position. */
  | { readonly what: "replayed"; readonly backendId: number; readonly lsn: string }
  /** It answers as a primary; whether the one beside it does so too is told with it. */
  | { readonly what: "primary"; readonly backendId: number; readonly besideId: number | null }
  /** It answers as a standby that nobody promotes, as far as it lets us see. */
  | { readonly what: "standby"; readonly backendId: number }
  /** One look at each of them. */
  | { readonly what: "roles"; readonly backendIds: readonly number[] };

export interface WatchOutcome {
  /** Why it can be watched no longer; null when what was waited for has come. */
  readonly problem: string | null;
  /** Those that answered as primaries, where roles were asked for. */
  readonly primaries: readonly {
    readonly id: number;
    readonly identity: ServerIdentity | null;
  }[];
}

/**
 * Where the last checkpoint of a server that was shut down begins, as pg_controldata prints it; null
 * when that is not in the text. The last one counts.
 */
export function shutdownLsnIn(output: string): string | null {
  const found = [
    ...output.matchAll(/^Latest checkpoint location: +([0-9A-F]+\/[0-9A-F]+)\s*$/gimu),
  ];
  const lsn = found.at(-1)?.[1] ?? null;
  return lsn === null || lsn === "0/0" ? null : lsn;
}
