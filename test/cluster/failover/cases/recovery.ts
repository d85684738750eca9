/** A standby whose data are gone is made anew under load, and takes its share of reads again. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LabFailure } from "../../../../scripts/lab.d/failure.ts";
import { environmentOf, insideHost } from "../../../../scripts/lab.d/inside.ts";
import { files, type Host } from "../../../../scripts/lab.d/layout.ts";
import { psqlEnvironment, psqlWords } from "../../../../scripts/lab.d/lifecycle.ts";
import { signalServer, sql, sqlInDatabase } from "../../../../scripts/lab.d/postgres.ts";
import { run, tryRun, waitFor } from "../../../../scripts/lab.d/shell.ts";
import { lookAtLab } from "../../../../scripts/lab.d/status.ts";
import type { CaseRecord } from "../figures.ts";
import { playRound, struckBy, type Standing } from "../round.ts";
import type { Stage } from "../stage.ts";
import type { Case } from "./case.ts";

const DOWN_MS = 30_000;
const RECOVER_MS = 120_000;
const BALANCED_MS = 20_000;
const LOOK_EVERY_MS = 20;

export const RECOVERY: Case = {
  about: "a standby is killed, its data are removed, and pgquorum recover brings it back",
  roundsUsual: 1,
  settings: ["recovery_user = 'postgres'"],
  missing(plan) {
    const version = plan.postgresBin.split("/").at(-2);
    const control = `/usr/share/postgresql/${version}/extension/pgpool_recovery.control`;
    return existsSync(control) ? null : `postgresql-${version}-pgpool2 is not installed`;
  },
  async play(stage, record, { rounds, isOver }) {
    for (let count = 0; count < rounds && !isOver(); count += 1) {
      await playRound(stage, record, {
        name: "online recovery",
        expects: "detach",
        strike: (standing) => struckBy(() => loseAndRecover(stage, record, standing)),
      });
    }
  },
};

async function loseAndRecover(
  stage: Stage,
  record: CaseRecord,
  { primary, leader }: Standing,
): Promise<void> {
  const { plan, hosts } = stage;
  const standby = hosts.findLast(({ id }) => id !== primary.id) ?? primary;
  for (const database of ["template1", "postgres"]) {
    const create = ["CREATE EXTENSION IF NOT EXISTS pgpool_recovery"];
    await sqlInDatabase(plan, primary, database, create);
  }
  await signalServer(standby, "SIGKILL");
  rmSync(standby.pgdata, { recursive: true, force: true });
  await isTakenOut(stage, standby);
  const beganMs = performance.now();
  const caughtUp = caughtUpMs(stage, primary, standby);
  const program = join(plan.repository, "bin", "pgquorum");
  const words = [program, "recover", String(standby.id), "-f", files.pgpoolConf(leader)];
  await run(insideHost(leader, words), {
    env: environmentOf(plan, leader),
    timeoutMs: RECOVER_MS,
  });
  record.measure("recovered", {}, performance.now() - beganMs);
  await readsFrom(stage, standby);
  const balancedMs = performance.now() - (await caughtUp);
  record.measure("balanced again after catch-up", { max: 2_000 }, balancedMs);
}

async function isTakenOut({ plan }: Stage, standby: Host): Promise<void> {
  const isOut = async (): Promise<true | null> => {
    const { backends } = await lookAtLab(plan);
    return backends.some(({ id, status }) => id === standby.id && status === "down") ? true : null;
  };
  if ((await waitFor(isOut, DOWN_MS, LOOK_EVERY_MS)) !== null) return;
  throw new LabFailure(`${standby.name} was killed and is not taken out`);
}

/** When it had replayed all that the primary had sent to it. */
async function caughtUpMs({ plan }: Stage, primary: Host, standby: Host): Promise<number> {
  const ask = `SELECT count(*) FROM pg_stat_replication WHERE application_name = '${standby.name}' AND state = 'streaming' AND replay_lsn IS NOT NULL`;
  const streams = async (): Promise<number | null> =>
    (await sql(plan, primary, [ask]))[0] === "1" ? performance.now() : null;
  const atMs = await waitFor(streams, RECOVER_MS, LOOK_EVERY_MS);
  if (atMs !== null) return atMs;
  throw new LabFailure(`${standby.name} does not stream from ${primary.name}`);
}

/** Asks through the virtual IP until an answer came from this server. */
async function readsFrom({ plan }: Stage, server: Host): Promise<void> {
  const words = psqlWords(plan, ["-XAtqc", "SELECT inet_server_addr()"]);
  const env = psqlEnvironment(plan);
  const isAnswering = async (): Promise<true | null> => {
    const { stdout } = await tryRun(words, { env, timeoutMs: 5_000 });
    return stdout.trim() === server.address ? true : null;
  };
  if ((await waitFor(isAnswering, BALANCED_MS, LOOK_EVERY_MS)) !== null) return;
  throw new LabFailure(`no read came to ${server.name} within ${BALANCED_MS / 1000} s`);
}
