-- What Lua programs do: tables, strings, closures, coroutines. The amount follows from the first argument.
local scale = tonumber(arg[1])
local state = 12345
local function below(limit)
  state = (state * 1103515245 + 12345) % 2147483648
  return (state >> 8) % limit
end

local function trees()
  local function build(depth)
    if depth == 0 then return {below(1000)} end
    return {build(depth - 1), build(depth - 1), below(1000)}
  end
  local function sum(t) return t[3] and sum(t[1]) + sum(t[2]) + t[3] or t[1] end
  local total = 0
  for _ = 1, 12 do total = total + sum(build(11)) end
  return total
end

local function strings()
  local words = {}
  for i = 1, 20000 do words[i] = "word" .. below(5000) .. string.rep("x", below(10)) end
  local text = table.concat(words, " ")
  local counts = {}
  for word in text:gmatch("%a+%d+") do counts[word] = (counts[word] or 0) + 1 end
  local list = {}
  for word, count in pairs(counts) do list[#list + 1] = {word = word, count = count} end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.word < b.word
  end)
  return #list + #text:upper():gsub("X+", "-") + list[1].count
end

local function objects()
  local Account = {}
  Account.__index = Account
  local function new(owner) return setmetatable({owner = owner, balance = 0, log = {}}, Account) end
  function Account:deposit(v)
    self.balance = self.balance + v
    self.log[#self.log + 1] = {v, self.balance}
  end
  local accounts = {}
  for i = 1, 300 do accounts[i] = new("owner " .. i) end
  for _ = 1, 40000 do accounts[1 + below(#accounts)]:deposit(below(100)) end
  local total = 0
  for _, account in ipairs(accounts) do total = total + account.balance + #account.log end
  return total
end

local function generators()
  local function numbers(n)
    return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end)
  end
  local total = 0
  for _ = 1, 2000 do
    local add = below(10)
    local f = function(x) return x + add end
    for x in numbers(5) do total = total + f(x) end
  end
  return total
end

local checksum = 0
for _ = 1, math.max(1, math.floor(scale * 12 + 0.5)) do
  for _, part in ipairs {trees, strings, objects, generators} do
    checksum = (checksum * 31 + part()) % 4294967296
  end
end
print(string.format("checksum %08x", checksum))
