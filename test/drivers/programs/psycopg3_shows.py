"""psycopg 3 shows the features; see test/drivers/features.ts. Its pipelines are libpq's own."""

import contextlib
import threading

import psycopg
from psycopg import sql as parts
from psycopg.types.json import Jsonb

from show import attempt, run, show, table, tag


@contextlib.contextmanager
def connection(autocommit=True, **options):
    made = psycopg.connect("", autocommit=autocommit, **options)
    try:
        yield made
    finally:
        made.close()


def ask(made, sql, values=None, **options):
    cursor = made.execute(sql, values, **options)
    return cursor.fetchall() if cursor.description else cursor.statusmessage


def describe(error):
    diag = getattr(error, "diag", None)
    if diag is None or error.sqlstate is None:
        return [str(error).strip().split("failed: ")[-1]]
    names = ["severity", "sqlstate", "message_primary", "message_detail", "message_hint"]
    names += ["statement_position", "schema_name", "table_name", "column_name", "constraint_name"]
    names += ["context", "source_function"]
    return [value for value in (getattr(diag, name) for name in names) if value]


def fails(label, made, sql, values=None, **options):
    attempt(label, lambda: ask(made, sql, values, **options), describe)


def connect():
    for number in range(5):
        with connection() as made:
            show(number, ask(made, "select current_user, current_database()"))
            show(made.info.server_version, made.info.encoding, made.info.timezone)
    with connection(application_name=f"app {tag}", options="-c work_mem=3MB") as made:
        show(ask(made, "show application_name"), ask(made, "show work_mem"))
        show(made.info.parameter_status("application_name"))
    attempt("database", lambda: psycopg.connect("", dbname=f"none_{tag}"), describe)
    attempt("user", lambda: psycopg.connect("", user=f"none_{tag}"), describe)


def simple():
    with connection() as made:
        show(ask(made, "select 1, 'x', null, true, 1.5::float8, array[1,2]"))
        cursor = made.execute("select 1; select 2, 'b'; set work_mem = '4MB'")
        show(cursor.fetchall(), cursor.nextset(), cursor.fetchall(), cursor.nextset())
        show(cursor.statusmessage, cursor.nextset())
        show(ask(made, "select i, repeat('x', i) from generate_series(1, 10) i"))
        fails("half", made, "select 1; select 1/0; select 2")
        fails("empty", made, "")
        client = psycopg.ClientCursor(made)
        client.execute("select %s, %s", [1, "zwei"])
        show(client.fetchall())


def parameters():
    with connection() as made:
        show(ask(made, "select %s, %s, %s", [7, "sieben", 7.25]))
        show(ask(made, "select %s::text is null, %s", [None, [1, 2, 3]]))
        show(ask(made, "select %s::text", ["'; drop table x; -- $1 \\ \" ' select"]))
        show(ask(made, "select %s, %s", [True, b"\0\1\xff'\\"], binary=True))
        show(ask(made, "select %t, %b", [5, 6], binary=True), ask(made, "select %s", [Jsonb({"a": 1})]))
        fails("bad", made, "select %s::int", ["no number"])
        fails("bad binary", made, "select %b::date", [b"12345678901234567"])
        with made.cursor() as cursor:
            cursor.executemany("select %s + 1", [(1,), (2,), (3,)], returning=True)
            found = []
            while True:
                found.append(cursor.fetchone())
                if not cursor.nextset():
                    break
            show(found)


def prepared():
    with connection() as made:
        for number in range(10):
            show(ask(made, "select %s + 10", [number]))
        for number in range(4):
            show(ask(made, "select %s || 'x'", [f"{number}"], prepare=True))
        fails("bad", made, "selec %s", [1], prepare=True)
        with made.transaction():
            show(ask(made, "select %s || 'y'", ["in"], prepare=True))
        show(ask(made, "select %s || 'y'", ["out"], prepare=True))
        ask(made, "prepare by_sql as select 5 as five")
        show(ask(made, "execute by_sql"))
        ask(made, "deallocate all")
        # This release of the driver does not see that its statements are gone.
        fails("gone", made, "select %s || 'x'", ["after"], prepare=True)


def many_prepared():
    with connection() as made:
        made.prepare_threshold = 0
        made.prepared_max = 30
        for number in range(3):
            total = 0
            for i in range(50):
                total += ask(made, f"select %s + {i}, '{tag}'", [number])[0][0]
            show(number, total)


def pipeline():
    with connection() as made:
        with made.pipeline() as pipe:
            cursors = [made.execute("select %s::int * 2", [number]) for number in range(150)]
            pipe.sync()
            show([cursor.fetchone()[0] for cursor in cursors])
        name = table("pipe")
        with made.pipeline():
            made.execute(f"create table {name} (id int primary key)")
            with made.transaction():
                for number in range(20):
                    made.execute(f"insert into {name} values (%s)", [number])
        show(ask(made, f"select count(*), sum(id) from {name}"))

        def broken():
            with made.pipeline() as pipe:
                made.execute(f"insert into {name} values (100)")
                made.execute(f"insert into {name} values (1)")
                made.execute(f"insert into {name} values (101)")
                pipe.sync()
                made.execute(f"insert into {name} values (102)")

        attempt("double", broken, describe)
        show(ask(made, f"select id from {name} where id >= 100 order by id"))
        raw = made.pgconn
        raw.enter_pipeline_mode()
        for number in range(30):
            raw.send_prepare(b"raw", b"select $1::int / $2::int as n", [23, 23])
            raw.send_query_prepared(b"raw", [b"%d" % number, b"%d" % (number % 7)])
            raw.send_describe_prepared(b"raw")
            raw.send_query_params(b"deallocate raw", None)
            raw.pipeline_sync()
        raw.flush()
        found = []
        silent = 0
        syncs = 0
        while syncs < 30:
            result = raw.get_result()
            if result is None:
                silent += 1
                continue
            status = psycopg.pq.ExecStatus(result.status)
            if status == psycopg.pq.ExecStatus.PIPELINE_SYNC:
                syncs += 1
            state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
            value = result.get_value(0, 0) if result.ntuples else None
            found.append((status.name, state, value))
        raw.exit_pipeline_mode()
        show(found, silent)
        ask(made, f"drop table {name}")


def transactions():
    with connection(autocommit=False) as made:
        name = table("tx")
        ask(made, f"create table {name} (id int primary key, word text)")
        made.commit()
        ask(made, f"insert into {name} values (1, 'one')")
        show(made.info.transaction_status, ask(made, f"select count(*) from {name}"))
        made.rollback()
        with made.transaction():
            ask(made, f"insert into {name} values (2, 'two')")
            try:
                with made.transaction():
                    ask(made, f"insert into {name} values (2, 'double')")
            except psycopg.Error as error:
                show(*describe(error))
            ask(made, f"insert into {name} values (3, 'three')")
        show(ask(made, f"table {name}"))
        fails("fails", made, "select 1/0")
        fails("aborted", made, "select 1")
        show(made.info.transaction_status)
        made.commit()
        made.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        made.read_only = True
        show(ask(made, "show transaction_isolation"))
        fails("read only", made, f"insert into {name} values (4, 'x')")
        made.rollback()
        made.isolation_level = None
        made.read_only = None
        with made.transaction(force_rollback=True):
            ask(made, f"insert into {name} values (5, 'five')")
        show(ask(made, f"select count(*) from {name}"))
        ask(made, f"drop table {name}")
        made.commit()


def cursors():
    with connection(autocommit=False) as made:
        with made.cursor("fetched") as cursor:
            cursor.itersize = 7
            cursor.execute("select i from generate_series(1, %s) i", [50])
            show([row[0] for row in cursor])
        with made.cursor("scrolled", scrollable=True) as cursor:
            cursor.execute("select i from generate_series(1, 50) i")
            show(cursor.fetchmany(3))
            cursor.scroll(10)
            show(cursor.fetchone())
            cursor.scroll(-5)
            show(cursor.fetchone())
        with made.cursor("held", withhold=True) as cursor:
            cursor.execute("select i from generate_series(1, 10) i")
            made.commit()
            show(cursor.fetchmany(3))
            made.commit()
            show(cursor.fetchmany(3), ask(made, "select 1"), cursor.fetchall())
        made.commit()
        with made.cursor("lost") as cursor:
            cursor.execute("select 1")
            made.commit()
            attempt("lost", cursor.fetchone, describe)
            made.rollback()
        with made.cursor() as cursor:
            show([row[0] for row in cursor.stream("select i from generate_series(1, 30) i")])


def copy_in():
    with connection() as made, made.cursor() as cursor:
        name = table("copied")
        cursor.execute(f"create table {name} (id int primary key, word text)")
        with cursor.copy(f"copy {name} from stdin") as copy:
            copy.write("1\teins\n2\t")
            copy.write("\\N\n")
        show(cursor.rowcount, cursor.statusmessage)
        with cursor.copy(f"copy {name} (id, word) from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for number in range(100, 3000):
                copy.write_row((number, f"word {number}"))
        show(cursor.rowcount)

        def bad(data, stop=False):
            with cursor.copy(f"copy {name} from stdin") as copy:
                copy.write(data)
                if stop:
                    raise ValueError("enough")

        attempt("bad", lambda: bad("900000\tx\nno number\n"), describe)
        attempt("double", lambda: bad("1\tx\n"), describe)
        attempt("given up", lambda: bad("900000\tx\n", True), describe)
        show(ask(made, f"select count(*), sum(id) from {name}"))
        ask(made, f"drop table {name}")


def copy_out():
    with connection() as made, made.cursor() as cursor:
        with cursor.copy("copy (select i, 'x' from generate_series(1, 5) i) to stdout") as copy:
            show([bytes(piece) for piece in copy])
        with cursor.copy("copy (select i, repeat('y', 90) from generate_series(1, 60000) i) to stdout") as copy:
            show(sum(len(piece) for piece in copy))

        def broken():
            sql = "copy (select 10 / (5 - i) from generate_series(1, 9) i) to stdout"
            with cursor.copy(sql) as copy:
                for _ in copy:
                    pass

        attempt("fails", broken, describe)
        show(ask(made, "select 1"))


def listen():
    with connection() as made:
        channel = table("ch")
        heard = []
        made.add_notify_handler(lambda one: heard.append((one.channel, one.payload)))
        ask(made, f"listen {channel}")
        ask(made, f"notify {channel}, 'to myself'")
        with connection() as other:
            ask(other, "select pg_notify(%s, %s)", [channel, "from another"])
        while len(heard) < 2:
            ask(made, "select 1")
        show(heard)
        show(ask(made, "select pg_listening_channels()"))
        ask(made, "unlisten *")
        show(ask(made, "select pg_listening_channels()"))


def cancel():
    with connection() as made:
        for _ in range(2):
            timer = threading.Timer(0.3, made.cancel)
            timer.start()
            fails("cancelled", made, "select pg_sleep(%s)", [20])
            timer.join()
            show(ask(made, "select 1"))


def errors():
    with connection() as made:
        name = table("err")
        ask(
            made,
            f"create table {name} (id int constraint {table('pk')} primary key,"
            f" n int not null constraint {table('ck')} check (n > 0))",
        )
        fails("syntax", made, "selec %s", [1])
        fails("table", made, f"select * from none_{tag}")
        fails("bind", made, "select %s::int", ["x"])
        fails("execute", made, "select 10 / (%s - i) from generate_series(1, 9) i", [5])
        ask(made, f"insert into {name} values (%s, 1)", [1])
        fails("double", made, f"insert into {name} values (%s, 1)", [1])
        fails("null", made, f"insert into {name} values (2, %s)", [None])
        fails("check", made, f"insert into {name} values (2, %s)", [-1])
        fails("types", made, "select %s + 'a'::text", [1])
        fails("unknown", made, "select %s + %s", [None, None])
        show(ask(made, "select 1"))
        ask(made, f"drop table {name}")


def timeouts():
    with connection() as made:
        ask(made, "set statement_timeout = 200")
        fails("statement", made, "select pg_sleep(%s)", [20])
        ask(made, "reset statement_timeout")
        name = table("lck")
        ask(made, f"create table {name} as select 1 as id")
        with connection(autocommit=False) as other:
            ask(other, f"update {name} set id = 2")
            ask(made, "set lock_timeout = 200")
            fails("lock", made, f"update {name} set id = %s", [3])
            other.rollback()
        ask(made, f"drop table {name}")


def killed():
    with connection() as made:
        fails("killed", made, "select pg_terminate_backend(pg_backend_pid())")
        show(made.closed, made.broken)
        fails("after", made, "select 1")
    with connection() as made:
        show(ask(made, "select 1"))


def settings():
    with connection() as made:
        ask(made, "set client_encoding = 'LATIN1'")
        show(made.info.encoding, ask(made, "select 'ä'"))
        ask(made, "set client_encoding = 'UTF8'")
        ask(made, "set timezone = 'Asia/Tokyo'")
        show(made.info.timezone, ask(made, "select timestamptz '2020-01-01 00:00:00+00'"))
        ask(made, "select set_config('my.own', %s, false)", [f"mine {tag}"])
        ask(made, parts.SQL("set search_path = {}, public").format(parts.Identifier(f"S {tag}")))
        for _ in range(5):
            show(ask(made, "select current_setting('my.own'), current_setting('TimeZone')"))
            show(ask(made, "show search_path"))
        with made.transaction():
            ask(made, "set local timezone = 'UTC'")
            show(made.info.timezone, ask(made, "show timezone"))
        show(made.info.timezone, ask(made, "show timezone"))
        try:
            with made.transaction():
                ask(made, "set timezone = 'UTC'")
                raise psycopg.Rollback()
        except psycopg.Rollback:
            pass
        show(made.info.timezone, ask(made, "show timezone"))
        ask(made, "discard all")
        show(made.info.timezone, ask(made, "show search_path"))


def temporary():
    with connection(autocommit=False) as made:
        ask(made, "create temp table own (a int)")
        with made.cursor() as cursor:
            cursor.executemany("insert into own values (%s)", [(1,), (2,)])
        made.commit()
        for _ in range(8):
            show(ask(made, "select * from own where a > %s", [0]))
            made.commit()
    with connection() as made:
        fails("another", made, "table own")


def advisory_locks():
    with connection() as made:
        key = f"hashtext('{tag}')"
        ask(made, f"select pg_advisory_lock({key})")
        with connection() as other:
            show(ask(other, f"select pg_try_advisory_lock({key})"))
        show(ask(made, f"select pg_advisory_unlock({key})"))
        with connection() as other:
            show(ask(other, f"select pg_try_advisory_xact_lock({key})"))


def large_objects():
    with connection() as made:
        with made.transaction():
            oid = ask(made, "select lo_from_bytea(0, %s)", [b"L" * 300_000])[0][0]
        show(len(ask(made, "select lo_get(%s)", [oid], binary=True)[0][0]))
        ask(made, "select lo_put(%s, 10, %s)", [oid, b"middle"])
        show(ask(made, "select lo_get(%s, 8, 10)", [oid])[0][0])
        show(ask(made, "select lo_unlink(%s)", [oid]))


def big():
    with connection() as made:
        found = ask(made, "select i, 'row ' || i from generate_series(1, %s) i", [60000])
        show(len(found), sum(row[0] + len(row[1]) for row in found))
        show(len(ask(made, "select repeat('w', 9000000)", binary=True)[0][0]))
        word = "ä" * 2_000_000
        show(ask(made, "select %s::text", [word])[0][0] == word)


def ddl():
    with connection() as made:
        made.prepare_threshold = 0
        name = table("ddl")
        ask(made, f"create table {name} (id int primary key, word text)")
        get = lambda: ask(made, f"select id, word from {name} where id = %s", [1])
        ask(made, f"insert into {name} values (%s, %s)", [1, "a"])
        show(get(), get())
        ask(made, f"alter table {name} add column later int default 5")
        show(get())
        ask(made, f"drop table {name}")
        attempt("dropped", get, describe)
        ask(made, f"create table {name} (id int primary key, word text)")
        show(get())
        ask(made, f"drop table {name}")


def words():
    with connection() as made:
        for word in ["grüße", "日本語", "🐘🐘", "a'b\"c\\d", "\t\n\r"]:
            found = ask(made, "select %s::text, char_length(%s)", [word, word])
            show(found[0][0] == word, found[0][1])
        data = bytes(range(256)) * 8
        for binary in (False, True):
            show(ask(made, "select %s", [data], binary=binary)[0][0] == data)


def notices():
    with connection() as made:
        heard = []
        made.add_notice_handler(lambda diag: heard.append((diag.severity, diag.message_primary)))
        ask(made, "do $$ begin raise notice 'one'; raise warning 'two %', 2; end $$")
        ask(made, f"drop table if exists none_{tag}")
        ask(made, "set client_min_messages = error")
        ask(made, "do $$ begin raise notice 'unheard'; end $$")
        show(heard)


run(
    {
        "connect": connect,
        "simple": simple,
        "parameters": parameters,
        "prepared": prepared,
        "many-prepared": many_prepared,
        "pipeline": pipeline,
        "transactions": transactions,
        "cursors": cursors,
        "copy-in": copy_in,
        "copy-out": copy_out,
        "listen": listen,
        "cancel": cancel,
        "errors": errors,
        "timeouts": timeouts,
        "killed": killed,
        "settings": settings,
        "temporary": temporary,
        "advisory-locks": advisory_locks,
        "large-objects": large_objects,
        "big": big,
        "ddl": ddl,
        "text": words,
        "notices": notices,
    }
)
