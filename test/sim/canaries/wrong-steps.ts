/** Mistakes in the consensus core, made around the production step function. */
import { createHash } from "node:crypto";
import type { Ms, Step } from "../../../src/base/index.ts";
import type { Entry, HolderRecord } from "../../../src/wire/watchdog/index.ts";
import type { Action, Event, State } from "../../../src/watchdog/core/consensus/index.ts";
import type { StepFunction } from "../core.ts";

type Wrong = (step: StepFunction) => StepFunction;

/** Answers its own question for all peers. */
export const skipsPreVote: Wrong = (step) => (state, event, nowMs) => {
  const asked = step(state, event, nowMs);
  const isAsking = asked.actions.some(
    (action) => action.type === "send" && action.message.type === "pre-vote-request",
  );
  if (!isAsking) return asked;
  const actions = asked.actions.filter(
    (action) => action.type !== "send" || action.message.type !== "pre-vote-request",
  );
  const answers = peersOf(asked.state).map((from): Event => ({
    type: "message",
    from,
    message: {
      type: "pre-vote-reply",
      term: asked.state.durable.term,
      granted: true,
      holder: null,
      isReleased: false,
      boundMs: 0,
    },
  }));
  return feed(step, { state: asked.state, actions }, answers, nowMs);
};

export const forgetsPromise: Wrong = (step) => (state, event, nowMs) => {
  const isAsked =
    event.type === "message" &&
    (event.message.type === "vote-request" || event.message.type === "pre-vote-request");
  if (!isAsked) return step(state, event, nowMs);
  return step({ ...state, promisedUntilMs: 0 }, event, nowMs);
};

export const electsOldLogs: Wrong = (step) => (state, event, nowMs) => {
  if (event.type !== "message") return step(state, event, nowMs);
  const { message } = event;
  if (message.type !== "vote-request" && message.type !== "pre-vote-request") {
    return step(state, event, nowMs);
  }
  const last = { term: Number.MAX_SAFE_INTEGER, index: Number.MAX_SAFE_INTEGER };
  return step(state, { ...event, message: { ...message, last } }, nowMs);
};

export const believesAnyAck: Wrong = (step) => (state, event, nowMs) =>
  withReplies(step, step(state, event, nowMs), nowMs, "round");

export const believesAnyStore: Wrong = (step) => (state, event, nowMs) =>
  withReplies(step, step(state, event, nowMs), nowMs, "entry");

/** Opens the VIP as long as it thinks that it leads. */
export const renewsAlways: Wrong = (step) => (state, event, nowMs) => {
  const done = step(state, event, nowMs);
  const { leading, vip } = done.state;
  if (event.type !== "tick" || leading === null || vip.phase !== "armed") return done;
  return { state: done.state, actions: [...done.actions, { type: "renew-vip" }] };
};

/** A commit is all that it waits for. */
export const settlesAtOnce: Wrong = (step) => (state, event, nowMs) => {
  const done = step(state, event, nowMs);
  const actions = done.actions.flatMap((action): readonly Action[] =>
    action.type === "commit" ? [action, { type: "settled", index: action.entry.index }] : [action],
  );
  return { state: done.state, actions };
};

/** Says that its workers route by a state as soon as it hears of it. */
export const appliesAtCommit: Wrong = (step) => (state, event, nowMs) => {
  const done = step(state, event, nowMs);
  const { committedIndex } = done.state;
  if (committedIndex === state.committedIndex) return done;
  return feed(step, done, [{ type: "applied", index: committedIndex }], nowMs);
};

/** Takes what a follower says between its answers for the answer to the newest round. */
export const believesAnyWord: Wrong = (step) => (state, event, nowMs) => {
  const round = state.leading?.round ?? null;
  if (round === null || event.type !== "message") return step(state, event, nowMs);
  const { message } = event;
  if (message.type !== "round-reply" || message.round !== 0) return step(state, event, nowMs);
  return step(state, { ...event, message: { ...message, round } }, nowMs);
};

/** Takes all absent nodes off the list at once, and believes in the list that it has written. */
export const countsUncommittedMembers: Wrong = (step) => (state, event, nowMs) => {
  const done = step(state, event, nowMs);
  if (event.type !== "members-wanted" || done.actions.length === 0) return done;
  const { leading, selfId, nodeIds, timing } = done.state;
  const isHeard = (id: number): boolean => {
    const heardAtMs = leading?.followers[id]?.heardAtMs ?? null;
    return id === selfId || (heardAtMs !== null && nowMs - heardAtMs < timing.promiseMs);
  };
  const alone = (entry: Entry): Entry => ({
    ...entry,
    members: nodeIds.filter(isHeard),
    before: null,
  });
  const entry = alone(done.state.durable.entry);
  return {
    state: {
      ...done.state,
      durable: { ...done.state.durable, entry },
      committedIndex: entry.index,
    },
    actions: done.actions.map((action) => withEntry(action, alone)),
  };
};

function withEntry(action: Action, change: (entry: Entry) => Entry): Action {
  if (action.type === "persist") {
    const { durable } = action;
    return { ...action, durable: { ...durable, entry: change(durable.entry) } };
  }
  if (action.type !== "send" || action.message.type !== "round") return action;
  const { message } = action;
  if (message.entry === null) return action;
  return { ...action, message: { ...message, entry: change(message.entry) } };
}

/** Whatever was shown counts as the secret of the holder on record. */
export const acceptsAnyProof: Wrong = (step) => (state, event, nowMs) => {
  const secret = secretOf(event);
  const { durable, pollHolder } = state;
  const holder = pollHolder ?? durable.holder;
  if (secret === null || holder === null) return step(state, event, nowMs);
  const shownHash = createHash("sha256").update(secret, "utf8").digest("hex");
  const put = (from: string, to: string, before: State): State => ({
    ...before,
    durable: { ...before.durable, holder: exchange(before.durable.holder, from, to) },
    pollHolder: exchange(before.pollHolder, from, to),
    released: before.released.map((one) => (one.hash === from ? { ...one, hash: to } : one)),
  });
  const fooled = step(put(holder.releaseHash, shownHash, state), event, nowMs);
  return { state: put(shownHash, holder.releaseHash, fooled.state), actions: fooled.actions };
};

function exchange(holder: HolderRecord | null, from: string, to: string): HolderRecord | null {
  return holder?.releaseHash === from ? { ...holder, releaseHash: to } : holder;
}

function secretOf(event: Event): string | null {
  if (event.type === "release-proven") return event.secret;
  return event.type === "message" && event.message.type === "released"
    ? event.message.secret
    : null;
}

/** For every round that is sent: as though its receiver had answered at once. */
function withReplies(
  step: StepFunction,
  done: Step<State, Action>,
  nowMs: Ms,
  what: "round" | "entry",
): Step<State, Action> {
  const { durable, appliedIndex } = done.state;
  const replies: Event[] = [];
  for (const action of done.actions) {
    if (action.type !== "send" || action.message.type !== "round") continue;
    const { term, index } = durable.entry;
    replies.push({
      type: "message",
      from: action.to,
      message: {
        type: "round-reply",
        term: durable.term,
        round: what === "round" ? action.message.round : -1,
        answer: action.message.round,
        accepted: true,
        stored: what === "entry" ? { term, index } : { term: 0, index: 0 },
        knowsHolder: what === "round",
        isVoter: true,
        appliedIndex,
        isFit: true,
      },
    });
  }
  return feed(step, done, replies, nowMs);
}

function feed(
  step: StepFunction,
  start: Step<State, Action>,
  events: readonly Event[],
  nowMs: Ms,
): Step<State, Action> {
  let { state } = start;
  const actions = [...start.actions];
  for (const event of events) {
    const next = step(state, event, nowMs);
    state = next.state;
    actions.push(...next.actions);
  }
  return { state, actions };
}

function peersOf({ nodeIds, selfId }: State): readonly number[] {
  return nodeIds.filter((id) => id !== selfId);
}
