#!/bin/bash
# Makes one server follow the new primary. The leader of the nodes runs it after a failover, once
# for every server except the new primary:
#
#   follow_primary_command = '/path/to/follow_primary.sh %d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S'
#
# A running standby is pointed to the new primary, without a restart when its history fits. When
# it had received more than the new primary, or when it was itself a primary, pg_rewind takes it
# back to where the two parted; when that fails, a new base backup replaces its data. Then it is
# attached by pcp_attach_node. A server that is stopped is left alone, for a person to look at it
# first, unless PGQUORUM_FOLLOW_STOPPED=on.
#
# Once a standby streams, the new primary's `synchronous_standby_names`, which failover.sh had
# switched off, is taken back to what the configuration file says.
#
# Exit status: 0 when the server streams and is attached, or was left alone; 1 when a step failed;
# 2 for arguments that make no sense.
#
# PGQUORUM_PCP_HOST, PGQUORUM_PCP_PORT, PGQUORUM_PCP_USER and PCPPASSFILE say how to attach
# (localhost, 9898, pcp, ~/.pcppass); PGQUORUM_ATTACH=off leaves it out. PGQUORUM_POSTGRES_LOG is
# where a restarted server writes, seen from its data directory (startup.log). See also
# remote-functions.sh.
set -euo pipefail
# shellcheck source=scripts/remote-functions.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/remote-functions.sh"

[[ $# -ge 10 ]] || fail 2 'needs the words %d "%h" %p "%D" %m "%H" %M %P %r "%R" ["%N" %S]'
trim node_id "$1"
trim node_host "$2"
node_data=$4
trim primary_id "$5"
trim primary_host "$6"
trim primary_port "$9"
primary_data=${10}
need_number "the node (%d)" "$node_id"
need_number "the new primary (%m)" "$primary_id"
[[ $primary_id -ge 0 && -n $primary_host ]] || fail 2 "there is no new primary to follow"
[[ $node_id != "$primary_id" ]] || exit 0
need_number "the new primary's port (%r)" "$primary_port"
need_host "the node's host (%h)" "$node_host"
need_host "the new primary's host (%H)" "$primary_host"
need_directory "the node's data directory (%D)" "$node_data"
need_directory "the new primary's data directory (%R)" "$primary_data"
replication_user=${PGQUORUM_REPLICATION_USER:-replicator}
superuser=${PGQUORUM_SUPERUSER:-postgres}
[[ $replication_user =~ ^[A-Za-z0-9_]+$ ]] || fail 2 "PGQUORUM_REPLICATION_USER must be a plain name"
[[ $superuser =~ ^[A-Za-z0-9_]+$ ]] || fail 2 "PGQUORUM_SUPERUSER must be a plain name"
slot="pgquorum_$node_id"
conninfo="host=$primary_host port=$primary_port user=$replication_user"

# shellcheck disable=SC2016
look='if ! is_running; then echo stopped; elif [[ $(query -c "SELECT pg_is_in_recovery()") == t ]]; then echo standby; else echo primary; fi'
state=$(on_server "$node_host" "$node_data" "$look") || fail 1 "node $node_id on $node_host cannot be reached"
if [[ $state == stopped && ${PGQUORUM_FOLLOW_STOPPED:-off} != on ]]; then
  say "node $node_id on $node_host does not run: left alone"
  exit 0
fi

# The slot keeps the log for the standby. The checkpoint writes the new timeline down, by which
# pg_rewind sees that the two have parted. The answer: each timeline of the primary's history and
# where it ended, such as `1:0/3000148 2:FFFFFFFF/FFFFFFFF`.
# shellcheck disable=SC2016
prepare='
slot=$1
[[ $(query -c "SELECT pg_is_in_recovery()") == f ]] || { echo "not a primary" >&2; exit 4; }
[[ $(query -c "SELECT count(*) FROM pg_replication_slots WHERE slot_name = \$\$$slot\$\$") == 1 ]] ||
  query -c "SELECT pg_create_physical_replication_slot(\$\$$slot\$\$)" >/dev/null
query -c CHECKPOINT
timeline=$(query -c "SELECT timeline_id FROM pg_control_checkpoint()")
history=$(printf "%s/pg_wal/%08X.history" "$data" "$timeline")
[[ ! -r $history ]] || awk "/^[0-9]/ { printf \"%s:%s \", \$1, \$2 }" "$history"
echo "$timeline:FFFFFFFF/FFFFFFFF"
'
history=$(on_server "$primary_host" "$primary_data" "$prepare" "$slot") ||
  fail 1 "node $primary_id on $primary_host is not ready to be followed"
[[ $history =~ ^([0-9]+:[0-9A-F]+/[0-9A-F]+ ?)+$ ]] || fail 1 "the new primary's history makes no sense: '$history'"

# Points a running standby to the new primary; exit 10 when it has received more of its timeline
# than the new primary made its own.
# shellcheck disable=SC2016
repoint='
conninfo=$1 slot=$2 history=$3
timeline=$(query -c "SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) FROM pg_control_checkpoint() AS c, pg_control_recovery() AS r")
fork=
for line in $history; do [[ $line != "$timeline":* ]] || fork=${line#*:}; done
[[ -n $fork ]] || exit 10
fits=$(query -c "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) <= \$\$$fork\$\$::pg_lsn")
[[ $fits == t ]] || exit 10
query -c "ALTER SYSTEM SET primary_conninfo = \$\$$conninfo\$\$" \
  -c "ALTER SYSTEM SET primary_slot_name = \$\$$slot\$\$" -c "SELECT pg_reload_conf()" >/dev/null
'
# The files of its configuration stay those of the server, where they lie between its data: it may
# have a port, addresses or memory of its own.
# shellcheck disable=SC2016
own_files='
copy_own() {
  local file
  for file in postgresql.conf pg_hba.conf pg_ident.conf; do
    [[ ! -f $1/$file ]] || cp -p "$1/$file" "$2/"
  done
}
'
# Stops the server and takes its data back to where it parted from the new primary.
# shellcheck disable=SC2016
rewind=$own_files'
conninfo=$1 slot=$2 log=$3 source=$4
if is_running; then
  "$bin/pg_ctl" -D "$data" -w -t 30 -m fast stop >/dev/null || "$bin/pg_ctl" -D "$data" -w -m immediate stop >/dev/null
fi
wait_for_remainder
file=$(config_file)
options=()
if [[ -n $file ]] && ((version >= 15)); then options=("--config-file=$file"); fi
own=$(mktemp -d)
copy_own "$data" "$own"
trap "copy_own \"\$own\" \"\$data\"; rm -rf \"\$own\"" EXIT
"$bin/pg_rewind" -D "$data" --source-server="$source" "${options[@]}" >&2
copy_own "$own" "$data"
rm -rf "$own"
trap - EXIT
'
# Replaces the data by a copy of the new primary. The old data go only when the copy is complete.
# shellcheck disable=SC2016
clone=$own_files'
conninfo=$1 slot=$2 log=$3 more=$4
if is_running; then "$bin/pg_ctl" -D "$data" -w -m immediate stop >/dev/null; fi
wait_for_remainder
config_file >/dev/null
rm -rf "$data.new"
"$bin/pg_basebackup" -D "$data.new" -d "$conninfo $more" -X stream --checkpoint=fast >&2
copy_own "$data" "$data.new"
rm -rf "$data.old"
mv "$data" "$data.old"
mv "$data.new" "$data"
rm -rf "$data.old"
'
# shellcheck disable=SC2016
start='
{
  echo "primary_conninfo = $(printf "\x27%s\x27" "$conninfo")"
  echo "primary_slot_name = $(printf "\x27%s\x27" "$slot")"
} >>"$data/postgresql.auto.conf"
touch "$data/standby.signal"
start_server "$log"
'
# shellcheck disable=SC2016
wait_for_stream='
slot=$1 seconds=$2
for ((i = 0; i < seconds * 5; i++)); do
  [[ $(query -c "SELECT count(*) FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid
    WHERE slot_name = \$\$$slot\$\$ AND state = \$\$streaming\$\$") != 1 ]] || exit 0
  sleep 0.2
done
exit 12
'
log=${PGQUORUM_POSTGRES_LOG:-startup.log}
streams() {
  on_server "$primary_host" "$primary_data" "$wait_for_stream" "$slot" "${PGQUORUM_STREAM_TIMEOUT:-20}"
}
repoint() { on_server "$node_host" "$node_data" "$repoint" "$conninfo" "$slot" "$history" && streams; }
rewind() {
  on_server "$node_host" "$node_data" "$rewind$start" "$conninfo" "$slot" "$log" \
    "host=$primary_host port=$primary_port user=$superuser dbname=postgres $COPY_OPTIONS" && streams
}
clone() {
  on_server "$node_host" "$node_data" "$clone$start" "$conninfo" "$slot" "$log" "$COPY_OPTIONS" && streams
}

if [[ $state == standby ]] && repoint; then
  how=pointed
elif rewind; then
  how="taken back and pointed"
elif clone; then
  how="copied anew and pointed"
else
  fail 1 "node $node_id on $node_host could not be made a standby of node $primary_id"
fi
say "node $node_id on $node_host was $how to node $primary_id on $primary_host, and streams"

# shellcheck disable=SC2016
reset='query -c "ALTER SYSTEM RESET synchronous_standby_names" -c "SELECT pg_reload_conf()" >/dev/null'
on_server "$primary_host" "$primary_data" "$reset" ||
  fail 1 "synchronous_standby_names of node $primary_id was not taken back"

[[ ${PGQUORUM_ATTACH:-on} == on ]] || exit 0
attach=pcp_attach_node
[[ -n ${PGQUORUM_BIN:-} && -x $PGQUORUM_BIN/pcp_attach_node ]] && attach=$PGQUORUM_BIN/pcp_attach_node
"$attach" -w -h "${PGQUORUM_PCP_HOST:-localhost}" -p "${PGQUORUM_PCP_PORT:-9898}" \
  -U "${PGQUORUM_PCP_USER:-pcp}" -n "$node_id" >&2 || fail 1 "node $node_id streams but was not attached"
say "node $node_id was attached"
