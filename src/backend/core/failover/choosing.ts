/**
 * Who takes over, before `failover_command` is told: with `failover_candidate = lsn` the standbys
 * are asked how far they are, and the choice is recorded before anything is done upon it.
 */
import { assert, type Ms } from "../../../base/index.ts";
import type { ReplicationAnswer } from "../replication-delay/index.ts";
import { liveIds, withBackends, type ClusterState, type Intent } from "../status/index.ts";
import { chooseCandidate, readPositions, type Position } from "../synchronous/index.ts";
import type { ConductorEvent } from "./conductor-events.ts";
import type { Task, Turn } from "./conductor-state.ts";

/** The standbys are being asked. */
export interface Choosing {
  /** Null while nobody is asked. */
  readonly askId: number | null;
  /** The next question. */
  readonly nextAtMs: Ms;
  /** From then on a doubtful choice is better than none; null when that time has come. */
  readonly doubtAtMs: Ms | null;
  /** From then on nobody is waited for any more; null = for ever. */
  readonly endAtMs: Ms | null;
  /** Of the question that was asked last, as far as it is answered. */
  readonly positions: readonly Position[];
  /** Of the question before. */
  readonly before: readonly Position[];
  readonly askedIds: readonly number[];
  /** What is waited for was said in the log. */
  readonly toldWhy: string;
}

/** Between two questions. */
const ASK_EVERY_MS = 200;

/** A primary is lost, and nobody said who follows it. */
export function isChoiceDue(turn: Turn, intent: Intent): boolean {
  const { settings } = turn.state;
  const isOpen = intent.choice === null && intent.progress.commands.length === 0;
  return settings.candidate === "lsn" && isReplacement(turn, intent) && isOpen;
}

function isReplacement(turn: Turn, { kind, primaryChanges }: Intent): boolean {
  const { isStreaming, backends } = turn.state.settings;
  const isFixed = backends.some(({ alwaysPrimary }) => alwaysPrimary);
  return kind === "detach" && primaryChanges && isStreaming && !isFixed;
}

export function advanceChoosing(turn: Turn, cluster: ClusterState, task: Task): boolean {
  const { choosing, intent } = task;
  const isVain = liveIds(cluster).length === 0 && cluster.synchronous === null;
  if (intent.choice !== null || isVain) return goOn(turn, task, "commands");
  if (choosing === null) {
    const { candidateTimeoutMs, searchPrimaryTimeoutMs: endMs } = turn.state.settings;
    setChoosing(turn, {
      askId: null,
      nextAtMs: turn.nowMs,
      doubtAtMs: turn.nowMs + candidateTimeoutMs,
      endAtMs: endMs === 0 ? null : turn.nowMs + Math.max(endMs, candidateTimeoutMs),
      positions: [],
      before: [],
      askedIds: [],
      toldWhy: "",
    });
    return true;
  }
  if (choosing.doubtAtMs !== null && turn.nowMs >= choosing.doubtAtMs) {
    setChoosing(turn, { ...choosing, doubtAtMs: null });
    return true;
  }
  const verdict = judge(cluster, task, choosing);
  if (verdict.type === "chosen") return recordChoice(turn, cluster, verdict);
  const isOver = choosing.endAtMs !== null && turn.nowMs >= choosing.endAtMs;
  if (isOver || isOvertaken(turn)) {
    turn.log("failover: no standby can take over without loss", "warning", verdict.why);
    turn.note("nobody was chosen");
    return goOn(turn, turn.state.task ?? task, "finishing");
  }
  if (choosing.doubtAtMs === null && choosing.toldWhy !== verdict.why) {
    const message = "failover: nobody is promoted yet, for commits would be lost";
    const hint = "A server that is promoted by hand is found.";
    turn.log(message, "warning", `${verdict.why}. ${hint}`);
    setChoosing(turn, { ...choosing, toldWhy: verdict.why });
    return true;
  }
  return ask(turn, cluster, choosing);
}

type Chosen = Extract<ReturnType<typeof chooseCandidate>, { readonly type: "chosen" }>;

function recordChoice(turn: Turn, cluster: ClusterState, verdict: Chosen): boolean {
  const { id, doubt } = verdict;
  const lsn = formatLsn(verdict.lsn);
  turn.note(`node ${id} was chosen, at ${lsn}${doubt === "" ? "" : ", in doubt"}`);
  turn.log(`failover: node ${id} is the most advanced, at ${lsn}`);
  if (doubt !== "") turn.log(doubtText(id), "warning", doubt);
  const reason = "was synchronous, and takes over from the lost primary";
  const isLive = liveIds(cluster).includes(id);
  const back = { state: "waiting", reason, changedAt: turn.wallMs } as const;
  // It answers: what wanted to see it detached before that is out of date.
  const queue = turn.state.queue.filter(
    ({ request: { kind, confirmed, backendIds } }) =>
      confirmed || kind !== "detach" || !backendIds.includes(id),
  );
  turn.set({ queue });
  turn.proposeIntent(isLive ? cluster : withBackends(cluster, [id], back), {
    newMainId: id,
    choice: { by: "lsn", doubt },
  });
  return true;
}

/** Why a new primary may lack what its clients believe to be committed. */
export function doubtText(id: number): string {
  return `failover: commits that clients were told of may be missing on node ${id}`;
}

function judge(
  cluster: ClusterState,
  { intent }: Task,
  { positions, askedIds, askId, doubtAtMs }: Choosing,
): ReturnType<typeof chooseCandidate> {
  if (askedIds.length === 0) return { type: "wait", why: "nobody was asked yet" };
  const live = liveIds(cluster);
  // One that was synchronous and is down may be back meanwhile; nobody else has what it has.
  const returned = doubtAtMs === null ? (cluster.synchronous?.syncIds ?? []) : [];
  return chooseCandidate({
    set: cluster.synchronous,
    oldPrimaryId: intent.oldPrimaryId,
    positions,
    liveIds: [...live, ...returned.filter((id) => !live.includes(id))],
    silentIds: askedIds.filter((id) => !positions.some((position) => position.id === id)),
    // Whoever is about to answer is heard.
    isTimeUp: doubtAtMs === null && (askId === null || positions.length > 0),
  });
}

/** All are asked, also those that are down: what they have tells what the others lack. */
function ask(turn: Turn, cluster: ClusterState, choosing: Choosing): boolean {
  if (choosing.askId !== null || turn.nowMs < choosing.nextAtMs) return false;
  const askId = turn.takeId();
  const among = cluster.backends.map(({ id }) => id);
  const nextAtMs = turn.nowMs + ASK_EVERY_MS;
  setChoosing(turn, { ...choosing, askId, nextAtMs, before: choosing.positions, askedIds: among });
  turn.act({ type: "ask-candidates", askId, among });
  return false;
}

export function onCandidatesAnswered(
  turn: Turn,
  event: Extract<ConductorEvent, { readonly type: "candidates-answered" }>,
): void {
  const { task, cluster } = turn.state;
  if (task === null || cluster === null) return;
  if (event.askId === task.comparisonId) return tellComparison(turn, cluster, task, event.answers);
  const { choosing } = task;
  if (choosing === null || event.askId !== choosing.askId) return;
  const positions = readPositions(event.answers, cluster.identity, choosing.before);
  const askId = event.isOver ? null : choosing.askId;
  setChoosing(turn, { ...choosing, positions, askId });
}

/**
 * With `failover_candidate = id` the lowest takes over whatever it has; that another has more is at
 * least said. Nothing waits for it: the primary is gone, so nobody receives more meanwhile.
 */
export function beginComparison(turn: Turn, cluster: ClusterState, intent: Intent): void {
  const { task, settings } = turn.state;
  const among = liveIds(cluster);
  const isDue = settings.candidate === "id" && intent.choice === null && among.length > 1;
  if (task === null || !isDue || !isReplacement(turn, intent)) return;
  const askId = -intent.epoch; // A number that no other question has.
  turn.set({ task: { ...task, comparisonId: askId } });
  turn.act({ type: "ask-candidates", askId, among });
}

function tellComparison(
  turn: Turn,
  { identity }: ClusterState,
  task: Task,
  answers: readonly ReplicationAnswer[],
): void {
  const { newMainId } = task.intent;
  // It may be promoted already, and still says where its recovery has ended.
  const asStandbys = answers.map((answer) => ({ ...answer, isInRecovery: true }));
  const positions = readPositions(asStandbys, identity, []);
  const own = positions.find(({ id }) => id === newMainId);
  if (own === undefined) return;
  const ahead = positions.filter(({ lsn }) => lsn > own.lsn);
  const best = ahead.toSorted((one, other) => (one.lsn > other.lsn ? -1 : 1))[0];
  if (best === undefined) return;
  turn.set({ task: { ...task, comparisonId: null } });
  turn.log(
    `failover: node ${own.id} takes over although node ${best.id} has ${best.lsn - own.lsn} bytes more`,
    "warning",
    "failover_candidate = id takes the lowest live node; lsn would take the most advanced one.",
  );
}

export function choosingWakeAtMs({ choosing, intent }: Task): Ms | null {
  if (choosing === null || intent.choice !== null) return null;
  const { askId, nextAtMs, doubtAtMs, endAtMs } = choosing;
  const atMs = Math.min(
    askId === null ? nextAtMs : Infinity,
    doubtAtMs ?? Infinity,
    endAtMs ?? Infinity,
  );
  return atMs === Infinity ? null : atMs;
}

/** Somebody brings a server back or names another: the wait has no sense any more. */
function isOvertaken(turn: Turn): boolean {
  return turn.state.queue.some(
    ({ request: { kind, confirmed } }) => confirmed && (kind === "promote" || kind === "attach"),
  );
}

function setChoosing(turn: Turn, choosing: Choosing): void {
  const { task } = turn.state;
  assert(task !== null, "a choice is made for a task");
  turn.set({ task: { ...task, choosing } });
}

function goOn(turn: Turn, task: Task, stage: "commands" | "finishing"): boolean {
  turn.set({ task: { ...task, choosing: null, stage } });
  return true;
}

/** As PostgreSQL writes it. */
function formatLsn(lsn: bigint): string {
  const part = (value: bigint): string => value.toString(16).toUpperCase();
  return `${part(lsn >> 32n)}/${part(lsn & 0xffffffffn)}`;
}
