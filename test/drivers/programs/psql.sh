#!/bin/bash
# psql shows the features; see test/drivers/features.ts. The programs of PostgreSQL come from PATH.
set -uo pipefail

tag=$DRIVER_TAG
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# Errors with all their fields; process ids and ports are nothing to compare.
sql() {
  psql -X -q -a -v VERBOSITY=verbose -v SHOW_CONTEXT=errors "$@" 2>&1 |
    sed -E 's/(server process with PID|, port) [0-9]+/\1 N/; s/^psql:<stdin>:[0-9]+: //'
}

unsupported() { printf 'not supported: %s\n' "$1"; }

show_connect() {
  for _ in 1 2 3; do sql -At <<<'select current_user, current_database();'; done
  PGAPPNAME="app $tag" PGOPTIONS='-c work_mem=3MB -c statement_timeout=12345' sql -At <<'SQL'
show application_name;
show work_mem;
show statement_timeout;
SQL
  PGTZ=Asia/Tokyo PGDATESTYLE=German PGCLIENTENCODING=LATIN1 sql -At <<'SQL'
select timestamptz '2020-01-01 00:00:00+00';
show client_encoding;
\encoding
SQL
  sql -At <<SQL
\\c drivers app
select current_user;
\\c none_$tag
select 'still here';
SQL
  sql -d "none_$tag" -c 'select 1' | sed -E 's/^.*(FATAL)/\1/'
  sql -U "none_$tag" -c 'select 1' | sed -E 's/^.*(FATAL)/\1/'
}

show_simple() {
  sql <<'SQL'
select 1 as a, 'x' as b, null as c, true as d, 1.5::float8 as e;
select i, repeat('x', i) as t from generate_series(1, 12) i;
;
select 1 as a where false;
select 1 \; select 2 union select 3 order by 1 \; set work_mem = '4MB';
select 1 \; select 1/0 \; select 2;
\x
select 1 as one, 'two' as two;
\x
select 1 as one, 2 as "Zwei" \gset got_
\echo :got_one :got_Zwei
\gdesc
select 1::int as a, now() as t, 'x'::varchar(7) as v \gdesc
select format('select %s as n', i) from generate_series(1, 4) i \gexec
values (1, 'a'), (2, 'b');
explain (costs off) select 1;
\echo :LAST_ERROR_SQLSTATE :ROW_COUNT
SQL
  sql -c 'select 1' -c 'select 2; select 3'
}

show_prepared() {
  sql <<'SQL'
prepare twice (int, text) as select $1 * 2 as n, $2 as t;
execute twice (21, 'x');
execute twice (4, 'y');
prepare twice as select 1;
select name, statement, parameter_types from pg_prepared_statements where from_sql;
begin;
execute twice (1, 'in a transaction');
prepare inside as select 'inside' as w;
rollback;
execute inside;
deallocate twice;
execute twice (1, 'z');
prepare a as select 'a' as w;
prepare b as select 'b' as w;
deallocate all;
execute a;
prepare a as select 'again' as w;
discard all;
execute a;
SQL
}

show_many-prepared() {
  {
    for i in {1..60}; do echo "prepare q$i as select $i as n, '$tag' as t;"; done
    for i in 1 30 60; do echo "execute q$i;"; done
  } >"many.sql"
  sql -At -f "many.sql"
}

show_transactions() {
  sql <<SQL
create table tx_$tag (id int primary key, word text);
begin;
insert into tx_$tag values (1, 'one');
commit;
begin;
insert into tx_$tag values (2, 'two');
rollback;
table tx_$tag;
begin isolation level serializable;
show transaction_isolation;
savepoint a;
insert into tx_$tag values (1, 'double');
select 1;
rollback to a;
insert into tx_$tag values (3, 'three');
commit;
table tx_$tag;
begin;
select 1/0;
commit;
start transaction read only;
insert into tx_$tag values (4, 'four');
rollback;
begin;
set local work_mem = '7MB';
show work_mem;
commit and chain;
show work_mem;
rollback;
\\set AUTOCOMMIT off
insert into tx_$tag values (5, 'five');
rollback;
insert into tx_$tag values (6, 'six');
commit;
\\set AUTOCOMMIT on
\\set ON_ERROR_ROLLBACK on
begin;
select 1/0;
insert into tx_$tag values (7, 'seven');
commit;
table tx_$tag;
vacuum tx_$tag;
drop table tx_$tag;
SQL
}

show_cursors() {
  sql <<'SQL'
begin;
declare c scroll cursor for select i from generate_series(1, 100) i;
fetch 3 from c;
fetch backward 2 from c;
move forward all in c;
fetch last from c;
close c;
fetch 1 from c;
rollback;
declare h cursor with hold for select i from generate_series(1, 5) i;
fetch 2 from h;
select 1 as between_fetches;
fetch 2 from h;
select name, is_holdable from pg_cursors;
close all;
fetch 1 from h;
declare x cursor for select 1;
\set FETCH_COUNT 7
select i from generate_series(1, 20) i;
select 10 / (15 - i) from generate_series(1, 20) i;
SQL
}

show_copy-in() {
  seq -f '%.0f,word' 100 5100 >"many.csv"
  sql <<SQL
create table copied_$tag (id int primary key, word text);
copy copied_$tag from stdin;
1	eins
2	\\N
\\.
\\copy copied_$tag from many.csv csv
copy copied_$tag from stdin;
900000	x
no number
\\.
copy copied_$tag from stdin;
1	double
\\.
copy none_$tag from stdin;
begin;
copy copied_$tag from stdin csv;
900001,"in, a transaction"
\\.
rollback;
select count(*), sum(id), max(word) from copied_$tag;
drop table copied_$tag;
SQL
}

show_copy-out() {
  sql <<SQL
copy (select i, 'x' || i from generate_series(1, 5) i) to stdout;
\\copy (select i, repeat('y', 100) from generate_series(1, 50000) i) to out.csv csv
copy (select 10 / (5 - i) from generate_series(1, 9) i) to stdout;
copy none_$tag to stdout;
copy (select 1 where false) to stdout;
copy (select 1) to stdout \\; select 2 \\; copy (select 3) to stdout;
SQL
  md5sum <"out.csv"
}

show_listen() {
  sql -At <<SQL
listen ch_$tag;
notify ch_$tag, 'to myself';
select 1;
\\! psql -X -q -c "notify ch_$tag, 'from another'"
select pg_sleep(0.3);
select 2;
begin;
notify ch_$tag, 'in a transaction';
commit;
select pg_listening_channels();
unlisten *;
notify ch_$tag, 'to nobody';
select count(*) from pg_listening_channels();
SQL
}

show_cancel() {
  for _ in 1 2; do
    timeout --foreground -s INT 0.7 psql -X -q -v VERBOSITY=verbose -c 'select pg_sleep(20)' 2>&1
    sql -At <<<'select 1 as lives;'
  done
}

show_errors() {
  sql <<SQL
create table err_$tag (id int constraint pk_$tag primary key, n int not null constraint ck_$tag check (n > 0));
selec 1;
select from where;
select * from none_$tag;
select nothing from err_$tag;
select 'x'::int;
select 10 / (5 - i) from generate_series(1, 9) i;
insert into err_$tag values (1, 1);
insert into err_$tag values (1, 1);
insert into err_$tag values (2, null);
insert into err_$tag values (2, -1);
create table pg_catalog.err_$tag (a int);
do \$\$ begin raise exception 'own' using errcode = 'ZX001', detail = 'd', hint = 'h'; end \$\$;
select 1 + 'a'::text;
select 1 as lives;
drop table err_$tag;
\\errverbose
SQL
}

show_timeouts() {
  sql <<SQL
set statement_timeout = 200;
select pg_sleep(20);
reset statement_timeout;
create table lck_$tag (id int);
insert into lck_$tag values (1);
begin;
select * from lck_$tag for update;
\\! psql -X -q -c "set lock_timeout = 200" -c "update lck_$tag set id = 2" 2>&1
\\! psql -X -q -c "select * from lck_$tag for update nowait" 2>&1
commit;
set idle_in_transaction_session_timeout = 300;
drop table lck_$tag;
SQL
}

show_killed() {
  sql <<'SQL'
select pg_terminate_backend(pg_backend_pid());
select 'again' as word;
begin;
select pg_terminate_backend(pg_backend_pid());
select 'again' as word;
SQL
}

show_settings() {
  sql -At <<SQL
create schema s_$tag;
create table s_$tag.inside as select 11 as a;
set search_path = s_$tag, public;
table inside;
set timezone = 'Asia/Tokyo';
set datestyle = 'German, DMY';
select timestamptz '2020-01-01 00:00:00+00', date '2020-12-31';
set extra_float_digits = 0;
set bytea_output = 'escape';
select 0.1::float8 + 0.2, '\\xff'::bytea;
select set_config('application_name', 'later $tag', false);
set my.own = 'it''s \\ "mine" $tag';
show my.own;
show timezone;
table inside;
show application_name;
begin;
set local timezone = 'UTC';
show timezone;
set work_mem = '9MB';
rollback;
show timezone;
show work_mem;
set standard_conforming_strings = off;
select 'a\\nb';
set standard_conforming_strings = on;
select 'a\\nb';
set client_encoding = 'LATIN1';
\\encoding
set names 'UTF8';
set time zone interval '+03:30' hour to minute;
show timezone;
set session characteristics as transaction isolation level serializable;
show transaction_isolation;
set role app;
select current_user, current_setting('role');
set role none;
reset all;
show datestyle;
show search_path;
show timezone;
\\dn s_$tag
discard all;
drop schema s_$tag cascade;
SQL
}

show_temporary() {
  sql <<'SQL'
create temporary table own (a int);
insert into own values (1), (2);
table own;
select count(*) from own;
begin;
create temp table short on commit drop as select 1 as a;
table short;
commit;
table short;
create temp view seen as table own;
table seen;
create temp sequence numbers;
select nextval('numbers');
select nextval('numbers'), currval('numbers');
discard temp;
table own;
select currval('numbers');
SQL
  sql <<<'table own;'
}

show_advisory-locks() {
  sql -At <<SQL
select pg_advisory_lock(hashtext('$tag'));
select 1;
\\! psql -X -q -At -c "select pg_try_advisory_lock(hashtext('$tag'))"
select pg_advisory_unlock(hashtext('$tag'));
select pg_advisory_unlock(hashtext('$tag'));
begin;
select pg_try_advisory_xact_lock(hashtext('$tag'));
\\! psql -X -q -At -c "select pg_try_advisory_xact_lock(hashtext('$tag'))"
commit;
\\! psql -X -q -At -c "select pg_try_advisory_xact_lock(hashtext('$tag'))"
SQL
}

show_large-objects() {
  head -c 300000 /dev/zero | tr '\0' 'L' >"in"
  sql -At <<SQL
\\lo_import in
\\set oid :LASTOID
select length(lo_get(:oid));
\\lo_export :oid out
begin;
select lo_open(:oid, 393216) as fd \\gset
select lo_lseek(:fd, 299990, 0);
select length(loread(:fd, 100));
select lowrite(:fd, 'abc');
select lo_close(:fd);
commit;
select length(lo_get(:oid));
\\lo_unlink :oid
SQL
  md5sum <"out"
}

show_big() {
  sql -At -o "big" <<<"select i, repeat('r', 50) from generate_series(1, 100000) i;"
  md5sum <"big"
  sql -At -o "wide" <<<"select repeat('w', 20000000);"
  md5sum <"wide"
  { printf "select length('"; head -c 3000000 /dev/zero | tr '\0' 'p'; printf "') as n;\n"; } >"long.sql"
  psql -X -At -f "long.sql" 2>&1
}

show_ddl() {
  sql <<SQL
create table ddl_$tag (id int primary key, word text default 'w');
prepare get as select id, word from ddl_$tag where id = 1;
insert into ddl_$tag values (1);
execute get;
create index on ddl_$tag (word);
execute get;
alter table ddl_$tag add column later int default 5;
execute get;
\\d ddl_$tag
begin;
drop table ddl_$tag;
execute get;
rollback;
execute get;
create function f_$tag(int) returns int language sql as 'select \$1 + 1';
select f_$tag(1);
create or replace function f_$tag(int) returns int language sql as 'select \$1 + 2';
select f_$tag(1);
drop function f_$tag;
create materialized view mv_$tag as select count(*) from ddl_$tag;
refresh materialized view mv_$tag;
table mv_$tag;
drop table ddl_$tag cascade;
SQL
}

show_text() {
  sql <<'SQL'
select 'grüße' as "spalte ü", '日本語 🐘' as b, U&'\0441\043b\043e\043d' as u;
select '\x00ff275c'::bytea, E'a\'b"c\\d\te';
select convert_from('\xc3a4', 'UTF8'), char_length('äöü'), octet_length('äöü');
set client_encoding = 'LATIN1';
select convert_to('ä', 'LATIN1'), '日';
SQL
}

show_notices() {
  sql <<SQL
do \$\$ begin raise notice 'one'; raise warning 'two %', 2; end \$\$;
commit;
drop table if exists none_$tag;
set client_min_messages = error;
do \$\$ begin raise notice 'unheard'; end \$\$;
reset client_min_messages;
begin; do \$\$ begin raise info 'three'; end \$\$; commit;
SQL
}

for feature in "$@"; do
  printf '## %s\n' "$feature"
  case $feature in
    parameters | pipeline) unsupported 'psql 15 sends no parameters' ;;
    *) "show_$feature" ;;
  esac
done
printf '## end\n'
