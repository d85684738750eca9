/** A cluster of one conductor, a committed log and a clock, told as a story in lines of text. */
import {
  conductor,
  firstClusterState,
  newConductor,
  type ClusterState,
  type ConductorAction,
  type ConductorEvent,
  type ConductorState,
  type FailoverSettings,
  type ReplicationAnswer,
} from "../../../../../src/backend/index.ts";
import type {
  ClusterRequest,
  RecoveryStage,
  RequestKind,
  SwitchoverWish,
} from "../../../../../src/wire/ipc/index.ts";

export function makeSettings(change: Partial<FailoverSettings> = {}): FailoverSettings {
  return {
    backends: [0, 1, 2].map((id) => ({
      id,
      hostname: `db${id}`,
      port: 5432,
      dataDirectory: `/data${id}`,
      mayFailover: true,
      alwaysPrimary: false,
    })),
    isStreaming: true,
    failoverCommand: "failover %d %m %P",
    failbackCommand: "failback %d",
    demoteCommand: "",
    followPrimaryCommand: "",
    commandTimeoutMs: 60_000,
    followTimeoutMs: 0,
    commandRetriesMax: 2,
    candidate: "id",
    candidateTimeoutMs: 3000,
    searchPrimaryTimeoutMs: 10_000,
    compatVersion: "4.7",
    ...change,
  };
}

export function makeRequest(
  kind: RequestKind,
  backendIds: readonly number[],
  change: Partial<ClusterRequest> = {},
): ClusterRequest {
  return { kind, backendIds, confirmed: false, switchoverTo: null, reason: "test", ...change };
}

type ActionOf<Type> = Extract<ConductorAction, { readonly type: Type }>;

export class ClusterStory {
  state: ConductorState;
  nowMs = 0;
  index = 0;
  /** Every node applies at once what is committed; false: the story says when, with `settleAll`. */
  settlesAtOnce = true;
  /** What was done for an intent is committed at once; false: the story says when. */
  recordsAtOnce = true;
  committed: ClusterState | null = null;
  readonly lines: string[] = [];
  readonly commands: ActionOf<"run-command">[] = [];
  proposal: ActionOf<"propose"> | null = null;
  command: ActionOf<"run-command"> | null = null;
  search: ActionOf<"search-primary"> | null = null;
  preparation: ActionOf<"prepare-switchover"> | null = null;
  watch: ActionOf<"watch"> | null = null;
  /** The standbys were asked how far they are. */
  asked: ActionOf<"ask-candidates"> | null = null;

  constructor(settings: FailoverSettings = makeSettings(), origin = "n0") {
    const ids = settings.backends.map(({ id }) => id);
    this.state = newConductor({
      settings,
      origin,
      initial: firstClusterState(ids, new Set(), 0),
    });
  }

  deliver(event: ConductorEvent): this {
    const { state, actions } = conductor.step(this.state, event, this.nowMs);
    this.state = state;
    for (const action of actions) this.#perform(action);
    return this;
  }

  lead(leads = true): this {
    this.lines.push(leads ? "> leads" : "> no longer leads");
    return this.deliver({ type: "leadership", leads, wallMs: this.nowMs });
  }

  request(kind: RequestKind, ids: readonly number[], change: Partial<ClusterRequest> = {}): this {
    this.lines.push(`> granted: ${kind} ${ids.join(",")}`);
    const request = makeRequest(kind, ids, change);
    return this.deliver({ type: "granted", request, wallMs: this.nowMs });
  }

  /** The watchdogs agree to what was proposed last. */
  commit(): this {
    const { proposal } = this;
    if (proposal === null) throw new Error(`nothing was proposed:${this.text}`);
    this.lines.push(`> #${proposal.id} is committed`);
    this.proposal = null;
    return this.commitState(proposal.state);
  }

  commitState(state: ClusterState | null): this {
    if (state !== null) this.index += 1;
    this.committed = state;
    this.deliver({ type: "committed", index: this.index, state });
    return this.settlesAtOnce ? this.deliver({ type: "settled", index: this.index }) : this;
  }

  /** The nodes have applied the state of that index. */
  settleAll(index = this.index): this {
    this.lines.push(`> ${index} is settled`);
    return this.deliver({ type: "settled", index });
  }

  refuse(): this {
    const { proposal } = this;
    if (proposal === null) throw new Error(`nothing was proposed:${this.text}`);
    this.lines.push(`> #${proposal.id} is refused`);
    this.proposal = null;
    return this.deliver({ type: "proposal-refused", id: proposal.id, reason: "test" });
  }

  finish(exitCode = 0, outputTail = ""): this {
    const { command } = this;
    if (command === null) throw new Error("no command runs");
    this.lines.push(`> command #${command.commandId} ends with ${exitCode}`);
    this.command = null;
    const { commandId } = command;
    this.deliver({ type: "command-finished", commandId, exitCode, signal: null, outputTail });
    return this.#record();
  }

  #record(): this {
    const isProgress = this.state.proposal?.purpose === "progress";
    return isProgress && this.recordsAtOnce ? this.commit() : this;
  }

  answer(primaryId: number | null): this {
    const { search } = this;
    if (search === null) throw new Error("nothing is searched");
    this.lines.push(`> answer to #${search.searchId}: ${primaryId ?? "no primary"}`);
    this.search = null;
    const { searchId } = search;
    return this.deliver({ type: "primary-found", searchId, primaryId, identity: null });
  }

  recoveryTells(stage: RecoveryStage): this {
    this.lines.push(`> recovery: ${stage}`);
    const runId = this.state.recovery?.runId ?? 0;
    return this.deliver({ type: "recovery-stage", runId, stage });
  }

  recoveryEnds(problem: string | null): this {
    this.lines.push(`> recovery ends: ${problem ?? "all well"}`);
    const runId = this.state.recovery?.runId ?? 0;
    return this.deliver({ type: "recovery-ended", runId, problem });
  }

  /** Asked of node 1 by a person. */
  switchover(wish: Partial<SwitchoverWish> = {}): this {
    const plain: SwitchoverWish = { id: "wish", drainTimeoutMs: 2000, onTimeout: "abort" };
    return this.request("switchover", [1], {
      confirmed: true,
      switchover: { ...plain, ...wish },
    });
  }

  prepared(refusal: string | null = null): this {
    const { preparation } = this;
    if (preparation === null) throw new Error("nothing is prepared");
    this.lines.push(`> prepared: ${refusal ?? "ready"}`);
    this.preparation = null;
    const { preparationId } = preparation;
    return this.deliver({ type: "switchover-prepared", preparationId, refusal });
  }

  watched(problem: string | null = null, primaryIds: readonly number[] = []): this {
    const { watch } = this;
    if (watch === null) throw new Error("nothing is watched");
    const primaries = primaryIds.map((id) => ({ id, identity: null }));
    this.lines.push(`> #${watch.watchId}: ${problem ?? `ok ${primaryIds.join(",")}`.trim()}`);
    this.watch = null;
    const { watchId } = watch;
    return this.deliver({ type: "watched", watchId, outcome: { problem, primaries } });
  }

  /** What standbys say when they are asked how far they are. */
  positions(answers: readonly ReplicationAnswer[], isOver = true): this {
    const { asked } = this;
    if (asked === null) throw new Error(`nobody was asked:${this.text}`);
    const { askId } = asked;
    if (isOver) this.asked = null;
    return this.deliver({ type: "candidates-answered", askId, answers, isOver }).#record();
  }

  wait(ms: number): this {
    this.lines.push(`> ${ms} ms pass`);
    this.nowMs += ms;
    return this.deliver({ type: "tick" });
  }

  /** Leads, has a committed state, and its primary is 0. */
  settle(primaryId = 0): this {
    this.lead().commitState(null).commit().answer(primaryId).commit();
    this.lines.length = 0;
    return this;
  }

  get text(): string {
    return `\n${this.lines.join("\n")}\n`;
  }

  #perform(action: ConductorAction): void {
    switch (action.type) {
      case "propose":
        this.proposal = action;
        this.lines.push(
          `propose #${action.id} after ${action.afterIndex}: ${describe(action.state)}`,
        );
        return;
      case "run-command":
        this.command = action;
        this.commands.push(action);
        this.lines.push(
          `run #${action.commandId} ${action.kind}: ${action.text} ` +
            `(epoch ${action.env.PGQUORUM_EPOCH}, event ${action.env.PGQUORUM_EVENT_ID})`,
        );
        return;
      case "stop-command":
        this.lines.push(`${action.how === "kill" ? "kill" : "stop"} #${action.commandId}`);
        return;
      case "recover":
        this.lines.push(
          `recover #${action.runId} node ${action.backendId} from node ${action.sourceId}: ` +
            `${action.from}${action.isTakenUp ? ", taken up" : ""}`,
        );
        return;
      case "permit-recovery":
        this.lines.push(`permit #${action.runId}: ${action.stage}`);
        return;
      case "stop-recovery":
        this.lines.push(`stop recovery #${action.runId}: ${action.why}`);
        return;
      case "search-primary":
        this.search = action;
        this.lines.push(`search #${action.searchId} among ${action.among.join(",")}`);
        return;
      case "prepare-switchover":
        this.preparation = action;
        this.lines.push(`prepare #${action.preparationId} for node ${action.targetId}`);
        return;
      case "watch": {
        this.watch = action;
        const { what, ...of } = action.order;
        this.lines.push(`watch #${action.watchId}: ${what} ${JSON.stringify(of)}`);
        return;
      }
      case "end-watch":
        this.watch = null;
        return;
      case "ask-candidates":
        this.asked = action;
        // A mere comparison is no part of what happens.
        if (action.askId > 0) this.lines.push(`ask #${action.askId} ${action.among.join(",")}`);
        return;
      case "log": {
        const detail = action.detail === undefined ? "" : ` | ${action.detail}`;
        this.lines.push(`${action.level.toUpperCase()}: ${action.message}${detail}`);
      }
    }
  }
}

function describe(state: ClusterState): string {
  const backends = state.backends.map(({ id, state: word }) => `${id} ${word}`).join(", ");
  const intent =
    state.intent === null ? "" : `, ${state.intent.kind} ${state.intent.backendIds.join(",")} runs`;
  const phase = state.intent?.switchover?.phase ?? null;
  const how = phase === null ? "" : ` (${phase})`;
  const follow =
    state.follow === null ? "" : `, ${state.follow.remainingIds.join(",")} have to follow`;
  const recovery =
    state.recovery === null ? "" : `, ${state.recovery.eventId}: ${state.recovery.stage}`;
  return `epoch ${state.epoch}, primary ${state.primaryId ?? "unknown"}, ${backends}${intent}${how}${follow}${recovery}`;
}
