-- The requests of the nginx measurement, in turn: a small file, a listing, a compressed text, a computed answer.
local paths = {"/small.html", "/many/", "/text.txt", "/hello/world?name=value&other=1", "/include.shtml"}
local i = 0
request = function()
  i = i % #paths + 1
  return wrk.format("GET", paths[i], {["Accept-Encoding"] = "gzip", ["X-Some-Header"] = "value " .. i})
end
done = function(summary)
  io.write(string.format("requests %d errors %d\n", summary.requests,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
