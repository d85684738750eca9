/**
 * `failover_candidate = lsn`: which standby takes over from a primary that is lost.
 *
 * A commit of which a client was told stood on k of the n standbys that the rule lists, for
 * `FIRST k` and for `ANY k` alike. So of any n - k + 1 of them at least one has it, and the most
 * advanced of those has them all: WAL has no gaps. When so many have said how far they are, the
 * choice is certain. When they have not by the end of the time, a standby may still be chosen that
 * stood in the published set, with a doubt that is told; one that did not is never chosen.
 */
import { parseLsn, type ReplicationAnswer } from "../replication-delay/index.ts";
import { REASON_MAX, type ServerIdentity, type SynchronousSet } from "../status/index.ts";

/** A standby's word on how far it is. */
export interface Position {
  readonly id: number;
  readonly timeline: number;
  /** The end of what it has. */
  readonly lsn: bigint;
  /**
   * No more of its own WAL is to come: it has received up to here, or said the same twice. A
   * standby that was just started still reads what it had before.
   */
  readonly isExact: boolean;
}

export type CandidateVerdict =
  | { readonly type: "chosen"; readonly id: number; readonly lsn: bigint; readonly doubt: string }
  /** Somebody's answer could still change it. */
  | { readonly type: "wait"; readonly why: string };

export interface CandidateFacts {
  /** As published; null where replication was asynchronous. */
  readonly set: SynchronousSet | null;
  /** The primary that was lost. */
  readonly oldPrimaryId: number | null;
  readonly positions: readonly Position[];
  /** Those who may take over. */
  readonly liveIds: readonly number[];
  /** Asked, live or not, that have not answered. */
  readonly silentIds: readonly number[];
  readonly isTimeUp: boolean;
}

/** Ties go to those that the primary treated as synchronous, then to the smaller id. */
export function chooseCandidate(facts: CandidateFacts): CandidateVerdict {
  const set = facts.set?.primaryId === facts.oldPrimaryId ? facts.set : null;
  const exact = facts.positions.filter(({ isExact }) => isExact);
  const best = mostAdvanced(exact, facts.liveIds, set);
  if (set === null) return chooseAsynchronous(facts, exact, best);
  const heardCount = exact.filter(({ id }) => set.listedIds.includes(id)).length;
  const enoughCount = set.listedIds.length + set.strangersCount - set.neededCount + 1;
  const ahead = best === null ? null : whoIsAhead(best, exact);
  if (best !== null && heardCount >= enoughCount && ahead === null) return chosen(best, "");
  const missing = set.listedIds.filter((id) => !exact.some((position) => position.id === id));
  const unheard = missing.length === 0 ? "standbys that are none of ours" : nodes(missing);
  if (!facts.isTimeUp) return { type: "wait", why: `${unheard} must say how far it is` };
  const published = facts.liveIds.filter((id) => set.syncIds.includes(id));
  const bestPublished = mostAdvanced(exact, published, set);
  if (bestPublished === null || best === null) {
    const who = set.syncIds.length === 0 ? "no standby" : nodes(set.syncIds);
    return { type: "wait", why: `only ${who} was known to be synchronous, and cannot take over` };
  }
  // One that is even further has all that the published one has.
  return chosen(best, ahead === null ? `${unheard} did not say how far it is` : ahead);
}

/** Without synchronous standbys nothing was promised: the most advanced loses the least. */
function chooseAsynchronous(
  { silentIds, liveIds, isTimeUp }: CandidateFacts,
  exact: readonly Position[],
  best: Position | null,
): CandidateVerdict {
  const silent = silentIds.filter((id) => liveIds.includes(id));
  const isAllHeard = liveIds.every((id) => exact.some((position) => position.id === id));
  if (best === null || (!isAllHeard && !isTimeUp)) {
    return { type: "wait", why: `${nodes(silent)} must say how far it is` };
  }
  return chosen(best, whoIsAhead(best, exact) ?? "");
}

function chosen({ id, lsn }: Position, doubt: string): CandidateVerdict {
  return { type: "chosen", id, lsn, doubt: doubt.slice(0, REASON_MAX) };
}

function mostAdvanced(
  positions: readonly Position[],
  among: readonly number[],
  set: SynchronousSet | null,
): Position | null {
  const isSync = ({ id }: Position): number => (set?.syncIds.includes(id) === true ? 0 : 1);
  const eligible = positions.filter(({ id }) => among.includes(id));
  const sorted = eligible.toSorted(
    (one, other) => compare(other, one) || isSync(one) - isSync(other) || one.id - other.id,
  );
  return sorted[0] ?? null;
}

/** One that cannot take over and has more; null when there is none. */
function whoIsAhead(best: Position, positions: readonly Position[]): string | null {
  const ahead = positions.find((position) => compare(position, best) > 0);
  return ahead === undefined ? null : `node ${ahead.id}, which is down, has more`;
}

/** A later timeline has gone on from an earlier one. */
function compare(one: Position, other: Position): number {
  if (one.timeline !== other.timeline) return one.timeline - other.timeline;
  return one.lsn === other.lsn ? 0 : one.lsn > other.lsn ? 1 : -1;
}

function nodes(ids: readonly number[]): string {
  return `node ${ids.join(", ")}`;
}

/**
 * What can be told from the answers: of standbys of our system only.
 *
 * @param before the positions of the look before.
 */
export function readPositions(
  answers: readonly ReplicationAnswer[],
  known: ServerIdentity | null,
  before: readonly Position[],
): readonly Position[] {
  return answers.flatMap(({ id, isInRecovery, identity, walLsn, receivedLsn }): Position[] => {
    const isOurs =
      known === null || identity === null || identity.systemIdentifier === known.systemIdentifier;
    const replayed = parseLsn(walLsn);
    const received = parseLsn(receivedLsn);
    if (!isInRecovery || !isOurs || (replayed === null && received === null)) return [];
    const lsn = (replayed ?? 0n) > (received ?? 0n) ? (replayed ?? 0n) : (received ?? 0n);
    const earlier = before.find((position) => position.id === id);
    const isExact = received === lsn || earlier?.lsn === lsn;
    return [{ id, timeline: identity?.timeline ?? known?.timeline ?? 0, lsn, isExact }];
  });
}
