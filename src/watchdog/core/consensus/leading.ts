import type { Ms, Step } from "../../../base/index.ts";
import type { HolderRecord, Round, RoundReply } from "../../../wire/watchdog/index.ts";
import { isQuorum, leaseUntilMs, peersOf, votersOf } from "./quorum.ts";
import { confirmLeader, knowsCommits, settledAtMs } from "./routing-lease.ts";
import { adoptTerm, follow, isReleased, retryLater } from "./standing.ts";
import {
  compareEntries,
  ROUNDS_REMEMBERED,
  type Action,
  type Durable,
  type Follower,
  type Leading,
  type State,
} from "./state.ts";
import { renewVip } from "./vip-permit.ts";

const VALUE_BYTES_MAX = 256 * 1024;

const NOT_HEARD: Follower = {
  ackedSentMs: null,
  stored: { term: 0, index: 0 },
  knowsHolder: false,
  heardAnswer: 0,
  heardAtMs: null,
  appliedIndex: 0,
  isFit: true,
};

/**
 * Won: writes the state again under its own term, since only an entry of the own term can be
 * counted as committed (Raft thesis 3.6.2), and begins its rounds at once. Votes that came with a
 * promise count as answers to a round sent when they were asked for.
 */
export function startLeading(state: State, nowMs: Ms): Step<State, Action> {
  const { durable, pollHolder, ballots, promiseAskedAtMs } = state;
  const { before } = durable.entry;
  const isChangeOpen = before !== null && durable.entry.index > state.committedIndex;
  const entry = {
    ...durable.entry,
    term: durable.term,
    index: durable.entry.index + 1,
    members: votersOf(state),
    before: isChangeOpen ? before : null,
  };
  const leading: Leading = {
    electedAtMs: nowMs,
    firstIndex: entry.index,
    round: 0,
    lastRoundAtMs: nowMs,
    sent: [],
    followers: Object.fromEntries(
      ballots.map((id) => [id, { ...NOT_HEARD, ackedSentMs: promiseAskedAtMs }]),
    ),
    vipClearAtMs: nowMs + clearAfterMs(state, pollHolder),
    committedAtMs: nowMs,
    settledIndex: 0,
    distrustedAtMs: null,
    transfer: null,
  };
  const elected: State = {
    ...state,
    role: "leader",
    leaderId: state.selfId,
    durable: { ...durable, entry },
    leading,
  };
  const announced = announceHolder(elected, nowMs);
  const opened = renewVip(announced, nowMs);
  const sent = sendRound(opened.state, nowMs, announced.durable);
  return { state: sent.state, actions: [...opened.actions, ...sent.actions] };
}

/** For how long the kernel of the last holder may still answer. */
function clearAfterMs(state: State, holder: HolderRecord | null): Ms {
  if (holder === null || holder.nodeId === state.selfId || isReleased(state, holder)) return 0;
  return holder.closeBoundMs;
}

/** What is due for a leader at this moment: stepping down, announcing, the next round. */
export function onLeaderTick(state: State, leading: Leading, nowMs: Ms): Step<State, Action> {
  if (nowMs >= stepDownAtMs(state, leading)) {
    // No majority answers: the lease is over, and another leader may exist.
    return { state: retryLater(follow(state, null), nowMs), actions: [] };
  }
  const { transfer } = leading;
  const isTooLate = transfer !== null && nowMs >= transfer.untilMs;
  const kept = isTooLate ? { ...state, leading: { ...leading, transfer: null } } : state;
  const announced = announceHolder(kept, nowMs);
  if (announced !== kept) return sendRound(announced, nowMs, announced.durable);
  if (nowMs < leading.lastRoundAtMs + state.timing.roundMs) return { state: kept, actions: [] };
  return sendRound(kept, nowMs, null);
}

function stepDownAtMs(state: State, leading: Leading): Ms {
  return Math.max(leading.electedAtMs + state.timing.leaseMs, leaseUntilMs(state) ?? 0);
}

export function leaderWakeAtMs(state: State, leading: Leading): Ms {
  const dueMs = [leading.lastRoundAtMs + state.timing.roundMs, stepDownAtMs(state, leading)];
  if (mustAnnounce(state)) dueMs.push(leading.vipClearAtMs);
  if (leading.transfer !== null) dueMs.push(leading.transfer.untilMs);
  const settleAtMs = settledAtMs(state);
  if (settleAtMs !== null) dueMs.push(settleAtMs);
  return Math.min(...dueMs);
}

export function onRoundReplied(
  state: State,
  from: number,
  answer: RoundReply,
  nowMs: Ms,
): Step<State, Action> {
  if (answer.term > state.durable.term) return adoptTerm(state, answer.term);
  const { leading } = state;
  if (leading === null || !answer.accepted || answer.term < state.durable.term) {
    return { state, actions: [] };
  }
  const follower = heardFrom(leading, leading.followers[from] ?? NOT_HEARD, answer, nowMs);
  const heard: State = confirmLeader({
    ...state,
    leading: { ...leading, followers: { ...leading.followers, [from]: follower } },
  });
  const renewed = renewVip(heard, nowMs);
  const committed = commitIfStored(renewed.state, nowMs);
  return { state: committed.state, actions: [...renewed.actions, ...committed.actions] };
}

function heardFrom(leading: Leading, before: Follower, answer: RoundReply, nowMs: Ms): Follower {
  const heard: Follower = {
    ...before,
    heardAnswer: answer.answer,
    heardAtMs: nowMs,
    appliedIndex: Math.max(before.appliedIndex, answer.appliedIndex),
    isFit: answer.isFit,
  };
  // Whoever has lost its file since has to be told all again.
  if (!answer.isVoter) return { ...heard, stored: NOT_HEARD.stored, knowsHolder: false };
  const sentMs = leading.sent.find((sent) => sent.round === answer.round)?.sentMs ?? null;
  if (sentMs === null || sentMs < (before.ackedSentMs ?? sentMs)) return heard;
  const { stored } = answer;
  const hasForgotten = compareEntries(stored, before.stored) < 0;
  const knowsHolder = answer.knowsHolder || (before.knowsHolder && !hasForgotten);
  return { ...heard, ackedSentMs: sentMs, stored, knowsHolder };
}

export function onProposed(
  state: State,
  proposal: { readonly id: number; readonly afterIndex: number; readonly value: unknown },
  nowMs: Ms,
): Step<State, Action> {
  const refuse = (reason: string): Step<State, Action> => ({
    state,
    actions: [{ type: "refuse-proposal", id: proposal.id, reason }],
  });
  const { entry } = state.durable;
  if (state.leading === null) return refuse("this node does not lead");
  if (entry.index !== state.committedIndex) return refuse("the state before is not committed yet");
  if (proposal.afterIndex !== entry.index) return refuse("a newer state exists");
  if (JSON.stringify(proposal.value ?? null).length > VALUE_BYTES_MAX) {
    return refuse(`a state of more than ${VALUE_BYTES_MAX} bytes`);
  }
  return write(state, { value: proposal.value ?? null, before: null }, nowMs);
}

/**
 * Changes the members by one at a time, each change on top of a committed entry of this term, so
 * that two changes under way never meet (Raft thesis 4.1). Never removes the leader itself.
 */
export function onMembersWanted(
  state: State,
  wantedIds: readonly number[],
  nowMs: Ms,
): Step<State, Action> {
  const { entry, term } = state.durable;
  const isReady = state.leading !== null && entry.index === state.committedIndex;
  if (!isReady || entry.term !== term) return { state, actions: [] };
  const present = votersOf(state);
  // The old list may have elected a leader that the new one leaves out.
  const joining = [state.selfId, ...wantedIds].find(
    (id) => !present.includes(id) && state.nodeIds.includes(id),
  );
  const leaving = present.find((id) => !wantedIds.includes(id) && id !== state.selfId);
  if (joining !== undefined) {
    const members = [...present, joining].sort((a, b) => a - b);
    return write(state, { members, before: present }, nowMs);
  }
  if (leaving === undefined) return { state, actions: [] };
  const members = present.filter((id) => id !== leaving);
  return write(state, { members, before: present }, nowMs);
}

function write(state: State, change: Partial<Durable["entry"]>, nowMs: Ms): Step<State, Action> {
  const { entry, term } = state.durable;
  const durable = {
    ...state.durable,
    entry: { ...entry, ...change, term, index: entry.index + 1 },
  };
  return sendRound({ ...state, durable }, nowMs, durable);
}

/**
 * Sends the next round to everybody. The moment noted is before the first byte leaves, so that
 * the lease counts from a time no follower can have promised earlier than.
 *
 * @param unwritten what the leader itself must store before any answer is counted; followers may
 * do so at the same time.
 */
export function sendRound(state: State, nowMs: Ms, unwritten: Durable | null): Step<State, Action> {
  const { leading } = state;
  if (leading === null) return { state, actions: [] };
  const round = leading.round + 1;
  const sent = [...leading.sent, { round, sentMs: nowMs }].slice(-ROUNDS_REMEMBERED);
  const next: State = { ...state, leading: { ...leading, round, sent, lastRoundAtMs: nowMs } };
  const actions = peersOf(state).map((to): Action => ({
    type: "send",
    to,
    message: roundFor(next, leading.followers[to] ?? NOT_HEARD, round, nowMs),
  }));
  if (unwritten !== null) actions.push({ type: "persist", durable: unwritten });
  if (!isQuorum(next, [next.selfId])) return { state: next, actions };
  // Alone in its cluster: its own word is the quorum's.
  const renewed = renewVip(confirmLeader(next), nowMs);
  const committed = commitIfStored(renewed.state, nowMs);
  return {
    state: committed.state,
    actions: [...actions, ...renewed.actions, ...committed.actions],
  };
}

function roundFor(state: State, follower: Follower, round: number, nowMs: Ms): Round {
  const { leading } = state;
  // What is heard after the lease may be from after a successor's election.
  const isTrusted = leading !== null && nowMs < (leaseUntilMs(state) ?? 0);
  const { entry, term, holder } = state.durable;
  const isStored = compareEntries(follower.stored, entry) === 0;
  return {
    type: "round",
    term,
    round,
    entry: isStored ? null : entry,
    committedIndex: state.committedIndex,
    holder: holder?.term === term && !follower.knowsHolder ? holder : null,
    heard: isTrusted && knowsCommits(state, leading) ? follower.heardAnswer : 0,
  };
}

/** Tells the followers in the next round; the leader's own commit is known at once. */
function commitIfStored(state: State, nowMs: Ms): Step<State, Action> {
  const { leading, durable } = state;
  if (leading === null || durable.entry.index <= state.committedIndex)
    return { state, actions: [] };
  const storing = peersOf(state).filter((id) => {
    const stored = leading.followers[id]?.stored;
    return stored !== undefined && compareEntries(stored, durable.entry) === 0;
  });
  if (!isQuorum(state, [state.selfId, ...storing])) return { state, actions: [] };
  const committed: State = {
    ...state,
    committedIndex: durable.entry.index,
    leading: { ...leading, committedAtMs: nowMs },
  };
  const spread = sendRound(committed, nowMs, null);
  return {
    state: spread.state,
    actions: [{ type: "commit", entry: durable.entry }, ...spread.actions],
  };
}

/** Once no earlier holder can answer any more, this leader becomes the holder on record. */
function announceHolder(state: State, nowMs: Ms): State {
  const { leading, ownReleaseHash, durable } = state;
  if (leading === null || ownReleaseHash === null || !mustAnnounce(state)) return state;
  if (nowMs < leading.vipClearAtMs) return state;
  const { closeBoundMs } = state.fence;
  const holder: HolderRecord = {
    nodeId: state.selfId,
    term: durable.term,
    releaseHash: ownReleaseHash,
    closeBoundMs,
  };
  return { ...state, durable: { ...durable, holder } };
}

function mustAnnounce(state: State): boolean {
  const { leading, ownReleaseHash, durable } = state;
  if (leading === null || ownReleaseHash === null) return false;
  return durable.holder?.term !== durable.term || durable.holder.nodeId !== state.selfId;
}
