-- What wrk sends (argument: plain, browser or close) and how it reports: one line of JSON.

local browser = {
   ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
   ["Accept-Encoding"] = "gzip, deflate, br, zstd",
   ["Accept-Language"] = "en-GB,en;q=0.9,de;q=0.7",
   ["Cache-Control"] = "max-age=0",
   ["Cookie"] = "session=eyJ1c2VyIjo0MiwicGxhbiI6InBybyJ9.Zk3vTQ.b1hJp2uV0yq; csrftoken=Wq7mX4tR9sLk2; theme=dark",
   ["Referer"] = "http://127.0.0.1/quotes?region=southeast",
   ["Sec-Fetch-Dest"] = "document",
   ["Sec-Fetch-Mode"] = "navigate",
   ["Sec-Fetch-Site"] = "same-origin",
   ["Sec-Fetch-User"] = "?1",
   ["Upgrade-Insecure-Requests"] = "1",
   ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}

-- wrk calls this before it formats the one request that it repeats.
function init(arguments)
   if arguments[1] == "browser" then
      for name, value in pairs(browser) do wrk.headers[name] = value end
   elseif arguments[1] == "close" then
      wrk.headers["Connection"] = "close"
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '\nBENCH {"requests":%d,"microseconds":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"p50":%d,"p99":%d}\n',
      summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout,
      latency:percentile(50), latency:percentile(99)))
end
