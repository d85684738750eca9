/** One round: the crowd works, something is done to the servers or nodes, and all is compared. */
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import type { Host } from "../../../scripts/lab.d/layout.ts";
import { presentLeader, primaryOf } from "../../../scripts/lab.d/roles.ts";
import { isInterrupted } from "../../../scripts/lab.d/shell.ts";
import { monotonicNowMs } from "../../../src/os/index.ts";
import { countRuns } from "./commands.ts";
import type { RoundReport, SessionsReport } from "./crowd/messages.ts";
import type { CaseRecord, Target } from "./figures.ts";
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
}

export interface RoundPlan {
  /** For complaints and the names of kept logs. */
  readonly name: string;
  /** Whether the primary has to be replaced, or nothing may happen. */
  readonly expects: "failover" | "nothing";
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

export async function struckBy(work: () => Promise<unknown>): Promise<Strike> {
  const [atMs, wallMs] = [monotonicNowMs(), Date.now()];
  await work();
  return { atMs, wallMs, doneMs: monotonicNowMs() };
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
): Promise<string[]> {
  const { crowd, say } = stage;
  const standing = {
    primary: await primaryOf(stage.plan),
    leader: await presentLeader(stage.plan),
  };
  const notesCount = commandNotes(stage.plan).length;
  const logs = new NodeLogs(stage.hosts);
  await crowd.beginRound(round);
  await sleep(CALM_MS + Math.random() * CALM_MS);
  const struck = await plan.strike(standing, logs);
  const writtenMs = await writtenAfter(stage, struck);
  await plan.afterwards?.(standing);
  const report = await crowd.endRound();
  stage.played.push({ round, report });
  const judged = await judgeRound(stage, round, report);
  const runs = countRuns(commandNotes(stage.plan).slice(notesCount));
  const noticed = logs.first(NOTICED);
  const detectedMs = noticed === null ? null : noticed.wallMs - struck.wallMs;
  if (plan.expects === "failover") {
    record.measure("noticed by a node", plan.targets?.detected ?? {}, detectedMs);
    const againMs = writtenMs === null ? null : writtenMs - struck.doneMs;
    record.measure("writes again", plan.targets?.writes ?? {}, againMs);
  }
  record.measure("longest stall of writes", plan.targets?.stall ?? {}, report.stallMs);
  const again =
    writtenMs === null
      ? "no write again"
      : `writes again after ${Math.round(writtenMs - struck.doneMs)} ms`;
  say(
    `${record.name} ${record.rounds} (${plan.name}) of ${standing.primary.name}, led by ${standing.leader.name}: noticed after ${detectedMs ?? "-"} ms, ${again}, stall ${Math.round(report.stallMs)} ms, ${judged.acknowledged} rows, ${runs.begun} commands`,
  );
  const complaints: string[] = [];
  const none = (promise: string, count: number, detail: string): void => {
    if (record.mustBeNone(promise, count)) complaints.push(detail);
  };
  none("acknowledged rows lost", judged.lost.length, `lost ${judged.lost.slice(0, 5).join(" ")}`);
  none(
    "rows stored that were said not to be",
    judged.denied.length,
    `stored though refused: ${judged.denied.slice(0, 5).join(" ")}`,
  );
  none(
    "failover_commands at the same time",
    runs.concurrent,
    `${runs.concurrent} commands began beside another`,
  );
  none(
    "epochs in which a command did its work twice",
    Math.max(0, runs.doneOfOneEpochMax - 1),
    `a command ran ${runs.doneOfOneEpochMax} times to its end in one epoch`,
  );
  if (plan.expects === "failover" && writtenMs === null)
    complaints.push("no write succeeded again");
  if (plan.expects === "nothing") {
    none("failovers where nothing had failed", runs.begun, `${runs.begun} failover_commands ran`);
  }
  complaints.push(...sessionComplaints(record, plan, report));
  return complaints;
}

async function writtenAfter(stage: Stage, struck: Strike): Promise<number | null> {
  try {
    return await stage.crowd.writeAfter(struck.doneMs, WRITE_WITHIN_MS);
  } catch (error) {
    if (!(error instanceof LabFailure) || isInterrupted()) throw error;
    return null;
  }
}

function sessionComplaints(record: CaseRecord, plan: RoundPlan, report: RoundReport): string[] {
  if (plan.strikesNode === true) return [];
  const { idle, open } = report;
  const complaints: string[] = [];
  const none = (promise: string, count: number, detail: string): void => {
    if (record.mustBeNone(promise, count)) complaints.push(detail);
  };
  const idleErrors = idle.errorsOfEach.filter((count) => count > 0).length;
  none(
    "idle sessions that met an error",
    idleErrors,
    `${idleErrors} of ${idle.count} idle sessions met errors: ${inWords(idle)}`,
  );
  none(
    "idle sessions that lost their state",
    idle.statesLost,
    `${idle.statesLost} idle sessions lost their state`,
  );
  if (plan.expects === "failover") {
    const wrong = open.errorsOfEach.filter((count) => count !== 1).length;
    none(
      "open transactions with other than one error",
      wrong,
      `open transactions met ${open.errorsOfEach.join(", ")} errors: ${inWords(open)}`,
    );
    const more = Math.max(0, report.errorsOfOneMax - 1);
    none(
      "clients with more than one error",
      more,
      `one client met ${report.errorsOfOneMax} errors: ${countsInWords(report.errors)}`,
    );
    return complaints;
  }
  const errors = report.errors.reduce((sum, { count }) => sum + count, 0);
  const openErrors = open.errorsOfEach.reduce((sum, count) => sum + count, 0);
  none(
    "errors that clients met",
    errors + openErrors,
    `clients met ${countsInWords([...report.errors, ...open.errors])}`,
  );
  return complaints;
}

function inWords({ errors }: SessionsReport): string {
  return countsInWords(errors);
}

function countsInWords(errors: RoundReport["errors"]): string {
  return (
    errors
      .map(({ text, count }) => `${count} × ${text}`)
      .slice(0, 6)
      .join("; ") || "none"
  );
}
