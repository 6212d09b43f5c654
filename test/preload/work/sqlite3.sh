#!/bin/bash
# Real program: the sqlite3 shell on a table of a million rows (150,000 in the short form): insert, index,
# join, sort without an index, delete, vacuum, integrity check, dump.
set -euo pipefail
rows=150000
if [[ $1 == long ]]; then rows=1000000; fi
sqlite3 -batch -init /dev/null table.db >/dev/null <<SQL
pragma journal_mode = off;
pragma synchronous = off;
SQL
sqlite3 -batch -init /dev/null table.db <<SQL
pragma synchronous = off;
pragma cache_size = -65536;
pragma threads = 2;
create table t(id integer primary key, a integer, b text, c real);
with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < $rows)
  insert into t select i, (i * 2654435761) % 1000003, printf('%08x-%s', (i * 40503) % 65536,
    substr('abcdefghijklmnopqrstuvwxyz', 1 + i % 13, 5 + i % 9)), (i * 7919 % 10007) / 16.0 from n;
create index t_b on t(b, a);
select count(*), sum(a), sum(length(b)), sum(c) from t;
select a, b, c from t order by c desc, b, a limit 20;
select substr(b, 10, 3) as k, count(*), min(a), max(a) from t group by k order by 2 desc, 1 limit 20;
select count(*) from t x join t y on y.b = x.b and y.a = x.a + 1;
delete from t where a % 3 = 0;
update t set b = b || '+' || a where a % 5 = 0;
select count(*), sum(length(b)) from t;
select group_concat(b) from (select b from t where a % 997 = 0 order by b limit 50);
vacuum;
pragma integrity_check;
SQL
sqlite3 -batch -init /dev/null table.db .dump | sha256sum
