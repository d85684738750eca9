/** The cluster under test, its crowd, and the files that tell what it did. */
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import { ACCOUNTS, hostsOf, VIP, type Host, type LabPlan } from "../../../scripts/lab.d/layout.ts";
import { waitUntilReady, type Say } from "../../../scripts/lab.d/lifecycle.ts";
import { healPort } from "../../../scripts/lab.d/network-faults.ts";
import { startNode } from "../../../scripts/lab.d/pgquorum-node.ts";
import {
  postmaster,
  roleOf,
  signalServer,
  sql,
  sqlInDatabase,
} from "../../../scripts/lab.d/postgres.ts";
import { processesInNamespace } from "../../../scripts/lab.d/processes.ts";
import { attachServer, startPostgres } from "../../../scripts/lab.d/rejoin.ts";
import { primaryOf } from "../../../scripts/lab.d/roles.ts";
import { waitFor } from "../../../scripts/lab.d/shell.ts";
import { lookAtLab } from "../../../scripts/lab.d/status.ts";
import { parseCommandNotes, type CommandNote } from "./commands.ts";
import type { CrowdLink } from "./crowd/link.ts";
import {
  ACCOUNTS_OF_BRANCH,
  BRANCHES,
  LEDGER,
  TELLERS_OF_BRANCH,
  type CrowdOptions,
  type RoundReport,
} from "./crowd/messages.ts";
import { judge, type Judged } from "./ledger.ts";
import type { LogsKept } from "./options.ts";

export interface Stage {
  readonly plan: LabPlan;
  readonly hosts: readonly Host[];
  readonly crowd: CrowdLink;
  readonly say: Say;
  readonly logs: LogsKept;
  /** Numbers of rounds that wrote, so that rows of all rounds can be compared in the end. */
  readonly played: { readonly round: number; readonly report: RoundReport }[];
}

const FOLLOW_MS = 60_000;
const REJOIN_TRIES_MAX = 3;
/** From one server to the next the leader needs less than the time of these looks. */
const CALM_LOOKS = 4;
const LOOK_EVERY_MS = 100;
const CONNECTIONS = "num_init_children = 200";
const PLACEHOLDERS = `%d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S`;

export function commandsFile(plan: Pick<LabPlan, "directory">): string {
  return join(plan.directory, "failover-commands.log");
}

/** What the nodes of the rounds are told beyond what every lab's nodes are told. */
export function settingsFor(plan: LabPlan, more: readonly string[]): string[] {
  const script = join(plan.repository, "scripts", "failover.sh");
  const counted = join(plan.repository, "test/cluster/failover/counted-failover");
  const env = `env PGQ_COMMANDS=${commandsFile(plan)} PGQ_FAILOVER_SCRIPT=${script}`;
  return [CONNECTIONS, `failover_command = '${env} ${counted} ${PLACEHOLDERS}'`, ...more];
}

export function crowdOptions(rate: number): CrowdOptions {
  const { user, password, database } = ACCOUNTS.application;
  return {
    host: VIP,
    port: 9999,
    user,
    password,
    database,
    tellersCount: 64,
    tellersRate: rate,
    writersCount: 4,
    idleCount: 12,
    openCount: 8,
    statementMs: 15_000,
  };
}

export async function makeTables(plan: LabPlan): Promise<void> {
  const primary = await primaryOf(plan);
  const filled = (table: string, count: number): string[] => [
    `CREATE TABLE ${table} (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 50)`,
    `INSERT INTO ${table} SELECT id, 0 FROM generate_series(0, ${count - 1}) AS id`,
  ];
  await sqlInDatabase(plan, primary, ACCOUNTS.application.database, [
    `SET ROLE ${ACCOUNTS.application.user}`,
    `CREATE TABLE ${LEDGER} (round int, writer int, number int, delta int NOT NULL, PRIMARY KEY (writer, number))`,
    `CREATE INDEX ON ${LEDGER} (round)`,
    ...filled("failover_branches", BRANCHES),
    ...filled("failover_tellers", BRANCHES * TELLERS_OF_BRANCH),
    ...filled("failover_accounts", BRANCHES * ACCOUNTS_OF_BRANCH),
  ]);
}

export function commandNotes(plan: LabPlan): CommandNote[] {
  try {
    return parseCommandNotes(readFileSync(commandsFile(plan), "utf8"));
  } catch {
    return []; // No command has run yet.
  }
}

/** Keeps runs of failover_command waiting at a step until `letGo`. */
export function holdCommands(plan: LabPlan, step: "begin" | "done"): { letGo(): void } {
  const file = join(plan.directory, `hold-${step}`);
  appendFileSync(file, "");
  return { letGo: () => rmSync(file, { force: true }) };
}

/** Rows of these rounds that the one primary has, by `rowKey`. */
export async function storedRows(plan: LabPlan, from: number, to: number): Promise<Set<string>> {
  const ask = `SELECT writer, number FROM ${LEDGER} WHERE round BETWEEN ${from} AND ${to}`;
  return new Set(await askServing(plan, ask));
}

export async function judgeRound(
  stage: Stage,
  round: number,
  report: RoundReport,
): Promise<Judged> {
  // In flight at the round's begin, a row may carry the number of the round before.
  return judge(report.writes, await storedRows(stage.plan, round - 1, round));
}

/** Asks the server that the nodes send writes to, past every node. */
export async function askServing(plan: LabPlan, statement: string): Promise<string[]> {
  const { database } = ACCOUNTS.application;
  return sqlInDatabase(plan, await servingPrimary(plan), database, [statement]);
}

/** Every transaction changes four tables by the same amount, or none of them. */
export async function areSumsEqual(plan: LabPlan): Promise<boolean> {
  const sums = [
    [LEDGER, "delta"],
    ["failover_branches", "balance"],
    ["failover_tellers", "balance"],
    ["failover_accounts", "balance"],
  ].map(([table, column]) => `SELECT coalesce(sum(${column}), 0) AS total FROM ${table}`);
  const ask = `SELECT count(DISTINCT total) FROM (${sums.join(" UNION ALL ")}) AS sums`;
  return (await askServing(plan, ask))[0] === "1";
}

/** Everything that was done to the lab is undone; it is as good as new, perhaps with another primary. */
export async function putBack(stage: Stage): Promise<void> {
  const { plan, hosts } = stage;
  await healPort(null);
  for (const step of ["begin", "done"] as const) holdCommands(plan, step).letGo();
  for (const host of hosts) {
    await signalServer(host, "SIGCONT");
    startNode(plan, host);
  }
  await followed(hosts);
  const primary = await servingPrimary(plan);
  for (const host of hosts) if (host.id !== primary.id) await rejoin(stage, host);
  await waitUntilReady(plan, hosts);
  await waitForStandbys(plan, primary);
}

/** The leader runs follow_primary_command for no server any more: two at once would meet in its data. */
async function followed(hosts: readonly Host[]): Promise<void> {
  const isFollowing = (): boolean =>
    hosts
      .flatMap((host) => processesInNamespace(host.namespace ?? ""))
      .some(({ title }) => title.includes("follow_primary.sh"));
  let calmLooks = 0;
  await waitFor(
    () => {
      calmLooks = isFollowing() ? 0 : calmLooks + 1;
      return calmLooks >= CALM_LOOKS ? true : null;
    },
    FOLLOW_MS,
    LOOK_EVERY_MS,
  );
}

/** The server that the nodes send writes to, whoever else takes some. */
async function servingPrimary(plan: LabPlan): Promise<Host> {
  const id = await waitFor(() => agreedPrimaryId(plan), FOLLOW_MS);
  const primary = id === null ? undefined : hostsOf(plan)[id];
  if (primary !== undefined) return primary;
  throw new LabFailure("the nodes know no primary");
}

async function agreedPrimaryId(plan: LabPlan): Promise<number | null> {
  const { backends } = await lookAtLab(plan);
  return backends.find(({ role }) => role === "primary")?.id ?? null;
}

/** A server that takes writes beside the primary is made a standby of it; so is one that is down. */
async function rejoin(stage: Stage, host: Host): Promise<void> {
  const { plan } = stage;
  for (let tries = 1; ; tries += 1) {
    try {
      if (postmaster(host) !== null && (await roleOf(plan, host)) !== "standby") {
        await signalServer(host, "SIGKILL");
      }
      await startPostgres(plan, host);
      await attachServer(plan, host);
      return;
    } catch (error) {
      if (!(error instanceof LabFailure) || tries === REJOIN_TRIES_MAX) throw error;
      stage.say(`${host.name} does not come back yet: ${error.message}`);
      await sleep(1000);
    }
  }
}

async function waitForStandbys(plan: LabPlan, primary: Host): Promise<void> {
  const count = hostsOf(plan).length - 1;
  const ask = `SELECT application_name, state, sync_state FROM pg_stat_replication`;
  let rows: string[] = [];
  const found = await waitFor(async () => {
    rows = await sql(plan, primary, [ask]);
    const streaming = rows.filter((row) => row.includes("|streaming|"));
    const isSynchronous = rows.some((row) => row.endsWith("|sync"));
    return streaming.length === count && isSynchronous ? true : null;
  }, FOLLOW_MS);
  if (found !== null) return;
  throw new LabFailure(
    `not all ${count} standbys stream from ${primary.name}`,
    `pg_stat_replication: ${rows.join(" ") || "nothing"}`,
  );
}

/** The standby that every commit waits for. */
export async function synchronousStandby(stage: Stage, primary: Host): Promise<Host> {
  const ask = "SELECT application_name FROM pg_stat_replication WHERE sync_state = 'sync'";
  const [name] = await sql(stage.plan, primary, [ask]);
  const standby = stage.hosts.find((host) => host.name === name);
  if (standby !== undefined) return standby;
  throw new LabFailure(`no standby of ${primary.name} is synchronous`);
}

/** Copies the logs of all hosts to where a person finds them after the lab is gone. */
export function keepLogs(stage: Stage, name: string): string {
  const kept = join("/var/tmp", `pgquorum-failover-${process.pid}`, name);
  mkdirSync(kept, { recursive: true });
  for (const host of stage.hosts) cpSync(host.log, join(kept, host.name), { recursive: true });
  const commands = commandsFile(stage.plan);
  appendFileSync(commands, "");
  cpSync(commands, join(kept, "failover-commands.log"));
  return kept;
}
