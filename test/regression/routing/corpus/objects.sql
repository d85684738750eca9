# Functions by volatility
select stable_f(1)
select immutable_f(1)
select volatile_f(1)
select default_f(1)
select writing_f(1)
select lying_f(1)
select STABLE_F(1)
select VOLATILE_F(1)
select public.stable_f(1)
select public.volatile_f(1)
select s.only_there_f(1)
select s.only_there_volatile_f(1)
select only_there_f(1)
select "Quoted F"(1)
select "Stable Q"(1)
select public."Quoted F"(1)
select "volatile_f"(1)
select "VOLATILE_F"(1)
select overloaded_f(1)
select overloaded_f('a'::text)
select elsewhere_f(1)
select s.elsewhere_f(1)
select public.elsewhere_f(1)
select total(id) from t
select sum(volatile_f(id)) from t
select * from rows_stable(2)
select * from rows_volatile(2)
select id from t where volatile_f(id) = 1
select id from t where stable_f(id) = 1
select id from t order by volatile_f(id)
select count(*) from t group by volatile_f(id)
select id from t limit volatile_f(1)
select case when volatile_f(1) = 1 then 1 end
select coalesce(null, volatile_f(1))
select (select volatile_f(1))
select * from (select volatile_f(1)) x
select * from t join child on volatile_f(t.id) = child.id
select * from t, lateral rows_volatile(t.id) x
with x as (select volatile_f(1)) select * from x
select 1 union select volatile_f(1)
select volatile_f(1) union select 1
select array[volatile_f(1)]
select stable_f(volatile_f(1))
select volatile_f(stable_f(1))
select array_agg(id order by volatile_f(id)) from t
select count(*) filter (where volatile_f(id) = 1) from t
select rank() over (order by volatile_f(id)) from t
select * from volatile_view
table volatile_view
select quiet_p()
select none_such_f(1)

# PostgreSQL's own functions
select now()
select pg_catalog.now()
select current_timestamp
select clock_timestamp()
select statement_timestamp()
select timeofday()
select random()
select pg_catalog.random()
select setseed(0.5)
select gen_random_uuid()
select lower('A')
select upper('a') || lower('B')
select coalesce(1, 2)
select greatest(1, 2)
select nullif(1, 2)
select substring('abc' from 1 for 2)
select position('a' in 'abc')
select trim(both ' ' from ' a ')
select extract(year from now())
select overlay('abc' placing 'x' from 1)
select generate_series(1, 3)
select unnest(array[1, 2])
select row_number() over () from t
select jsonb_build_object('a', 1)
select version()
select current_setting('work_mem')
select set_config('work_mem', '4MB', false)
select set_config('app.user', '1', true)
select pg_sleep(0)
select pg_backend_pid()
select pg_is_in_recovery()
select pg_last_wal_replay_lsn()
select pg_current_wal_lsn()
select txid_current()
select txid_current_if_assigned()
select pg_current_xact_id()
select pg_current_snapshot()
select inet_server_port()
select nextval('counter')
select nextval('s.counter2')
select currval('counter')
select lastval()
select setval('counter', 5)
select * from counter
select last_value from counter
select pg_advisory_lock(1)
select pg_try_advisory_lock(1)
select pg_advisory_xact_lock(1)
select pg_advisory_unlock_all()
select pg_notify('channel', 'x')
select pg_listening_channels()
select lo_creat(-1)
select lo_create(0)
select lo_get(4711)
select lo_put(4711, 0, 'abc')
select lo_unlink(4711)
select lo_open(4711, 131072)
select lo_from_bytea(0, 'abc')
select pg_size_pretty(1::bigint)
select pg_relation_size('t')
select pg_table_size('t'::regclass)
select pg_database_size(current_database())
select pg_get_viewdef('plain_view'::regclass)
select obj_description('t'::regclass)
select has_table_privilege('t', 'select')
select to_regclass('t')
select 't'::regclass
select pg_typeof(1)
select pg_reload_conf()
select pg_stat_reset()
select pg_cancel_backend(0)
select pg_terminate_backend(0)
select pg_switch_wal()
select pg_export_snapshot()
select pg_stat_get_backend_pid(1)
select * from pg_stat_get_activity(null)
select query_to_xml('select 1', true, true, '')
select ts_rank(to_tsvector('a'), to_tsquery('a'))
select txid_status(3)
select dblink('a', 'b')

# System catalogs
select * from pg_class
select * from pg_catalog.pg_class limit 1
select relname from PG_CLASS limit 1
select * from "pg_class" limit 1
select c.relname from pg_class c join t on false
select * from t where id in (select 1 from pg_class)
select (select count(*) from pg_class)
with x as (select 1 from pg_type) select * from x
select 1 union select 1 from pg_class
select * from pg_tables limit 1
select * from pg_stat_activity limit 1
select * from pg_settings limit 1
select * from pg_locks limit 1
select * from pg_stat_replication
select * from pg_indexes limit 1
select * from pg_roles limit 1
select * from pg_user limit 1
select * from pg_prepared_statements
select * from pg_cursors
table pg_class
select * from information_schema.tables limit 1
select * from information_schema.columns limit 1
select * from information_schema.schemata
select * from catalog_view limit 1
select 'pg_class'
select pg_class from (select 1 as pg_class) x
with pg_class as (select 1) select * from pg_class
select * from pg_none_here
select * from pg_catalog.none_here
select * from pg_toast.none_here

# Unlogged tables
select * from unlogged_t
SELECT * FROM UNLOGGED_T
select * from public.unlogged_t
select * from s.unlogged_t2
select * from unlogged_t u join t on u.id = t.id
select * from t where id in (select id from unlogged_t)
select (select count(*) from unlogged_t)
with x as (select * from unlogged_t) select * from x
select 1 union select id from unlogged_t
select * from unlogged_view
with unlogged_t as (select 1) select * from unlogged_t
table unlogged_t
insert into unlogged_t values (1)

# Temporary tables
> one that CREATE TEMP TABLE makes
create temp table temp_1 (id int)
select * from temp_1
select * from t
select * from pg_temp.temp_1
select * from t join temp_1 using (id)
select (select count(*) from temp_1)
SELECT * FROM TEMP_1
drop table temp_1
select * from t

> one that CREATE TEMPORARY TABLE AS makes
create temporary table temp_2 as select 1 as id
select * from temp_2
select 1

> one that SELECT INTO makes
select 1 as id into temp temp_3
select * from temp_3
select 1

> one in the schema pg_temp
create table pg_temp.temp_4 (id int)
select * from temp_4
select * from pg_temp.temp_4

> one of the same name as a table
create temp table t (id int)
select * from t
select * from public.t
drop table pg_temp.t
select * from t

> one that is gone with its transaction
begin
create temp table temp_5 (id int) on commit drop
select * from temp_5
commit
select * from t

> one that is never made
begin
create temp table temp_6 (id int)
rollback
select 1

> one that is renamed
create temp table temp_7 (id int)
alter table temp_7 rename to temp_8
select * from temp_8

> one in upper case
CREATE TEMP TABLE TEMP_9 (ID INT)
SELECT * FROM TEMP_9
select * from temp_9

> one with a quoted name
create temp table "Temp 10" (id int)
select * from "Temp 10"

> after DISCARD TEMP
create temp table temp_11 (id int)
discard temp
select * from t

> a view of it
create temp table temp_12 (id int)
create temp view temp_view as select * from temp_12
select * from temp_view
select * from t

> a sequence
create temp sequence temp_sequence
select nextval('temp_sequence')
select last_value from temp_sequence

> one with if not exists
create temp table if not exists temp_13 (id int)
select * from temp_13

> @simple one that COPY reads
create temp table temp_14 (id int)
copy temp_14 from stdin
copy temp_14 to stdout
copy (select * from temp_14) to stdout

# Tables made a moment ago
> a table
create table fresh_1 (id int)
@settle
select * from fresh_1
drop table fresh_1

> an unlogged table
create unlogged table fresh_2 (id int)
select * from fresh_2
drop table fresh_2

> a function
create function fresh_f() returns int language sql volatile as 'select 1'
@settle
select fresh_f()
drop function fresh_f()

> a table that becomes unlogged
create table fresh_3 (id int)
@settle
select * from fresh_3
alter table fresh_3 set unlogged
select * from fresh_3

> a function that becomes volatile
create function fresh_g() returns int language sql stable as 'select 1'
@settle
select fresh_g()
alter function fresh_g() volatile
@settle
select fresh_g()

> by way of search_path
set search_path = s
@settle
select * from only_there
select * from unlogged_t2
select only_there_f(1)
select only_there_volatile_f(1)
