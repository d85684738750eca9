/**
 * The backends that this node keeps away from by itself, because the cluster did not agree to detach
 * them: there was no quorum, or the others still reach what this node does not.
 *
 *     asked ──asked again, or no quorum──> quarantined ──answers, detached by all, nobody looks──> gone
 *
 * It ends when the server answers. When the quorum is back or another node leads, the server is looked
 * at once, and the cluster is asked anew; what nobody checks is tried again after a while. A node that
 * cannot reach the primary, while the others had the time to notice if they could not, must not lead.
 *
 * Source: Pgpool-II 4.7 manual, failover_require_consensus; its leader resigns in the same case.
 */
import { unreachable, type Core, type Ms, type Step } from "../../../base/index.ts";

export interface QuarantineMark {
  readonly backendId: number;
  readonly stage: "asked" | "quarantined";
  /** Wall clock, milliseconds since 1970, of this stage. */
  readonly since: number;
  /** What the health check found last. */
  readonly reason: string;
  /** Why the cluster did not agree. */
  readonly why: Disagreement;
  readonly askedFirstMs: Ms;
  readonly expiresAtMs: Ms;
  /** The leader is told of it then; never while there is no quorum. */
  readonly announceAtMs: Ms;
}

export type Disagreement = "no-quorum" | "building-consensus" | "consensus-may-fail";

/** How long one check of a backend takes at most, with its period and its retries; 0 = no check. */
export type CheckTimes = ReadonlyMap<number, Ms>;

export interface QuarantineState {
  readonly checkTimes: CheckTimes;
  /** By ascending id. */
  readonly marks: readonly QuarantineMark[];
  readonly primaryId: number | null;
  readonly hasQuorum: boolean;
  readonly leaderId: number | null;
  /** Why this node should not lead. */
  readonly unfit: string | null;
}

export type QuarantineEvent =
  /** What became of our wish to detach it. */
  | {
      readonly type: "refused";
      readonly backendId: number;
      readonly why: Disagreement;
      readonly reason: string;
      readonly wallMs: number;
    }
  | { readonly type: "answered"; readonly backendId: number }
  /** Those that all hold for lost need no mark of this node. */
  | {
      readonly type: "agreed";
      readonly liveIds: readonly number[];
      readonly primaryId: number | null;
    }
  | { readonly type: "watchdog"; readonly hasQuorum: boolean; readonly leaderId: number | null }
  | { readonly type: "configured"; readonly checkTimes: CheckTimes }
  | { readonly type: "tick" };

export type QuarantineAction =
  /** What this node routes by, and shows. */
  | { readonly type: "change-marks" }
  /** Look now, and ask again. */
  | { readonly type: "hurry"; readonly backendId: number }
  /** The leader should know, for `QUARANTINE_MS`. */
  | { readonly type: "announce"; readonly mark: QuarantineMark }
  | { readonly type: "withdraw"; readonly backendId: number }
  | { readonly type: "change-fitness"; readonly unfit: string | null }
  | { readonly type: "log"; readonly message: string; readonly detail?: string };

/** A quarantine that is not confirmed again within this is over. */
export const QUARANTINE_MS: Ms = 60_000;
const ANNOUNCE_EVERY_MS: Ms = 20_000;

export function newQuarantine(checkTimes: CheckTimes): QuarantineState {
  return {
    checkTimes,
    marks: [],
    primaryId: null,
    hasQuorum: false,
    leaderId: null,
    unfit: null,
  };
}

export function quarantinedIds({ marks }: QuarantineState): ReadonlySet<number> {
  return new Set(
    marks.filter(({ stage }) => stage === "quarantined").map(({ backendId }) => backendId),
  );
}

type QuarantineStep = Step<QuarantineState, QuarantineAction>;

export const quarantine: Core<QuarantineState, QuarantineEvent, QuarantineAction> = {
  step(state, event, nowMs): QuarantineStep {
    const taken = take(state, event, nowMs);
    return judge(announceWhatIsDue(expire(taken, nowMs), nowMs), nowMs);
  },

  wakeAtMs(state): Ms | null {
    const moments = state.marks.flatMap((mark) => [mark.expiresAtMs, mark.announceAtMs]);
    const next = Math.min(...moments, state.unfit === null ? unfitAtMs(state) : Infinity);
    return next === Infinity ? null : next;
  },
};

function take(state: QuarantineState, event: QuarantineEvent, nowMs: Ms): QuarantineStep {
  switch (event.type) {
    case "refused":
      return onRefused(state, event, nowMs);
    case "answered":
      return end(state, event.backendId, "answers again and leaves quarantine");
    case "agreed":
      return onAgreed(state, event);
    case "watchdog":
      return onWatchdog(state, event, nowMs);
    case "configured":
      return stay({ ...state, checkTimes: event.checkTimes });
    case "tick":
      return stay(state);
  }
  return unreachable(event);
}

function onRefused(
  state: QuarantineState,
  event: Extract<QuarantineEvent, { readonly type: "refused" }>,
  nowMs: Ms,
): QuarantineStep {
  const { backendId, why, reason, wallMs } = event;
  const before = state.marks.find((mark) => mark.backendId === backendId);
  const isQuarantined = before?.stage === "quarantined" || why !== "building-consensus";
  const isFresh = isQuarantined && before?.stage !== "quarantined";
  const mark: QuarantineMark = {
    backendId,
    stage: isQuarantined ? "quarantined" : "asked",
    since: before === undefined || isFresh ? wallMs : before.since,
    reason,
    why,
    askedFirstMs: before?.askedFirstMs ?? nowMs,
    expiresAtMs: nowMs + QUARANTINE_MS,
    announceAtMs: announceAtMs(isQuarantined, before, why, nowMs),
  };
  const marks = [...state.marks.filter((other) => other !== before), mark];
  const actions: QuarantineAction[] = [];
  if (isFresh) {
    const message = `degenerate backend request for node ${backendId} is changed to quarantine node request by watchdog`;
    actions.push({ type: "log", message, detail: why });
  } else if (before === undefined) {
    const message = `failover request for backend node ${backendId} noted`;
    actions.push({ type: "log", message, detail: "building consensus for request" });
  }
  if (before === undefined || isFresh || before.why !== why || before.reason !== reason) {
    actions.push({ type: "change-marks" });
  }
  return { state: { ...state, marks: marks.toSorted(byBackend) }, actions };
}

function announceAtMs(
  isQuarantined: boolean,
  before: QuarantineMark | undefined,
  why: Disagreement,
  nowMs: Ms,
): Ms {
  if (!isQuarantined || why === "no-quorum") return Infinity;
  const isKnown = before?.stage === "quarantined" && before.announceAtMs !== Infinity;
  return isKnown ? before.announceAtMs : nowMs;
}

function onAgreed(
  state: QuarantineState,
  { liveIds, primaryId }: Extract<QuarantineEvent, { readonly type: "agreed" }>,
): QuarantineStep {
  const marks = state.marks.filter(({ backendId }) => liveIds.includes(backendId));
  const isSame = marks.length === state.marks.length;
  return {
    state: { ...state, primaryId, marks: isSame ? state.marks : marks },
    actions: isSame ? [] : [{ type: "change-marks" }],
  };
}

/** The cluster may see it differently now: it is asked anew, but until then the mark stays. */
function onWatchdog(
  state: QuarantineState,
  { hasQuorum, leaderId }: Extract<QuarantineEvent, { readonly type: "watchdog" }>,
  nowMs: Ms,
): QuarantineStep {
  const isNew = hasQuorum && (!state.hasQuorum || leaderId !== state.leaderId);
  const isChanged = hasQuorum !== state.hasQuorum || leaderId !== state.leaderId;
  if (!isChanged) return stay(state);
  const changed = { ...state, hasQuorum, leaderId };
  if (!isNew) return stay(changed);
  let step = stay(changed);
  for (const { backendId } of state.marks) {
    // What the leader before was told, its successor keeps; it must be told anew all the same.
    const isChecked = (state.checkTimes.get(backendId) ?? 0) > 0;
    const next = isChecked
      ? { state: withAnnounceAt(step.state, backendId, nowMs), actions: [hurry(backendId)] }
      : end(step.state, backendId, "is tried again, now that the cluster can decide");
    step = { state: next.state, actions: [...step.actions, ...next.actions] };
  }
  return step;
}

function hurry(backendId: number): QuarantineAction {
  return { type: "hurry", backendId };
}

/** Only what the cluster knew before is told again: the rest waits for the cluster's answer. */
function withAnnounceAt(state: QuarantineState, backendId: number, atMs: Ms): QuarantineState {
  const marks = state.marks.map((mark) =>
    mark.backendId === backendId && mark.announceAtMs !== Infinity
      ? { ...mark, announceAtMs: atMs }
      : mark,
  );
  return { ...state, marks };
}

function end(state: QuarantineState, backendId: number, how: string): QuarantineStep {
  const mark = state.marks.find((one) => one.backendId === backendId);
  if (mark === undefined) return stay(state);
  const actions: QuarantineAction[] = [{ type: "change-marks" }];
  if (mark.stage === "quarantined") {
    actions.unshift({ type: "log", message: `backend node ${backendId} ${how}` });
  }
  if (mark.announceAtMs !== Infinity) actions.push({ type: "withdraw", backendId });
  return { state: { ...state, marks: state.marks.filter((one) => one !== mark) }, actions };
}

function expire(step: QuarantineStep, nowMs: Ms): QuarantineStep {
  let { state, actions } = step;
  for (const { backendId, expiresAtMs } of step.state.marks) {
    if (nowMs < expiresAtMs) continue;
    const ended = end(state, backendId, "is tried again: nobody has looked at it for a while");
    ({ state, actions } = { state: ended.state, actions: [...actions, ...ended.actions] });
  }
  return { state, actions };
}

function announceWhatIsDue({ state, actions }: QuarantineStep, nowMs: Ms): QuarantineStep {
  const due = state.marks.filter((mark) => nowMs >= mark.announceAtMs);
  if (due.length === 0) return { state, actions };
  const nextMs = nowMs + ANNOUNCE_EVERY_MS;
  const marks = state.marks.map((mark) =>
    due.includes(mark) ? { ...mark, announceAtMs: nextMs } : mark,
  );
  const announced = due.map((mark): QuarantineAction => ({ type: "announce", mark }));
  return { state: { ...state, marks }, actions: [...actions, ...announced] };
}

function judge({ state, actions }: QuarantineStep, nowMs: Ms): QuarantineStep {
  const { primaryId } = state;
  const isUnfit = nowMs >= unfitAtMs(state);
  const unfit = isUnfit ? `it cannot reach the primary, backend node ${primaryId}` : null;
  if (unfit === state.unfit) return { state, actions };
  return { state: { ...state, unfit }, actions: [...actions, { type: "change-fitness", unfit }] };
}

/** When the others have had the time of a whole check to see what this node sees of the primary. */
function unfitAtMs({ marks, primaryId, hasQuorum, checkTimes }: QuarantineState): Ms {
  const mark = marks.find(({ backendId }) => backendId === primaryId);
  const isAlone = mark?.stage === "quarantined" && mark.why !== "no-quorum";
  if (mark === undefined || !isAlone || !hasQuorum) return Infinity;
  return mark.askedFirstMs + (checkTimes.get(mark.backendId) ?? 0);
}

function byBackend(one: QuarantineMark, other: QuarantineMark): number {
  return one.backendId - other.backendId;
}

function stay(state: QuarantineState): QuarantineStep {
  return { state, actions: [] };
}
