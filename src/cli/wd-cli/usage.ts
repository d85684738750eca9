import { VERSION } from "../../base/index.ts";

/** Pgpool-II's own page, so that whoever knows that finds everything. */
export const USAGE = `
Watchdog CLI for pgquorum version ${VERSION}

Usage:
  wd_cli [ operation] [ options] [node search criteria]

 Operations:
  -i, --info                  Get the node status for nodes based on node search criteria
  -I, --inform=NEW-STATUS     Inform Pgpool-II about new watchdog node status
                              Allowed values are DEAD and ALIVE

 Node search options:
  -a, --all                Search all nodes (only available with --info option)
  -n, --node-id=ID         Search watchdog node with node_id
  -N, --node-name=Name     Search watchdog node with name
  -H, --node-host=Host     Search watchdog node with Host
  -P, --node-port=port     Search watchdog node with wd_port

 Options:
  -f, --config-file=CONFIG_FILE
                      Set the path to the pgpool.conf configuration file
  -k, --auth-key=KEY
                      watchdog auth key
                      This over rides the pgpool.conf->wd_authkey value
  -s, --socket-dir=WD_IPC_SOCKET_DIRECTORY
                      Path to the WD IPC socket directory
                      This over rides the pgpool.conf->wd_ipc_socket_dir value
  -p, --ipc-port=WD_IPC_PORT
                      Port number of watchdog IPC socket
                      This over rides the pgpool.conf->wd_port value
  -m, --message=message string
                      Message to be passed to Pgpool-II along with new node status
  -v, --verbose       Output verbose messages
  -V, --version       Output Version information
  -d, --debug         Enable debug output
  -h, --help          Print this help

`;
