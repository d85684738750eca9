import type { ParameterRows } from "./parameter.ts";

/** Parameters that Pgpool-II does not have. */
export const OWN = {
  num_workers: {
    type: "int",
    initial: 0,
    max: 1024,
    context: "init",
    since: "pgquorum",
    acts: true,
    about: "Worker processes that serve clients; 0 takes the number of processors.",
  },
  pool_mode: {
    type: "enum",
    values: ["session", "transaction"],
    ordinals: "names",
    initial: "session",
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How long a client keeps a server connection: until it leaves, as in Pgpool-II, or until its transaction ends, so that few connections serve many clients.",
  },
  pool_mode_list: {
    type: "list",
    separator: ",",
    initial: [],
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "Exceptions from pool_mode as `user/database:mode`, either name may be `*`; the first that fits decides.",
  },
  pool_size: {
    type: "int",
    initial: 20,
    min: 1,
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "In transaction mode, connections of this node to one server for each pair of user and database.",
  },
  max_backend_connections: {
    type: "int",
    initial: 0,
    context: "init",
    since: "pgquorum",
    acts: true,
    about: "Most connections of clients of this node to one server; 0 for no such bound.",
  },
  max_db_connections: {
    type: "int",
    initial: 0,
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "Most connections of clients of this node to one database of one server; 0 for no such bound.",
  },
  max_user_connections: {
    type: "int",
    initial: 0,
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "Most connections of clients of this node to one server for one user; 0 for no such bound.",
  },
  queue_timeout: {
    type: "int",
    unit: "ms",
    initial: 60_000,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How long a client waits for its turn, at the door or for a server connection, before it is refused; 0 for ever.",
  },
  queue_max: {
    type: "int",
    initial: 0,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "Clients that may wait at the door; further ones are refused at once. 0 takes num_init_children times listen_backlog_multiplier.",
  },
  relay_parse_size_max: {
    type: "int",
    unit: "B",
    initial: 10_240,
    min: 1024,
    max: 1_048_576,
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "Longest statement that PostgreSQL's grammar reads, at a millisecond or so for each kB; of longer ones the first words decide, and they go to the primary when these do not tell.",
  },
  client_check_interval: {
    type: "int",
    unit: "ms",
    initial: 1000,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How long after a client has vanished its running statement is cancelled; 0 lets it run.",
  },
  max_prepared_statements: {
    type: "int",
    initial: 200,
    min: 1,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "In transaction mode, prepared statements kept on one server connection; the one that was not used for longest makes room.",
  },
  read_consistency: {
    type: "enum",
    values: ["eventual", "session"],
    ordinals: "names",
    initial: "eventual",
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "Whether reads on standbys see at least what the primary has shown to the same session: `session`. With `eventual`, as in Pgpool-II, a standby may be behind a write that the session has just made.",
  },
  read_consistency_wait: {
    type: "int",
    unit: "ms",
    initial: 100,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How long a read waits until its standby has replayed what the session must see; then it goes to the primary, at once when the standby is known to be further behind. 0 never waits.",
  },
  failover_hold_timeout: {
    type: "int",
    unit: "ms",
    initial: 10_000,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How long statements that need the primary are held while there is none, from the moment when it was lost; then they fail. 0 holds none.",
  },
  standby_silence_timeout: {
    type: "int",
    unit: "ms",
    initial: 2000,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How long a read may wait on a standby before that is asked for a sign of life, and how long it has for one; then its reads go elsewhere. 0 lets reads wait.",
  },
  failover_ready_command: {
    type: "string",
    initial: "",
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "Command that every node runs for every server that may be failed over, for as long as the node runs, so that failover_command finds ready what it needs, such as an open connection to the server's host (scripts/failover_ready.sh). It must change nothing. It is run again when it ends with a status other than 0, after 1 second, later after up to 60. Placeholders: `%d`, `%h`, `%p` and `%D`.",
  },
  demote_command: {
    type: "string",
    initial: "",
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "Command by which a switchover stops the old primary cleanly. Placeholders as in failover_command, and `%a` for what it should do: `check`, `prepare`, `stop` or `start`. When it has stopped the server it prints where the log ends, as scripts/demote.sh or pg_controldata do.",
  },
  switchover_drain_timeout: {
    type: "int",
    unit: "ms",
    initial: 5000,
    min: 100,
    max: 3_600_000,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How long a switchover waits until the transactions on the old primary have ended; meanwhile nothing new begins there.",
  },
  switchover_on_drain_timeout: {
    type: "enum",
    values: ["abort", "cancel"],
    ordinals: "names",
    initial: "abort",
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "What a switchover does when they have not ended by then: `abort` leaves the primary as it was, `cancel` ends those transactions, each with one error.",
  },
  pgpool_compat_version: {
    type: "enum",
    values: ["4.3", "4.4", "4.5", "4.6", "4.7"],
    ordinals: "names",
    initial: "4.7",
    context: "init",
    since: "pgquorum",
    acts: true,
    about: "Release of Pgpool-II whose SHOW and PCP layouts are spoken.",
  },
  wd_cluster_name: {
    type: "string",
    initial: "pgquorum",
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "Name of the watchdog cluster; nodes of another name are refused even with the same key.",
  },
  failover_command_timeout: {
    type: "int",
    unit: "s",
    initial: 60,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "Limit for failover_command and failback_command: what runs longer is ended with all that it started, and has failed; 0 lets it run for ever, as Pgpool-II does.",
  },
  failover_candidate: {
    type: "enum",
    values: ["id", "lsn"],
    ordinals: "names",
    initial: "id",
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "Which standby takes over from a lost primary: the live one of the lowest id, as in Pgpool-II, or the most advanced of those that were synchronous, so that no commit is lost of which a client was told. With `lsn` the servers are looked at each second; set backend_application_nameN.",
  },
  failover_candidate_timeout: {
    type: "int",
    unit: "ms",
    initial: 3000,
    max: 600000,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "With failover_candidate = lsn: how long it is waited for standbys that may have commits which the others lack, before one is chosen that was synchronous when last seen.",
  },
  failover_command_retries: {
    type: "int",
    initial: 2,
    max: 10,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How often a failover_command that was to replace the primary is run again when it has failed and no other primary shows; first after 1 second, then after 2, 4 and so on. Each run has a PGQUORUM_EPOCH of its own.",
  },
  follow_primary_command_timeout: {
    type: "int",
    unit: "s",
    initial: 0,
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "Limit for each follow_primary_command: what runs longer is ended with all that it started; 0 lets it run for ever, since it may have to copy a whole server.",
  },
  wd_lease_time: {
    type: "int",
    unit: "ms",
    initial: 3000,
    min: 300,
    max: 600_000,
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "How long the nodes that heard the leader elect no other. Shorter moves the virtual IP sooner but bears less delay. The same on all nodes.",
  },
  vip_fence: {
    type: "enum",
    values: ["auto", "nft", "lifetime", "none"],
    ordinals: "names",
    initial: "auto",
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "How the kernel takes the virtual IP out of use when the process that holds it freezes: a packet filter, the address's own lifetime, or not at all; `auto` takes the first that works here.",
  },
  vip_interface: {
    type: "string",
    initial: "",
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "Network device that gets the virtual IP; empty takes the one with this node's hostnameN address.",
  },
  recovery_method: {
    type: "enum",
    values: ["extension", "ssh"],
    ordinals: "names",
    initial: "extension",
    context: "reload",
    since: "pgquorum",
    acts: true,
    about:
      "How online recovery runs its scripts on the primary's host: through the extension pgpool_recovery, as Pgpool-II, or over ssh.",
  },
} as const satisfies ParameterRows;
