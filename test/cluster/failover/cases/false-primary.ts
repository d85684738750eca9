/**
 * `detach_false_primary`: standbys that lag, that follow another standby or whose receiver comes and
 * goes are no reason to take anybody out; a second server that takes writes is one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ACCOUNTS, type Host } from "../../../../scripts/lab.d/layout.ts";
import { sql } from "../../../../scripts/lab.d/postgres.ts";
import { waitFor } from "../../../../scripts/lab.d/shell.ts";
import { lookAtLab } from "../../../../scripts/lab.d/status.ts";
import { LabFailure } from "../../../../scripts/lab.d/failure.ts";
import type { CaseRecord } from "../figures.ts";
import { playRound, struckBy, type RoundPlan, type Standing } from "../round.ts";
import type { Stage } from "../stage.ts";
import type { Case, CaseOptions } from "./case.ts";

/** `sr_check_period` of the lab's profile. */
const PERIOD_MS = 1_000;
const PERIODS_WATCHED = 2.5;
const DETACHED_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 20;
const FOLLOWS_MS = 20_000;

export const FALSE_PRIMARY: Case = {
  about: "lagging, cascading and restarted receivers; and each fourth round a second primary",
  roundsUsual: 4,
  settings: ["detach_false_primary = on", "sr_check_period = 1"],
  async play(stage, record, options) {
    const kinds = [lagging, cascading, restarted, second];
    for (let count = 0; count < options.rounds && !options.isOver(); count += 1) {
      const kind = kinds[count % kinds.length] ?? lagging;
      await playRound(stage, record, kind(stage, record, options));
    }
  },
};

type Kind = (stage: Stage, record: CaseRecord, options: CaseOptions) => RoundPlan;

/** What it has received it does not replay. */
const lagging: Kind = (stage, record, { dice }) => ({
  name: "a standby lags",
  expects: "nothing",
  strike: async (standing) => {
    const standby = oneOf(standbysOf(stage, standing), dice());
    const struck = await struckBy(() => sql(stage.plan, standby, ["SELECT pg_wal_replay_pause()"]));
    await watched(stage, record);
    await sql(stage.plan, standby, ["SELECT pg_wal_replay_resume()"]);
    return struck;
  },
});

/** The last standby follows the first one instead of the primary. */
const cascading: Kind = (stage, record) => ({
  name: "a standby follows a standby",
  expects: "nothing",
  strike: async (standing) => {
    const [first, last] = standbysOf(stage, standing);
    const struck = await struckBy(() => follow(stage, last, first));
    await watched(stage, record);
    await follow(stage, last, standing.primary);
    return struck;
  },
});

/** The receiver of a standby ends, and comes back. */
const restarted: Kind = (stage, record, { dice }) => ({
  name: "a standby's receiver restarts",
  expects: "nothing",
  strike: async (standing) => {
    const standby = oneOf(standbysOf(stage, standing), dice());
    const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_wal_receiver";
    const struck = await struckBy(() => sql(stage.plan, standby, [end]));
    await watched(stage, record);
    return struck;
  },
});

/** A standby is promoted behind everybody's back. */
const second: Kind = (stage, record) => ({
  name: "a second primary",
  expects: "detach",
  strike: async (standing) => {
    const [, last] = standbysOf(stage, standing);
    const struck = await struckBy(() => sql(stage.plan, last, ["SELECT pg_promote()"]));
    const beganMs = performance.now();
    const isDown = async (): Promise<true | null> =>
      (await downHosts(stage)).includes(last.name) ? true : null;
    const found = await waitFor(isDown, DETACHED_WITHIN_MS, LOOK_EVERY_MS);
    if (found === null) throw new LabFailure(`${last.name} was promoted and is not detached`);
    const target = { max: 2 * PERIOD_MS };
    record.measure("second primary detached", target, performance.now() - beganMs);
    const others = (await downHosts(stage)).filter((name) => name !== last.name);
    record.mustBeNone("wrong detaches", others.length);
    return struck;
  },
});

/** Looks until so many periods are over who is taken out. */
async function watched(stage: Stage, record: CaseRecord): Promise<void> {
  const endMs = performance.now() + PERIODS_WATCHED * PERIOD_MS;
  const seen = new Set<string>();
  while (performance.now() < endMs) {
    for (const name of await downHosts(stage)) seen.add(name);
    await sleep(LOOK_EVERY_MS);
  }
  if (record.mustBeNone("wrong detaches", seen.size)) {
    throw new LabFailure(`${[...seen].join(" and ")} was taken out, and is in order`);
  }
}

async function downHosts({ plan }: Stage): Promise<string[]> {
  const { backends } = await lookAtLab(plan);
  return backends.filter(({ status }) => !/^(up|waiting)$/.test(status)).map(({ host }) => host);
}

function standbysOf(stage: Stage, { primary }: Standing): [Host, Host] {
  const [first, last] = stage.hosts.filter(({ id }) => id !== primary.id);
  if (first === undefined || last === undefined) throw new LabFailure("two standbys are needed");
  return [first, last];
}

function oneOf([first, last]: readonly [Host, Host], dice: number): Host {
  return dice < 0.5 ? first : last;
}

/** Points a standby to another server; the slot of its name is on the primary alone. */
async function follow({ plan, hosts }: Stage, standby: Host, source: Host): Promise<void> {
  const user = ACCOUNTS.replication.user;
  const conninfo = `host=${source.address} port=${source.ports.postgres} user=${user}`;
  const isPrimary = (await sql(plan, source, ["SELECT pg_is_in_recovery()"]))[0] === "f";
  const slot = isPrimary ? `pgquorum_${hosts.indexOf(standby)}` : "";
  await sql(plan, standby, [
    `ALTER SYSTEM SET primary_slot_name = '${slot}'`,
    `ALTER SYSTEM SET primary_conninfo = '${conninfo}'`,
    "SELECT pg_reload_conf()",
  ]);
  const ask = `SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' AND sender_host = '${source.address}'`;
  const streams = async (): Promise<true | null> =>
    (await sql(plan, standby, [ask]))[0] === "1" ? true : null;
  if ((await waitFor(streams, FOLLOWS_MS)) !== null) return;
  throw new LabFailure(`${standby.name} does not stream from ${source.name}`);
}
