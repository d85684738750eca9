#!/bin/bash
# pgbench shows the features; see test/drivers/features.ts. It says how many transactions it ran and
# how many failed; what they did is asked of the tables afterwards.
set -uo pipefail

tag=$DRIVER_TAG
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ask() { psql -X -q -At "$@" 2>&1; }

# A thread for each client: a thread of several waits for the answer to a Parse of one, while the
# others, inside transactions, hold the server connection that the Parse needs.
bench() { # PGBENCH_ARGUMENT…, script on standard input
  cat >"$work/script"
  pgbench -n -j 8 -f "$work/script" "$@" 2>&1 |
    grep -E '^(number of transactions actually|number of failed|pgbench: error|pgbench: fatal|query mode)' |
    sed -E 's/client [0-9]+/client N/'
}

table() { ask -c "create table bench_$tag (id int primary key, n int)" -c "insert into bench_$tag select i, 0 from generate_series(1, 10) i"; }
sum() { ask -c "select count(*), sum(n) from bench_$tag" -c "drop table bench_$tag"; }

show_connect() {
  bench -C -c 4 -t 20 <<<'select 1;'
  pgbench -n -c 1 -t 1 "none_$tag" 2>&1 | grep -oE 'FATAL.*'
}

# Each client adds to rows of its own, so that nobody waits for long.
added() {
  table
  bench "$@" <<SQL
\\set id random(1, 10)
update bench_$tag set n = n + 1 where id = :id;
SQL
  sum
}

show_simple() { added -M simple -c 8 -t 25; }
show_parameters() { added -M extended -c 8 -t 25; }
show_prepared() { added -M prepared -c 8 -t 25; }

show_many-prepared() {
  for i in {1..60}; do echo "select $i + :client_id;"; done >"$work/many"
  bench -M prepared -c 4 -t 5 <"$work/many"
}

show_pipeline() {
  for mode in extended prepared; do
    table
    bench -M $mode -c 4 -t 20 <<SQL
\\startpipeline
select n from bench_$tag where id = 1;
update bench_$tag set n = n + 1 where id = :client_id + 1;
select count(*) from bench_$tag;
update bench_$tag set n = n + 1 where id = :client_id + 1;
\\endpipeline
SQL
    sum
    bench -M $mode -c 1 -t 2 <<SQL
\\startpipeline
select 1;
select 1/((:client_id)::int * 0);
select 2;
\\endpipeline
SQL
  done
}

show_transactions() {
  for mode in simple extended prepared; do
    table
    bench -M $mode -c 6 -t 20 <<SQL
\\set id :client_id + 1
begin;
update bench_$tag set n = n + 1 where id = :id;
select n from bench_$tag where id = :id;
update bench_$tag set n = n - 1 where id = :id;
end;
begin;
update bench_$tag set n = n + 1 where id = :id;
rollback;
SQL
    sum
  done
}

show_errors() {
  for mode in simple extended prepared; do
    bench -M $mode -c 1 -t 3 <<<'select 1/0;'
    bench -M $mode -c 1 -t 3 <<<"select * from none_$tag;"
  done
}

show_settings() {
  bench -M prepared -c 4 -t 5 <<'SQL'
select set_config('my.own', (:client_id)::text, false);
begin;
select current_setting('my.own')::int as got \gset
end;
\set fine case when :got = :client_id then 1 else 0 end
select 1 / :fine;
SQL
}

show_temporary() {
  # One client: it keeps its server connection.
  bench -M prepared -c 1 -t 5 <<'SQL'
create temp table if not exists own (n int);
insert into own values (:client_id);
select 1 / (count(distinct n) = 1)::int from own;
SQL
}

show_big() {
  bench -M prepared -c 2 -t 3 <<'SQL'
select i, repeat('b', 100) from generate_series(1, 20000) i;
SQL
}

for feature in "$@"; do
  printf '## %s\n' "$feature"
  if declare -F "show_$feature" >/dev/null; then
    "show_$feature"
  else
    printf 'not supported: pgbench has nothing of the kind\n'
  fi
done
printf '## end\n'
