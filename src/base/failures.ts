/**
 * What a person is told when something ends: one row a case, found by its code in the
 * documentation and in the tests. SQLSTATEs are those that Pgpool-II or PostgreSQL use for the
 * same event.
 */
export interface Failure {
  readonly severity: "ERROR" | "FATAL";
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

export const FAILURES = {
  "too-many-clients": {
    severity: "FATAL",
    sqlstate: "53300",
    message: "Sorry, too many clients already",
    hint: "Raise num_init_children, or let clients disconnect when they are done.",
  },
  "no-server-connection": {
    severity: "ERROR",
    sqlstate: "53300",
    message: "no server connection became free within queue_timeout",
    hint: "Shorten transactions, or raise pool_size, max_backend_connections, max_db_connections or max_user_connections.",
  },
  "backend-paused": {
    severity: "ERROR",
    sqlstate: "57P03",
    message: "the server is paused by an administrator, for longer than queue_timeout",
    hint: 'Try again later, or end the pause by "pgquorum resume".',
  },
  canceled: {
    severity: "ERROR",
    sqlstate: "57014",
    message: "canceling statement due to user request",
  },
  "all-backends-down": {
    severity: "FATAL",
    sqlstate: "08S01",
    message: "pgpool is not accepting any new connections",
    detail: "all backend nodes are down, pgpool requires at least one valid node",
    hint: "Repair a backend and attach it (pcp_attach_node).",
  },
  "no-primary": {
    severity: "ERROR",
    sqlstate: "57P03",
    message: "no primary node is known at the moment",
    hint: 'A failover may be running; try again, or look at "pgquorum status".',
  },
  "backend-lost": {
    severity: "FATAL",
    sqlstate: "08006",
    message: "the connection to the backend was lost",
    hint: "Connect again; the outcome of the statement that was running is unknown.",
  },
  "statement-lost": {
    severity: "ERROR",
    sqlstate: "08006",
    message:
      "the connection to the server was lost while the statement ran, and it changed nothing",
    hint: "Run it again.",
  },
  "transaction-lost": {
    severity: "ERROR",
    sqlstate: "08006",
    message: "the server of this transaction was lost, and the transaction is rolled back",
    hint: "Run it again, from its beginning.",
  },
  "outcome-unknown": {
    severity: "ERROR",
    sqlstate: "08007",
    message: "the server was lost before it said whether the transaction is committed",
    hint: "Look whether it is, before you run it again.",
  },
  "not-replicated": {
    severity: "ERROR",
    sqlstate: "08007",
    message:
      "the wait for the synchronous standby was canceled: the transaction is committed, but it may be lost with its server",
    hint: "Look whether it is there, before you run it again.",
  },
  "state-lost": {
    severity: "FATAL",
    sqlstate: "57P01",
    message:
      "terminating connection because its server was lost, and its session cannot go on with another",
    hint: "Connect again.",
  },
  "authentication-timeout": {
    severity: "FATAL",
    sqlstate: "08P01",
    message: "authentication timeout",
    hint: "The client sent nothing for authentication_timeout seconds.",
  },
  "client-idle": {
    severity: "FATAL",
    sqlstate: "57000",
    message: "unable to read data",
    hint: "The client said nothing for client_idle_limit; connect again.",
  },
  "protocol-violation": {
    severity: "FATAL",
    sqlstate: "08P01",
    message: "invalid frontend message",
  },
  "unsupported-protocol": {
    severity: "FATAL",
    sqlstate: "0A000",
    message: "unsupported frontend protocol",
    hint: "Protocol versions 3.0 to 3.2 are supported.",
  },
  "no-user-name": {
    severity: "FATAL",
    sqlstate: "28000",
    message: "no PostgreSQL user name specified in startup packet",
  },
  "no-hba-entry": {
    severity: "FATAL",
    sqlstate: "28000",
    message: "client authentication failed",
  },
  "password-failed": {
    severity: "FATAL",
    sqlstate: "28P01",
    message: "password authentication failed",
  },
  "unsupported-method": {
    severity: "FATAL",
    sqlstate: "28000",
    message: "unsupported authentication method",
  },
  "vip-left": {
    severity: "FATAL",
    sqlstate: "57P01",
    message: "terminating connection because the virtual IP has left this node",
    hint: "Connect again: another node answers for it.",
  },
  "shutting-down": {
    severity: "FATAL",
    sqlstate: "57P01",
    message: "terminating connection due to administrator command",
  },
} as const satisfies Record<string, Failure>;

export type FailureCode = keyof typeof FAILURES;

/** A row of FAILURES with this case's own detail or message put in. */
export function failure(code: FailureCode, own: Partial<Failure> = {}): Failure {
  return { ...FAILURES[code], ...own };
}
