"""Section C, first half: what the head says about the body; and sections D and G, what it asks for besides."""

from tests.protocol.vectors.vector import Table, get, line, post, text

TABLE = Table()
refuse, serve = TABLE.refuse, TABLE.serve

LENGTH, CODING, END = b"Content-Length: 5", b"Transfer-Encoding: chunked", b"0\r\n\r\n"

# RFC 9112 section 6.3 lets a server take the coding and close; both at once is an attack more often than a mistake.
BOTH_FLAWS = ("CVE-2024-6827", "CVE-2020-11077", "cheroot-275")
refuse(33, "length then coding", post(LENGTH, CODING, body=END), *BOTH_FLAWS, choice=True)
refuse(33, "coding then length", post(CODING, LENGTH, body=END), choice=True)
refuse(33, "in other cases", post(b"TRANSFER-ENCODING: Chunked", b"content-length: 5", body=END), choice=True)
refuse(33, "length of nothing", post(b"Content-Length: 0", CODING, body=END), choice=True)

refuse(34, "http 1 0", post(CODING, body=END, version=b"1.0"), "CVE-2026-42581", choice=True)
refuse(34, "http 1 0 kept alive", post(b"Connection: keep-alive", CODING, body=END, version=b"1.0"), choice=True)

refuse(35, "two lengths", post(LENGTH, b"Content-Length: 6", body=b"hello"), "CVE-2019-16792", "cheroot-275",
       "cheroot-737")  # fmt: skip
refuse(35, "a list of two", post(b"Content-Length: 5, 6", body=b"hello"))
refuse(35, "equal lengths", post(LENGTH, LENGTH, body=b"hello"), choice=True)
refuse(35, "a list of equal ones", post(b"Content-Length: 5, 5", body=b"hello"), choice=True)
refuse(35, "one is empty", post(LENGTH, b"Content-Length:", body=b"hello"))

INT_FLAWS = ("CVE-2022-24761", "CVE-2023-47627", "CVE-2023-38697")
for value in (
    b"+5", b"-5", b"-0", b"0x5", b"0o5", b"5_0", b"5a", b"5.0", b"1 0", b"5;x", b"1e3", b'"5"', b"5\x0b",
):  # fmt: skip
    refuse(36, f"length {text(value)}", post(b"Content-Length: " + value, body=b"hello"), *INT_FLAWS)
# Empty elements of a list, and lengths that a server with larger numbers may wait for.
for value in (b"5,", b",5", b"9" * 20, b"9223372036854775808", b"18446744073709551621"):
    refuse(36, f"length {text(value)}", post(b"Content-Length: " + value, body=b"hello"), *INT_FLAWS, choice=True)
refuse(36, "length of other digits", post(b"Content-Length: \xd9\xa5", body=b"hello"), "CVE-2025-69224")
refuse(36, "length that is a superscript", post(b"Content-Length: \xb2", body=b"hello"), "CVE-2025-69224")
refuse(36, "empty length", post(b"Content-Length: ", body=b"hello"), "CVE-2023-40175", "CVE-2022-24790")
refuse(36, "many zeros", post(b"Content-Length: " + b"0" * 20), choice=True)

serve(37, "leading zeros", post(b"Content-Length: 0010", body=b"0123456789"), method="POST", body=b"0123456789")
serve(37, "blanks around", post(b"Content-Length:\t5 \t", body=b"hello"), method="POST", body=b"hello",
      environ={"CONTENT_LENGTH": "5"})  # fmt: skip

CODING_FLAWS = ("CVE-2024-1135", "CVE-2024-6827", "CVE-2019-16786", "CVE-2022-32213", "CVE-2022-24790")
for value in (
    b"chunked, gzip", b"identity", b"chunked;a=b", b'"chunked"', b"xchunked", b"chunkedx", b"chu nked", b"gzip chunked",
):  # fmt: skip
    refuse(38, f"coding {text(value)}", post(b"Transfer-Encoding: " + value, body=END), *CODING_FLAWS)
# RFC 9110 section 5.6.1 has a recipient pass over empty elements of a list, section 5.5 lets it take NUL for a space,
# and nothing forbids to take `chunked` twice for once. Where a body ends is no place for any of it.
for value in (
    b",chunked", b"chunked,", b"", b",", b"chunked, chunked", b"chunked, gzip, chunked", b"chunked\0",
):  # fmt: skip
    refuse(38, f"coding {text(value)}", post(b"Transfer-Encoding: " + value, body=END), *CODING_FLAWS, choice=True)
for value in (b"\x0bchunked", b"chunked\x0b", b"\xa0chunked", b"chunked\x85"):
    refuse(
        38, f"coding {text(value)}", post(b"Transfer-Encoding: " + value, body=END), "CVE-2019-16789", "CVE-2020-11076"
    )
refuse(38, "two codings", post(CODING, CODING, body=END), choice=True)
refuse(38, "two fields of which the last is another", post(CODING, b"Transfer-Encoding: identity", body=END))
for value in (b"gzip, chunked", b"x, y , chunked", b"identity, chunked"):
    refuse(38, f"coding {text(value)}", post(b"Transfer-Encoding: " + value, body=END), status=501)
serve(38, "in any case", post(b"Transfer-Encoding: \tCHUNKED ", body=b"5\r\nhello\r\n" + END), method="POST",
      body=b"hello")  # fmt: skip
for name in (b"Transfer-Encodin", b"XTransfer-Encoding", b"Transfer-Encoding-"):
    serve(38, f"another field {text(name)}", get(name + b": chunked"))

serve(47, "body of a get", get(LENGTH) + b"hello", body=b"hello")
INNER = b"GET /evil HTTP/1.1\r\nHost: test\r\n\r\n12345"
serve(47, "body that looks like a request", post(b"Content-Length: 39", body=INNER).replace(b"POST", b"DELETE"),
      method="DELETE", body=INNER)  # fmt: skip
serve(47, "chunked body of options", post(CODING, body=b"27\r\n" + INNER + b"\r\n" + END).replace(b"POST", b"OPTIONS"),
      method="OPTIONS", body=INNER)  # fmt: skip

# D. Expect. Another expectation may be ignored (RFC 9110 section 10.1.1); what an odd one means is a guess.
EXPECT = b"Expect: 100-continue"
for value in (
    b"x",
    b"",
    b"x, 100-continue",
    b"100-continue, x",
    b"100-continue;q=1",
    b"100 continue",
    b'"100-continue"',
):
    refuse(56, f"expectation {text(value)}", post(b"Expect: " + value, LENGTH, body=b"hello"), status=417, choice=True)
refuse(56, "two expectations", post(EXPECT, EXPECT, LENGTH, body=b"hello"), status=417, choice=True)
refuse(56, "vertical tab", post(EXPECT + b"\x0b", LENGTH, body=b"hello"), choice=True)
serve(54, "expectation of http 1 0", post(b"Expect: x", LENGTH, body=b"hello", version=b"1.0"), method="POST",
      body=b"hello", lasts=False, choice=True)  # fmt: skip
BODY = b"5\r\nhello\r\n" + END
AWAITED = {"method": "POST", "body": b"hello", "continues": True}
serve(52, "body with a length", post(EXPECT, LENGTH, body=b"hello"), **AWAITED)
serve(52, "chunked body", post(EXPECT, CODING, body=BODY), **AWAITED)
serve(52, "in another case", post(b"expect: 100-CONTINUE", LENGTH, body=b"hello"), **AWAITED)
serve(54, "http 1 0", post(EXPECT, LENGTH, body=b"hello", version=b"1.0"), method="POST", body=b"hello", lasts=False)
serve(55, "no body", get(EXPECT))
serve(55, "empty body", post(EXPECT, b"Content-Length: 0"), method="POST")

# E. The end of the connection
for value in (b"close", b"CLOSE", b"keep-alive, close", b"te ,\tclose , x", b",close,"):
    serve(51, f"connection {text(value)}", get(b"Connection: " + value), "cherrypy-2018", lasts=False)
for value in (b"keep-alive", b"te, keep-alive", b"closed", b"not-close", b""):
    serve(58, f"connection {text(value)}", get(b"Connection: " + value), "cherrypy-2018")
serve(59, "http 1 0", b"GET /x HTTP/1.0\r\nHost: test\r\n\r\n", lasts=False)
for value in (b"keep-alive", b"x, Keep-Alive"):
    serve(59, f"http 1 0 {text(value)}", b"GET /x HTTP/1.0\r\nConnection: " + value + b"\r\n\r\n", persists=True)
serve(59, "http 1 0 keep-alive and close", b"GET /x HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", lasts=False)

# F. The one answer whose framing the request decides
serve(65, "head", line(b"HEAD /x HTTP/1.1"), method="HEAD")
serve(65, "head with a body", line(b"HEAD /x HTTP/1.1\r\nContent-Length: 5") + b"hello", method="HEAD", body=b"hello")

# G. Upgrades that are not spoken
serve(77, "with its body", post(b"Upgrade: foo/2", b"Connection: upgrade", LENGTH, body=b"hello"), method="POST",
      body=b"hello")  # fmt: skip
serve(77, "in http 1 0", b"GET /x HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", lasts=False)
serve(77, "without connection", get(b"Upgrade: websocket"))
serve(
    78,
    "http 2 in clear text",
    get(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk"),
    choice=True,
)
serve(78, "with a body", post(b"Upgrade: h2c", b"Connection: upgrade", LENGTH, body=b"hello"), method="POST",
      body=b"hello", choice=True)  # fmt: skip
serve(13, "options with a path", line(b"OPTIONS /x HTTP/1.1"), method="OPTIONS")
