// pgx shows the features; see test/drivers/features.ts.
package main

import (
	"bytes"
	"context"
	stderrors "errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

var ctx = context.Background()

func open(options string, change ...func(*pgx.ConnConfig)) *pgx.Conn {
	config, err := pgx.ParseConfig("sslmode=disable " + options)
	must(err)
	for _, one := range change {
		one(config)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	must(err)
	return conn
}

type asker interface {
	Query(context.Context, string, ...interface{}) (pgx.Rows, error)
}

func collect(rows pgx.Rows) ([][]interface{}, error) {
	defer rows.Close()
	all := [][]interface{}{}
	for rows.Next() {
		row, err := rows.Values()
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

func query(on asker, text string, values ...interface{}) ([][]interface{}, error) {
	rows, err := on.Query(ctx, text, values...)
	if err != nil {
		return nil, err
	}
	return collect(rows)
}

func ask(on asker, text string, values ...interface{}) [][]interface{} {
	rows, err := query(on, text, values...)
	must(err)
	return rows
}

func describe(err error) string {
	var e *pgconn.PgError
	if stderrors.As(err, &e) {
		return fmt.Sprintf("%s %s %s %s %s %d %s %s %s %s %s", e.Severity, e.Code, e.Message, e.Detail, e.Hint,
			e.Position, e.TableName, e.ColumnName, e.ConstraintName, e.Where, e.Routine)
	}
	return fmt.Sprintf("%T", err)
}

func attempt(label string, err error) {
	if err == nil {
		show(label, "done")
	} else {
		show(label, describe(err))
	}
}

func fails(label string, on asker, text string, values ...interface{}) {
	_, err := query(on, text, values...)
	attempt(label, err)
}

func connect() {
	for i := 0; i < 4; i++ {
		conn := open("")
		show(i, ask(conn, "select current_user::text, current_database()::text"))
		show(conn.PgConn().ParameterStatus("server_version"), conn.PgConn().ParameterStatus("TimeZone"))
		must(conn.Close(ctx))
	}
	conn := open("application_name=app" + tag + " work_mem=3MB")
	show(ask(conn, "show application_name"), ask(conn, "show work_mem"))
	must(conn.Close(ctx))
	for _, options := range []string{"dbname=none_" + tag, "user=none_" + tag} {
		_, err := pgx.Connect(ctx, "sslmode=disable "+options)
		attempt("refused", err)
	}
}

func simple() {
	conn := open("", func(c *pgx.ConnConfig) { c.PreferSimpleProtocol = true })
	defer conn.Close(ctx)
	show(ask(conn, "select 1, 'x'::text, null, true, 1.5::float8"))
	show(ask(conn, "select i, repeat('x', i) from generate_series(1, 10) i"))
	show(ask(conn, "select $1::int, $2::text", 4, "it's"))
	results := conn.PgConn().Exec(ctx, "select 1; select 2, 'b'; set work_mem = '4MB'")
	all, err := results.ReadAll()
	must(err)
	for _, one := range all {
		show(string(one.CommandTag), len(one.Rows))
	}
	_, err = conn.PgConn().Exec(ctx, "select 1; select 1/0; select 2").ReadAll()
	attempt("half", err)
	_, err = conn.PgConn().Exec(ctx, "").ReadAll()
	attempt("empty", err)
}

func parameters() {
	conn := open("")
	defer conn.Close(ctx)
	show(ask(conn, "select $1::int, $2::text, $3::float8", 7, "sieben", 7.25))
	show(ask(conn, "select $1::text is null, $2::int8", nil, int64(1)<<40))
	show(ask(conn, "select $1::text", "'; drop table x; -- $1 \\ \" ' select"))
	show(ask(conn, "select $1::bytea, $2::bool, $3::timestamptz", []byte{0, 1, 255, 39, 92}, true, time.Unix(0, 0)))
	for i := 0; i < 5; i++ {
		show(ask(conn, "select $1::int + 1, $2::text", i, "w"))
	}
	fails("too few", conn, "select $1::int, $2::int", 1)
	fails("types", conn, "select $1 + 'a'::text", "1")
	result := conn.PgConn().ExecParams(ctx, "select $1::int", [][]byte{[]byte("no number")}, nil, nil, nil).Read()
	attempt("bad", result.Err)
}

func prepared() {
	conn := open("")
	defer conn.Close(ctx)
	_, err := conn.Prepare(ctx, "plus", "select $1::int + 10")
	must(err)
	_, err = conn.Prepare(ctx, "with", "select $1::text || 'x'")
	must(err)
	for i := 0; i < 8; i++ {
		show(ask(conn, "plus", i), ask(conn, "with", fmt.Sprint(i)))
	}
	_, err = conn.Prepare(ctx, "bad", "selec 1")
	attempt("bad", err)
	_, err = conn.PgConn().Prepare(ctx, "plus", "select 1", nil)
	attempt("again", err)
	tx, err := conn.Begin(ctx)
	must(err)
	show(ask(tx, "plus", 100))
	_, err = tx.Prepare(ctx, "inside", "select 'inside'::text")
	must(err)
	must(tx.Rollback(ctx))
	show(ask(conn, "inside"), ask(conn, "plus", 200))
	must(conn.Deallocate(ctx, "plus"))
	result := conn.PgConn().ExecPrepared(ctx, "plus", [][]byte{[]byte("1")}, nil, nil).Read()
	attempt("dropped", result.Err)
	result = conn.PgConn().ExecPrepared(ctx, "with", [][]byte{[]byte("1")}, nil, nil).Read()
	attempt("not dropped", result.Err)
	_, err = conn.Exec(ctx, "deallocate all")
	must(err)
	result = conn.PgConn().ExecPrepared(ctx, "with", [][]byte{[]byte("1")}, nil, nil).Read()
	attempt("all dropped", result.Err)
}

func manyPrepared() {
	conn := open("statement_cache_capacity=30")
	defer conn.Close(ctx)
	for round := 0; round < 3; round++ {
		sum := 0
		for i := 0; i < 60; i++ {
			sum += int(ask(conn, fmt.Sprintf("select $1::int + %d, '%s'::text", i, tag), round)[0][0].(int32))
		}
		show(round, sum)
	}
	described := open("statement_cache_mode=describe")
	defer described.Close(ctx)
	for i := 0; i < 5; i++ {
		show(ask(described, "select $1::int + 1", i))
	}
}

func pipeline() {
	conn := open("")
	defer conn.Close(ctx)
	name := table("pipe")
	ask(conn, "create table "+name+" (id int primary key, word text)")
	for round := 0; round < 2; round++ {
		batch := &pgx.Batch{}
		for i := 0; i < 100; i++ {
			batch.Queue("insert into "+name+" values ($1, $2)", round*100+i, "w")
			batch.Queue("select count(*) from " + name)
		}
		results := conn.SendBatch(ctx, batch)
		sum := int64(0)
		for i := 0; i < 100; i++ {
			_, err := results.Exec()
			must(err)
			var n int64
			must(results.QueryRow().Scan(&n))
			sum += n
		}
		must(results.Close())
		show(sum)
	}
	batch := &pgx.Batch{}
	batch.Queue("insert into "+name+" values ($1, 'new')", 1000)
	batch.Queue("insert into "+name+" values ($1, 'double')", 1)
	batch.Queue("insert into "+name+" values ($1, 'after')", 1001)
	results := conn.SendBatch(ctx, batch)
	for i := 0; i < 3; i++ {
		_, err := results.Exec()
		attempt(fmt.Sprint(i), err)
	}
	attempt("close", results.Close())
	show(ask(conn, "select count(*) from "+name+" where id >= 1000"))
	raw := &pgconn.Batch{}
	for i := 0; i < 20; i++ {
		raw.ExecParams("select $1::int / $2::int", [][]byte{[]byte(fmt.Sprint(i)), []byte("1")}, nil, nil, nil)
	}
	all, err := conn.PgConn().ExecBatch(ctx, raw).ReadAll()
	show(len(all), err)
	ask(conn, "drop table "+name)
}

func transactions() {
	conn := open("")
	defer conn.Close(ctx)
	name := table("tx")
	ask(conn, "create table "+name+" (id int primary key, word text)")
	tx, err := conn.Begin(ctx)
	must(err)
	ask(tx, "insert into "+name+" values ($1, $2)", 1, "one")
	attempt("commit", tx.Commit(ctx))
	tx, err = conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	must(err)
	show(ask(tx, "show transaction_isolation"))
	inner, err := tx.Begin(ctx)
	must(err)
	fails("double", inner, "insert into "+name+" values (1, 'x')")
	fails("aborted", inner, "select 1")
	must(inner.Rollback(ctx))
	ask(tx, "insert into "+name+" values (2, 'two')")
	attempt("rollback", tx.Rollback(ctx))
	show(ask(conn, "table "+name))
	tx, err = conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	must(err)
	fails("read only", tx, "insert into "+name+" values (3, 'x')")
	attempt("commit of a failed one", tx.Commit(ctx))
	show(string(conn.PgConn().TxStatus()), ask(conn, "select count(*) from "+name))
	ask(conn, "drop table "+name)
}

func cursors() {
	conn := open("")
	defer conn.Close(ctx)
	tx, err := conn.Begin(ctx)
	must(err)
	ask(tx, "declare c scroll cursor for select i from generate_series(1, 100) i")
	show(ask(tx, "fetch 3 from c"), ask(tx, "fetch backward 2 from c"), ask(tx, "fetch last from c"))
	ask(tx, "declare h cursor with hold for select i from generate_series(1, 10) i")
	must(tx.Commit(ctx))
	show(ask(conn, "fetch 3 from h"), ask(conn, "select 1"), ask(conn, "fetch 3 from h"))
	ask(conn, "close h")
}

func copyIn() {
	conn := open("")
	defer conn.Close(ctx)
	name := table("copied")
	ask(conn, "create table "+name+" (id int primary key, word text)")
	into := func(rows [][]interface{}) {
		n, err := conn.CopyFrom(ctx, pgx.Identifier{name}, []string{"id", "word"}, pgx.CopyFromRows(rows))
		attempt(fmt.Sprint(n), err)
	}
	many := [][]interface{}{}
	for i := 100; i < 9000; i++ {
		many = append(many, []interface{}{i, fmt.Sprintf("word %d", i)})
	}
	into([][]interface{}{{1, "eins"}, {2, nil}})
	into(many)
	into([][]interface{}{{1, "double"}})
	result, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("900000\tx\nno number\n"), "copy "+name+" from stdin")
	attempt(string(result), err)
	broken := io.MultiReader(strings.NewReader("900000\tx\n"), failing{})
	result, err = conn.PgConn().CopyFrom(ctx, broken, "copy "+name+" from stdin")
	attempt(string(result), err)
	show(ask(conn, "select count(*), sum(id) from "+name))
	ask(conn, "drop table "+name)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, stderrors.New("the source broke") }

func copyOut() {
	conn := open("")
	defer conn.Close(ctx)
	out := func(text string) {
		data := &bytes.Buffer{}
		result, err := conn.PgConn().CopyTo(ctx, data, text)
		show(string(result), data.Len())
		attempt("copied", err)
	}
	out("copy (select i, 'x' from generate_series(1, 5) i) to stdout")
	out("copy (select i, repeat('y', 90) from generate_series(1, 60000) i) to stdout")
	out("copy (select 10 / (5 - i) from generate_series(1, 9) i) to stdout")
	show(ask(conn, "select 1"))
}

func listen() {
	conn := open("")
	defer conn.Close(ctx)
	ask(conn, "listen "+table("ch"))
	ask(conn, "notify "+table("ch")+", 'to myself'")
	other := open("")
	ask(other, "select pg_notify($1, 'from another')", table("ch"))
	must(other.Close(ctx))
	for i := 0; i < 2; i++ {
		one, err := conn.WaitForNotification(ctx)
		must(err)
		show(one.Channel, one.Payload)
	}
	ask(conn, "unlisten *")
	show(ask(conn, "select count(*) from pg_listening_channels()"))
}

func cancel() {
	conn := open("")
	defer conn.Close(ctx)
	for i := 0; i < 2; i++ {
		isSent := make(chan bool)
		time.AfterFunc(400*time.Millisecond, func() {
			_ = conn.PgConn().CancelRequest(ctx)
			close(isSent)
		})
		fails("cancelled", conn, "select pg_sleep($1)::text", 20)
		// PostgreSQL sends its process two signals: the second must not meet the next statement.
		<-isSent
		show(ask(conn, "select 1"))
	}
	// When its context ends, this driver closes the connection.
	limited, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	_, err := conn.Exec(limited, "select pg_sleep(20)")
	show(pgconn.Timeout(err), conn.IsClosed())
	conn = open("")
	show(ask(conn, "select 1"))
	must(conn.Close(ctx))
}

func errors() {
	conn := open("")
	defer conn.Close(ctx)
	name := table("err")
	ask(conn, "create table "+name+" (id int constraint "+table("pk")+" primary key, n int not null constraint "+table("ck")+" check (n > 0))")
	fails("syntax", conn, "selec $1", 1)
	fails("table", conn, "select * from none_"+tag)
	fails("execute", conn, "select 10 / ($1 - i) from generate_series(1, 9) i", 5)
	ask(conn, "insert into "+name+" values (1, 1)")
	fails("double", conn, "insert into "+name+" values ($1, 1)", 1)
	fails("null", conn, "insert into "+name+" values (2, $1)", nil)
	fails("check", conn, "insert into "+name+" values (2, $1)", -1)
	show(ask(conn, "select 1"))
	ask(conn, "drop table "+name)
}

func timeouts() {
	conn := open("statement_timeout=300")
	defer conn.Close(ctx)
	fails("statement", conn, "select pg_sleep($1)::text", 20)
	show(ask(conn, "show statement_timeout"))
}

func killed() {
	conn := open("")
	fails("killed", conn, "select pg_terminate_backend(pg_backend_pid())")
	show(conn.IsClosed())
	conn = open("")
	show(ask(conn, "select 1"))
	must(conn.Close(ctx))
}

func settings() {
	conn := open("timezone=Asia/Tokyo search_path=" + table("s") + ",public")
	ask(conn, "create schema "+table("s"))
	ask(conn, "create table inside as select 11 as a")
	ask(conn, "set my.own = 'mine "+tag+"'")
	for i := 0; i < 5; i++ {
		show(ask(conn, "select current_setting('my.own'), current_setting($1), a from inside", "TimeZone"))
	}
	tx, err := conn.Begin(ctx)
	must(err)
	ask(tx, "set local timezone = 'UTC'")
	show(ask(tx, "show timezone"), conn.PgConn().ParameterStatus("TimeZone"))
	must(tx.Commit(ctx))
	show(ask(conn, "show timezone"), conn.PgConn().ParameterStatus("TimeZone"))
	ask(conn, "drop schema "+table("s")+" cascade")
	must(conn.Close(ctx))
}

func temporary() {
	conn := open("")
	ask(conn, "create temp table own (a int)")
	ask(conn, "insert into own select generate_series(1, $1::int)", 3)
	for i := 0; i < 4; i++ {
		show(ask(conn, "select sum(a) from own where a > $1", i))
	}
	must(conn.Close(ctx))
	conn = open("")
	fails("another", conn, "table own")
	must(conn.Close(ctx))
}

func advisoryLocks() {
	conn := open("")
	defer conn.Close(ctx)
	ask(conn, "select pg_advisory_lock(hashtext($1))::text", tag)
	other := open("")
	show(ask(other, "select pg_try_advisory_lock(hashtext($1))", tag))
	show(ask(conn, "select pg_advisory_unlock(hashtext($1))", tag))
	show(ask(other, "select pg_try_advisory_xact_lock(hashtext($1))", tag))
	must(other.Close(ctx))
}

func largeObjects() {
	conn := open("")
	defer conn.Close(ctx)
	tx, err := conn.Begin(ctx)
	must(err)
	objects := tx.LargeObjects()
	oid, err := objects.Create(ctx, 0)
	must(err)
	one, err := objects.Open(ctx, oid, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
	must(err)
	n, err := one.Write(bytes.Repeat([]byte("L"), 300000))
	must(err)
	at, err := one.Seek(299990, io.SeekStart)
	must(err)
	data, err := io.ReadAll(one)
	show(n, at, string(data), err)
	must(one.Truncate(1000))
	must(one.Close())
	must(tx.Commit(ctx))
	show(len(ask(conn, "select lo_get($1)", oid)[0][0].([]byte)), ask(conn, "select lo_unlink($1)", oid))
}

func big() {
	conn := open("")
	defer conn.Close(ctx)
	rows := ask(conn, "select i, 'row ' || i from generate_series(1, $1) i", 60000)
	show(len(rows), rows[59999])
	show(len(ask(conn, "select repeat('w', 9000000)")[0][0].(string)))
	word := strings.Repeat("ä", 2000000)
	show(ask(conn, "select $1::text", word)[0][0].(string) == word)
}

func ddl() {
	conn := open("")
	defer conn.Close(ctx)
	name := table("ddl")
	ask(conn, "create table "+name+" (id int primary key, word text)")
	ask(conn, "insert into "+name+" values (1, 'a')")
	once := func() {
		rows, err := query(conn, "select id, word from "+name+" where id = $1", 1)
		if err != nil {
			show(describe(err))
		} else {
			show(rows)
		}
	}
	once()
	once()
	ask(conn, "alter table "+name+" add column later int default 5")
	once()
	ask(conn, "drop table "+name)
	once()
	ask(conn, "create table "+name+" (id int primary key, word text)")
	once()
	ask(conn, "drop table "+name)
}

func words() {
	conn := open("")
	defer conn.Close(ctx)
	for _, word := range []string{"grüße", "日本語", "🐘🐘", "a'b\"c\\d", "\t\n\r"} {
		row := ask(conn, "select $1::text, char_length($1::text)", word)[0]
		show(row[0].(string) == word, row[1])
	}
	data := make([]byte, 1024)
	for i := range data {
		data[i] = byte(i)
	}
	show(bytes.Equal(ask(conn, "select $1::bytea", data)[0][0].([]byte), data))
}

func notices() {
	conn := open("", func(c *pgx.ConnConfig) {
		c.OnNotice = func(_ *pgconn.PgConn, one *pgconn.Notice) { show(one.Severity, one.Code, one.Message) }
	})
	defer conn.Close(ctx)
	ask(conn, "do $$ begin raise notice 'one'; raise warning 'two %', 2; end $$")
	ask(conn, "drop table if exists none_"+tag)
}

func main() {
	run(map[string]func(){
		"connect": connect, "simple": simple, "parameters": parameters, "prepared": prepared,
		"many-prepared": manyPrepared, "pipeline": pipeline, "transactions": transactions, "cursors": cursors,
		"copy-in": copyIn, "copy-out": copyOut, "listen": listen, "cancel": cancel, "errors": errors,
		"timeouts": timeouts, "killed": killed, "settings": settings, "temporary": temporary,
		"advisory-locks": advisoryLocks, "large-objects": largeObjects, "big": big, "ddl": ddl,
		"text": words, "notices": notices,
	})
}
