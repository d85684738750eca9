import type { ReplicationFacts } from "../replication-delay/index.ts";
import type { SwitchoverBackend } from "./facts.ts";

/** The standby that loses least time: one that every commit waits for anyhow comes first. */
const SYNC_ORDER = ["sync", "quorum", "potential", "async", ""];

/**
 * Who takes over when nobody is named: the live standby that commits wait for; among equals the
 * one that is the least behind, then the one of the lowest id. Null when there is no live standby.
 */
export function chooseTarget(
  backends: readonly SwitchoverBackend[],
  primaryId: number | null,
  seen: ReadonlyMap<
    number,
    Pick<ReplicationFacts, "replicationDelayBytes" | "replicationSyncState">
  >,
): number | null {
  const rank = (id: number): readonly [number, number, number] => {
    const facts = seen.get(id);
    const sync = SYNC_ORDER.indexOf(facts?.replicationSyncState ?? "");
    const order = sync < 0 ? SYNC_ORDER.length : sync;
    return [order, facts?.replicationDelayBytes ?? Number.MAX_SAFE_INTEGER, id];
  };
  const candidates = backends.filter(
    ({ id, state, quarantined }) => id !== primaryId && state !== "down" && !quarantined,
  );
  const ranked = candidates.map(({ id }) => rank(id));
  ranked.sort((one, other) => one[0] - other[0] || one[1] - other[1] || one[2] - other[2]);
  return ranked[0]?.[2] ?? null;
}
