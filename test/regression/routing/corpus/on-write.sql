# Reads behind writes
> outside a transaction
select 1
insert into written values (1, 'x')
select 1
select * from t
select * from written
begin
select 1
commit
select 1

> an insert in a transaction
begin
select 1
insert into written values (1, 'x')
select 1
select * from written
select * from t
commit
select 1
select * from written
begin
select 1
select * from written
commit
select 1

> an update
begin
update written set v = 'y'
select * from written
select * from unrelated
select 1
commit
select * from written

> a delete
begin
delete from written where id = 0
select * from written
select * from unrelated
commit

> with a schema
begin
insert into public.written values (2, 'x')
select * from written
select * from public.written
select * from unrelated
select * from s.t
commit

> a table of another schema
begin
insert into s.t values (3, 'x')
select * from s.t
select * from t
select * from unrelated
commit

> in upper case
BEGIN
INSERT INTO WRITTEN VALUES (3, 'x')
SELECT * FROM WRITTEN
select * from written
SELECT * FROM UNRELATED
COMMIT

> with a quoted name
begin
insert into "Mixed Case" values (1)
select * from "Mixed Case"
select * from unrelated
commit

> a join
begin
insert into written values (4, 'x')
select * from t join written using (id)
select * from t join child on t.id = child.id
select * from t where id in (select id from written)
select (select count(*) from written)
with x as (select * from written) select * from x
commit

> a view of what was written
begin
update t set v = 'z' where id = 5
select * from plain_view
select * from t
select * from unrelated
commit

> a CTE that writes
begin
with x as (insert into written values (5, 'x') returning id) select * from x
select * from written
select * from unrelated
commit

> a CTE before a write
begin
with x as (select 6 as a) insert into written select a, 'x' from x
select * from written
select * from unrelated
commit

> an insert from a select
begin
insert into written select id, v from t limit 1
select * from written
select * from t
select * from unrelated
commit

> two tables
begin
insert into written values (7, 'x')
update unrelated set v = 'y'
select * from written
select * from unrelated
select * from t
commit

> TRUNCATE
// What it locks would be waited for on the standby, which knows nothing of the client.
begin
truncate written
select * from unrelated
commit

> COPY
begin
@simple copy written from stdin
select * from written
select * from unrelated
commit

> a definition
begin
create table on_write_made (id int)
select * from unrelated
rollback

> a definition of a table that is there
begin
alter table written add column more int
select * from unrelated
rollback

> SELECT FOR UPDATE
begin
select * from t where id = 1 for update
select * from t
select * from unrelated
commit

> a volatile function
begin
select volatile_f(1)
select * from unrelated
commit
select 1
begin
select 1
commit

> a volatile function outside a transaction
select volatile_f(1)
select 1
begin
select 1
commit

> SET in a transaction
begin
set work_mem = '4MB'
select 1
commit
select 1
begin
select 1
commit

> SET outside a transaction
set work_mem = '4MB'
select 1
begin
select 1
commit

> a definition outside a transaction
create table on_write_outside (id int)
select 1
drop table on_write_outside
select 1

> rolled back
begin
insert into written values (8, 'x')
rollback
select * from written
begin
select * from written
commit

> undone to a savepoint
begin
savepoint a
insert into written values (9, 'x')
rollback to a
select * from written
commit

> that fails
begin
insert into none_here values (1)
rollback
select 1
begin
select 1
commit

> outside a transaction, that fails
insert into none_here values (1)
select 1
begin
select 1
commit

> EXPLAIN
begin
explain insert into written values (10, 'x')
select * from written
select 1
commit
explain insert into written values (10, 'x')
select 1

> a cursor
begin
declare c cursor for select 1
select 1
close c
commit
select 1

> LISTEN and NOTIFY
listen channel
select 1
notify channel
select 1

> LOCK
begin
lock table written
select 1
commit
select 1

> PREPARE and EXECUTE of a write
prepare p as insert into written values (11, 'x')
select 1
begin
execute p
select * from written
select 1
commit
select 1

> PREPARE of a read, behind a write
prepare p as select 1
begin
insert into written values (12, 'x')
execute p
commit
execute p

> SERIALIZABLE
begin isolation level serializable
select 1
insert into written values (13, 'x')
select 1
commit
select 1

> READ ONLY
begin read only
select 1
commit
set transaction read only
select 1

> two transactions that write
begin
insert into written values (14, 'x')
select * from written
commit
select * from written
begin
insert into unrelated values (14, 'x')
select * from written
select * from unrelated
commit
select * from unrelated

> DISCARD ALL
insert into written values (15, 'x')
discard all
select 1

> of a sequence
begin
select nextval('counter')
select 1
commit
select 1

> of several in one text
@simple insert into written values (16, 'x'); select 1
select 1
begin
@simple insert into written values (17, 'x'); select 1
select * from written
select 1
commit
select 1

> @extended a named statement
@parse p select * from written where v = $1
@parse q select * from unrelated where v = $1
@run p
begin
@run p
@run q
insert into written values (18, 'x')
@run p
@run q
commit
@run p

> @extended a named statement that writes
@parse p update written set v = v where v = $1
@parse q select * from written where v = $1
begin
@run q
@run p
@run q
commit
@run q

# Objects that belong together
> a trigger's table
begin
insert into t values (2101, 'x')
select * from t
select * from related
select * from unrelated
commit
select * from related

> a function's table
begin
select marks_related()
select * from related
select * from unrelated
select * from t
commit
select * from related

> outside a transaction
insert into t values (2102, 'x')
select * from related
select marks_related()
select * from related

> in upper case
begin
INSERT INTO T VALUES (2103, 'x')
SELECT * FROM RELATED
SELECT * FROM UNRELATED
commit
