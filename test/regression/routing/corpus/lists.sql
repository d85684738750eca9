# Patterns of whole texts
@bare select id from patterned
@bare select id from patterned where id = 1
@bare SELECT ID FROM PATTERNED
@bare select  id from patterned
@bare  select id from patterned
@bare select id from patterned;
@bare select v from t where v = 'a;b'
@bare select v from t where v = 'quoted'
@bare select * from t where id = 12
@bare select * from t where id = 123
@bare select * from t where id = 1x
@bare select 'prefix' as a
@bare select 'prefix' as a, 'suffix' as b
@bare select count(*) from child
@bare select 1 + 1
@bare select 11
@bare with x as (select 7) select * from x
@bare table child
@bare show server_version
@bare set work_mem = '5MB'
@bare copy child to stdout
@bare insert into child values (91, 1)
@bare explain select count(*) from child
@bare select 1\n+ 2

> patterns in a transaction
begin
@bare select id from patterned
@bare select v from t
commit

> @extended patterns of a named statement
@parse p select 'named' where $1::text is null
@run p

# Functions on lists
select listed_none(1)
select get_a(1)
select get_b(1)
select put_a(1)
select GET_A(1)
select "get_a"(1)
select public.get_a(1)
select public.put_a(1)
select "Quoted F"(1)
select stable_f(1)
select immutable_f(1)
select volatile_f(1)
select public.volatile_f(1)
select s.only_there_f(1)
select s.only_there_volatile_f(1)
select s.elsewhere_f(1)
select elsewhere_f(1)
select nextval('counter')
select setval('counter', 7)
select now()
select random()
select lower('A')
select coalesce(1, 2)
select count(*) from t
select pg_sleep(0)
select pg_advisory_lock(1)
select txid_current()
select lo_get(4711)
select get_a(put_a(1))
select put_a(get_a(1))
select * from t where get_a(id) = 1
select * from rows_stable(1)
select * from rows_volatile(1)
select total(id) from t
select rows_volatile(1)
insert into t values (get_a(3001), 'x')
select current_date
select row_number() over () from t

> a listed function in a transaction
begin
select get_a(1)
select 1
select put_a(1)
select 1
commit

# Applications that are sent elsewhere
@app=reports select 1
@app=reports select * from t
@app=REPORTS select 1
@app=reports-2 select 1
@app=my-reports select 1
@app=second select 1
@app=second select * from pg_class limit 1
@app=second select volatile_f(1)
@app=second insert into t values (3101, 'x')
@app=second set work_mem = '4MB'
@app=second show work_mem
@app=first select 1
@app=standbys select 1
@app=primaries select 1
@app=never select 1
@app=other select 1
@app=other insert into t values (3102, 'x')
select 1

> @app=second a transaction
begin
select 1
insert into t values (3103, 'x')
select 1
commit
select 1

> @app=reports a transaction
begin
select 1
commit
set work_mem = '4MB'
select 1

> @app=other SET application_name
set application_name = 'reports'
select 1

# Databases that are sent elsewhere
select 1
select * from t
values (1)
select volatile_f(1)
insert into t values (3201, 'x')
set work_mem = '4MB'
show work_mem
begin
@app=reports select 1

> a transaction of a database
begin
select 1
insert into t values (3202, 'x')
select 1
commit
select 1
