-- The requests of the nginx measurement, in turn: a small file, a listing, a compressed text, a computed
-- answer, a page with includes.
local paths = {"/small.html", "/many/", "/text.txt", "/hello/world?name=value&other=1", "/include.shtml"}
local i = 0
request = function()
  i = i % #paths + 1
  return wrk.format("GET", paths[i], {["Accept-Encoding"] = "gzip", ["X-Some-Header"] = "value " .. i})
end
done = function(summary)
  local e = summary.errors
  io.write(string.format("requests %d errors %d\n", summary.requests,
    e.status + e.connect + e.read + e.write + e.timeout))
end
