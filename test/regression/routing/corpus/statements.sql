# Plain reads
select 1
SELECT 1
SeLeCt 1
select * from t
select id, v from t where id = 1 order by id limit 1
select count(*) from t
select t.id, c.note from t join child c on c.t_id = t.id
select * from s.t
select * from public.t
select * from "Mixed Case"
select "Some Id" from "Mixed Case"
select * from plain_view
select * from view_of_view
select * from stored
select * from s.there
select * from parts
select * from only t
select 1 union select 2
select 1 union all select id from t
select id from t except select 1
select id from t intersect select 2
(select 1)
(select 1) union (select 2)
((select id from t))
select (select max(id) from t)
select * from (select id from t) x
select * from t where id in (select t_id from child)
select * from t where exists (select 1 from child where t_id = t.id)
select distinct v from t
select distinct on (v) v, id from t
select v, count(*) from t group by v having count(*) > 0
select v, count(*) from t group by rollup (v)
select rank() over (order by id) from t
select id, lag(id) over w from t window w as (order by id)
select * from t tablesample system (50)
select * from generate_series(1, 3)
select * from t, lateral (select t.id) x
select case when id = 1 then 'a' else 'b' end from t
select array(select id from t)
select array[1, 2, 3]
select row(1, 2)
select (row(1, 2)::pair).a
select 1::text
select cast(1 as text)
select date '2020-01-01'
select interval '1 day'
select 'select into'
select $$insert into t$$
select 'a' as "for update"
select null
select 1 where false
select current_date
select current_timestamp
select localtime
select current_user
select session_user
select current_catalog
select all id from t
select 1;
select 1 ;
select 1;;
select 1/0
select nothing from nowhere
select * from t where v like 'v%' escape '!'
select id from t offset 1 rows fetch next 2 rows only
select * from t order by id desc nulls last
values (1)
VALUES (1), (2)
table t
TABLE s.t
with x as (select 1) select * from x
WITH x AS (select id from t) select * from x
with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select * from r
with x as materialized (select 1) select * from x
with x as (select 1), y as (select * from x) select * from y
with x as (values (1)) select * from x
with t as (select 1) select * from t

# Blanks and comments
  select 1
\tselect 1
\nselect 1
\n\n  \tselect 1
select\n1
select 1\n
/* c */ select 1
/*NO LOAD BALANCE*/ select 1
/*REPLICATION*/ select 1
-- c\nselect 1
  /* c */ select 1
select /* c */ 1
select 1 /* c */
select 1 -- c
select -- c\n 1
/* a /* nested */ b */ select 1
/* c */ insert into t values (100, 'x')
@simple @bare \e
@simple @bare ;
@simple @bare ;;
@simple @bare  \e
@simple @bare /* only a comment */
@simple @bare -- only a comment

# Reads that lock or make something
select * from t for update
select * from t for share
select * from t for no key update
select * from t for key share
select * from t for update nowait
select * from t for update skip locked
select * from t for update of t
SELECT * FROM t FOR UPDATE
select * from (select * from t for update) x
with x as (select * from t for update) select * from x
select 1 union (select id from t for update)
select * from t where id in (select id from child for share)
select 1 into made_1
select * into made_2 from t
select id into temp made_3 from t
select id into unlogged made_4 from t
select id into table made_5 from t
with x as (select 1 as a) select a into made_6 from x
with x as (insert into t values (201, 'x') returning id) select * from x
with x as (update t set v = 'y' where id = 201 returning id) select * from x
with x as (delete from t where id = 201 returning id) select * from x
with x as (select 1), y as (insert into t values (202, 'x') returning id) select * from x
with x as (select 1) insert into t select 203, 'x' from x
with x as (select 1) update t set v = 'z' where id in (select * from x)
with x as (select 1) delete from t where id = 203

# Writes
insert into t values (301, 'x')
insert into t (id, v) values (302, 'x'), (303, 'y')
insert into t select 304, 'x'
insert into t values (305, 'x') returning id
insert into t values (305, 'x') on conflict do nothing
insert into t values (305, 'x') on conflict (id) do update set v = excluded.v
insert into s.t default values
insert into "Mixed Case" values (1)
insert into plain_view values (306, 'x')
insert into serials (v) values ('x')
INSERT INTO t VALUES (307, 'x')
update t set v = 'x' where id = 301
update only t set v = 'x' where id = 301
update t set v = c.note from child c where c.t_id = t.id and t.id = 301
update s.t set v = 'x' returning *
delete from t where id = 301
delete from only t where id = 302
delete from t using child c where c.id = t.id and t.id = 303
delete from s.t
merge into t using child c on c.id = t.id when matched then update set v = 'm'
insert into t values (301,
update t set
delete t
truncate written
truncate table written, unrelated restart identity cascade

# Definitions
create table defined_1 (id int)
create table defined_2 as select 1 as a
create table if not exists defined_1 (id int)
create temp table defined_3 (id int)
create temporary table defined_4 (id int)
create unlogged table defined_5 (id int)
create table defined_6 (like t including all)
create view defined_view as select 1
create or replace view defined_view as select 2 as "?column?"
create materialized view defined_stored as select 1 as a
refresh materialized view stored
refresh materialized view defined_stored with no data
create index on t (v)
create unique index defined_index on t (id, v)
create index concurrently if not exists defined_index on t (id, v)
drop index defined_index
reindex table t
alter table t add column extra int
alter table t drop column extra
alter table defined_1 rename to defined_7
alter table defined_7 rename column id to number
alter view defined_view rename to defined_view_2
alter sequence counter restart
alter index if exists none_here rename to nor_here
create sequence defined_sequence
drop sequence defined_sequence
create schema defined_schema
drop schema defined_schema
create type defined_type as enum ('a', 'b')
alter type defined_type add value 'c'
drop type defined_type
create domain defined_domain as int
drop domain defined_domain
create function defined_f() returns int language sql as 'select 1'
create or replace function defined_f() returns int language sql as 'select 2'
alter function defined_f() immutable
drop function defined_f()
create procedure defined_p() language sql as 'select 1'
drop procedure defined_p()
create rule defined_rule as on insert to unrelated do instead nothing
drop rule defined_rule on unrelated
create extension if not exists plpgsql
create operator #### (leftarg = int, rightarg = int, function = int4pl)
create cast (pair as text) with inout
create collation defined_collation from "C"
create statistics defined_statistics on id, v from t
create policy defined_policy on t
create publication defined_publication for table t
drop publication defined_publication
create event trigger defined_event on ddl_command_start execute function none_here()
create foreign data wrapper defined_wrapper
drop foreign data wrapper defined_wrapper
create role postgres
drop role if exists nobody_here
drop table if exists none_here
drop table defined_7
drop view defined_view_2
drop materialized view defined_stored
drop owned by postgres
grant select on t to public
revoke select on t from public
grant postgres to postgres
comment on table t is 'x'
comment on column t.v is null
security label on table t is 'x'
import foreign schema a from server b into public
alter default privileges grant select on tables to public
alter system reset work_mem
alter database none_here set work_mem = '4MB'
alter role none_here set work_mem = '4MB'

# Upkeep
vacuum t
vacuum analyze t
vacuum (verbose off) t
analyze t
analyze
checkpoint
cluster t using t_pkey
reindex index t_pkey
load 'plpgsql'
do $$ begin null; end $$
do language plpgsql $$ begin perform 1; end $$
call quiet_p()
call writing_p(1)
lock table t
lock t in access share mode
lock t in row share mode
lock t in row exclusive mode
lock t in share mode
lock t in exclusive mode nowait
listen channel
unlisten channel
unlisten *
notify channel
notify channel, 'payload'

# EXPLAIN
explain select * from t
EXPLAIN SELECT 1
explain (costs off) select * from t
explain (format json) select * from t
explain verbose select * from t
explain analyze select * from t
explain (analyze) select * from t
explain (analyze off) select * from t
explain (analyze, buffers) select * from t
explain insert into t values (401, 'x')
explain analyze insert into t values (402, 'x')
explain (analyze true) update t set v = 'x' where id = 1
explain delete from t
explain select volatile_f(1)
explain select * from pg_class
explain values (1)
explain execute none_here
explain declare c cursor for select 1
explain create table explained as select 1
explain with x as (insert into t values (403, 'x') returning id) select * from x

# COPY
copy t to stdout
COPY t TO STDOUT
copy t (id) to stdout
copy s.t to stdout with (format csv)
copy (select * from t) to stdout
copy (select 1) to stdout csv header
copy (values (1)) to stdout
copy (table t) to stdout
copy (select volatile_f(1)) to stdout
copy (select * from pg_class) to stdout
copy pg_class to stdout
copy unlogged_t to stdout
copy (select * from unlogged_t) to stdout
copy (insert into t values (501, 'x') returning id) to stdout
copy (update t set v = 'x' where id = 501 returning id) to stdout
copy (delete from t where id = 501 returning id) to stdout
copy (select * from t for update) to stdout
copy (with x as (insert into t values (502, 'x') returning id) select * from x) to stdout
// Pgpool-II does not go on with one in the extended protocol.
@simple copy written from stdin
@simple copy written (id) from stdin with (format csv)
@simple COPY s.t FROM STDIN
copy t to '/nowhere/at-all'
copy t from '/nowhere/at-all'
copy t to program 'cat >/dev/null'
copy t from program 'true'
  copy t to stdout
/* c */ copy t to stdout

# SET and SHOW
set work_mem = '4MB'
SET work_mem TO '4MB'
set session work_mem = '4MB'
set local work_mem = '4MB'
set work_mem to default
set search_path = s, public
set search_path to 's'
set time zone 'UTC'
set timezone = 'UTC'
set time zone local
set names 'utf8'
set client_encoding to 'utf8'
set role postgres
set role none
set session authorization default
set session authorization postgres
set application_name = 'another'
set xml option document
set seed to 0.5
set app.person = '1'
set datestyle to iso
set constraints all deferred
set transaction isolation level serializable
set transaction isolation level repeatable read
set transaction isolation level read committed
set transaction read only
set transaction read write
set transaction deferrable
set transaction isolation level serializable read only
set session characteristics as transaction isolation level serializable
set session characteristics as transaction isolation level read committed
set session characteristics as transaction read only
set session characteristics as transaction read write
set transaction_isolation to 'serializable'
set transaction_isolation = 'read committed'
set default_transaction_isolation = 'serializable'
set default_transaction_isolation to serializable
set default_transaction_isolation to 'repeatable read'
set transaction_read_only to on
set transaction_read_only to off
set transaction_read_only = 'off'
set transaction_read_only = false
set transaction_read_only = f
set transaction_read_only = true
set default_transaction_read_only to off
set default_transaction_read_only to on
set default_transaction_read_only = false
set none_here = 1
set work_mem
reset work_mem
reset all
reset role
reset session authorization
reset time zone
reset none_here
discard all
discard plans
discard sequences
discard temp
discard temporary
DISCARD ALL
show work_mem
SHOW work_mem
show all
show time zone
show transaction isolation level
show server_version
show search_path
show session authorization
show none_here
show transaction_read_only
show in_hot_standby

# Several statements in one text
@simple select 1; select 2
@simple select 1;select 2;
@simple select 1; insert into t values (601, 'x')
@simple insert into t values (602, 'x'); select 1
@simple begin; select 1; commit
@simple begin; insert into t values (603, 'x'); commit
@simple set work_mem = '4MB'; select 1
@simple select 1; set work_mem = '4MB'
@simple set work_mem = '4MB'; set search_path = public
@simple show work_mem; show search_path
@simple ; select 1
@simple select 1;\n\n-- c\n;
@simple select ';'
@simple select $a$;$a$
@simple select 1; nonsense
@simple nonsense; select 1
@simple select 1; select 1/0; select 2
@simple create temp table several (id int); select * from several
@simple prepare several as select 1; execute several
@simple declare c cursor with hold for select 1; fetch c
@simple commit; select 1
@simple discard all; select 1
select 1; select 2

# Cursors and prepared statements outside a transaction
declare c cursor for select 1
declare c cursor with hold for select 1
fetch c
fetch all from none_here
move c
close c
close all
prepare p as select 1
prepare p (int) as select * from t where id = $1
prepare p as insert into t values (701, 'x')
prepare p as values (1)
prepare p as select volatile_f(1)
execute p
execute p (1)
EXECUTE none_here
deallocate p
deallocate all
deallocate prepare p
deallocate prepare all

# Transaction control outside a transaction
commit
rollback
end
abort
commit and no chain
rollback and chain
savepoint a
release a
rollback to a
prepare transaction 'none {lane}'
commit prepared 'none {lane}'
rollback prepared 'none {lane}'

# Errors
nonsense
selec 1
select
select from
select * from
select 'unclosed
select "unclosed
select (1
select 1 )
select * from none_here
select * from none_here.none_here
select none_here from t
select none_here(1)
select 'a'::int
insert into none_here values (1)
update none_here set a = 1
select /* unclosed
