import { delimiter, join } from "node:path";
import { ACCOUNTS, CLIENT_NAMESPACE, files, type Host, type LabPlan } from "./layout.ts";

/** The words that run a command on a host of the lab, with that host's network and name. */
export function insideHost(host: Host, words: readonly string[]): string[] {
  return host.namespace === null ? [...words] : inside(host.namespace, host.name, words);
}

export function insideClient(plan: LabPlan, words: readonly string[]): string[] {
  return plan.mode === "loopback" ? [...words] : inside(CLIENT_NAMESPACE, "client", words);
}

function inside(namespace: string, hostname: string, words: readonly string[]): string[] {
  const named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', hostname];
  return ["ip", "netns", "exec", namespace, ...named, ...words];
}

/** PostgreSQL refuses to run as root. Without root, everything is the caller's already. */
export function asPostgres(words: readonly string[]): string[] {
  if (process.getuid?.() !== 0) return [...words];
  return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", ...words];
}

/**
 * What a program on a host finds in its environment. The scripts that a node runs need no more
 * than this to reach the other hosts, in the lab as in a real installation.
 */
export function environmentOf(plan: LabPlan, host: Host | null): NodeJS.ProcessEnv {
  const { PATH = "/usr/sbin:/usr/bin:/sbin:/bin", HOME, TERM, USER } = process.env;
  const path = [plan.postgresBin, join(plan.repository, "bin"), PATH, "/usr/sbin", "/sbin"];
  const isLoopback = plan.mode === "loopback";
  return {
    PATH: path.join(delimiter),
    HOME: HOME ?? "/",
    USER: USER ?? "root",
    LC_ALL: "C.UTF-8",
    ...(TERM === undefined ? {} : { TERM }),
    PGQUORUM_BIN: join(plan.repository, "bin"),
    PGQUORUM_POSTGRES_BIN: plan.postgresBin,
    PGQUORUM_POSTGRES_LOG: "../log/postgresql.log",
    PGQUORUM_REPLICATION_USER: ACCOUNTS.replication.user,
    PGQUORUM_PCP_USER: ACCOUNTS.pcp.user,
    PGQ_FAILOVER_LOG: files.failoverHistory(plan.directory),
    ...(isLoopback
      ? {
          PGQUORUM_SSH: join(plan.repository, "scripts", "lab.d", "local-ssh"),
          PGPASSFILE: files.pgpass(plan.directory),
        }
      : { PGQUORUM_SSH_CONFIG: files.sshConfig(plan.directory) }),
    PGQUORUM_SSH_KEEP: isLoopback ? "0" : "300",
    ...(host === null
      ? {}
      : {
          PGQ_HOST: host.name,
          PGQUORUM_SSH_KEPT: join(host.run, "ssh"),
          PCPPASSFILE: files.pcpPass(host),
          PGQUORUM_PCP_HOST: host.address,
          PGQUORUM_PCP_PORT: String(host.ports.pcp),
          PGQUORUM_CONFIG: files.pgpoolConf(host),
        }),
  };
}
