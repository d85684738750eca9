#!/bin/bash
# Keeps a connection open to the host of a server, so that failover.sh and demote.sh need not make
# one while clients wait. Every node runs it for every server, for as long as the node runs:
#
#   failover_ready_command = '/path/to/failover_ready.sh %d "%h"'
#
# It changes nothing on that host. It goes on until it is ended or the connection is lost; then the
# node runs it again. Exit status: 0 when PGQUORUM_SSH_KEEP is 0 or there is no directory for the
# socket, so that nothing is to be kept; 2 for arguments that make no sense; else that of ssh.
#
# Settings and how other hosts are reached: see remote-functions.sh.
set -euo pipefail
# shellcheck source=scripts/remote-functions.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/remote-functions.sh"

[[ $# -ge 2 ]] || fail 2 'needs the words %d "%h"'
trim node_id "$1"
trim host "$2"
need_number "the node (%d)" "$node_id"
need_host "the node's host (%h)" "$host"
if ! find_kept; then
  say "no connection to $host is kept: PGQUORUM_SSH_KEEP is 0, or the directory for it is not ours"
  exit 0
fi
ssh=${PGQUORUM_SSH:-ssh}
user=${PGQUORUM_SSH_USER:-postgres}
ssh_options "$host"
# An older connection ends when nothing runs on it; what a killed one left behind is removed.
if ! "$ssh" "${ssh_options[@]}" -O stop -- "$user@$host" </dev/null >/dev/null 2>&1; then
  socket=$("$ssh" "${ssh_options[@]}" -G -- "$user@$host" </dev/null | sed -n 's/^controlpath //p')
  [[ $socket != "$kept"/* ]] || rm -f "$socket"
fi
exec "$ssh" "${ssh_options[@]}" -o ControlMaster=yes -o ControlPersist=no \
  -o ServerAliveInterval=1 -o ServerAliveCountMax=3 -N -- "$user@$host" </dev/null
