/**
 * Random pipelines of a client that PostgreSQL accepts: every kind of message, in orders that no
 * driver sends, with errors at random places. One unit is what only makes sense together, so that
 * a failing pipeline can be made small by leaving units out.
 */
import { Random } from "../sim/random.ts";
import { say } from "./raw-client.ts";

export interface Unit {
  /** For a person who reads a failure. */
  readonly text: string;
  readonly messages: readonly Buffer[];
}

export interface PipelineOptions {
  readonly seed: number;
  readonly messages: number;
  /** A table of this pipeline alone; also its channel of NOTIFY and its number for locks. */
  readonly table: string;
  /** There is one server, so that what was written can be read outside a transaction. */
  readonly readsOwnWrites: boolean;
}

const READS = [
  "select 1",
  "select a, b from fixed order by a limit 7",
  "select count(*) from fixed",
  "values (1), (2)",
  "select 1/0",
  "select nothing from fixed",
  "select repeat('x', 20000) from fixed limit 3",
  "select a, 10 / (a - 5) from fixed order by a",
  "",
  "  ",
  "-- nothing",
];

const COMMANDS = [
  "insert into TABLE values (1, 'x') on conflict (a) do update set b = 'x'",
  "insert into TABLE values (1, 'twice'), (1, 'twice')",
  "delete from TABLE where a = 1",
  // Several rows would come in the order of the heap, which is not the same every time.
  "update TABLE set b = b || 'y' where a = (select min(a) from TABLE) returning a",
  "select broken from",
  "do $$ begin raise notice 'from a block'; end $$",
  "do $$ begin raise exception 'from a block'; end $$",
  "copy fixed to stdout",
  "copy (select 1/0) to stdout",
  "create temp table scratch_TABLE (a int)",
  "drop table if exists scratch_TABLE",
];

const ISOLATED = "start transaction isolation level repeatable read";
const TRANSACTIONS = [
  "begin",
  "begin",
  "commit",
  "commit",
  "rollback",
  "savepoint s",
  "rollback to savepoint s",
  "release savepoint s",
  "commit and chain",
  ISOLATED,
  "declare c cursor for select a from fixed order by a",
  "declare h cursor with hold for select a from fixed order by a",
  "fetch 2 from c",
  "fetch 2 from h",
  "close c",
  "close all",
];

const SETTINGS = [
  "set datestyle = 'ISO, DMY'",
  "set datestyle = 'nonsense'",
  "select set_config('datestyle', 'SQL, DMY', false)",
  "set local work_mem = '1MB'",
  "set work_mem = '2MB'",
  "set application_name = 'pipeline'",
  "set search_path = public, pg_catalog",
  "set a.custom = 'it''s'",
  "set time zone 'Asia/Tokyo'",
  "reset datestyle",
  "reset all",
  "show datestyle",
  "show work_mem",
  "show search_path",
  // After a reset PostgreSQL keeps an empty value of a name with a dot.
  "select nullif(current_setting('a.custom', true), ''), '2020-02-03'::date",
  "select pg_advisory_lock(KEY)",
  "select pg_advisory_unlock(KEY)",
  "listen TABLE",
  "unlisten *",
  "notify TABLE, 'hello'",
];

/** SQL executes none that was parsed as s3. */
const PREPARED = [
  "prepare q1 as select 11",
  "prepare q2 as select 12",
  "prepare s1 as select 21",
  "execute q1",
  "execute s1",
  "execute s2",
  "deallocate q1",
  "deallocate s1",
  "deallocate s3",
  "deallocate all",
  "discard plans",
  "discard all",
];

export function drawPipeline(o: PipelineOptions): Unit[] {
  const drawer = new Drawer(o);
  const units: Unit[] = [];
  let count = 0;
  while (count < o.messages) {
    const unit = drawer.unit();
    units.push(unit);
    count += unit.messages.length;
  }
  return units;
}

class Drawer {
  readonly #random: Random;
  readonly #o: PipelineOptions;

  constructor(o: PipelineOptions) {
    this.#random = new Random(o.seed);
    this.#o = o;
  }

  unit(): Unit {
    const random = this.#random;
    const name = random.pick(["", "", "s1", "s2", "s3"]);
    const portal = random.pick(["", "", "p", "p2"]);
    switch (random.below(20)) {
      case 0:
      case 1:
        return this.#query();
      case 2:
      case 3:
        return this.#parse(name);
      case 4:
        return unit(`bind "" ${name}; execute`, say.bind("", name), say.execute());
      case 5:
        return unit(
          `bind ${portal} ${name}; describe; execute 3`,
          say.bind(portal, name),
          say.describe("P", portal),
          say.execute(portal, 3),
        );
      case 6:
        return unit(`describe S ${name}`, say.describe("S", name));
      case 7:
        return unit(`close S ${name}`, say.close("S", name));
      case 8:
        return unit(`close P ${portal}`, say.close("P", portal));
      case 9:
        return unit("flush", say.flush());
      case 10:
        return this.#executeAgain(portal, name);
      case 11:
        return this.#functionCall();
      case 12:
        return this.#copying();
      case 13:
      case 14:
        return this.#whole();
      case 15:
        return this.#withParameters(name);
      default:
        return unit("sync", say.sync());
    }
  }

  #text(): string {
    const random = this.#random;
    const { table, readsOwnWrites } = this.#o;
    const reads = readsOwnWrites
      ? [
          ...READS,
          "select count(*), min(b) from TABLE",
          "select a from TABLE order by a for update",
        ]
      : READS;
    const kinds = [reads, reads, reads, COMMANDS, TRANSACTIONS, SETTINGS, PREPARED];
    const key = `${Number.parseInt(table.replaceAll(/\D/g, "") || "0", 10)}`;
    return random.pick(random.pick(kinds)).replaceAll("TABLE", table).replaceAll("KEY", key);
  }

  #query(): Unit {
    const count = this.#random.pick([1, 1, 1, 1, 2, 3]);
    const text = Array.from({ length: count }, () => this.#text()).join("; ");
    return this.#apart(text, unit(`query ${text}`, say.query(text)));
  }

  /**
   * The level may not be set behind a snapshot. A Describe of a statement takes one where the plan is
   * outdated, by a change of search_path, say; of a statement that another server gets for that
   * Describe it never is. So nothing unfinished is in front of it.
   */
  #apart(sql: string, { text, messages }: Unit): Unit {
    return sql.includes(ISOLATED)
      ? unit(`sync; ${text}`, say.sync(), ...messages)
      : { text, messages };
  }

  #parse(name: string): Unit {
    const text = this.#text().replace(ISOLATED, "start transaction");
    if (isFetch(text)) return this.#fetch(text);
    // PostgreSQL ends the session that has EXECUTE do what belongs to transactions.
    if (TRANSACTIONS.includes(text) && name !== "") return this.#parseAs("s3", text);
    return this.#parseAs(name, text);
  }

  #parseAs(name: string, text: string): Unit {
    return unit(`parse "${name}" ${text}`, say.parse(name, text));
  }

  #whole(): Unit {
    const text = this.#text();
    const messages = [say.parse("", text), say.bind("", ""), say.describe("P", ""), say.execute()];
    const replaced = isFetch(text) ? [say.parse("", "select 'instead'"), say.sync()] : [];
    const name = `parse, bind, describe, execute, sync: ${text}`;
    return this.#apart(text, unit(name, ...messages, say.sync(), ...replaced));
  }

  /**
   * PostgreSQL 15 crashes when a FETCH is described whose cursor is gone: so it has a name of its
   * own, which nobody describes.
   */
  #fetch(text: string): Unit {
    const name = "fetcher";
    return unit(
      `parse "${name}" ${text}; bind; execute`,
      ...(this.#random.chance(0.5) ? [say.close("S", name)] : []),
      say.parse(name, text),
      say.bind("", name),
      say.execute(),
    );
  }

  #withParameters(name: string): Unit {
    const random = this.#random;
    const text = "select $1::int + 1, $2::text";
    const values = random.pick([["1", "x"], ["no number", null], ["7"], [null, "y"]]);
    return unit(
      `parse "${name}" ${text}; bind ${JSON.stringify(values)}`,
      ...(random.chance(0.5) ? [say.close("S", name)] : []),
      say.parse(name, text),
      say.bind("", name, values),
      say.execute(),
    );
  }

  /**
   * The unnamed portal has to be bound right before: what a Query that failed in a transaction has
   * left of its own is memory that PostgreSQL 15 has freed, and it may crash at its Execute.
   */
  #executeAgain(portal: string, name: string): Unit {
    if (portal !== "") return unit(`execute ${portal} 2`, say.execute(portal, 2));
    return unit(
      `bind "" ${name}; execute 1; flush; execute 2`,
      say.bind("", name),
      say.execute("", 1),
      say.flush(),
      say.execute("", 2),
    );
  }

  /** int4pl(1, 2), or a function that does not exist. */
  #functionCall(): Unit {
    if (this.#random.chance(0.5)) return unit("function 1", say.functionCall(1));
    const body = Buffer.from([0, 0, 0, 177, 0, 0, 0, 2, 0, 0, 0, 1, 0x31, 0, 0, 0, 1, 0x32, 0, 0]);
    return unit("function int4pl(1, 2)", say.any("F", body));
  }

  /**
   * A COPY FROM STDIN with its data. Anything but data would make PostgreSQL close the connection
   * with a reset, which may overtake its answers.
   */
  #copying(): Unit {
    const random = this.#random;
    const key = random.below(1000);
    const sql = `copy ${this.#o.table} from stdin`;
    // Under a name of its own: it must not be executed again without data.
    const extended = [say.parse("copier", sql), say.bind("", "copier"), say.execute()];
    const behind = [say.query(`${sql}; select 'behind'`)];
    const start = random.pick([[say.query(sql)], behind, extended, [...extended, say.sync()], []]);
    const data = say.copyData(random.chance(0.25) ? "no number" : `${key}\tcopied\n`);
    const between = random.pick([[], [], [say.flush()], [say.sync()]]);
    const end = random.chance(0.25) ? say.copyFail("changed my mind") : say.copyDone();
    const more = say.copyData(`${key + 1}\tmore\n`);
    return unit(`copy (${start.length})`, ...start, data, ...between, more, end);
  }
}

function isFetch(text: string): boolean {
  return text.startsWith("fetch");
}

function unit(text: string, ...messages: readonly Buffer[]): Unit {
  return { text, messages };
}
