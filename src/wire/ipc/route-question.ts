/** `pgquorum explain-routing`: where would this statement of such a client go? */
export interface RouteQuestion {
  readonly sql: string;
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  /** An explicit transaction is open. */
  readonly inTransaction: boolean;
  /** The session has written already. */
  readonly afterWrite: boolean;
}

/** A line of the answer. */
export type RouteItem = readonly [item: string, value: string];
