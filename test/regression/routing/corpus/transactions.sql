# Reads in transactions
> nothing but reads
begin
select 1
select * from t
commit
select 1

> a write between
begin
select 1
insert into t values (1001, 'x')
select 1
select * from t
commit
select 1

> an update between
begin
select 1
update t set v = 'x' where id = 1
select 1
end
select 1

> a write that is rolled back
begin
insert into t values (1002, 'x')
select 1
rollback
select 1
begin
select 1
commit

> START TRANSACTION
start transaction
select 1
insert into t values (1003, 'x')
select 1
commit
select 1

> BEGIN WORK, COMMIT WORK
begin work
select 1
commit work
select 1

> BEGIN TRANSACTION, END TRANSACTION
begin transaction
select 1
end transaction

> in upper case
BEGIN
SELECT 1
INSERT INTO t VALUES (1004, 'x')
SELECT 1
COMMIT
SELECT 1

> with semicolons
begin;
select 1;
commit;

> two of them
begin
insert into t values (1005, 'x')
commit
begin
select 1
commit

> three of them, the second writes
begin
select 1
commit
begin
delete from t where id = 1005
select 1
commit
begin
select 1
commit

> writes outside do not matter
insert into t values (1006, 'x')
select 1
begin
select 1
commit
update t set v = 'x' where id = 1006
select 1

> BEGIN within a transaction
begin
begin
select 1
commit
select 1

> BEGIN within a transaction that wrote
begin
insert into t values (1007, 'x')
begin
select 1
commit

> COMMIT AND CHAIN
begin
insert into t values (1008, 'x')
commit and chain
select 1
commit
select 1

> ROLLBACK AND CHAIN
begin
insert into t values (1009, 'x')
rollback and chain
select 1
rollback

> ABORT
begin
select 1
abort
select 1

> a comment before BEGIN
/* c */ begin
select 1
commit

> a read with a comment
begin
/* c */ select 1
select 1
commit

> a CTE that writes
begin
with x as (insert into t values (1010, 'x') returning id) select * from x
select 1
commit

> SELECT FOR UPDATE
begin
select 1
select * from t where id = 1 for update
select 1
commit

> SELECT FOR SHARE
begin
select * from t where id = 1 for share
select 1
commit

> SELECT INTO
begin
select 1 as a into transaction_made_1
select 1
rollback

> a function that is volatile
begin
select volatile_f(1)
select 1
commit

> a function that is stable
begin
select stable_f(1)
select 1
commit

> nextval
begin
select nextval('counter')
select 1
commit

> random
begin
select random()
select 1
commit

> a system catalog
begin
select * from pg_class limit 1
select 1
commit

> an unlogged table
begin
select * from unlogged_t
select 1
commit

> a definition
begin
create table transaction_made_2 (id int)
select 1
rollback
select 1

> a temporary table
begin
create temp table transaction_temp (id int)
select * from transaction_temp
select * from t
commit
select * from t

> TRUNCATE
begin
truncate written
select 1
commit

> ANALYZE
begin
analyze t
select 1
commit

> DO
begin
do $$ begin null; end $$
select 1
commit

> CALL
begin
call quiet_p()
select 1
commit

> GRANT
begin
grant select on t to public
select 1
commit

> REFRESH
begin
refresh materialized view stored
select 1
commit

> NOTIFY
begin
notify channel
select 1
commit

> LISTEN
begin
listen channel
select 1
commit

> several statements in one text
begin
@simple select 1; select 2
select 1
commit
select 1

# LOCK in transactions
> the strongest
begin
lock table t
select 1
commit

> access share
begin
lock table t in access share mode
select 1
commit

> row share
begin
lock t in row share mode
select 1
commit

> row exclusive
begin
lock t in row exclusive mode
select 1
commit

> share
begin
lock t in share mode
select 1
commit

# EXPLAIN in transactions
> of a read
begin
explain select 1
select 1
commit

> of a write
begin
explain insert into t values (1020, 'x')
select 1
commit

> ANALYZE of a write
begin
explain analyze insert into t values (1021, 'x')
select 1
commit

> ANALYZE of a read
begin
explain analyze select 1
select 1
commit

# SET in transactions
> SET
begin
set work_mem = '4MB'
select 1
commit
select 1

> SET LOCAL
begin
set local work_mem = '4MB'
select 1
commit
select 1

> SET before it
set work_mem = '4MB'
select 1
begin
select 1
commit

> RESET
begin
reset work_mem
select 1
commit

> SHOW
begin
show work_mem
select 1
commit

> set_config
begin
select set_config('work_mem', '4MB', true)
select 1
commit
select 1

> SET TRANSACTION READ ONLY
begin
set transaction read only
select 1
commit

> SET TRANSACTION READ WRITE
begin
set transaction read write
select 1
commit

> SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
begin
set transaction isolation level serializable
select 1
commit
select 1

> SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
begin
set transaction isolation level repeatable read
select 1
commit

> SET TRANSACTION ISOLATION LEVEL READ COMMITTED
begin
set transaction isolation level read committed
select 1
commit

> SET transaction_read_only TO on
begin
set transaction_read_only to on
select 1
commit

> SET transaction_read_only TO off
begin
set transaction_read_only to off
select 1
commit

> SET transaction_isolation TO serializable
begin
set transaction_isolation to 'serializable'
select 1
commit

> SET CONSTRAINTS
begin
set constraints all deferred
select 1
commit

> SET ROLE
begin
set role postgres
select 1
commit

> DISCARD PLANS
begin
discard plans
select 1
commit

> DISCARD ALL
begin
discard all
rollback
select 1

# Isolation levels
> BEGIN ISOLATION LEVEL READ COMMITTED
begin isolation level read committed
select 1
insert into t values (1030, 'x')
select 1
commit
select 1

> BEGIN ISOLATION LEVEL READ UNCOMMITTED
begin isolation level read uncommitted
select 1
commit

> BEGIN ISOLATION LEVEL REPEATABLE READ
begin isolation level repeatable read
select 1
select 2
commit
select 1

> BEGIN ISOLATION LEVEL SERIALIZABLE
begin isolation level serializable
select 1
commit
select 1

> START TRANSACTION ISOLATION LEVEL SERIALIZABLE
start transaction isolation level serializable
select 1
commit
select 1

> BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
begin isolation level serializable read only
select 1
commit

> BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE
begin isolation level serializable, read only, deferrable
select 1
commit

> BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE
begin isolation level repeatable read, read write
select 1
commit

> BEGIN READ ONLY
begin read only
select 1
select volatile_f(1)
select 1
commit
select 1

> BEGIN READ WRITE
begin read write
select 1
insert into t values (1031, 'x')
select 1
commit
select 1

> START TRANSACTION READ ONLY
start transaction read only
select 1
commit

> START TRANSACTION READ WRITE
start transaction read write
select 1
commit

> BEGIN READ ONLY and a write
begin read only
insert into t values (1032, 'x')
rollback
select 1

> a default of serializable
set default_transaction_isolation = 'serializable'
select 1
begin
select 1
commit
select 1

> a default of serializable for the session
set session characteristics as transaction isolation level serializable
select 1
begin
select 1
commit

> a default of repeatable read
set default_transaction_isolation = 'repeatable read'
select 1
begin
select 1
commit

> a default of read only
set default_transaction_read_only to on
select 1
begin
select 1
commit

> characteristics of read only
set session characteristics as transaction read only
select 1
begin
select 1
commit

> characteristics of read write
set session characteristics as transaction read write
select 1
begin
select 1
commit

# Savepoints
> around a read
begin
savepoint a
select 1
release a
select 1
commit

> around a write that is undone
begin
savepoint a
insert into t values (1040, 'x')
rollback to a
select 1
commit
select 1

> around a write that stays
begin
savepoint a
insert into t values (1041, 'x')
release savepoint a
select 1
commit

> one within another
begin
savepoint a
savepoint b
select 1
rollback to savepoint b
rollback transaction to a
select 1
commit

> out of an error
begin
select 1
savepoint a
insert into none_here values (1)
rollback to a
select 1
commit
select 1

> of a read that fails
begin
savepoint a
select 1/0
rollback to a
select 1
commit

> quoted
begin
savepoint "My Point"
select 1
rollback to "My Point"
commit

> after a write
begin
insert into t values (1042, 'x')
savepoint a
select 1
rollback to a
select 1
rollback

# Transactions that failed
> by a write
begin
insert into none_here values (1)
select 1
insert into t values (1050, 'x')
rollback
select 1

> by a read
begin
select 1/0
select 1
rollback
select 1

> by a text that nobody understands
begin
nonsense
select 1
rollback
select 1

> by a write, then COMMIT
begin
insert into t values (1, 'twice')
commit
select 1

> by a read, then COMMIT
begin
select 1/0
commit
select 1

> after a write
begin
insert into t values (1051, 'x')
select 1/0
select 1
rollback
select 1

> then another
begin
select none_here
rollback
begin
select 1
commit
select 1

> SET within one
begin
insert into none_here values (1)
set work_mem = '4MB'
show work_mem
rollback
select 1

> BEGIN within one
begin
insert into none_here values (1)
begin
rollback
select 1

> a savepoint within one
begin
insert into none_here values (1)
savepoint a
rollback
select 1

# Two phases
> prepared and committed
begin
insert into t values (1060, 'x')
prepare transaction 'one {lane}'
select 1
commit prepared 'one {lane}'
select 1

> prepared and rolled back
begin
insert into t values (1061, 'x')
prepare transaction 'two {lane}'
rollback prepared 'two {lane}'
select 1

> prepared after reads alone
begin
select 1
prepare transaction 'three {lane}'
rollback prepared 'three {lane}'
select 1

> another transaction behind it
begin
insert into t values (1062, 'x')
prepare transaction 'four {lane}'
begin
select 1
commit
rollback prepared 'four {lane}'

# Cursors
> one that reads
begin
declare c cursor for select * from t
fetch c
fetch 2 from c
move c
select 1
close c
commit
select 1

> one that scrolls
begin
declare c scroll cursor for select * from t
fetch last from c
fetch prior from c
close all
commit

> one that holds
declare c cursor with hold for select * from t
fetch c
select 1
close c
select 1

> one that holds, made in a transaction
begin
declare c cursor with hold for select * from t
commit
fetch c
close c

> one that reads what was written
begin
insert into t values (1070, 'x')
declare c cursor for select * from t
fetch c
commit

> one that updates
begin
declare c cursor for select * from t for update
fetch c
update t set v = 'x' where current of c
commit
select 1

> a binary one
begin
declare c binary cursor for select 1
fetch c
commit

# Prepared statements of SQL
> of a read
prepare p as select 1
execute p
select 1
deallocate p
select 1

> of a read with parameters
prepare p (int) as select * from t where id = $1
execute p (1)
execute p (2)
deallocate prepare p

> of a write
prepare p as insert into t values (1080, 'x')
execute p
select 1
deallocate p

> of a volatile function
prepare p as select volatile_f(1)
execute p
deallocate p

> of VALUES
prepare p as values (1)
execute p

> of an update with parameters
prepare p (int) as update t set v = 'x' where id = $1
execute p (1)
deallocate p

> executed in a transaction
prepare p as select 1
begin
execute p
select 1
commit

> prepared in a transaction
begin
prepare p as select 1
execute p
select 1
commit
execute p

> executed behind a write
prepare p as select 1
begin
insert into t values (1081, 'x')
execute p
commit
execute p

> of a write, executed in a transaction
prepare p as insert into t values (1082, 'x')
begin
select 1
execute p
select 1
commit
select 1

> DEALLOCATE ALL
prepare p as select 1
prepare q as insert into t values (1083, 'x')
deallocate all
execute p
select 1

> DISCARD ALL
prepare p as select 1
discard all
execute p
select 1

> explained
prepare p as select 1
explain execute p
explain analyze execute p
select 1

> made into a table
prepare p as select 1 as a
create table prepared_made as execute p
select 1

> EXECUTE of a name in upper case
prepare p as select 1
EXECUTE P
DEALLOCATE P

> made twice
prepare p as select 1
prepare p as select 2
execute p

# Session state
> SET and RESET
set work_mem = '4MB'
show work_mem
select current_setting('work_mem')
reset work_mem
show work_mem
reset all
select 1

> SET of a parameter of one's own
set app.person = 'x'
select current_setting('app.person')
show app.person

> SET search_path
set search_path = s
select * from only_there
select 1

> SET ROLE
set role postgres
select current_user
reset role
select current_user

> DISCARD ALL
set work_mem = '4MB'
discard all
show work_mem
select 1

> set_config and a read
select set_config('work_mem', '4MB', false)
select current_setting('work_mem')
show work_mem
select 1

> LISTEN
listen channel
select 1
notify channel
unlisten channel
select 1

> an advisory lock
select pg_advisory_lock(1)
select 1
select pg_advisory_unlock(1)
select 1

> a large object
begin
select lo_open(4711, 131072)
select loread(0, 10)
select 1
commit
select 1

> a large object made
begin
select lo_creat(-1)
select 1
commit

> COPY
copy (select 1) to stdout
select 1

> @simple COPY FROM STDIN
copy written from stdin
select 1

> @simple COPY in a transaction
begin
copy t to stdout
select 1
copy written from stdin
select 1
copy t to stdout
commit
select 1

> DO
do $$ begin null; end $$
select 1

> CALL
call writing_p(1)
select 1

> VACUUM
vacuum t
select 1

> a session that only reads
select 1
select 2
select * from t
show work_mem

> a session that only writes
insert into t values (1090, 'x')
update t set v = 'y' where id = 1090
delete from t where id = 1090

> a write, then reads
insert into t values (1091, 'x')
select * from t
select 1
copy t to stdout

> an error, then a read
select * from none_here
select 1
insert into none_here values (1)
select 1

> definitions and reads
create table state_made (id int)
@settle
select * from state_made
drop table state_made
select 1

# Transactions by several statements
> @simple BEGIN in a text of several
begin; select 1
select 1
commit
select 1

> @simple BEGIN in a text of several, and SET
begin; select 1
set work_mem = '4MB'
select 1
rollback
select 1

> @simple BEGIN and a write
begin; insert into t values (1100, 'x')
select 1
savepoint a
commit
select 1

> @simple COMMIT in a text of several
begin
select 1
select 1; commit
select 1

> @simple a whole one
begin; insert into t values (1101, 'x'); commit
select 1

> @simple a write outside a transaction
insert into t values (1102, 'x'); select 1
select 1

# Named statements of the extended protocol
> @extended of a read
@parse p select * from t where v = $1
@run p
@run p
select 1

> @extended of a write
@parse p update t set v = v where v = $1
@run p
select 1

> @extended of a volatile function
@parse p select volatile_f(1) where $1::text is not null
@run p
@run p

> @extended of a read, in a transaction
@parse p select * from t where v = $1
begin
@run p
select 1
commit
@run p

> @extended parsed in a transaction
begin
@parse p select * from t where v = $1
@run p
commit
@run p

> @extended of a read, behind a write
@parse p select * from t where v = $1
@run p
begin
insert into t values (1110, 'x')
@run p
commit
@run p

> @extended parsed behind a write
begin
insert into t values (1111, 'x')
@parse p select * from t where v = $1
@run p
commit
@run p

> @extended two of them
@parse p select * from t where v = $1
@parse q insert into t select 1112, 'x' where $1::text is null
@run p
@run q
@run p

> @extended of an unlogged table
@parse p select id from unlogged_t where $1::text is null
@run p

> @extended of a system catalog
@parse p select relname from pg_class where relname = $1
@run p

> @extended deallocated and made anew
@parse p select * from t where v = $1
@run p
deallocate all
@parse p select id from t where v = $1
@run p

> @extended of a SET
@parse p select 1 where $1::text is null
set work_mem = '4MB'
@run p

> @extended with a savepoint
@parse p select * from t where v = $1
begin
savepoint a
@run p
rollback to a
@run p
commit
