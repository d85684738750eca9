/** Mistakes in carrying out a failover, made around the production conductor. */
import type { ConductorEvent, ConductorState } from "../../../src/backend/core/failover/index.ts";
import type { ClusterState } from "../../../src/backend/core/status/index.ts";
import type { ConductorStep } from "../model/supervisor.ts";

type Wrong = (step: ConductorStep) => ConductorStep;
type Stage = NonNullable<ConductorState["task"]>["stage"];

/** Whoever inherits an intent takes its candidate for promoted, without asking. */
export const trustsInherited: Wrong = (step) => believesCandidate(step, "probing");

/** A command that has ended has done its work. */
export const trustsCommand: Wrong = (step) => believesCandidate(step, "searching");

function believesCandidate(step: ConductorStep, stage: Stage): ConductorStep {
  return (state, event, nowMs) => {
    const done = step(state, event, nowMs);
    const { task } = done.state;
    const asked = done.actions.find(({ type }) => type === "search-primary");
    if (task?.stage !== stage || asked?.type !== "search-primary") return done;
    const { searchId } = asked;
    const primaryId = task.intent.newMainId;
    const answer: ConductorEvent = { type: "primary-found", searchId, primaryId, identity: null };
    const next = step(done.state, answer, nowMs);
    return { state: next.state, actions: [...done.actions, ...next.actions] };
  };
}

/** Whoever inherits a switchover that has stopped the old primary thinks that it did so itself. */
export const forgetsInheritance: Wrong = (step) => (state, event, nowMs) => {
  const { task } = state;
  if (task?.switching?.stage !== "catching-up") return step(state, event, nowMs);
  return step({ ...state, task: { ...task, isInherited: false } }, event, nowMs);
};

/** Whoever inherits an intent chooses another candidate, and does not look what was done. */
export const choosesAnew: Wrong = (step) => (state, event, nowMs) => {
  const isAnswer = event.type === "primary-found" && state.task?.stage === "probing";
  const seen = isAnswer ? { ...event, primaryId: null } : event;
  return withAdopted(step(state, seen, nowMs), (cluster) => {
    const { intent, backends } = cluster;
    if (intent === null) return cluster;
    const other = backends.findLast(
      ({ id, state: is }) => is !== "down" && id !== intent.newMainId,
    );
    return { ...cluster, intent: { ...intent, newMainId: other?.id ?? intent.newMainId } };
  });
};

/** Whoever inherits an intent drops it: somebody will ask again. */
export const forgetsIntent: Wrong = (step) => (state, event, nowMs) =>
  withAdopted(step(state, event, nowMs), (cluster) => ({ ...cluster, intent: null }));

/** Whoever inherits an intent goes on in the epoch of the leader before. */
export const keepsEpoch: Wrong = (step) => (state, event, nowMs) =>
  withAdopted(step(state, event, nowMs), (cluster) => {
    const epoch = cluster.epoch - 1;
    const intent = cluster.intent === null ? null : { ...cluster.intent, epoch };
    return { ...cluster, epoch, intent };
  });

/** Runs the command once more when it has ended well. */
export const repeatsEnded: Wrong = (step) => (state, event, nowMs) => {
  const done = step(state, event, nowMs);
  if (event.type !== "command-finished" || event.exitCode !== 0) return done;
  if (state.task?.stage !== "commands" || state.task.run?.commandId !== event.commandId)
    return done;
  const again = { ...done.state, search: null, proposal: null, task: { ...state.task, run: null } };
  return step(again, { type: "tick" }, nowMs);
};

function withAdopted(
  done: ReturnType<ConductorStep>,
  change: (cluster: ClusterState) => ClusterState,
): ReturnType<ConductorStep> {
  const { proposal } = done.state;
  if (proposal?.purpose !== "adopt") return done;
  const changed = change(proposal.state);
  return {
    state: { ...done.state, proposal: { ...proposal, state: changed } },
    actions: done.actions.map((action) =>
      action.type === "propose" ? { ...action, state: changed } : action,
    ),
  };
}
