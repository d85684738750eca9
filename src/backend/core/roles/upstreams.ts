/** Who replicates from whom, as both ends tell it. */
import type { ReplicationAnswer } from "../replication-delay/index.ts";

export interface ServerPlace {
  readonly id: number;
  readonly hostname: string;
  readonly port: number;
  /** Empty where it is not configured. */
  readonly applicationName: string;
}

/**
 * The server from which each standby receives, by the standby's id. Standbys that receive nothing
 * at the moment, or whose source is none of ours, are left out.
 *
 * What the standby says of its receiver comes first; where that names a host that no backend is
 * configured by, the senders decide by `backend_application_nameN`.
 */
export function findUpstreams(
  answers: readonly ReplicationAnswer[],
  servers: readonly ServerPlace[],
): ReadonlyMap<number, number> {
  const upstreams = new Map<number, number>();
  for (const answer of answers) {
    const place = servers.find(({ id }) => id === answer.id);
    if (!answer.isInRecovery || place === undefined) continue;
    const upstream = byReceiver(answer, place, servers) ?? bySender(place, answers);
    if (upstream !== null) upstreams.set(answer.id, upstream);
  }
  return upstreams;
}

/** The standby receives, but from whom is not told to a user without the rights of pg_monitor. */
export function isReceiverHidden({ receiver }: ReplicationAnswer): boolean {
  return receiver !== null && receiver.status === "";
}

/** All standbys that receive from this server, through others of them too. */
export function followersOf(
  id: number,
  upstreams: ReadonlyMap<number, number>,
): ReadonlySet<number> {
  const followers = new Set<number>();
  const waiting = [id];
  for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
    for (const [standby, upstream] of upstreams) {
      if (upstream !== source || standby === id || followers.has(standby)) continue;
      followers.add(standby);
      waiting.push(standby);
    }
  }
  return followers;
}

function byReceiver(
  { receiver }: ReplicationAnswer,
  standby: ServerPlace,
  servers: readonly ServerPlace[],
): number | null {
  if (receiver === null || receiver.status !== "streaming") return null;
  const host = isLocal(receiver.host) ? standby.hostname : receiver.host;
  const source = servers.find(
    ({ id, hostname, port }) =>
      id !== standby.id && port === receiver.port && isSameHost(hostname, host),
  );
  return source?.id ?? null;
}

function bySender(
  { id, applicationName }: ServerPlace,
  answers: readonly ReplicationAnswer[],
): number | null {
  if (applicationName === "") return null;
  const source = answers.find(
    (answer) =>
      answer.id !== id &&
      answer.senders.some(
        (sender) => sender.applicationName === applicationName && sender.state === "streaming",
      ),
  );
  return source?.id ?? null;
}

/** An address that means the host on which it is used. */
function isLocal(host: string): boolean {
  return host === "" || host.startsWith("/") || host === "localhost" || LOOPBACK.test(host);
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1)$/u;

function isSameHost(one: string, other: string): boolean {
  return one === other || (isLocal(one) && isLocal(other));
}
