#!/bin/bash
# Stops the primary cleanly so that a standby can take over, for `pgquorum switchover`. The leader
# of the nodes runs it:
#
#   demote_command = '/path/to/demote.sh %a %d "%h" %p "%D" %m "%H" %r "%R"'
#
# The first word says what to do:
#
#   check    both servers can be reached and have the roles that they should have; changes nothing
#   prepare  the same, and a checkpoint on the primary, so that there is little to write at the end
#   stop     stops the primary; done as soon as nothing can be written any more. Prints the position
#            of its last checkpoint: whoever has replayed that has everything
#   start    starts it again as it was, because the switchover was given up; not when the standby is a
#            primary meanwhile, or about to be one
#
# Each may be asked for again after it was done. Exit status: 0 when it is done, 1 when a step
# failed, 2 for arguments that make no sense.
#
# PGQUORUM_STOP_TIMEOUT is how many seconds a stop may take (30). Further settings and how other
# hosts are reached: see remote-functions.sh.
set -euo pipefail
here=${BASH_SOURCE[0]}
[[ ! -L $here ]] || here=$(readlink -f "$here")
[[ $here == */* ]] || here=./$here
# shellcheck source=scripts/remote-functions.sh
source "${here%/*}/remote-functions.sh"

[[ $# -ge 9 ]] || fail 2 'needs the words %a %d "%h" %p "%D" %m "%H" %r "%R"'
action=$1
trim old_id "$2"
trim old_host "$3"
old_data=$5
trim new_id "$6"
trim new_host "$7"
new_data=$9
need_number "the old primary (%d)" "$old_id"
need_number "the new primary (%m)" "$new_id"
need_host "the old primary's host (%h)" "$old_host"
need_host "the new primary's host (%H)" "$new_host"
need_directory "the old primary's data directory (%D)" "$old_data"
need_directory "the new primary's data directory (%R)" "$new_data"

# shellcheck disable=SC2016
be_primary='
is_running || { echo "the server in $data does not run" >&2; exit 4; }
[[ $(query -c "SELECT pg_is_in_recovery()") == f ]] || { echo "not a primary" >&2; exit 5; }
[[ -x $bin/pg_controldata ]] || { echo "$bin/pg_controldata is missing" >&2; exit 3; }
[[ $1 != prepare ]] || query -c CHECKPOINT
'
# shellcheck disable=SC2016
be_standby='
is_running || { echo "the server in $data does not run" >&2; exit 4; }
[[ $(query -c "SELECT pg_is_in_recovery()") == t ]] || { echo "not a standby" >&2; exit 5; }
'
# The state in the control file changes to "shut down" when the last checkpoint is written: then
# nothing can be written any more. The server itself may live on until its standbys have all.
# shellcheck disable=SC2016
stop='
seconds=$1
if is_running; then "$bin/pg_ctl" -D "$data" -W -m fast stop >/dev/null; fi
end=$((SECONDS + seconds))
while true; do
  ended=no
  is_running || ended=yes
  control=$(LC_ALL=C "$bin/pg_controldata" -D "$data")
  [[ $control != *"Database cluster state: "*([[:blank:]])"shut down"$'\''\n'\''* ]] || break
  [[ $ended == no ]] || { echo "it ended without being shut down" >&2; exit 6; }
  ((SECONDS < end)) || { echo "not shut down within $seconds s" >&2; exit 7; }
  sleep 0.01
done
grep "Latest checkpoint location" <<<"$control"
'
# shellcheck disable=SC2016
start='
log=$1
shut_down() {
  [[ $(LC_ALL=C "$bin/pg_controldata" -D "$data") == *"Database cluster state: "*([[:blank:]])"shut down"$'\''\n'\''* ]]
}
# One that has been told to stop may take a while to end; with its last checkpoint written, all
# that it still does is to send the log to standbys.
for ((i = 0; i < 100; i++)); do
  is_running || break
  if [[ $(query -c "SELECT pg_is_in_recovery()" 2>/dev/null) == f ]]; then exit 0; fi
  if ((i > 20)) && shut_down; then "$bin/pg_ctl" -D "$data" -W -m immediate stop >/dev/null || true; fi
  sleep 0.1
done
wait_for_remainder
start_server "$log"
'

# shellcheck disable=SC2016
be_no_primary='
is_running || exit 0
[[ $(query -c "SELECT pg_is_in_recovery()") != f ]] || { echo "it is a primary" >&2; exit 5; }
# Nothing is paused: this only fails, and does so as soon as a promotion has begun.
query -c "SELECT pg_wal_replay_resume()" >/dev/null || exit 5
'

case $action in
check | prepare)
  keep_connection "$old_host"
  keep_connection "$new_host"
  on_server "$new_host" "$new_data" "$be_standby" &
  on_server "$old_host" "$old_data" "$be_primary" "$action" ||
    fail 1 "node $old_id on $old_host cannot be demoted"
  wait $! || fail 1 "node $new_id on $new_host cannot be promoted"
  ;;
stop)
  on_server "$old_host" "$old_data" "$stop" "${PGQUORUM_STOP_TIMEOUT:-30}" ||
    fail 1 "node $old_id on $old_host was not stopped"
  ;;
start)
  on_server "$new_host" "$new_data" "$be_no_primary" || (($? != 5)) ||
    fail 1 "node $new_id on $new_host takes over: node $old_id is not started again"
  on_server "$old_host" "$old_data" "$start" "${PGQUORUM_POSTGRES_LOG:-startup.log}" ||
    fail 1 "node $old_id on $old_host was not started again"
  say "node $old_id on $old_host runs again"
  ;;
*) fail 2 "the first word must be check, prepare, stop or start, not '$action'" ;;
esac
