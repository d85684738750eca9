import type { SwitchoverNews } from "../../../wire/ipc/index.ts";
import type { ClusterState } from "../status/index.ts";
import type { ConductorState } from "./conductor-state.ts";

const NOTHING: SwitchoverNews = {
  state: "unknown",
  fromId: null,
  toId: null,
  startedAt: null,
  endedAt: null,
  steps: [],
  problem: "",
};

/**
 * What this node knows of a switchover: all of it where it leads, else what was committed.
 *
 * @param id that of the wish.
 */
export function switchoverNews(
  id: string,
  cluster: ClusterState | null,
  conductor: ConductorState | null,
): SwitchoverNews {
  if (conductor?.preparation?.queued.request.switchover?.id === id) {
    return { ...NOTHING, state: "preparing" };
  }
  const own = conductor?.task?.intent.eventId === id ? conductor.task : null;
  const intent = cluster?.intent?.eventId === id ? cluster.intent : null;
  if (intent !== null) {
    const { steps } = own?.progress ?? intent.progress;
    const { oldPrimaryId: fromId, newMainId: toId, startedAt } = intent;
    return { ...NOTHING, state: "running", fromId, toId, startedAt, steps };
  }
  const entry = cluster?.history.find(({ eventId }) => eventId === id);
  if (entry === undefined) return NOTHING;
  const { oldPrimaryId: fromId, newPrimaryId: toId, startedAt, endedAt, steps, problem } = entry;
  return { state: entry.outcome, fromId, toId, startedAt, endedAt, steps, problem };
}
