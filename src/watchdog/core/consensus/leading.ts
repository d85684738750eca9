import type { Ms, Step } from "../../../base/index.ts";
import type { Round, RoundReply } from "../../../wire/watchdog/index.ts";
import { adoptTerm, follow, isReleased, retryLater } from "./standing.ts";
import {
  compareEntries,
  leaseUntilMs,
  majorityOf,
  peersOf,
  ROUNDS_REMEMBERED,
  type Action,
  type Follower,
  type Leading,
  type State,
} from "./state.ts";

const VALUE_BYTES_MAX = 256 * 1024;

/**
 * Won: writes the state again under its own term, since only an entry of the own term can be
 * counted as committed (Raft thesis 3.6.2), and begins its rounds at once.
 */
export function startLeading(state: State, nowMs: Ms): Step<State, Action> {
  const { durable, pollHolder } = state;
  const entry = {
    term: durable.term,
    index: durable.entry.index + 1,
    value: durable.entry.value,
  };
  const isClear =
    pollHolder === null || pollHolder.nodeId === state.selfId || isReleased(state, pollHolder);
  const unknown: Follower = {
    ackedSentMs: null,
    stored: { term: 0, index: 0 },
    knowsHolder: false,
  };
  const leading: Leading = {
    electedAtMs: nowMs,
    round: 0,
    lastRoundAtMs: nowMs,
    sent: [],
    followers: Object.fromEntries(peersOf(state).map((id) => [id, unknown])),
    vipClearAtMs: isClear ? nowMs : nowMs + state.timing.vipCloseBoundMs,
  };
  const elected: State = {
    ...state,
    role: "leader",
    leaderId: state.selfId,
    durable: { ...durable, entry },
    leading,
  };
  const announced = announceHolder(elected, nowMs);
  return sendRound(announced, nowMs, [{ type: "persist", durable: announced.durable }]);
}

/** What is due for a leader at this moment: stepping down, announcing, the next round. */
export function onLeaderTick(state: State, leading: Leading, nowMs: Ms): Step<State, Action> {
  if (nowMs >= stepDownAtMs(state, leading)) {
    // No majority answers: the lease is over, and another leader may exist.
    return { state: retryLater(follow(state, null), nowMs), actions: [] };
  }
  const announced = announceHolder(state, nowMs);
  if (announced !== state) {
    return sendRound(announced, nowMs, [{ type: "persist", durable: announced.durable }]);
  }
  if (nowMs < leading.lastRoundAtMs + state.timing.roundMs) return { state, actions: [] };
  return sendRound(state, nowMs, []);
}

export function stepDownAtMs(state: State, leading: Leading): Ms {
  return Math.max(leading.electedAtMs + state.timing.leaseMs, leaseUntilMs(state) ?? 0);
}

export function leaderWakeAtMs(state: State, leading: Leading): Ms {
  const dueMs = [leading.lastRoundAtMs + state.timing.roundMs, stepDownAtMs(state, leading)];
  if (mustAnnounce(state)) dueMs.push(leading.vipClearAtMs);
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
  const before = leading?.followers[from];
  if (leading === null || before === undefined) return { state, actions: [] };
  if (!answer.accepted || answer.term < state.durable.term) return { state, actions: [] };
  const sentMs = leading.sent.find((sent) => sent.round === answer.round)?.sentMs ?? null;
  const follower: Follower = {
    ackedSentMs:
      sentMs === null ? before.ackedSentMs : Math.max(sentMs, before.ackedSentMs ?? sentMs),
    stored: compareEntries(answer.stored, before.stored) > 0 ? answer.stored : before.stored,
    knowsHolder: before.knowsHolder || answer.knowsHolder,
  };
  const next: State = {
    ...state,
    leading: { ...leading, followers: { ...leading.followers, [from]: follower } },
  };
  return commitIfStored(next, nowMs);
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
  const { entry, term } = state.durable;
  if (state.leading === null) return refuse("this node does not lead");
  if (entry.index !== state.committedIndex) return refuse("the state before is not committed yet");
  if (proposal.afterIndex !== entry.index) return refuse("a newer state exists");
  if (JSON.stringify(proposal.value ?? null).length > VALUE_BYTES_MAX) {
    return refuse(`a state of more than ${VALUE_BYTES_MAX} bytes`);
  }
  const durable = {
    ...state.durable,
    entry: { term, index: entry.index + 1, value: proposal.value ?? null },
  };
  return sendRound({ ...state, durable }, nowMs, [{ type: "persist", durable }]);
}

/**
 * Sends the next round to everybody. The moment noted is before the first byte leaves, so that
 * the lease counts from a time no follower can have promised earlier than.
 */
function sendRound(state: State, nowMs: Ms, before: readonly Action[]): Step<State, Action> {
  const { leading } = state;
  if (leading === null) return { state, actions: before };
  const round = leading.round + 1;
  const sent = [...leading.sent, { round, sentMs: nowMs }].slice(-ROUNDS_REMEMBERED);
  const next: State = { ...state, leading: { ...leading, round, sent, lastRoundAtMs: nowMs } };
  const actions = peersOf(state).map((to): Action => ({
    type: "send",
    to,
    message: roundFor(next, leading.followers[to], round),
  }));
  const committed = commitIfStored(next, nowMs);
  return { state: committed.state, actions: [...before, ...actions, ...committed.actions] };
}

function roundFor(state: State, follower: Follower | undefined, round: number): Round {
  const { entry, term, holder } = state.durable;
  const isStored = follower !== undefined && compareEntries(follower.stored, entry) === 0;
  return {
    type: "round",
    term,
    round,
    entry: isStored ? null : entry,
    committedIndex: state.committedIndex,
    holder: holder?.term === term && follower?.knowsHolder !== true ? holder : null,
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
  if (storing.length + 1 < majorityOf(state.memberIds.length)) return { state, actions: [] };
  const committed: State = { ...state, committedIndex: durable.entry.index };
  const spread = sendRound(committed, nowMs, []);
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
  const holder = { nodeId: state.selfId, term: durable.term, releaseHash: ownReleaseHash };
  return { ...state, durable: { ...durable, holder } };
}

function mustAnnounce(state: State): boolean {
  const { leading, ownReleaseHash, durable } = state;
  if (leading === null || ownReleaseHash === null) return false;
  return durable.holder?.term !== durable.term || durable.holder.nodeId !== state.selfId;
}
