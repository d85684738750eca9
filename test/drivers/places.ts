/**
 * Where the programs run: PostgreSQL itself, and nodes in front of it in both pool modes, with one
 * server or with a primary and a standby that shares the reads.
 */
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";
import type { Target } from "./program-run.ts";

export const PLACES = {
  session: { mode: "session", isBalanced: false },
  transaction: { mode: "transaction", isBalanced: false },
  "session balanced": { mode: "session", isBalanced: true },
  "transaction balanced": { mode: "transaction", isBalanced: true },
} as const;

export type PlaceName = keyof typeof PLACES;

export const placeNames = Object.keys(PLACES) as readonly PlaceName[];

/** The server connections that the programs of a driver share: one more than there are programs. */
export const poolSize = (programs: number): number => programs + 1;

export interface Stage {
  /** PostgreSQL, past any node. */
  direct(place: PlaceName): Target;
  through(place: PlaceName): Target;
  /** Null while the node runs; else the last words of its log, and another one runs from now on. */
  died(place: PlaceName): Promise<string | null>;
  stop(): Promise<void>;
}

const DATABASE = "drivers";
const USER = "app";
const LOG_CHARACTERS = 3000;

export async function startStage(o: {
  readonly places: readonly PlaceName[];
  /** Programs that run at the same time. */
  readonly programs: number;
}): Promise<Stage> {
  const clusters = new Map<boolean, PostgresCluster>();
  const workers = new Map<PlaceName, WorkerHarness>();
  const stop = async (): Promise<void> => {
    for (const worker of workers.values()) await worker.stop();
    for (const cluster of clusters.values()) await cluster.stop();
  };
  try {
    for (const place of o.places) {
      const { isBalanced, mode } = PLACES[place];
      const postgres = clusters.get(isBalanced) ?? (await startServers(isBalanced));
      clusters.set(isBalanced, postgres);
      workers.set(place, await startNode(postgres, mode, o.programs));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const target = (port: number): Target => ({ port, database: DATABASE, user: USER });
  return {
    direct: (place) => target(clusters.get(PLACES[place].isBalanced)?.servers[0]?.port ?? 0),
    through: (place) => target(workers.get(place)?.port ?? 0),
    async died(place) {
      const { isBalanced, mode } = PLACES[place];
      const [postgres, worker] = [clusters.get(isBalanced), workers.get(place)];
      if (postgres === undefined || worker === undefined) return null;
      const { exitCode, signalCode } = worker.child;
      if (exitCode === null && signalCode === null) return null;
      workers.set(place, await startNode(postgres, mode, o.programs));
      return worker.log().slice(-LOG_CHARACTERS);
    },
    stop,
  };
}

async function startServers(isBalanced: boolean): Promise<PostgresCluster> {
  const postgres = await startPostgres({ standbys: isBalanced ? 1 : 0 });
  try {
    if (isBalanced) {
      // A commit is answered when the standby shows it: so its reads are those of the primary.
      for (const setting of [
        "synchronous_standby_names = '*'",
        "synchronous_commit = remote_apply",
      ]) {
        await postgres.query(0, `alter system set ${setting}`);
      }
      await postgres.query(0, "select pg_reload_conf()");
    }
    await postgres.query(0, `create role ${USER} login`);
    await postgres.query(0, `create database ${DATABASE} owner ${USER}`);
    await postgres.caughtUp();
    return postgres;
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

async function startNode(
  postgres: PostgresCluster,
  mode: string,
  programs: number,
): Promise<WorkerHarness> {
  return startWorker({
    postgres,
    config: [
      "num_init_children = 100",
      "max_pool = 4",
      `pool_mode = ${mode}`,
      `pool_size = ${poolSize(programs)}`,
      "queue_timeout = 20s",
      "max_prepared_statements = 20",
    ],
  });
}
