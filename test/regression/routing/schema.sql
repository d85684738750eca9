-- What the corpus speaks of: tables of every kind, functions of every volatility, views over each.
create table t (id int primary key, v text);
insert into t select i, 'v' || i from generate_series(1, 10) i;
create table child (id int primary key, t_id int references t, note text default 'n');
insert into child values (1, 1), (2, 2);
create table "Mixed Case" ("Some Id" int);
create table patterned (id int);
create table written (id int, v text);
create table related (id int, v text);
create table unrelated (id int, v text);
create table serials (id serial primary key, v text);
create table parts (id int, v text) partition by range (id);
create table parts_low partition of parts for values from (0) to (100);
create unlogged table unlogged_t (id int);
create schema s;
create table s.t (id int, v text);
create table s.only_there (id int);
create unlogged table s.unlogged_t2 (id int);
create sequence counter;
create sequence s.counter2;

create view plain_view as select id, v from t;
create view view_of_view as select id from plain_view;
create view catalog_view as select relname from pg_class;
create materialized view stored as select id from t;
create view s.there as select id from s.t;

create function stable_f(int) returns int language sql stable as 'select $1';
create function immutable_f(int) returns int language sql immutable as 'select $1';
create function volatile_f(int) returns int language sql volatile as 'select $1';
create function default_f(int) returns int language sql as 'select $1';
create function writing_f(int) returns int language sql volatile
  as 'insert into written values ($1); select $1';
create function lying_f(int) returns int language plpgsql stable as 'begin return $1; end';
-- One name, two volatilities.
create function overloaded_f(int) returns int language sql immutable as 'select $1';
create function overloaded_f(text) returns text language sql volatile as 'select $1';
-- One name, two schemas.
create function s.elsewhere_f(int) returns int language sql volatile as 'select $1';
create function elsewhere_f(int) returns int language sql immutable as 'select $1';
create function s.only_there_f(int) returns int language sql stable as 'select $1';
create function s.only_there_volatile_f(int) returns int language sql volatile as 'select $1';
create function "Quoted F"(int) returns int language sql volatile as 'select $1';
create function "Stable Q"(int) returns int language sql stable as 'select $1';
create function rows_stable(int) returns setof int language sql stable
  as 'select generate_series(1, $1)';
create function rows_volatile(int) returns setof int language sql volatile
  as 'select generate_series(1, $1)';
create function get_a(int) returns int language sql volatile as 'select $1';
create function get_b(int) returns int language sql volatile as 'select $1';
create function put_a(int) returns int language sql volatile as 'select $1';
create function marks_related() returns int language sql volatile as 'select 1';
create aggregate total(int) (sfunc = int4pl, stype = int, initcond = '0');
create procedure quiet_p() language plpgsql as 'begin null; end';
create procedure writing_p(int) language sql as 'insert into written values ($1)';
create view volatile_view as select volatile_f(id) from t;
create view unlogged_view as select id from unlogged_t;
create type pair as (a int, b int);
create domain positive as int check (value > 0);
select lo_create(4711);
