#!/bin/bash
# Real program: redis-server on loopback, with redis-cli for commands whose answers are compared and
# redis-benchmark for load. Debian's server is linked to libjemalloc, so without a preload its allocator is
# jemalloc, not glibc; it imports malloc, free and the rest by name, so a preload replaces them all.
# Writes what the benchmark measured to the file `figure`.
set -euo pipefail
requests=20000 keys=2000
if [[ $1 == long ]]; then requests=500000 keys=60000; fi

# redis-server is one program with redis-check-rdb, which is in the package without the system service
server_binary=$(command -v redis-server || command -v redis-check-rdb)
server_binary=$(readlink -f "$server_binary")
ln -s "$server_binary" ./redis-server
server=0
stop() {
  if ((server != 0)); then
    kill -9 "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
}
trap stop EXIT
trap 'exit 1' INT TERM

cli() { redis-cli -p "$port" "$@"; }

start() { # on some free port; ours is the server that says it works in this directory
  local try wait
  for ((try = 0; try < 20; try++)); do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    ./redis-server --port "$port" --bind 127.0.0.1 --dir "$PWD" --save '' --appendonly no --daemonize no \
      --enable-debug-command local --lazyfree-lazy-user-del yes --loglevel warning --logfile "$PWD/log" &
    server=$!
    for ((wait = 0; wait < 200; wait++)); do
      kill -0 "$server" 2>/dev/null || break
      if [[ $(cli config get dir 2>/dev/null | tail -n 1) == "$PWD" ]]; then return 0; fi
      sleep 0.05
    done
    stop
    server=0
    grep -q 'Address already in use' log 2>/dev/null || break
  done
  echo "redis-server does not start:" >&2
  cat log >&2
  exit 1
}

changes() { # in one stream: waiting for each answer would measure the scheduler
  awk -v n="$keys" 'BEGIN {
    for (i = 0; i < n; i++) {
      x = (i * 7919) % 100003
      v = sprintf("%d-", x); while (length(v) < x % 400) v = v v
      printf "SET key:%d %s\n", i, v
      printf "RPUSH list:%d %d %d\n", i % 50, x, i
      printf "HSET hash:%d f%d %s\n", i % 200, x % 500, substr(v, 1, 80)
      printf "ZADD zset %d m%d\n", x, i
      printf "SADD set:%d %d\n", i % 9, x
      if (i % 3 == 0) printf "APPEND key:%d tail%d\n", int(i / 2), x
      if (i % 5 == 0) printf "DEL key:%d\n", int(i / 3)
    }
  }'
}

questions() {
  awk 'BEGIN {
    for (i = 0; i < 50; i++) printf "SORT list:%d LIMIT 0 50\nLRANGE list:%d 0 -1\nHGET hash:%d f%d\n", i, i, i, i * 7
    for (i = 0; i < 500; i++) printf "GET key:%d\nZRANGE zset %d %d WITHSCORES\n", i, i, i + 10
    print "EVAL \"local t = {} for i = 1, 20000 do t[i] = tostring(i) end return #table.concat(t)\" 0"
    print "DBSIZE\nDEBUG DIGEST"
  }'
}

start
changes | cli --pipe | tail -n 1
questions | cli | sha256sum
questions | tail -n 2 | cli
cli bgsave >/dev/null
until [[ $(cli info persistence | tr -d '\r' | grep ^rdb_bgsave_in_progress:) == *:0 ]]; do sleep 0.05; done
cli info persistence | tr -d '\r' | grep ^rdb_last_bgsave_status
cli debug reload
cli debug digest
cli flushall async
redis-benchmark -p "$port" -q --csv -n "$requests" -r 100000 -d 200 -c 20 -P 8 -t set,get,lpush,lpop,zadd >load
awk -F'"' 'NR > 1 { sum += $4; n++ } END { if (n) printf "%.0f thousand requests a second\n", sum / n / 1000 }' load >figure
cli dbsize >/dev/null
cli flushall
cli shutdown nosave || true
wait "$server"
server=0
echo "ended well"
