/** What a primary says of its synchronous standbys. */
import type { ReplicationAnswer } from "../replication-delay/index.ts";
import { RULE_MAX, type SynchronousSet } from "../status/index.ts";
import { parseStandbyNames } from "./standby-names.ts";

/** What the primary says now; null when it replicates asynchronously, or did not say. */
export function observeSynchronous(
  primary: ReplicationAnswer,
  servers: readonly { readonly id: number; readonly applicationName: string }[],
): SynchronousSet | null {
  const rule = primary.synchronousStandbyNames ?? "";
  const parsed = parseStandbyNames(rule);
  if (parsed.ok && parsed.value === null) return null;
  const { neededCount, names } = (parsed.ok ? parsed.value : null) ?? UNREADABLE;
  const others = servers.filter(({ id }) => id !== primary.id);
  const isVague = names.includes("*") || others.some((server) => server.applicationName === "");
  const listed = isVague
    ? others
    : others.filter(({ applicationName }) => names.includes(applicationName.toLowerCase()));
  // One list for all servers names the primary too: nobody else streams under that name.
  const self = servers.find(({ id }) => id === primary.id)?.applicationName.toLowerCase();
  const isOwnName = (name: string): boolean =>
    name === self && !primary.senders.some((one) => one.applicationName.toLowerCase() === name);
  const strangers = isVague
    ? []
    : names.filter((name) => !isOwnName(name) && !listed.some((one) => isNamed(one, name)));
  const senders = primary.senders.filter(({ syncState }) => SYNCHRONOUS.has(syncState));
  // A user without the rights of pg_monitor sees senders without their states.
  const isHidden = primary.senders.length > 0 && primary.senders.every((one) => one.state === "");
  const isSync = (server: { readonly applicationName: string }): boolean =>
    senders.some(({ applicationName }) => isNamed(server, applicationName.toLowerCase()));
  const areUnnamed = others.some(({ applicationName }) => applicationName === "");
  const sync = isHidden || areUnnamed ? listed : listed.filter(isSync);
  return {
    primaryId: primary.id,
    neededCount,
    listedIds: listed.map(({ id }) => id),
    strangersCount: strangers.length,
    syncIds: sync.map(({ id }) => id),
    rule: rule.slice(0, RULE_MAX),
  };
}

const SYNCHRONOUS: ReadonlySet<string> = new Set(["sync", "quorum"]);
/** A rule that we cannot read may name anybody. */
const UNREADABLE = { neededCount: 1, names: ["*"] };

function isNamed(server: { readonly applicationName: string }, name: string): boolean {
  return server.applicationName.toLowerCase() === name;
}

export function isSameSet(one: SynchronousSet | null, other: SynchronousSet | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
