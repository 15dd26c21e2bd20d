"""Section B: the header section."""

from tests.protocol.vectors.vector import Table, chunked, get, post, text

TABLE = Table()
refuse, serve = TABLE.refuse, TABLE.serve
START = b"GET / HTTP/1.1\r\n"


refuse(16, "no host", get(b"A: b", host=None))
serve(16, "http 1 0 without host", b"GET /x HTTP/1.0\r\n\r\n", lasts=False,
      environ={"SERVER_PROTOCOL": "HTTP/1.0", "HTTP_HOST": None})  # fmt: skip

refuse(17, "equal hosts", get(b"Host: test"), "CVE-2026-34525")
refuse(17, "two hosts", get(b"A: b", b"hOST: other"))
refuse(17, "two hosts in http 1 0", get(b"Host: other").replace(b"HTTP/1.1", b"HTTP/1.0"))

for host in (
    b"a b", b"u@a", b"u:p@a", b"a/", b"a/p", b"a?q", b"a#f", b"a\\b", b"caf\xc3\xa9", b"a:b", b"a:-1",
    b"a: 80", b"a:80:80", b"::1", b"[", b"[]", b"[::1", b"[::1]a", b"[::1]:a", b"[a]", b"[1::2::3]",
    b"[12345::]", b"%zz", b"a<b", b'"a"', b"http://a",
):  # fmt: skip
    refuse(18, f"host {text(host)}", get(host=host), "CVE-2026-48710")
# RFC 3986 has no numbers for ports, and lets names be empty and hold commas.
for host in (b"a,b", b"a:65536", b":80"):
    refuse(18, f"host {text(host)}", get(host=host), "CVE-2026-48710", choice=True)
# RFC 9110 section 7.2: empty where the target has no authority. There is none for an application to serve.
refuse(18, "empty host", get(host=b""), choice=True)
for host in (b"a", b"a:80", b"127.0.0.1:8000", b"[::1]:8000", b"xn--a.example.", b"a_b"):
    serve(18, f"host {text(host)}", get(host=host), environ={"HTTP_HOST": host.decode()})

for blank in (b" ", b"\t", b"\x0b", b"\x0c", b"\x85", b"\xa0"):
    refuse(19, f"{blank.hex()} before the colon", get(b"A" + blank + b": b"), "CVE-2021-22959")
refuse(19, "length", post(b"Content-Length : 5", body=b"hello"), "cheroot-714")
refuse(19, "coding", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"))

for blank in (b" ", b"\t"):
    refuse(20, f"{blank.hex()} before the first field", START + blank + b"Host: test\r\n\r\n", "CVE-2024-27982")
refuse(20, "blank line with a space", START + b" \r\nHost: test\r\n\r\n", choice=True)

# RFC 9112 section 5.2 lets a server take a fold for a space.
for fold in (b" c", b"\tc", b" "):
    refuse(21, f"fold {text(fold)}", get(b"A: b", fold), choice=True)
refuse(21, "folded coding", post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), "CVE-2022-32215", choice=True)
refuse(21, "folded length", post(b"Content-Length:", b" 5", body=b"hello"), choice=True)
refuse(21, "folded host", START + b"Host:\r\n test\r\n\r\n", choice=True)
refuse(21, "folded trailer", chunked(b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"), choice=True)

for bad in (
    b"Content-Length 10", b": x", b":", b"x", b"a b: c", b'"a": b', b"A(b): c", b"=: x", b"X\0: y", b"\xe9: c",
    b"X-\r\nY: z", b"\xd1\xc2: x", b"A[]: b",
):  # fmt: skip
    refuse(22, f"field {text(bad)}", get(bad), "CVE-2024-23829", "cheroot-721")

# RFC 9110 section 5.5: CR, LF and NUL are refused or become spaces; other control octets may be taken, as data.
for byte in b"\0\r\n":
    refuse(23, f"{byte:02x} in a value", get(b"A: b" + bytes([byte]) + b"c"), "cheroot-720", choice=True)
for byte in b"\x01\x08\x0b\x0c\x0e\x1b\x1f\x7f":
    refuse(23, f"{byte:02x} in a value", get(b"A: b" + bytes([byte]) + b"c"), choice=True)
serve(23, "tab and 8 bit", get(b"A: b\tc\xe9"), environ={"HTTP_A": "b\tc\xe9"})

serve(24, "only space and tab are cut", get(b"A: \t\x85b\xa0 \t"), "gunicorn-3364", environ={"HTTP_A": "\x85b\xa0"})
for byte in b"\x0b\x0c\x1c\x1f":
    refuse(24, f"{byte:02x} around a value", get(b"A: " + bytes([byte]) + b"b"), "gunicorn-3364", choice=True)

for end in (b"\r\n\rX", b"\r\n\n", b"\r\n\r\r\n", b"\n\n", b"\r\r"):
    refuse(25, f"end {text(end)}", START + b"Host: test" + end, "CVE-2025-23167", choice=end in {b"\r\n\n", b"\n\n"})

refuse(26, "long field", get(b"A: " + b"b" * 9000), status=431, choice=True)
refuse(26, "long field without end", START + b"Host: test\r\nA: " + b"b" * 9000, status=431, choice=True)
refuse(26, "long name without end", START + b"Host: test\r\n" + b"a" * 9000, status=431, choice=True)
refuse(26, "many fields", get(*[b"A: b"] * 101), status=431, choice=True)
refuse(26, "many fields without end", START + b"Host: test\r\n" + b"A: b\r\n" * 100 + b"A", status=431, choice=True)
refuse(26, "large section", get(*[b"A: " + b"b" * 7000] * 10), status=431, choice=True)
refuse(26, "a bad octet behind a long value", get(b"Bad: " + b"x" * 4096 + b"\x10"), "CVE-2020-5236", choice=True)

serve(27, "lists", get(b"A: 1", b"a: 2", b"A: 3"), "gunicorn-27-joined-fields", environ={"HTTP_A": "1, 2, 3"},
      choice=True)  # fmt: skip
serve(27, "cookies", get(b"Cookie: a=1", b"Cookie: b=2"), environ={"HTTP_COOKIE": "a=1; b=2"}, choice=True)
serve(27, "as many as there may be", get(*[b"A: " + b"b" * 600] * 98), "gunicorn-27-joined-fields",
      environ={"HTTP_A": ", ".join(["b" * 600] * 98)}, choice=True)  # fmt: skip
refuse(27, "two content types", post(b"Content-Type: a/b", b"Content-Type: a/b", b"Content-Length: 0"), choice=True)
refuse(27, "two authorizations", get(b"Authorization: a", b"Authorization: b"), choice=True)

UNDERSCORES = [b"X_Real: a", b"Content_Length: 5", b"Transfer_Encoding: chunked", b"Host_: evil", b"X_Forwarded_For: a"]
serve(28, "underscores", get(*UNDERSCORES), "CVE-2024-45614", choice=True,
      environ={"HTTP_X_REAL": None, "HTTP_CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": None, "HTTP_HOST": "test",
               "HTTP_X_FORWARDED_FOR": None})  # fmt: skip

serve(29, "proxy", get(b"Proxy: http://evil.example/"), "CVE-2016-5385", environ={"HTTP_PROXY": None}, choice=True)

serve(30, "the environ cannot be set", get(b"Script-Name: /evil", b"Remote-User: root", b"Path-Info: /evil"),
      environ={"SCRIPT_NAME": "", "REMOTE_USER": None, "PATH_INFO": "/x"})  # fmt: skip
FORWARDED = [
    b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil", b"X-Real-IP: 192.0.2.1",
    b"Forwarded: for=192.0.2.1;proto=https", b"X-Forwarded-Ssl: on",
]  # fmt: skip
serve(30, "an untrusted peer is no proxy", get(*FORWARDED), choice=True,
      environ={"HTTP_X_FORWARDED_FOR": None, "HTTP_X_FORWARDED_PROTO": None, "HTTP_X_FORWARDED_HOST": None,
               "HTTP_X_REAL_IP": None, "HTTP_FORWARDED": None, "wsgi.url_scheme": "http",
               "REMOTE_ADDR": "127.0.0.1"})  # fmt: skip
for lines in (
    [b"X-Forwarded-Proto: https", b"X-Forwarded-Ssl: off"],
    [b"X-Forwarded-Proto: http", b"X-Forwarded-Protocol: ssl"],
    [b"X-Forwarded-Proto: http", b"X-Forwarded-Ssl: on"],
):
    refuse(30, f"two schemes {text(b' '.join(lines))}", get(*lines), trusted=True, choice=True)
serve(30, "one scheme", get(b"X-Forwarded-Proto: https"), trusted=True, choice=True,
      environ={"wsgi.url_scheme": "https"})  # fmt: skip

PROXY_LINE = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
refuse(31, "a proxy line", PROXY_LINE + get(), "CVE-2026-47737")
refuse(31, "a proxy line behind an empty one", b"\r\n" + PROXY_LINE + get(), "CVE-2026-47736")
refuse(31, "a binary proxy line", b"\r\n\r\n\0\r\nQUIT\n" + bytes.fromhex("2111000c") + bytes(12) + get())
