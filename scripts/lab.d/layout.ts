import { join } from "node:path";

/**
 * Where everything of a lab is: names, addresses, ports and paths, computed from nothing but the
 * directory, the mode and the number of hosts.
 *
 *        pgq-sw (bridge br0, 10.77.0.0/24, no way out)
 *      ┌───────┬──────┴┬────────────┐
 *    pgq-n1  pgq-n2  pgq-n3 …   pgq-client
 *    .0.11   .0.12   .0.13       .0.200          VIP .0.100 on the leader
 *
 * With the database apart, a host `db` (.0.150) has the one PostgreSQL, and n1… have nodes only.
 */
export type LabMode = "namespaces" | "loopback";
export const LAB_PROFILES = ["lan", "fast", "default"] as const;
/** How long the nodes trust a silent leader: `wd_lease_time` of 300, 600 and 3000 ms. */
export type LabProfile = (typeof LAB_PROFILES)[number];

/** What `up` wrote down, so that later commands find the same lab. */
export interface LabPlan {
  readonly directory: string;
  readonly mode: LabMode;
  readonly profile: LabProfile;
  readonly nodesCount: number;
  /** Whether one PostgreSQL on a host of its own serves, instead of one on each host. */
  readonly isDatabaseApart: boolean;
  /** The directory of PostgreSQL's programs. */
  readonly postgresBin: string;
  /** The checkout whose programs and scripts the lab runs. */
  readonly repository: string;
}

export interface Host {
  readonly name: string;
  readonly id: number;
  /** Null in loopback mode. */
  readonly namespace: string | null;
  readonly address: string;
  readonly ports: Ports;
  readonly directory: string;
  readonly pgdata: string;
  readonly etc: string;
  readonly run: string;
  readonly log: string;
}

export interface Ports {
  readonly postgres: number;
  readonly pgpool: number;
  readonly pcp: number;
  readonly watchdog: number;
  readonly heartbeat: number;
}

export const SWITCH_NAMESPACE = "pgq-sw";
export const CLIENT_NAMESPACE = "pgq-client";
export const CLIENT_ADDRESS = "10.77.0.200";
const DATABASE_ADDRESS = "10.77.0.150";
export const VIP = "10.77.0.100";
export const SUBNET = "10.77.0.0/24";
export const NODES_MAX = 15;

const PORTS: Ports = {
  postgres: 5432,
  pgpool: 9999,
  pcp: 9898,
  watchdog: 9000,
  heartbeat: 9694,
};
/** In loopback mode host n gets each port plus this base plus n. */
const LOOPBACK_PORTS: Ports = {
  postgres: 25_430,
  pgpool: 29_990,
  pcp: 29_890,
  watchdog: 29_000,
  heartbeat: 29_690,
};

/** The hosts with a node, in the order of their ids. */
export function hostsOf(plan: Pick<LabPlan, "directory" | "mode" | "nodesCount">): Host[] {
  return Array.from({ length: plan.nodesCount }, (_, id) => hostOf(plan, id));
}

/** The hosts with a PostgreSQL; a server's id is its place here. */
export function serversOf(
  plan: Pick<LabPlan, "directory" | "mode" | "nodesCount" | "isDatabaseApart">,
): Host[] {
  return plan.isDatabaseApart ? [databaseHost(plan)] : hostsOf(plan);
}

/** Every host, each once. */
export function everyHost(
  plan: Pick<LabPlan, "directory" | "mode" | "nodesCount" | "isDatabaseApart">,
): Host[] {
  return plan.isDatabaseApart ? [...hostsOf(plan), databaseHost(plan)] : hostsOf(plan);
}

function databaseHost(plan: Pick<LabPlan, "directory" | "mode">): Host {
  const [name, directory] = ["db", join(plan.directory, "db")];
  return {
    ...hostOf(plan, 0),
    name,
    namespace: "pgq-db",
    ...placesBelow(directory),
    address: DATABASE_ADDRESS,
  };
}

function hostOf(plan: Pick<LabPlan, "directory" | "mode">, id: number): Host {
  const name = `n${id + 1}`;
  const directory = join(plan.directory, name);
  const isLoopback = plan.mode === "loopback";
  return {
    name,
    id,
    namespace: isLoopback ? null : `pgq-${name}`,
    address: isLoopback ? "127.0.0.1" : `10.77.0.${11 + id}`,
    ports: isLoopback ? loopbackPorts(id + 1) : PORTS,
    ...placesBelow(directory),
  };
}

function placesBelow(
  directory: string,
): Pick<Host, "directory" | "pgdata" | "etc" | "run" | "log"> {
  return {
    directory,
    pgdata: join(directory, "pgdata"),
    etc: join(directory, "etc"),
    run: join(directory, "run"),
    log: join(directory, "log"),
  };
}

function loopbackPorts(offset: number): Ports {
  return {
    postgres: LOOPBACK_PORTS.postgres + offset,
    pgpool: LOOPBACK_PORTS.pgpool + offset,
    pcp: LOOPBACK_PORTS.pcp + offset,
    watchdog: LOOPBACK_PORTS.watchdog + offset,
    heartbeat: LOOPBACK_PORTS.heartbeat + offset,
  };
}

export const files = {
  plan: (directory: string) => join(directory, "lab.json"),
  sshConfig: (directory: string) => join(directory, "ssh", "config"),
  /** Passwords for the loopback, in PostgreSQL's own form. */
  pgpass: (directory: string) => join(directory, "pgpass"),
  failoverHistory: (directory: string) => join(directory, "failover.log"),
  pgpoolConf: (host: Host) => join(host.etc, "pgpool.conf"),
  pcpConf: (host: Host) => join(host.etc, "pcp.conf"),
  poolHba: (host: Host) => join(host.etc, "pool_hba.conf"),
  poolPasswd: (host: Host) => join(host.etc, "pool_passwd"),
  pcpPass: (host: Host) => join(host.etc, "pcppass"),
  pidFile: (host: Host) => join(host.run, "pgpool.pid"),
  nodeLog: (host: Host) => join(host.log, "pgpool.log"),
  postgresLog: (host: Host) => join(host.log, "postgresql.log"),
  sshdLog: (host: Host) => join(host.log, "sshd.log"),
} as const;

/** The accounts of the lab. Nobody outside its own network can reach them. */
export const ACCOUNTS = {
  application: { user: "app", password: "app-in-the-lab", database: "app" },
  pcp: { user: "pcp", password: "pcp" },
  /** Health and replication checks of the nodes; comes in by `trust`. */
  monitor: { user: "pgquorum" },
  replication: { user: "replicator" },
} as const;
