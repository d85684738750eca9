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
