/** Part of the supervisor's root: whether a server may be given back to the clients. */
import type { Ms } from "../base/index.ts";
import { probeBackend, type ClusterState } from "../backend/index.ts";
import type { Config } from "../config/index.ts";
import { replicationLogin } from "./failover-settings.ts";

const PROBE_MS: Ms = 5000;

/**
 * Why a server must not be attached; null when nothing speaks against it. Reads sent to a
 * primary that was overtaken would see what has become of nobody's data.
 *
 * Different from Pgpool-II, which attaches whatever it is told to.
 *
 * @param primaryId as this node's view has it.
 * @param cluster the newest state that the cluster agreed upon.
 */
export async function whyNotAttach(
  id: number,
  config: Config,
  primaryId: number | null,
  cluster: ClusterState | null,
): Promise<string | null> {
  const server = config.backends.find((backend) => backend.id === id);
  const isStreaming = config.backend_clustering_mode === "streaming_replication";
  if (server === undefined || primaryId === null || primaryId === id || !isStreaming) return null;
  const { hostname, port } = server;
  const answer = await probeBackend({
    hostname,
    port,
    ...replicationLogin(config),
    connectTimeoutMs: config.connect_timeout,
    timeoutMs: PROBE_MS,
    ask: "role",
  });
  if (!answer.ok) return null; // The health check finds out soon, as in Pgpool-II.
  const { isInRecovery, identity } = answer.value;
  const known = cluster?.identity?.systemIdentifier;
  if (identity !== null && known !== undefined && identity.systemIdentifier !== known) {
    return `backend node ${id} is of another database cluster than the primary, node ${primaryId}`;
  }
  if (isInRecovery !== false) return null;
  return `backend node ${id} is a primary of its own beside node ${primaryId}: make it a standby first`;
}
