# A sample of reads
select 1
select * from t
select * from s.t
select * from plain_view
with x as (select 1) select * from x
table t
values (1)
  select 1
/* c */ select 1
select * from t for update
select 1 into sample_made
with x as (insert into t values (2001, 'x') returning id) select * from x
select stable_f(1)
select volatile_f(1)
select now()
select nextval('counter')
select * from pg_class limit 1
select * from information_schema.tables limit 1
select * from unlogged_t
# A sample of all
insert into t values (2002, 'x')
update t set v = 'x' where id = 2002
delete from t where id = 2002
create table sample_1 (id int)
drop table sample_1
truncate written
vacuum t
// Pgpool-II makes a transaction of it in the extended protocol, if it asked the catalogs meanwhile.
@simple lock table t
do $$ begin null; end $$
call quiet_p()
explain select 1
explain analyze select 1
copy t to stdout
copy (select 1) to stdout
@simple copy written from stdin
set work_mem = '4MB'
reset work_mem
show work_mem
discard all
listen channel
notify channel
declare c cursor with hold for select 1
prepare p as select 1
execute none_here
deallocate all
@simple select 1; select 2
nonsense
select * from none_here

> reads and a write outside a transaction
select 1
insert into t values (2003, 'x')
select 1
select * from t
delete from t where id = 2003
select 1

> reads around a write in a transaction
begin
select 1
insert into t values (2004, 'x')
select 1
commit
select 1

> reads alone in a transaction
begin
select 1
select * from t
commit
select 1

> a transaction rolled back
begin
update t set v = 'x' where id = 1
select 1
rollback
select 1

> SET and reads
set work_mem = '4MB'
select 1
show work_mem
select current_setting('work_mem')

> a temporary table
create temp table sample_temp (id int)
select * from sample_temp
select 1

> PREPARE and EXECUTE
prepare p as select 1
execute p
select 1

> a serializable transaction
begin isolation level serializable
select 1
commit
select 1

> a cursor
begin
declare c cursor for select 1
fetch c
commit
select 1

> a savepoint
begin
savepoint a
select 1
release a
commit

> several reads
select 1
select 2
select 3
select * from t
select 5

> @extended a named statement
@parse p select * from t where v = $1
@run p
@run p
insert into t values (2005, 'x')
@run p
