/**
 * Other clients of the same pool. They leave as much as they may behind on every server connection
 * they get: settings, prepared statements of common names, failed transactions. None of it may reach
 * the programs that are compared.
 */
import pg from "pg";
import type { Target } from "./program-run.ts";

export interface Stirrer {
  /** Ends them, and says what went wrong with one of them. */
  stop(): Promise<readonly string[]>;
}

const CLIENTS = 3;

export function startStirrer(target: Target): Stirrer {
  const over = { isOver: false };
  const errors: string[] = [];
  const clients = Array.from({ length: CLIENTS }, async (_, id) => {
    while (!over.isOver) {
      const client = new pg.Client({ ...target, host: "127.0.0.1" });
      client.on("error", () => undefined);
      try {
        await client.connect();
        for (let turn = 0; turn < 20 && !over.isOver; turn += 1) {
          await stir(client, id, turn);
          await pause(5);
        }
      } catch (error) {
        errors.push(`client ${id}: ${String(error)}`);
        over.isOver = true;
      }
      await client.end().catch(() => undefined);
    }
  });
  return {
    async stop() {
      over.isOver = true;
      await Promise.all(clients);
      return errors;
    },
  };
}

async function stir(client: pg.Client, id: number, turn: number): Promise<void> {
  const zone = ["Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham"][id] ?? "UTC";
  if (turn === 0) {
    await client.query(`set timezone = '${zone}'; set datestyle = 'SQL, DMY'`);
    await client.query(`set search_path = pg_catalog; set application_name = 'stirrer ${id}'`);
    await client.query("set work_mem = '1MB'; set my.own = 'of the stirrer'");
    await client.query("prepare get as select 'of the stirrer'");
  }
  const name = ["s", "get", "all", "same", "q1"][turn % 5] ?? "s";
  const text = `select ${id * 1000 + turn} as n, current_setting('TimeZone') as zone, $1::text as t`;
  await client.query("begin");
  const { rows } = await client.query<{ n: number; zone: string; t: string }>({
    name: `${name}${turn}`,
    text,
    values: ["stirred"],
  });
  const row = rows[0];
  if (row?.n !== id * 1000 + turn || row.zone !== zone || row.t !== "stirred") {
    throw new Error(`another's answer: ${JSON.stringify(rows)}`);
  }
  if (turn % 4 === 3) await client.query("select 1/0").catch(() => undefined);
  await client.query(turn % 2 === 0 ? "commit" : "rollback");
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
