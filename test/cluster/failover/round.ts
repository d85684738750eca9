/** One round: the crowd works, something is done to the servers or nodes, and all is compared. */
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import type { Host } from "../../../scripts/lab.d/layout.ts";
import { presentLeader, primaryOf } from "../../../scripts/lab.d/roles.ts";
import { isInterrupted } from "../../../scripts/lab.d/shell.ts";
import { monotonicNowMs } from "../../../src/os/index.ts";
import { countRuns, type CommandRuns } from "./commands.ts";
import type { RoundReport } from "./crowd/messages.ts";
import type { CaseRecord, Target } from "./figures.ts";
import type { Judged } from "./ledger.ts";
import { NodeLogs } from "./node-log.ts";
import { commandNotes, judgeRound, keepLogs, putBack, type Stage } from "./stage.ts";

export interface Standing {
  readonly primary: Host;
  readonly leader: Host;
}

export interface Strike {
  /** Before the first of it and after the last; the wall clock at the first. */
  readonly atMs: number;
  readonly doneMs: number;
  readonly wallMs: number;
  /** From when on writes are missed: from the first of it, unless it is said otherwise. */
  readonly sinceMs?: number;
}

export interface RoundPlan {
  /** For complaints and the names of kept logs. */
  readonly name: string;
  /** Whether the primary has to be replaced, a standby has to go, or nothing may happen. */
  readonly expects: "failover" | "switchover" | "detach" | "nothing";
  /** Clients of the node that was struck lose their connections, which is not counted. */
  readonly strikesNode?: boolean;
  readonly strike: (standing: Standing, logs: NodeLogs) => Promise<Strike>;
  /** Between the first write afterwards and the end of the round. */
  readonly afterwards?: (standing: Standing) => Promise<void>;
  readonly targets?: {
    readonly detected?: Target;
    readonly writes?: Target;
    readonly stall?: Target;
  };
}

/** The first line by which a node says that it has noticed. */
const NOTICED = /health_?check\d|connection to backend|backend \d+ (has|is|was)/i;
const CALM_MS = 300;
const WRITE_WITHIN_MS = 45_000;
const LOGS_KEPT_MAX = 5;
/** A round in which writes rest for longer is told of, though no promise is broken. */
const SLOW_MS = 8_000;

/** @param work may say when it begins in earnest, after what it has to look for first. */
export async function struckBy(work: (begins: () => void) => Promise<unknown>): Promise<Strike> {
  let [atMs, wallMs] = [monotonicNowMs(), Date.now()];
  await work(() => {
    [atMs, wallMs] = [monotonicNowMs(), Date.now()];
  });
  return { atMs, wallMs, doneMs: monotonicNowMs() };
}

/** The step is held open for as long as it takes: writes are missed since its end. */
export async function struckWithLeader(work: () => Promise<unknown>): Promise<Strike> {
  const struck = await struckBy(work);
  return { ...struck, sinceMs: struck.doneMs };
}

/** Plays the round and puts everything back. A failure of the product is a complaint, no error. */
export async function playRound(stage: Stage, record: CaseRecord, plan: RoundPlan): Promise<void> {
  const round = stage.played.length + 1;
  record.rounds += 1;
  const label = `round ${record.rounds} (${plan.name})`;
  const complain = (text: string): void => {
    const kept =
      record.complaintsCount < LOGS_KEPT_MAX
        ? keepLogs(stage, `${record.name}-${record.rounds}`)
        : null;
    record.complain(`${label}: ${text}${kept === null ? "" : `; logs: ${kept}`}`);
    stage.say(`${record.name} ${label}: ${text}`);
  };
  try {
    for (const complaint of await playedRound(stage, record, plan, round)) complain(complaint);
  } catch (error) {
    if (!(error instanceof LabFailure) || isInterrupted()) throw error;
    complain(error.message);
  }
  await putBack(stage);
}

async function playedRound(
  stage: Stage,
  record: CaseRecord,
  plan: RoundPlan,
  round: number,
): Promise<readonly string[]> {
  const { crowd } = stage;
  const standing = {
    primary: await primaryOf(stage.plan),
    leader: await presentLeader(stage.plan),
  };
  const notesCount = commandNotes(stage.plan).length;
  const logs = new NodeLogs(stage.hosts);
  await crowd.beginRound(round, plan.expects !== "switchover");
  await sleep(CALM_MS + Math.random() * CALM_MS);
  const struck = await plan.strike(standing, logs);
  const writtenMs = await writtenAfter(stage, struck);
  await plan.afterwards?.(standing);
  const report = await crowd.endRound();
  stage.played.push({ round, report });
  const judged = await judgeRound(stage, round, report);
  const runs = countRuns(commandNotes(stage.plan).slice(notesCount));
  const noticed = logs.first(NOTICED);
  const times: Times = {
    noticedMs: noticed === null ? null : noticed.wallMs - struck.wallMs,
    againMs: writtenMs === null ? null : writtenMs - (struck.sinceMs ?? struck.atMs),
    stallMs: report.stallMs,
  };
  const who = `${standing.primary.name}, led by ${standing.leader.name}`;
  const counts = `${judged.acknowledged} rows, ${runs.begun} commands`;
  stage.say(
    `${record.name} ${record.rounds} (${plan.name}) of ${who}: ${inWords(plan, times)}, ${counts}`,
  );
  noteTimes(stage, record, plan, times);
  if (stage.logs === "all") {
    const kept = keepLogs(stage, `${record.name}-${record.rounds}`);
    stage.say(`struck at ${new Date(struck.wallMs).toISOString()}; logs: ${kept}`);
  }
  const verdicts = new Verdicts(record);
  judgeData(verdicts, judged);
  judgeCommands(verdicts, plan, runs);
  if (plan.expects === "failover" && writtenMs === null) verdicts.add("no write succeeded again");
  if (plan.strikesNode !== true) judgeClients(verdicts, plan, report);
  return verdicts.complaints;
}

interface Times {
  readonly noticedMs: number | null;
  readonly againMs: number | null;
  readonly stallMs: number;
}

function inWords({ expects }: RoundPlan, { noticedMs, againMs, stallMs }: Times): string {
  const stall = `stall ${Math.round(stallMs)} ms`;
  if (expects !== "failover") return stall;
  const noticed = noticedMs === null ? "not noticed" : `noticed after ${noticedMs} ms`;
  const again =
    againMs === null ? "no write again" : `writes again after ${Math.round(againMs)} ms`;
  return `${noticed}, ${again}, ${stall}`;
}

function noteTimes(stage: Stage, record: CaseRecord, plan: RoundPlan, times: Times): void {
  const { noticedMs, againMs, stallMs } = times;
  const { detected = {}, writes = {}, stall = {} } = plan.targets ?? {};
  if (plan.expects === "failover") {
    record.measure("noticed by a node", detected, noticedMs);
    record.measure("writes again", writes, againMs);
  }
  record.measure("longest stall of writes", stall, stallMs);
  if (plan.expects !== "failover" || againMs === null || againMs <= SLOW_MS) return;
  const kept = keepLogs(stage, `${record.name}-${record.rounds}-slow`);
  const what = `no write for ${Math.round(againMs)} ms`;
  record.remark(`round ${record.rounds} (${plan.name}): ${what}; logs: ${kept}`);
}

async function writtenAfter(stage: Stage, struck: Strike): Promise<number | null> {
  try {
    return await stage.crowd.writeAfter(struck.doneMs, WRITE_WITHIN_MS);
  } catch (error) {
    if (!(error instanceof LabFailure) || isInterrupted()) throw error;
    return null;
  }
}

/** What must not be, counted over all rounds; and of this round, what there was of it. */
class Verdicts {
  readonly complaints: string[] = [];
  readonly #record: CaseRecord;

  constructor(record: CaseRecord) {
    this.#record = record;
  }

  none(promise: string, count: number, complaint: string): void {
    if (this.#record.mustBeNone(promise, count)) this.add(complaint);
  }

  add(complaint: string): void {
    this.complaints.push(complaint);
  }
}

function judgeData(verdicts: Verdicts, { lost, denied }: Judged): void {
  const some = (rows: readonly string[]): string => rows.slice(0, 5).join(" ");
  verdicts.none("acknowledged rows lost", lost.length, `lost: ${some(lost)}`);
  const deniedText = `stored though refused: ${some(denied)}`;
  verdicts.none("rows stored that were said not to be", denied.length, deniedText);
}

function judgeCommands(verdicts: Verdicts, plan: RoundPlan, runs: CommandRuns): void {
  const { begun, concurrent, epochsTwice, afterDone } = runs;
  verdicts.none(
    "failover_commands at the same time",
    concurrent,
    `${concurrent} commands began beside another`,
  );
  verdicts.none("epochs with two failover_commands", epochsTwice, "two commands ran in one epoch");
  verdicts.none(
    "failover_commands after their work was done",
    afterDone,
    "a command ran again although it had done its work",
  );
  if (plan.expects !== "nothing") return;
  const text = `${begun} failover_commands ran`;
  verdicts.none("failovers where nothing had failed", begun, text);
}

function judgeClients(verdicts: Verdicts, plan: RoundPlan, report: RoundReport): void {
  const { idle, open } = report;
  const hit = idle.errorsOfEach.filter((count) => count > 0).length;
  const idleText = `${hit} of ${idle.count} idle sessions met errors: ${listed(idle.errors)}`;
  verdicts.none("idle sessions that met an error", hit, idleText);
  const lostText = `${idle.statesLost} idle sessions lost their state`;
  verdicts.none("idle sessions that lost their state", idle.statesLost, lostText);
  if (plan.expects === "failover") {
    const wrong = open.errorsOfEach.filter((count) => count !== 1).length;
    const openText = `open transactions met ${open.errorsOfEach.join(", ")} errors: ${listed(open.errors)}`;
    verdicts.none("open transactions with other than one error", wrong, openText);
    const more = Math.max(0, report.errorsOfOneMax - 1);
    const moreText = `one client met ${report.errorsOfOneMax} errors: ${listed(report.errors)}`;
    verdicts.none("clients with more than one error", more, moreText);
    return;
  }
  const all = [...report.errors, ...open.errors];
  const count = all.reduce((sum, each) => sum + each.count, 0);
  verdicts.none("errors that clients met", count, `clients met ${listed(all)}`);
}

function listed(errors: RoundReport["errors"]): string {
  const some = errors.map(({ text, count }) => `${count} × ${text}`).slice(0, 6);
  return some.join("; ") || "none";
}
