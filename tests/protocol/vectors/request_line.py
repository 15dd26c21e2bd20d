"""Section A: the request line."""

from tests.protocol.vectors.vector import HOST, Table, get, line, text

TABLE = Table()
refuse, serve = TABLE.refuse, TABLE.serve

LF_FLAWS = ("CVE-2019-16785", "CVE-2021-41136", "gunicorn-27-bare-lf")
refuse(1, "lf behind the request line", b"GET / HTTP/1.1\nHost: test\r\n\r\n", *LF_FLAWS, choice=True)
refuse(1, "lf behind a field", b"GET / HTTP/1.1\r\nHost: test\nA: b\r\n\r\n", choice=True)
refuse(1, "lf everywhere", b"GET / HTTP/1.1\nHost: test\n\n", choice=True)
refuse(1, "lf and nothing behind it", b"GET / HTTP/1.1\n", choice=True)

# RFC 9112 section 2.2 lets a recipient take a bare CR for a space instead.
refuse(2, "cr in the target", b"GET /\r HTTP/1.1\r\n" + HOST + b"\r\n", "CVE-2022-32214", choice=True)
refuse(2, "cr as the line end", b"GET / HTTP/1.1\r" + HOST + b"\r\n")
refuse(2, "cr and something", b"GET / HTTP/1.1\rX" + HOST + b"\r\n")
refuse(2, "cr cr lf", b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n", choice=True)
refuse(2, "cr in a name", b"GET / HTTP/1.1\r\nHo\rst: test\r\n\r\n")
refuse(2, "cr in front", b"\r" + line(b"GET / HTTP/1.1"), choice=True)

serve(3, "one empty line in front", b"\r\n" + get())
refuse(3, "ten empty lines", b"\r\n" * 10 + line(b"GET / HTTP/1.1"), choice=True)
for byte in (b" ", b"\t", b"\n", b"\0", b"\x01", b"\x0b", b"\x1f", b"\x7f", b"\x80"):
    refuse(3, f"{byte.hex()} in front", byte + line(b"GET / HTTP/1.1"), "CVE-2026-50020", choice=byte in b" \t\n\x0b")

for start in (
    b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1", b"GET\x0b/ HTTP/1.1",
    b"GET /\x0cHTTP/1.1", b"GET\x85/ HTTP/1.1", b"GET /\xa0HTTP/1.1", b"GET / HTTP/1.1 ", b"GET / HTTP/1.1\t",
    b"GET /a b HTTP/1.1",
):  # fmt: skip
    # RFC 9112 section 3 allows to split at any whitespace, which is where two servers begin to disagree. That is ASCII
    # whitespace, and a fourth word is none of a request line's.
    choice = start.isascii() and len(start.split()) == 3
    refuse(4, f"spaces {text(start)}", line(start), "CVE-2024-23829", "cheroot-717", choice=choice)

for byte in b'=":<>(),;@[]{}?/\\\0\x01\x7f\xc9':
    refuse(5, f"method with {byte:02x}", line(b"G" + bytes([byte]) + b"T / HTTP/1.1"))
refuse(5, "long method", line(b"M" * 65 + b" / HTTP/1.1"), status=501, choice=True)
serve(5, "lower case", line(b"get /x HTTP/1.1"), method="get", choice=True)
serve(5, "any token", line(b"M-SEARCH!#$%&'*+.^_`|~09 /x HTTP/1.1"), method="M-SEARCH!#$%&'*+.^_`|~09", choice=True)

refuse(6, "http 0 9", b"GET /\r\n\r\n", choice=True)
refuse(6, "no target", line(b"GET HTTP/1.1"))
refuse(6, "no version", line(b"GET / "))
refuse(6, "method alone", line(b"GET"))

for version in (b"1.2", b"1.9", b"2.0", b"3.0", b"0.9", b"9.9", b"0.0"):
    refuse(7, f"version {text(version)}", line(b"GET / HTTP/" + version), status=505, choice=True)
for version in (
    b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/01.1", b"HTTP/1.10", b"HTTP/1.32", b"HTTP/11", b"http/1.1", b"HTTP/ 1.1",
    b"HTTP/1.1.1", b"HTTP/4294967295.255", b"HTTP/-1.1", b"HTTPS/1.1", b"ICY/1.1", b"HTTP/1.\xb9",
):  # fmt: skip
    refuse(7, f"version {text(version)}", line(b"GET / " + version))

LONG = b"/" + b"a" * 7900
serve(8, "long line", line(b"GET " + LONG + b" HTTP/1.1"), target=LONG.decode())
refuse(8, "longer line", line(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), status=414, choice=True)
refuse(8, "longer line behind an empty one", b"\r\n" + line(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), status=414,
       choice=True)  # fmt: skip
refuse(8, "longer line without end", b"GET /" + b"a" * 9000, status=414, choice=True)

for byte in b"\x01\0\x1b\x7f\x80\xe9\xff":
    refuse(9, f"target with {byte:02x}", line(b"GET /a" + bytes([byte]) + b" HTTP/1.1"))
refuse(9, "fragment", line(b"GET /a#b HTTP/1.1"))
refuse(9, "escaped nul", line(b"GET /%00 HTTP/1.1"), choice=True)
serve(9, "escaped line end", line(b"GET /a%0d%0aB:c HTTP/1.1"), target="/a%0d%0aB:c",
      environ={"PATH_INFO": "/a\r\nB:c"})  # fmt: skip

PLAIN = "//a/../b%2fc\\d?e=%20f"
serve(10, "nothing is rewritten", line(f"GET {PLAIN} HTTP/1.1".encode()), target=PLAIN,
      environ={"PATH_INFO": "//a/../b/c\\d", "QUERY_STRING": "e=%20f", "REQUEST_URI": PLAIN}, choice=True)  # fmt: skip
serve(10, "unescaped once", line(b"GET /%2541 HTTP/1.1"), target="/%2541", environ={"PATH_INFO": "/%41"})
serve(10, "overlong utf 8", line(b"GET /%c0%af HTTP/1.1"), target="/%c0%af", environ={"PATH_INFO": "/\xc0\xaf"})
serve(10, "bad escape", line(b"GET /%zz% HTTP/1.1"), target="/%zz%", environ={"PATH_INFO": "/%zz%"}, choice=True)

serve(11, "whole url", line(b"GET http://test/y?z HTTP/1.1"), target="http://test/y?z",
      environ={"PATH_INFO": "/y", "QUERY_STRING": "z", "HTTP_HOST": "test", "wsgi.url_scheme": "http"})  # fmt: skip
serve(11, "its scheme is not believed", line(b"GET https://test/y HTTP/1.1"), target="https://test/y",
      environ={"wsgi.url_scheme": "http"}, choice=True)  # fmt: skip
# RFC 9112 section 3.2.2 lets the target win; an application that looks at the field would not know.
for target in (b"http://other/", b"http://test:80/"):
    refuse(11, f"other host {text(target)}", line(b"GET " + target + b" HTTP/1.1"), choice=True)
for target in (
    b"http://user@test/", b"http://u:p@test/", b"http://", b"http:///p", b"http:/test/", b"http:test",
    b"http://test:x/", b"http://te\\st/",
):  # fmt: skip
    refuse(11, f"bad url {text(target)}", line(b"GET " + target + b" HTTP/1.1"))
refuse(11, "other scheme", line(b"GET ftp://test/ HTTP/1.1"), choice=True)

refuse(12, "connect", b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n", status=501, choice=True)
refuse(12, "authority without connect", line(b"GET test:80 HTTP/1.1"))

refuse(13, "asterisk with get", line(b"GET * HTTP/1.1"), choice=True)
refuse(13, "two asterisks", line(b"OPTIONS ** HTTP/1.1"))
serve(13, "asterisk with options", line(b"OPTIONS * HTTP/1.1"), method="OPTIONS", target="*", status=204, choice=True)

for target in (b"foo", b"?x", b"@evil.example/", b"foo/bar", b".", b"\\", b"%2f"):
    refuse(14, f"target {text(target)}", line(b"GET " + target + b" HTTP/1.1"), "CVE-2026-54282")

refuse(15, "http 2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status=505, choice=True)
refuse(15, "tls client hello", bytes.fromhex("16030100f8010000f40303") + bytes(200), choice=True)
refuse(15, "tls record header", bytes.fromhex("16030100f8"), choice=True)
refuse(15, "ssh", b"SSH-2.0-OpenSSH_9.2\r\n")
