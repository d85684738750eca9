/**
 * The position that the next record gets, which lies behind all commits that clients know of, also
 * with synchronous_commit = off; and the primary's timeline, in hexadecimal.
 */
export const PRIMARY_QUERY =
  "SELECT l, pg_catalog.substr(pg_catalog.pg_walfile_name(l), 1, 8) FROM pg_catalog.pg_current_wal_insert_lsn() AS l";

export const STANDBY_QUERY = "SELECT pg_catalog.pg_last_wal_replay_lsn()";

/**
 * The same with the timelines that the standby has received, has begun to replay, and has replayed a
 * checkpoint of. The first is seen by members of pg_monitor only, the last is late by minutes.
 */
export const STANDBY_PROOF_QUERY = `SELECT pg_catalog.pg_last_wal_replay_lsn(),
  (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver),
  (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()),
  (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())`;
