"""psycopg2 shows the features; see test/drivers/features.ts."""

import contextlib
import io
import select
import threading

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

from show import attempt, run, show, table, tag


@contextlib.contextmanager
def connection(autocommit=True, **options):
    made = psycopg2.connect("", **options)
    made.autocommit = autocommit
    try:
        yield made
    finally:
        made.close()


def ask(made, sql, values=None):
    with made.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else cursor.statusmessage


def describe(error):
    diag = getattr(error, "diag", None)
    if diag is None or error.pgcode is None:
        return [str(error).strip().split("failed: ")[-1]]
    names = ["severity", "sqlstate", "message_primary", "message_detail", "message_hint"]
    names += ["statement_position", "schema_name", "table_name", "column_name", "constraint_name"]
    names += ["context", "source_function"]
    return [value for value in (getattr(diag, name) for name in names) if value]


def fails(label, made, sql, values=None):
    attempt(label, lambda: ask(made, sql, values), describe)


def connect():
    for number in range(5):
        with connection() as made:
            show(number, ask(made, "select current_user, current_database()"))
            show(made.server_version, made.encoding, made.get_parameter_status("TimeZone"))
    with connection(application_name=f"app {tag}", options="-c work_mem=3MB") as made:
        show(ask(made, "show application_name"), ask(made, "show work_mem"))
    attempt("database", lambda: psycopg2.connect("", dbname=f"none_{tag}"), describe)
    attempt("user", lambda: psycopg2.connect("", user=f"none_{tag}"), describe)
    many = [psycopg2.connect("") for _ in range(8)]
    for one in many:
        one.autocommit = True
    show([ask(one, "select %s * 2", [number]) for number, one in enumerate(many)])
    for one in many:
        one.close()


def simple():
    with connection() as made:
        show(ask(made, "select 1, 'x', null, true, 1.5::float8, now() > '2000-01-01', array[1,2]"))
        show(ask(made, "select 1; select 2"))
        show(ask(made, "select i, repeat('x', i) from generate_series(1, 10) i"))
        fails("empty", made, "")
        fails("half", made, "select 1; select 1/0; select 2")
        show(ask(made, "create table if not exists pg_temp.own (a int)"))
        with made.cursor() as cursor:
            cursor.execute("select 1 as a, 'b'::varchar(9) as b, 1.5::numeric(9,2) as c")
            show([tuple(column) for column in cursor.description], cursor.rowcount)


def parameters():
    with connection() as made:
        show(ask(made, "select %s, %s, %s", [7, "sieben", 7.25]))
        show(ask(made, "select %s is null, %s::int[]", [None, [1, 2, 3]]))
        show(ask(made, "select %s", ["'; drop table x; -- %s $1 \\ \" ' select"]))
        show(ask(made, "select %(a)s, %(b)s", {"a": True, "b": psycopg2.Binary(b"\0\1\xff'\\")}))
        show(ask(made, "select %s::jsonb", [psycopg2.extras.Json({"a": [1, "b"]})]))
        fails("bad", made, "select %s::int", ["no number"])


def transactions():
    with connection(autocommit=False) as made:
        name = table("tx")
        ask(made, f"create table {name} (id int primary key, word text)")
        made.commit()
        ask(made, f"insert into {name} values (1, 'one')")
        show(made.get_transaction_status(), ask(made, f"select count(*) from {name}"))
        made.rollback()
        show(made.get_transaction_status(), ask(made, f"select count(*) from {name}"))
        ask(made, f"insert into {name} values (2, 'two')")
        ask(made, "savepoint a")
        fails("double", made, f"insert into {name} values (2, 'x')")
        fails("aborted", made, "select 1")
        show(made.get_transaction_status())
        ask(made, "rollback to a")
        made.commit()
        show(ask(made, f"table {name}"))
        made.commit()
        made.set_session(isolation_level="serializable", readonly=True, deferrable=True)
        show(ask(made, "show transaction_isolation"))
        fails("read only", made, f"insert into {name} values (3, 'x')")
        made.rollback()
        made.set_session(isolation_level="default", readonly=False, deferrable=False)
        with made:
            ask(made, f"insert into {name} values (4, 'four')")
        show(ask(made, f"select count(*) from {name}"))
        made.rollback()
        made.reset()
        xid = made.xid(1, table("xa"), "branch")
        made.tpc_begin(xid)
        ask(made, f"insert into {name} values (5, 'five')")
        attempt("two phases", made.tpc_prepare, describe)
        made.rollback() if made.status == psycopg2.extensions.STATUS_READY else made.tpc_rollback()
        ask(made, f"drop table {name}")
        made.commit()


def cursors():
    with connection(autocommit=False) as made:
        with made.cursor("fetched") as cursor:
            cursor.itersize = 7
            cursor.execute("select i from generate_series(1, 50) i")
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
            show(cursor.fetchmany(2))
            made.commit()
            show(cursor.fetchmany(2))
            made.commit()
            show(ask(made, "select 1"), cursor.fetchmany(20))
        made.commit()
        lost = made.cursor("lost")
        lost.execute("select 1")
        made.commit()
        attempt("lost", lost.fetchone, describe)


def copy_in():
    with connection() as made, made.cursor() as cursor:
        name = table("copied")
        cursor.execute(f"create table {name} (id int primary key, word text)")
        cursor.copy_from(io.StringIO("1\teins\n2\t\\N\n"), name)
        show(cursor.rowcount)
        many = "".join(f"{number},word {number}\n" for number in range(100, 20000))
        cursor.copy_expert(f"copy {name} from stdin csv", io.StringIO(many))
        show(cursor.rowcount)
        bad = lambda data: cursor.copy_expert(f"copy {name} from stdin", io.StringIO(data))
        attempt("bad", lambda: bad("900000\tx\nno number\n"), describe)
        attempt("double", lambda: bad("1\tx\n"), describe)

        class Broken(io.StringIO):
            def read(self, size=-1):
                raise ValueError("the source broke")

        attempt("broken", lambda: cursor.copy_expert(f"copy {name} from stdin", Broken()), describe)
        show(ask(made, f"select count(*), sum(id) from {name}"))
        ask(made, f"drop table {name}")


def copy_out():
    with connection() as made, made.cursor() as cursor:
        out = io.StringIO()
        cursor.copy_expert("copy (select i, 'x' from generate_series(1, 5) i) to stdout", out)
        show(out.getvalue())
        out = io.BytesIO()
        sql = "copy (select i, repeat('y', 90) from generate_series(1, 60000) i) to stdout (format binary)"
        cursor.copy_expert(sql, out)
        show(len(out.getvalue()), cursor.rowcount)
        sql = "copy (select 10 / (5 - i) from generate_series(1, 9) i) to stdout"
        attempt("fails", lambda: cursor.copy_expert(sql, io.StringIO()), describe)
        show(ask(made, "select 1"))


def listen():
    with connection() as made:
        channel = table("ch")

        def until(count):
            while len(made.notifies) < count:
                select.select([made], [], [], 10)
                made.poll()

        ask(made, f"listen {channel}")
        ask(made, f"notify {channel}, 'to myself'")
        with connection() as other:
            ask(other, "select pg_notify(%s, %s)", [channel, "from another"])
        until(2)
        show([(one.channel, one.payload) for one in made.notifies])
        show(ask(made, "select pg_listening_channels()"))
        ask(made, "unlisten *")
        show(ask(made, "select pg_listening_channels()"))


def cancel():
    with connection() as made:
        for _ in range(2):
            timer = threading.Timer(0.3, made.cancel)
            timer.start()
            fails("cancelled", made, "select pg_sleep(20)")
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
        fails("syntax", made, "selec 1")
        fails("table", made, f"select * from none_{tag}")
        fails("execute", made, "select 10 / (5 - i) from generate_series(1, 9) i")
        ask(made, f"insert into {name} values (1, 1)")
        fails("double", made, f"insert into {name} values (1, 1)")
        fails("null", made, f"insert into {name} values (2, null)")
        fails("check", made, f"insert into {name} values (2, -1)")
        fails("right", made, f"create table pg_catalog.{name} (a int)")
        fails("raised", made, "do $$ begin raise exception 'own' using errcode = 'ZX001', hint = 'h'; end $$")
        show(ask(made, "select 1"))
        ask(made, f"drop table {name}")


def timeouts():
    with connection() as made:
        ask(made, "set statement_timeout = 200")
        fails("statement", made, "select pg_sleep(20)")
        ask(made, "reset statement_timeout")
        name = table("lck")
        ask(made, f"create table {name} as select 1 as id")
        with connection(autocommit=False) as other:
            ask(other, f"update {name} set id = 2")
            ask(made, "set lock_timeout = 200")
            fails("lock", made, f"update {name} set id = 3")
            other.rollback()
        ask(made, f"drop table {name}")


def killed():
    with connection() as made:
        fails("killed", made, "select pg_terminate_backend(pg_backend_pid())")
        show(made.closed)
        fails("after", made, "select 1")
    with connection() as made:
        show(ask(made, "select 1"))


def settings():
    with connection() as made:
        made.set_client_encoding("LATIN1")
        show(made.encoding, ask(made, "select 'ä'"))
        made.set_client_encoding("UTF8")
        ask(made, "set timezone = 'Asia/Tokyo'")
        show(made.get_parameter_status("TimeZone"))
        show(ask(made, "select timestamptz '2020-01-01 00:00:00+00'"))
        ask(made, f"set my.own = 'mine {tag}'")
        ask(made, f"set search_path = public, {table('nowhere')}")
        ask(made, f"set application_name = 'later {tag}'")
        for _ in range(5):
            show(ask(made, "select current_setting('my.own'), current_setting('TimeZone')"))
            show(ask(made, "show search_path"), made.get_parameter_status("application_name"))
        with connection(autocommit=False) as other:
            ask(other, "set local work_mem = '9MB'")
            show(ask(other, "show work_mem"))
            other.commit()
            show(ask(other, "show work_mem"))
            ask(other, "set work_mem = '9MB'")
            other.rollback()
            show(ask(other, "show work_mem"), ask(other, "show timezone"))
        made.reset()
        show(ask(made, "show timezone"), ask(made, "show application_name"))


def temporary():
    with connection(autocommit=False) as made:
        ask(made, "create temp table own (a int)")
        ask(made, "insert into own values (1), (2)")
        made.commit()
        for _ in range(4):
            show(ask(made, "table own"))
            made.commit()
        ask(made, "create temp table short on commit drop as select 1")
        made.commit()
        fails("short", made, "table short")
        made.rollback()
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
    with connection(autocommit=False) as made:
        made_object = made.lobject(0, "wb")
        oid = made_object.oid
        show(made_object.write(b"L" * 300_000))
        show(made_object.seek(1000), made_object.tell())
        made_object.truncate(250_000)
        made_object.close()
        made.commit()
        again = made.lobject(oid, "rb")
        show(len(again.read()))
        again.seek(249_990)
        show(again.read(100))
        again.close()
        made.commit()
        made.lobject(oid).unlink()
        made.commit()
        attempt("gone", lambda: made.lobject(oid, "rb"), lambda error: [type(error).__name__])
        made.rollback()


def big():
    with connection() as made:
        found = ask(made, "select i, 'row ' || i from generate_series(1, 60000) i")
        show(len(found), sum(row[0] + len(row[1]) for row in found))
        show(len(ask(made, "select repeat('w', 9000000)")[0][0]))
        word = "ä" * 2_000_000
        show(ask(made, "select %s", [word])[0][0] == word)


def words():
    with connection() as made:
        for word in ["grüße", "日本語", "🐘🐘", "a'b\"c\\d", "\t\n\r"]:
            found = ask(made, "select %s, char_length(%s)", [word, word])
            show(found[0][0] == word, found[0][1])
        data = bytes(range(256)) * 8
        show(bytes(ask(made, "select %s", [psycopg2.Binary(data)])[0][0]) == data)


def notices():
    with connection() as made:
        ask(made, "do $$ begin raise notice 'one'; raise warning 'two %', 2; end $$")
        ask(made, f"drop table if exists none_{tag}")
        ask(made, "set client_min_messages = error")
        ask(made, "do $$ begin raise notice 'unheard'; end $$")
        show(made.notices)


run(
    {
        "connect": connect,
        "simple": simple,
        "parameters": parameters,
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
        "text": words,
        "notices": notices,
        "prepared": "psycopg2 sends whole texts",
        "many-prepared": "psycopg2 sends whole texts",
        "pipeline": "psycopg2 waits for each answer",
        "ddl": "psycopg2 prepares nothing",
    }
)
