// lib/pq shows the features; see test/drivers/features.ts.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"
)

// One connection at a time, as long as nothing else is asked for.
func open(options string) *sql.DB {
	db, err := sql.Open("postgres", "sslmode=disable "+options)
	must(err)
	db.SetMaxOpenConns(1)
	return db
}

type asker interface {
	QueryContext(context.Context, string, ...interface{}) (*sql.Rows, error)
}

func collect(rows *sql.Rows) ([][]interface{}, error) {
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	all := [][]interface{}{}
	for rows.Next() {
		row := make([]interface{}, len(columns))
		places := make([]interface{}, len(columns))
		for i := range row {
			places[i] = &row[i]
		}
		if err := rows.Scan(places...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

func query(on asker, text string, values ...interface{}) ([][]interface{}, error) {
	rows, err := on.QueryContext(context.Background(), text, values...)
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
	if e, is := err.(*pq.Error); is {
		return fmt.Sprintf("%s %s %s %s %s %s %s %s %s %s %s", e.Severity, e.Code, e.Message, e.Detail, e.Hint,
			e.Position, e.Table, e.Column, e.Constraint, e.Where, e.Routine)
	}
	return err.Error()
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
		db := open("")
		show(i, ask(db, "select current_user, current_database()"))
		must(db.Close())
	}
	db := open("application_name=app" + tag + " work_mem=3MB")
	show(ask(db, "show application_name"), ask(db, "show work_mem"))
	must(db.Close())
	for _, options := range []string{"dbname=none_" + tag, "user=none_" + tag} {
		db := open(options)
		attempt("refused", db.Ping())
		must(db.Close())
	}
}

func simple() {
	db := open("")
	defer db.Close()
	show(ask(db, "select 1, 'x', null, true, 1.5::float8, numeric '1.50', date '2020-02-29'"))
	show(ask(db, "select i, repeat('x', i) from generate_series(1, 10) i"))
	rows, err := db.Query("select 1; select 2, 'b'")
	must(err)
	for more := true; more; more = rows.NextResultSet() {
		columns, err := rows.Columns()
		must(err)
		for rows.Next() {
			places := make([]interface{}, len(columns))
			row := make([]interface{}, len(columns))
			for i := range row {
				places[i] = &row[i]
			}
			must(rows.Scan(places...))
			show(row)
		}
	}
	must(rows.Close())
	fails("half", db, "select 1; select 1/0; select 2")
	_, err = db.Exec("")
	attempt("empty", err)
}

func parameters() {
	db := open("")
	defer db.Close()
	show(ask(db, "select $1::int, $2::text, $3::float8", 7, "sieben", 7.25))
	show(ask(db, "select $1::text is null, $2::int[]", nil, pq.Array([]int{1, 2, 3})))
	show(ask(db, "select $1::text", "'; drop table x; -- $1 \\ \" ' select"))
	show(ask(db, "select $1::bytea, $2::bool, $3::timestamptz", []byte{0, 1, 255, 39, 92}, true, time.Unix(0, 0)))
	fails("bad", db, "select $1::int", "no number")
	fails("too few", db, "select $1::int, $2::int", 1)
	binary := open("binary_parameters=yes")
	defer binary.Close()
	for i := 0; i < 5; i++ {
		show(ask(binary, "select $1::int + 1, $2::text", i, "w"))
	}
	fails("bad", binary, "select $1::int", "no number")
	show(ask(binary, "select 1"))
}

func prepared() {
	db := open("")
	defer db.Close()
	one, err := db.Prepare("select $1::int + 10")
	must(err)
	two, err := db.Prepare("select $1::text || 'x'")
	must(err)
	for i := 0; i < 8; i++ {
		var n int
		var word string
		must(one.QueryRow(i).Scan(&n))
		must(two.QueryRow(fmt.Sprint(i)).Scan(&word))
		show(n, word)
	}
	_, err = db.Prepare("selec 1")
	attempt("bad", err)
	tx, err := db.Begin()
	must(err)
	var n int
	must(tx.Stmt(one).QueryRow(100).Scan(&n))
	show(n)
	must(tx.Rollback())
	must(one.QueryRow(200).Scan(&n))
	show(n)
	must(one.Close())
	must(two.Close())
}

func manyPrepared() {
	db := open("")
	defer db.Close()
	all := []*sql.Stmt{}
	for i := 0; i < 60; i++ {
		one, err := db.Prepare(fmt.Sprintf("select $1::int + %d, '%s'", i, tag))
		must(err)
		all = append(all, one)
	}
	for round := 0; round < 3; round++ {
		sum := 0
		for _, one := range all {
			var n int
			var word string
			must(one.QueryRow(round).Scan(&n, &word))
			sum += n
		}
		show(round, sum)
	}
	for _, one := range all {
		must(one.Close())
	}
}

func transactions() {
	db := open("")
	defer db.Close()
	name := table("tx")
	ask(db, "create table "+name+" (id int primary key, word text)")
	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("insert into "+name+" values ($1, $2)", 1, "one")
	must(err)
	attempt("commit", tx.Commit())
	tx, err = db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(err)
	show(ask(tx, "show transaction_isolation"))
	ask(tx, "savepoint a")
	fails("double", tx, "insert into "+name+" values (1, 'x')")
	fails("aborted", tx, "select 1")
	ask(tx, "rollback to a")
	ask(tx, "insert into "+name+" values (2, 'two')")
	attempt("rollback", tx.Rollback())
	show(ask(db, "table "+name))
	tx, err = db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	must(err)
	fails("read only", tx, "insert into "+name+" values (3, 'x')")
	attempt("commit of a failed one", tx.Commit())
	show(ask(db, "select count(*) from "+name))
	ask(db, "drop table "+name)
}

func cursors() {
	db := open("")
	defer db.Close()
	tx, err := db.Begin()
	must(err)
	ask(tx, "declare c scroll cursor for select i from generate_series(1, 100) i")
	show(ask(tx, "fetch 3 from c"), ask(tx, "fetch backward 2 from c"), ask(tx, "fetch last from c"))
	ask(tx, "declare h cursor with hold for select i from generate_series(1, 10) i")
	must(tx.Commit())
	show(ask(db, "fetch 3 from h"), ask(db, "select 1"), ask(db, "fetch 3 from h"))
	ask(db, "close h")
	fails("closed", db, "fetch 1 from h")
}

func copyIn() {
	db := open("")
	defer db.Close()
	name := table("copied")
	ask(db, "create table "+name+" (id int primary key, word text)")
	into := func(commit bool, rows ...[]interface{}) error {
		tx, err := db.Begin()
		must(err)
		statement, err := tx.Prepare(pq.CopyIn(name, "id", "word"))
		must(err)
		for _, row := range rows {
			if _, err = statement.Exec(row...); err != nil {
				break
			}
		}
		if err == nil {
			_, err = statement.Exec()
		}
		_ = statement.Close()
		if err != nil || !commit {
			_ = tx.Rollback()
			return err
		}
		return tx.Commit()
	}
	many := [][]interface{}{}
	for i := 100; i < 9000; i++ {
		many = append(many, []interface{}{i, fmt.Sprintf("word %d", i)})
	}
	attempt("few", into(true, []interface{}{1, "eins"}, []interface{}{2, nil}))
	attempt("many", into(true, many...))
	attempt("double", into(true, []interface{}{1, "x"}))
	attempt("bad", into(true, []interface{}{"no number", "x"}))
	attempt("rolled back", into(false, []interface{}{900000, "x"}))
	show(ask(db, "select count(*), sum(id) from "+name))
	ask(db, "drop table "+name)
}

func listen() {
	listener := pq.NewListener("sslmode=disable", time.Second, time.Second, nil)
	defer listener.Close()
	must(listener.Listen(table("ch")))
	db := open("")
	defer db.Close()
	ask(db, "select pg_notify($1, 'one')", table("ch"))
	ask(db, "notify "+table("ch")+", 'two'")
	for i := 0; i < 2; i++ {
		one := <-listener.Notify
		show(one.Channel, one.Extra)
	}
	must(listener.Ping())
	must(listener.Unlisten(table("ch")))
	attempt("again", listener.Unlisten(table("ch")))
}

func cancel() {
	db := open("")
	defer db.Close()
	for i := 0; i < 2; i++ {
		limited, stop := context.WithTimeout(context.Background(), 400*time.Millisecond)
		_, err := db.ExecContext(limited, "select pg_sleep($1)", 20)
		attempt("cancelled", err)
		stop()
		show(ask(db, "select 1"))
	}
}

func errors() {
	db := open("")
	defer db.Close()
	name := table("err")
	ask(db, "create table "+name+" (id int constraint "+table("pk")+" primary key, n int not null constraint "+table("ck")+" check (n > 0))")
	fails("syntax", db, "selec $1", 1)
	fails("table", db, "select * from none_"+tag)
	fails("bind", db, "select $1::int", "x")
	fails("execute", db, "select 10 / ($1 - i) from generate_series(1, 9) i", 5)
	ask(db, "insert into "+name+" values (1, 1)")
	fails("double", db, "insert into "+name+" values ($1, 1)", 1)
	fails("null", db, "insert into "+name+" values (2, $1)", nil)
	fails("check", db, "insert into "+name+" values (2, $1)", -1)
	show(ask(db, "select 1"))
	ask(db, "drop table "+name)
}

func timeouts() {
	db := open("statement_timeout=300")
	defer db.Close()
	fails("statement", db, "select pg_sleep($1)", 20)
	fails("statement", db, "select pg_sleep(20)")
	show(ask(db, "show statement_timeout"))
}

func killed() {
	db := open("")
	defer db.Close()
	one, err := db.Conn(context.Background())
	must(err)
	fails("killed", one, "select pg_terminate_backend(pg_backend_pid())")
	fails("after", one, "select 1")
	_ = one.Close()
	show(ask(db, "select 1"))
}

func settings() {
	db := open("timezone=Asia/Tokyo search_path=" + table("s") + ",public")
	defer db.Close()
	ask(db, "create schema "+table("s"))
	ask(db, "create table inside as select 11 as a")
	ask(db, "set my.own = 'mine "+tag+"'")
	for i := 0; i < 5; i++ {
		show(ask(db, "select current_setting('my.own'), current_setting($1), a from inside", "TimeZone"))
	}
	tx, err := db.Begin()
	must(err)
	ask(tx, "set local timezone = 'UTC'")
	show(ask(tx, "show timezone"))
	must(tx.Commit())
	show(ask(db, "show timezone"))
	ask(db, "reset my.own")
	ask(db, "drop schema "+table("s")+" cascade")
}

func temporary() {
	db := open("")
	ask(db, "create temp table own (a int)")
	ask(db, "insert into own select generate_series(1, $1)", 3)
	for i := 0; i < 4; i++ {
		show(ask(db, "select sum(a) from own where a > $1", i))
	}
	must(db.Close())
	db = open("")
	fails("another", db, "table own")
	must(db.Close())
}

func advisoryLocks() {
	db := open("")
	defer db.Close()
	ask(db, "select pg_advisory_lock(hashtext($1))", tag)
	other := open("")
	show(ask(other, "select pg_try_advisory_lock(hashtext($1))", tag))
	show(ask(db, "select pg_advisory_unlock(hashtext($1))", tag))
	show(ask(other, "select pg_try_advisory_xact_lock(hashtext($1))", tag))
	must(other.Close())
}

func big() {
	db := open("")
	defer db.Close()
	rows := ask(db, "select i, 'row ' || i from generate_series(1, $1) i", 60000)
	show(len(rows), rows[59999])
	show(len(ask(db, "select repeat('w', 9000000)")[0][0].(string)))
	word := strings.Repeat("ä", 2000000)
	show(ask(db, "select $1::text", word)[0][0].(string) == word)
}

func ddl() {
	db := open("")
	defer db.Close()
	name := table("ddl")
	ask(db, "create table "+name+" (id int primary key, word text)")
	ask(db, "insert into "+name+" values (1, 'a')")
	get, err := db.Prepare("select id, word from " + name + " where id = $1")
	must(err)
	defer get.Close()
	once := func() {
		rows, err := get.Query(1)
		if err != nil {
			show(describe(err))
			return
		}
		found, err := collect(rows)
		show(found, err)
	}
	once()
	ask(db, "alter table "+name+" add column later int default 5")
	once()
	ask(db, "drop table "+name)
	once()
	ask(db, "create table "+name+" (id int primary key, word text)")
	once()
	ask(db, "drop table "+name)
}

func words() {
	db := open("")
	defer db.Close()
	for _, word := range []string{"grüße", "日本語", "🐘🐘", "a'b\"c\\d", "\t\n\r"} {
		row := ask(db, "select $1::text, char_length($1::text)", word)[0]
		show(row[0].(string) == word, row[1])
	}
	data := make([]byte, 1024)
	for i := range data {
		data[i] = byte(i)
	}
	show(string(ask(db, "select $1::bytea", data)[0][0].([]byte)) == string(data))
}

func notices() {
	connector, err := pq.NewConnector("sslmode=disable")
	must(err)
	heard := pq.ConnectorWithNoticeHandler(connector, func(one *pq.Error) { show(one.Severity, one.Code, one.Message) })
	db := sql.OpenDB(heard)
	defer db.Close()
	ask(db, "do $$ begin raise notice 'one'; raise warning 'two %', 2; end $$")
	ask(db, "drop table if exists none_"+tag)
}

func main() {
	run(map[string]func(){
		"connect": connect, "simple": simple, "parameters": parameters, "prepared": prepared,
		"many-prepared": manyPrepared, "transactions": transactions, "cursors": cursors, "copy-in": copyIn,
		"listen": listen, "cancel": cancel, "errors": errors, "timeouts": timeouts, "killed": killed,
		"settings": settings, "temporary": temporary, "advisory-locks": advisoryLocks, "big": big,
		"ddl": ddl, "text": words, "notices": notices,
	})
}
