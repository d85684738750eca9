/** Real servers and the ready scripts, with a stand-in for ssh: all hosts are this machine. */
import { chmodSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { NodePlace } from "./lone-node.ts";
import { startPostgres, type PostgresCluster } from "./postgres.ts";

const SCRIPTS = resolve(import.meta.dirname, "../../scripts");

/** Servers that the scripts can ask by their socket files. */
export async function startScriptedPostgres(standbys: number): Promise<PostgresCluster> {
  const settings = ["unix_socket_directories = '/tmp'", "wal_log_hints = on"];
  const postgres = await startPostgres({ standbys, settings });
  await postgres.setHba(["local all all trust", "host all all 127.0.0.1/32 trust"]);
  return postgres;
}

/** A program that the scripts take for ssh; the path of it. */
export function sshStandIn(postgres: PostgresCluster): string {
  const ssh = join(postgres.directory, "ssh");
  const asOwner = process.getuid?.() === 0 ? "runuser -u postgres -- " : "";
  writeFileSync(ssh, `#!/bin/bash\nexec ${asOwner}bash -c "\${!#}"\n`);
  chmodSync(ssh, 0o755);
  return ssh;
}

/** Lines of pgpool.conf by which the ready scripts act on these servers. */
export function scriptedConfig(
  postgres: PostgresCluster,
  place: NodePlace | null = null,
): readonly string[] {
  const attach =
    place === null
      ? ["PGQUORUM_ATTACH=off"]
      : [
          `PGQUORUM_BIN=${join(SCRIPTS, "../bin")}`,
          `PGQUORUM_PCP_PORT=${place.pcpPort}`,
          `PCPPASSFILE=${join(place.home, "pcppass")}`,
        ];
  const env = [
    "env",
    `PGQUORUM_SSH=${sshStandIn(postgres)}`,
    "PGQUORUM_SSH_KEEP=0",
    "PGQUORUM_REPLICATION_USER=postgres",
    ...attach,
  ].join(" ");
  const words = '%d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S';
  return [
    `failover_command = '${env} ${SCRIPTS}/failover.sh ${words}'`,
    `follow_primary_command = '${env} ${SCRIPTS}/follow_primary.sh ${words}'`,
    `demote_command = '${env} ${SCRIPTS}/demote.sh %a %d "%h" %p "%D" %m "%H" %r "%R"'`,
    ...postgres.servers.flatMap(({ dataDirectory }, id) => [
      `backend_data_directory${id} = '${dataDirectory}'`,
      `backend_application_name${id} = 'node${id}'`,
    ]),
  ];
}
