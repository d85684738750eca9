# Functions for the scripts that a node runs when backends fail: checked arguments, and commands
# on other hosts over ssh. Sourced by failover.sh, failover_ready.sh, follow_primary.sh, demote.sh,
# recovery_1st_stage and pgpool_remote_start, which must lie in the same directory as this file.
#
# Settings, all from the environment:
#   PGQUORUM_SSH               the ssh program (ssh)
#   PGQUORUM_SSH_CONFIG        a configuration file for it (its own default)
#   PGQUORUM_SSH_KEEP          seconds for which connections that were kept stay open; 0 = none (300)
#   PGQUORUM_SSH_KEPT          the directory of their sockets, of its user alone (/tmp/pgquorum-ssh-UID)
#   PGQUORUM_SSH_TIMEOUT       seconds that a host may take to let us in (3)
#   PGQUORUM_SSH_USER          the owner of the PostgreSQL servers (postgres)
#   PGQUORUM_POSTGRES_BIN      the directory of PostgreSQL's programs (found by the data directory)
#   PGQUORUM_POSTGRES_LOG      where a server that is started writes, seen from its data directory
#                              (startup.log)
#   PGQUORUM_SUPERUSER         PostgreSQL's superuser (postgres)
#   PGQUORUM_REPLICATION_USER  the account that standbys stream with (replicator)

# For a program that copies from a primary: it ends within half a minute when the host is lost.
# shellcheck disable=SC2034
COPY_OPTIONS="connect_timeout=10 keepalives_idle=10 keepalives_interval=5 keepalives_count=3"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# fail CODE MESSAGE...
fail() {
  local code=$1
  shift
  say "ERROR: $*"
  exit "$code"
}

# Clients wait for these scripts, and every program that is started takes some milliseconds on a
# busy machine: so functions put their answers into variables, where `$(…)` would start a process.

# trim NAME WORD: older versions of the placeholders write a blank before a number.
trim() {
  local trimmed=$2
  trimmed=${trimmed#"${trimmed%%[![:space:]]*}"}
  printf -v "$1" '%s' "${trimmed%"${trimmed##*[![:space:]]}"}"
}

# now_ms NAME: milliseconds since 1970.
now_ms() {
  local now=${EPOCHREALTIME:-}
  now=${now/[.,]/}
  # bash 4 does not know the time.
  if [[ -n $now ]]; then printf -v "$1" '%s' "${now%???}"; else printf -v "$1" '%s' "$(date +%s%3N)"; fi
}

# The checks keep words that came through a configuration file from meaning something to ssh,
# to a shell or to SQL.
need_number() { # NAME VALUE
  [[ $2 =~ ^-?[0-9]{1,9}$ ]] || fail 2 "$1 must be a number, not '$2'"
}
need_host() { # NAME VALUE
  [[ $2 =~ ^[A-Za-z0-9_][A-Za-z0-9._:-]{0,254}$ ]] || fail 2 "$1 must be a host name or address, not '$2'"
}
need_directory() { # NAME VALUE
  [[ $2 == /* && $2 != *$'\n'* && $2 != / ]] || fail 2 "$1 must be an absolute path, not '$2'"
}

# Fills `quoted`: each word in single quotes, so that a remote shell takes it as it is.
quote() {
  local word
  quoted=
  for word in "$@"; do quoted+="'${word//\'/\'\\\'\'}' "; done
}

# Fills `kept`, where kept connections have their sockets: a directory that is ours alone. Status 1:
# there is none.
find_kept() {
  [[ ${PGQUORUM_SSH_KEEP:-300} != 0 ]] || return 1
  kept=${PGQUORUM_SSH_KEPT:-${TMPDIR:-/tmp}/pgquorum-ssh-$UID}
  [[ -d $kept ]] || mkdir -m 0700 "$kept" 2>/dev/null
  [[ -d $kept && ! -L $kept && -O $kept && ${#kept} -lt 49 ]]
}

# ssh_options HOST: fills the array `ssh_options`. An open connection to the host is used when there
# is one: a new one takes some ten times as long as a command.
ssh_options() {
  ssh_options=(-o BatchMode=yes -o ConnectTimeout="${PGQUORUM_SSH_TIMEOUT:-3}" -T)
  if [[ -n ${PGQUORUM_SSH_CONFIG:-} ]]; then ssh_options+=(-F "$PGQUORUM_SSH_CONFIG"); fi
  if find_kept; then ssh_options+=(-o "ControlPath=$kept/%C"); fi
}

# on_host HOST WORD...: runs one command on another host, without ever asking a question.
# Exit status: that of the command; 255 when the host cannot be reached.
on_host() {
  local host=$1 ssh_options quoted kept
  shift
  ssh_options "$host"
  quote "$@"
  "${PGQUORUM_SSH:-ssh}" "${ssh_options[@]}" -o ControlMaster=no \
    -o ServerAliveInterval=5 -o ServerAliveCountMax=3 \
    -- "${PGQUORUM_SSH_USER:-postgres}@$host" "$quoted" </dev/null
}

# keep_connection HOST: opens a connection that on_host uses for the next minutes. One whose host
# does not answer ends by itself after some seconds. Without one all works as well, but slower.
keep_connection() {
  local host=$1 ssh_options kept user=${PGQUORUM_SSH_USER:-postgres} ssh=${PGQUORUM_SSH:-ssh}
  find_kept || return 0
  ssh_options "$host"
  "$ssh" "${ssh_options[@]}" -O check -- "$user@$host" </dev/null >/dev/null 2>&1 && return 0
  "$ssh" "${ssh_options[@]}" -o ControlMaster=yes -o ControlPersist="${PGQUORUM_SSH_KEEP:-300}" \
    -o ServerAliveInterval=1 -o ServerAliveCountMax=3 -f -N \
    -- "$user@$host" </dev/null >/dev/null 2>&1 || true
}

# on_server HOST DATA_DIRECTORY SCRIPT [WORD...]: runs a bash script on the host of a server. The
# script finds $data, $bin (PostgreSQL's programs), $user (the superuser) and the function
# `query`, which asks the running server over its own socket; its own words are $1 and on.
on_server() {
  local host=$1 data=$2 script=$3
  shift 3
  on_host "$host" bash -c "$SERVER_PRELUDE$script" bash \
    "$data" "${PGQUORUM_POSTGRES_BIN:-}" "${PGQUORUM_SUPERUSER:-postgres}" "$@"
}

# shellcheck disable=SC2016
SERVER_PRELUDE='set -euo pipefail
cd /
data=$1 bin=$2 user=$3
shift 3
while [[ $data == */ ]]; do data=${data%/}; done
[[ -r $data/PG_VERSION ]] || { echo "no PostgreSQL data in $data" >&2; exit 3; }
version=$(<"$data/PG_VERSION")
if [[ -z $bin || ! -x $bin/pg_ctl ]]; then
  for bin in "/usr/lib/postgresql/$version/bin" "/usr/pgsql-$version/bin" /usr/local/pgsql/bin; do
    [[ -x $bin/pg_ctl ]] && break
  done
fi
[[ -x $bin/pg_ctl ]] || { echo "the programs of PostgreSQL $version were not found" >&2; exit 3; }
server_pid() { [[ -r $data/postmaster.pid ]] && read -r server_pid 2>/dev/null <"$data/postmaster.pid"; }
# A killed server whose parent has not noticed yet still has its number, but no program any more.
is_running() {
  local server_pid name
  server_pid || return 1
  [[ $server_pid =~ ^[0-9]+$ && -e /proc/$server_pid/exe ]] || return 1
  read -r name 2>/dev/null <"/proc/$server_pid/comm" || return 1
  [[ $name == postgres* || $name == postmaster* ]]
}
# Such a remainder would keep a new server from starting.
wait_for_remainder() {
  local server_pid i
  server_pid || return 0
  for ((i = 0; i < 50; i++)); do kill -0 "$server_pid" 2>/dev/null || return 0; sleep 0.1; done
}
# Where the server has its postgresql.conf, if not in its data directory: Debian keeps it in /etc.
config_file() {
  local file
  [[ ! -e $data/postgresql.conf ]] || return 0
  for file in /etc/postgresql/"$version"/*/postgresql.conf; do
    if grep -qsE "^[[:blank:]]*data_directory[[:blank:]=]" "$file" &&
      [[ $("$bin/postgres" -C data_directory -c config_file="$file" 2>/dev/null) -ef $data ]]; then
      printf %s "$file"
      return
    fi
  done
  echo "there is no postgresql.conf in $data, and none for it in /etc/postgresql/$version" >&2
  return 3
}
start_server() { # LOG
  local file options=()
  file=$(config_file) || return
  [[ -z $file ]] || options=(-o "-c config_file=$(printf %q "$file")")
  cd "$data"
  # By the environment, because pg_ctl would hand a -D to a shell as it is.
  PGDATA=$data "$bin/pg_ctl" -w -t 60 -l "$1" "${options[@]}" start >/dev/null
}
query() {
  local lines port directory
  mapfile -t lines <"$data/postmaster.pid"
  port=${lines[3]:-} directory=${lines[4]:-}
  # No statement of ours may wait for a standby that is not there.
  PGOPTIONS="-c synchronous_commit=local -c client_min_messages=warning" PGCONNECT_TIMEOUT=5 \
    "$bin/psql" -XAtq -v ON_ERROR_STOP=1 -h "${directory:-/tmp}" -p "$port" -U "$user" -d postgres "$@"
}
'
