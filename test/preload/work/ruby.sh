#!/bin/bash
# Real program: ruby on strings, hashes, JSON, big numbers, threads.
set -euo pipefail
n=20000
if [[ $1 == long ]]; then n=200000; fi
ruby -rjson -rdigest - "$n" <<'RUBY'
n = ARGV[0].to_i
rows = (1..n).map { |i| {"id" => i, "name" => (i * 40503 % 65536).to_s(16) * (1 + i % 3), "list" => [i] * (i % 5)} }
text = JSON.generate(rows)
puts text.size, Digest::SHA256.hexdigest(text)
puts JSON.parse(text).group_by { |row| row["name"].size }.map { |k, v| [k, v.size] }.sort.inspect
puts text.scan(/"name":"(\h)/).tally.sort.inspect
puts (1..500).inject(:*).to_s.size
puts 4.times.map { |k| Thread.new { (1..n / 4).map { |i| (i + k).to_s }.join.hash.class } }.map(&:value).inspect
GC.start
RUBY
