#!/bin/bash
# Real program: lua on tables, strings and coroutines.
set -euo pipefail
n=60000
if [[ $1 == long ]]; then n=600000; fi
lua5.4 - "$n" <<'LUA'
local n = tonumber(arg[1])
local words, seen = {}, {}
for i = 1, n do
  local word = string.format("%x", i * 2654435761 % 1000003):rep(1 + i % 4)
  words[#words + 1] = word
  seen[word] = (seen[word] or 0) + 1
end
table.sort(words)
local text = table.concat(words, " ")
print(#text, text:sub(1, 200))
print(select(2, text:gsub("%f[%w](%x)%1", "%1-")))
local function walk(t, depth)
  if depth > 0 then for i = 1, 3 do t[i] = {depth}; walk(t[i], depth - 1) end end
end
local tree = {}
walk(tree, 9)
local generate = coroutine.wrap(function() for word, count in pairs(seen) do coroutine.yield(#word * count) end end)
local sum = 0
for value in generate do sum = sum + value end
print(sum, #tree)
LUA
