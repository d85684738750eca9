// postgres.js shows the features; see test/drivers/features.ts. It sends what it is asked for at once,
// without waiting for the answers before.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";
import { show, text } from "./show.mjs";

const tag = process.env.DRIVER_TAG;
const table = (name) => `${name}_${tag}`;

function open(options = {}) {
  return postgres({ max: 1, onnotice: () => undefined, fetch_types: false, ...options });
}

async function withClient(work, options) {
  const sql = open(options);
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 2 });
  }
}

const rows = (result) => result.map((row) => text(Object.values(row))).join(" | ");

async function attempt(print, label, work) {
  try {
    const value = await work();
    print(label, Array.isArray(value) ? rows(value) : (value ?? "done"));
  } catch (error) {
    const { code, severity, message, position, detail, hint, constraint_name, column_name } = error;
    const about = { severity, position, detail, hint, constraint_name, column_name };
    // The driver's own errors name the server's port.
    print(label, code ?? error.name, severity ? message : "", severity ? about : "");
  }
}

const until = (test) =>
  new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!test()) return;
      clearInterval(timer);
      resolve();
    }, 10);
  });

await show({
  async connect(print) {
    for (let round = 0; round < 4; round += 1) {
      await withClient(async (sql) =>
        print(rows(await sql`select current_user, current_database()`)),
      );
    }
    await withClient(
      async (sql) => {
        print(rows(await sql`show application_name`), rows(await sql`show work_mem`));
        print(sql.parameters.server_version, sql.parameters.TimeZone);
      },
      { connection: { application_name: `app ${tag}`, work_mem: "3MB" } },
    );
    await attempt(print, "no such database", () =>
      withClient((sql) => sql`select 1`, { database: `none_${tag}` }),
    );
    await attempt(print, "no such user", () =>
      withClient((sql) => sql`select 1`, { username: `none_${tag}` }),
    );
    await withClient(
      async (sql) => {
        const all = Array.from({ length: 60 }, (_, i) => sql`select ${i}::int * 2 as n`);
        print((await Promise.all(all)).map(([row]) => row.n));
      },
      { max: 8 },
    );
  },

  async simple(print) {
    await withClient(async (sql) => {
      print(rows(await sql`select 1 as a, 'x' as b, null as c, true as d, 1.5::float8 as e`));
      const several = await sql`select 1 as a; select 2 as a union select 3 order by 1`.simple();
      print(several.map((result) => rows(result)));
      print(rows(await sql`select i, repeat('x', i) as r from generate_series(1, 20) i`.simple()));
      await attempt(print, "half", () => sql`select 1; select 1/0; select 2`.simple());
      print(rows(await sql.unsafe("select 5 as five")));
      const described = await sql`select ${1}::int as a, now() as b`.describe();
      print(
        described.types,
        described.columns.map((column) => [column.name, column.type]),
      );
    });
  },

  async parameters(print) {
    await withClient(async (sql) => {
      print(rows(await sql`select ${7}::int as a, ${"sieben"}::text as b, ${7.25}::float8 as c`));
      print(rows(await sql`select ${null}::text is null as n, ${"{1,2,3}"}::int[] as a`));
      print(rows(await sql`select ${sql.json({ a: [1, "b"] })} as j`));
      print(rows(await sql`select ${"'; drop table x; -- $1 \\ \" ' select"}::text as t`));
      print(rows(await sql`select ${Buffer.from([0, 1, 255, 39, 92])}::bytea as b, ${true} as d`));
      print(rows(await sql`select ${new Date(0)}::timestamptz as t`));
      await attempt(print, "bad", () => sql`select ${"no number"}::int as n`);
      const words = ["a", "b", "c"];
      print(rows(await sql`select t from (values ('a'), ('z')) v (t) where t in ${sql(words)}`));
    });
  },

  async prepared(print) {
    await withClient(async (sql) => {
      for (let i = 0; i < 10; i += 1) print(rows(await sql`select ${i}::int + 10 as n`));
      await attempt(print, "bad", () => sql`selec ${1}`);
      await attempt(print, "bad again", () => sql`selec ${1}`);
      await sql.begin(async (tx) => print(rows(await tx`select ${"in"}::text as t`)));
      await attempt(print, "rolled back", () =>
        sql.begin(async (tx) => {
          print(rows(await tx`select ${"new"}::text as fresh`));
          await tx`select 1/0`;
        }),
      );
      print(rows(await sql`select ${"later"}::text as fresh`));
      await sql`deallocate all`.simple();
      print(rows(await sql`select 1 as one`.simple()));
    });
    await withClient(
      async (sql) => {
        for (let i = 0; i < 3; i += 1) print(rows(await sql`select ${i}::int + 10 as n`));
      },
      { prepare: false },
    );
  },

  async "many-prepared"(print) {
    await withClient(async (sql) => {
      for (let round = 0; round < 3; round += 1) {
        const all = Array.from({ length: 80 }, (_, i) =>
          sql.unsafe(`select $1::int + ${i} as n, '${tag}' as t`, [round], { prepare: true }),
        );
        print(
          round,
          (await Promise.all(all)).reduce((sum, [row]) => sum + row.n, 0),
        );
      }
    });
  },

  async pipeline(print) {
    await withClient(async (sql) => {
      const asked = Array.from({ length: 300 }, (_, i) =>
        sql`select ${i}::int / ${i % 50 === 49 ? 0 : 1}::int as n`.then(
          ([row]) => row.n,
          (error) => error.code,
        ),
      );
      print(await Promise.all(asked));
      const name = table("pipe");
      await sql.unsafe(`create table ${name} (id int primary key, word text)`);
      const result = await sql.begin((tx) =>
        Array.from(
          { length: 40 },
          (_, i) => tx`insert into ${tx(name)} ${tx({ id: i, word: `w${i}` })}`,
        ),
      );
      print(result.length, rows(await sql`select count(*)::int, sum(id)::int from ${sql(name)}`));
      const mixed = [
        sql`select 1 as a`,
        sql`select 2 as a`.simple(),
        sql`insert into ${sql(name)} values (1, 'double')`,
        sql`select ${3}::int as a`,
        sql`selec 4`,
        sql`select ${5}::int as a`,
      ];
      print((await Promise.allSettled(mixed)).map((one) => one.value?.[0]?.a ?? one.reason?.code));
      await sql`drop table ${sql(name)}`;
    });
  },

  async transactions(print) {
    await withClient(async (sql) => {
      const name = table("tx");
      await sql.unsafe(`create table ${name} (id int primary key, word text)`);
      await sql.begin((tx) => tx`insert into ${tx(name)} values (1, 'one')`);
      await attempt(print, "rolled back", () =>
        sql.begin(async (tx) => {
          await tx`insert into ${tx(name)} values (2, 'two')`;
          throw new TypeError("enough");
        }),
      );
      await sql.begin("isolation level serializable", async (tx) => {
        print(rows(await tx`show transaction_isolation`));
        await tx`insert into ${tx(name)} values (3, 'three')`;
        await attempt(print, "double", () =>
          tx.savepoint((inner) => inner`insert into ${inner(name)} values (3, 'x')`),
        );
        await tx`insert into ${tx(name)} values (4, 'four')`;
      });
      await attempt(print, "read only", () =>
        sql.begin("read only", (tx) => tx`insert into ${tx(name)} values (5, 'x')`),
      );
      print(rows(await sql`select id, word from ${sql(name)} order by id`));
      await attempt(print, "aborted", () =>
        sql.begin(async (tx) => {
          await attempt(print, "inside", () => tx`select 1/0`);
          await attempt(print, "after", () => tx`select 1`);
        }),
      );
      const reserved = await sql.reserve();
      await reserved`begin`;
      await reserved`insert into ${reserved(name)} values (6, 'six')`;
      await reserved`rollback`;
      print(rows(await reserved`select count(*)::int from ${reserved(name)}`));
      reserved.release();
      await sql`drop table ${sql(name)}`;
    });
  },

  async cursors(print) {
    await withClient(async (sql) => {
      const seen = [];
      await sql`select i from generate_series(1, ${50}) i`.cursor(7, (piece) => {
        seen.push(piece.map((row) => row.i).join(","));
      });
      print(seen.join(" | "));
      let pieces = 0;
      await sql`select i from generate_series(1, 100000) i`.cursor(10, () => {
        pieces += 1;
        return pieces === 3 ? sql.CLOSE : undefined;
      });
      print(pieces, rows(await sql`select 1 as one`));
      await attempt(print, "fails", () =>
        sql`select 10 / (15 - i) as n from generate_series(1, 20) i`.cursor(4, () => undefined),
      );
      await sql.begin(async (tx) => {
        for await (const piece of tx`select i from generate_series(1, 20) i`.cursor(8))
          print(rows(piece));
      });
      let sum = 0;
      await sql`select i from generate_series(1, 1000) i`.forEach((row) => {
        sum += row.i;
      });
      print(sum);
    });
  },

  async "copy-in"(print) {
    await withClient(async (sql) => {
      const name = table("copied");
      await sql.unsafe(`create table ${name} (id int primary key, word text)`);
      const copy = async (pieces) => {
        const stream = await sql.unsafe(`copy ${name} from stdin`).writable();
        await pipeline(Readable.from(pieces), stream);
      };
      await attempt(print, "few", () => copy(["1\teins\n2\t", "\\N\n"]));
      await attempt(print, "many", () =>
        copy(Array.from({ length: 5000 }, (_, i) => `${i + 100}\tw\n`)),
      );
      print(rows(await sql`select count(*)::int, sum(id)::int from ${sql(name)}`));
      await sql`drop table ${sql(name)}`;
    });
  },

  async "copy-out"(print) {
    await withClient(async (sql) => {
      // A longer one stops for ever in this release of the driver, against PostgreSQL itself too.
      let bytes = 0;
      const stream =
        await sql`copy (select i, repeat('y', 90) from generate_series(1, 100) i) to stdout`.readable();
      for await (const chunk of stream) bytes += chunk.length;
      print(bytes, rows(await sql`select 1 as one`));
    });
  },

  async listen(print) {
    await withClient(async (sql) => {
      const heard = [];
      const { unlisten } = await sql.listen(table("ch"), (payload) => heard.push(payload));
      await sql.notify(table("ch"), "one");
      await sql`select pg_notify(${table("ch")}, ${"two"})`;
      await until(() => heard.length === 2);
      print(heard);
      await unlisten();
      await sql.notify(table("ch"), "three");
      print(heard.length);
    });
  },

  async cancel(print) {
    await withClient(async (sql) => {
      for (let round = 0; round < 2; round += 1) {
        const running = sql`select pg_sleep(${20})`.execute();
        setTimeout(() => running.cancel(), 400);
        await attempt(print, "cancelled", () => running);
        print(rows(await sql`select 1 as lives`));
      }
    });
  },

  async errors(print) {
    await withClient(async (sql) => {
      const name = table("err");
      await sql.unsafe(
        `create table ${name} (id int constraint ${table("pk")} primary key, n int not null constraint ${table("ck")} check (n > 0))`,
      );
      await attempt(print, "syntax", () => sql`selec 1`);
      await attempt(print, "table", () => sql.unsafe(`select * from none_${tag}`));
      await attempt(print, "bind", () => sql`select ${"x"}::int`);
      await attempt(
        print,
        "execute",
        () => sql`select 10 / (${5}::int - i) as n from generate_series(1, 9) i`,
      );
      await sql`insert into ${sql(name)} values (1, 1)`;
      await attempt(print, "double", () => sql`insert into ${sql(name)} values (1, 1)`);
      await attempt(print, "null", () => sql`insert into ${sql(name)} values (2, ${null})`);
      await attempt(print, "check", () => sql`insert into ${sql(name)} values (2, ${-1})`);
      print(rows(await sql`select 1 as lives`));
      await sql`drop table ${sql(name)}`;
    });
  },

  async timeouts(print) {
    await withClient(async (sql) => {
      await sql`set statement_timeout = 200`;
      await attempt(print, "statement", () => sql`select pg_sleep(${20})`);
      await attempt(print, "statement", () => sql`select pg_sleep(20)`.simple());
      await sql`reset statement_timeout`;
      print(rows(await sql`select 1 as lives`));
    });
  },

  killed: "the driver ends and reconnects by itself, at no certain time",

  async settings(print) {
    await withClient(async (sql) => {
      await sql`set timezone = 'Asia/Tokyo'`;
      await sql`select set_config('my.own', ${tag}, false)`;
      for (let i = 0; i < 5; i += 1) {
        print(
          rows(await sql`select current_setting('my.own') as o, current_setting('TimeZone') as z`),
        );
      }
      print(sql.parameters.TimeZone);
      await sql.begin(async (tx) => {
        await tx`set local timezone = 'UTC'`;
        print(rows(await tx`show timezone`));
      });
      print(rows(await sql`show timezone`));
      await sql`discard all`.simple();
      print(rows(await sql`show timezone`.simple()));
    });
  },

  async temporary(print) {
    await withClient(async (sql) => {
      await sql`create temporary table own (a int)`;
      await sql`insert into own select generate_series(1, ${3}::int)`;
      for (let i = 0; i < 4; i += 1) print(rows(await sql`select sum(a)::int as s from own`));
    });
    await withClient((sql) => attempt(print, "another", () => sql`select * from own`));
  },

  async "advisory-locks"(print) {
    await withClient(async (sql) => {
      await sql`select pg_advisory_lock(hashtext(${tag}))`;
      await withClient(async (other) =>
        print(rows(await other`select pg_try_advisory_lock(hashtext(${tag})) as got`)),
      );
      print(rows(await sql`select pg_advisory_unlock(hashtext(${tag})) as mine`));
    });
  },

  async "large-objects"(print) {
    await withClient(async (sql) => {
      const object = await sql.largeObject();
      await object.write(Buffer.alloc(60_000, 76));
      print(rows(await object.seek(0, 0)), rows(await object.size()));
      print(rows(await object.read(20)));
      await object.close();
    });
  },

  async big(print) {
    await withClient(async (sql) => {
      const many = await sql`select i, 'row ' || i as t from generate_series(1, 60000) i`;
      print(
        many.count,
        many.reduce((sum, row) => sum + row.i + row.t.length, 0),
      );
      const [wide] = await sql`select repeat('w', 5000000) as w`;
      print(wide.w.length);
      const word = "ä".repeat(1_500_000);
      const [back] = await sql`select ${word}::text as t`;
      print(back.t === word);
    });
  },

  async ddl(print) {
    await withClient(async (sql) => {
      const name = table("ddl");
      await sql.unsafe(`create table ${name} (id int primary key, word text)`);
      const get = () => sql`select id, word from ${sql(name)} where id = ${1}`;
      await sql`insert into ${sql(name)} values (1, 'a')`;
      print(rows(await get()));
      await sql.unsafe(`alter table ${name} add column later int default 5`);
      print(rows(await get()));
      await sql.unsafe(`drop table ${name}`);
      await attempt(print, "dropped", get);
      await sql.unsafe(`create table ${name} (id int primary key, word text)`);
      print((await get()).count);
      await sql.unsafe(`drop table ${name}`);
    });
  },

  async text(print) {
    await withClient(async (sql) => {
      for (const word of ["grüße", "日本語", "🐘🐘", "a'b\"c\\d", "\t\n\r"]) {
        const [row] = await sql`select ${word}::text as t, char_length(${word}::text) as n`;
        print(row.t === word, row.n);
      }
      const bytes = Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 256));
      const [row] = await sql`select ${bytes}::bytea as b`;
      print(row.b.equals(bytes));
    });
  },

  async notices(print) {
    const seen = [];
    const onnotice = (notice) => seen.push(`${notice.severity} ${notice.code} ${notice.message}`);
    await withClient(
      async (sql) => {
        await sql`do $$ begin raise notice 'one'; raise warning 'two %', 2; end $$`;
        await sql.unsafe(`drop table if exists none_${tag}`);
        await sql`set client_min_messages = error`;
        await sql`do $$ begin raise notice 'unheard'; end $$`;
      },
      { onnotice },
    );
    print(seen);
  },
});
