#!/bin/bash
# Promotes a standby when the primary has failed. The leader of the nodes runs it:
#
#   failover_command = '/path/to/failover.sh %d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S'
#
# Nothing happens when the server that failed was not the primary, or when the chosen one is
# already a primary, so running it twice does no harm. Exit status: 0 when there is nothing left
# to do, 1 when the promotion failed, 2 for arguments that make no sense.
#
# Before the promotion `synchronous_standby_names` is set to nothing on the new primary: its
# standbys follow somebody else for the moment, and a commit that waits for them would hang.
# follow_primary.sh takes the setting back once one of them streams.
#
# PGQ_FAILOVER_LOG names a file that gets one line for every run, with PGQ_HOST as the name of this
# host (what `hostname` says). Further settings and how other hosts are reached: see
# remote-functions.sh.
set -euo pipefail
here=${BASH_SOURCE[0]}
[[ ! -L $here ]] || here=$(readlink -f "$here")
[[ $here == */* ]] || here=./$here
# shellcheck source=scripts/remote-functions.sh
source "${here%/*}/remote-functions.sh"

now_ms started_ms
result=refused

# One line a run, also for a run that fails: whoever counts failovers counts lines.
write_history() {
  local status=$?
  local printable_host=${new_main_host:-}
  printable_host=${printable_host//[^A-Za-z0-9._:-]/_}
  [[ -z ${PGQ_FAILOVER_LOG:-} ]] && return
  local ended_ms at
  now_ms ended_ms
  TZ=UTC0 printf -v at '%(%Y-%m-%dT%H:%M:%S)T.%03dZ' $((ended_ms / 1000)) $((ended_ms % 1000))
  printf '%s on=%s epoch=%s failed=%s old_primary=%s new_main=%s new_main_host=%s result=%s exit=%s ms=%s\n' \
    "$at" "${PGQ_HOST:-$HOSTNAME}" "${PGQUORUM_EPOCH:--}" "${failed_id:--}" \
    "${old_primary_id:--}" "${new_main_id:--}" "${printable_host:--}" "$result" "$status" \
    "$((ended_ms - started_ms))" >>"$PGQ_FAILOVER_LOG" || say "cannot write to $PGQ_FAILOVER_LOG"
}
trap write_history EXIT

[[ $# -ge 10 ]] || fail 2 'needs the words %d "%h" %p "%D" %m "%H" %M %P %r "%R" ["%N" %S]'
trim failed_id "$1"
trim new_main_id "$5"
trim new_main_host "$6"
trim old_primary_id "$8"
new_main_data=${10}
need_number "the failed node (%d)" "$failed_id"
need_number "the new main node (%m)" "$new_main_id"
need_number "the old primary (%P)" "$old_primary_id"

if [[ $failed_id != "$old_primary_id" ]]; then
  say "node $failed_id was not the primary ($old_primary_id): nothing to promote"
  result=not-primary
  exit 0
fi
if [[ $new_main_id -lt 0 || -z $new_main_host ]]; then
  result=no-candidate
  fail 1 "no backend is left that could be promoted"
fi
need_host "the new main node's host (%H)" "$new_main_host"
need_directory "the new main node's data directory (%R)" "$new_main_data"

# One session for all, because clients wait. The configuration is read again only afterwards: a
# server that is told to do so while it looks for its lost primary takes up to
# wal_retrieve_retry_interval to notice that it is to be promoted.
# shellcheck disable=SC2016
promote='
is_running || { echo "the server in $data does not run" >&2; exit 4; }
query -v seconds="$1" <<"SQL"
SELECT pg_is_in_recovery() AS is_standby \gset
\if :is_standby
  ALTER SYSTEM SET synchronous_standby_names TO $$$$;
  SELECT pg_promote(wait => false) AS is_told \gset
  SELECT set_config($$pgquorum.seconds$$, :seconds::text, false) AS seconds \gset
  DO $wait$
    DECLARE started timestamptz := clock_timestamp();
    BEGIN
      WHILE pg_is_in_recovery() LOOP
        IF clock_timestamp() - started > current_setting($$pgquorum.seconds$$)::int * interval $$1 s$$ THEN
          RAISE $$still in recovery$$;
        END IF;
        PERFORM pg_sleep(0.005);
      END LOOP;
    END
  $wait$;
  SELECT pg_reload_conf() AS is_read \gset
  \echo promoted
\else
  \echo already-primary
\endif
SQL
'
say "node $failed_id, the primary, has failed: promoting node $new_main_id on $new_main_host"
result=failed
answer=$(on_server "$new_main_host" "$new_main_data" "$promote" "${PGQUORUM_PROMOTE_TIMEOUT:-60}") ||
  fail 1 "node $new_main_id on $new_main_host was not promoted"
trim result "$answer"
say "node $new_main_id on $new_main_host: $result"
