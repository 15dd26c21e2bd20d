"""Section C, second half: chunked bodies and limits. `limit_request_body` is 1024 where these are sent."""

from tests.protocol.vectors.vector import Table, chunked, post, text

LIMIT = 1024
TABLE = Table()
refuse = TABLE.refuse


def serve(rule: int, name: str, data: bytes, body: bytes, *flaws: str, **seen: object) -> None:
    """A POST that is served with this body."""
    TABLE.serve(rule, name, data, *flaws, method="POST", body=body, **seen)


serve(39, "sizes", chunked(b"5\r\nhello\r\n006\r\n world\r\nA\r\n0123456789\r\n00\r\n\r\n"), b"hello world0123456789")
SIZE_FLAWS = ("CVE-2022-24761", "CVE-2023-38697")
for size in (
    b"", b"0x5", b"x", b"+5", b"-5", b"5_", b"1g", b" 5", b"\t5", b"1 0", b"\xb2", b"5.0", b"5,", b"5\0", b"\x0b5",
):  # fmt: skip
    refuse(39, f"size {text(size)}", chunked(size + b"\r\nhello\r\n0\r\n\r\n"), *SIZE_FLAWS)
# RFC 9112 section 7.1.1: whitespace behind a size was once allowed before an extension, and padding is in use.
for size in (b"5 ", b"5\t", b"0" * 16 + b"5", b"0" * 40 + b"5"):
    refuse(39, f"size {text(size)}", chunked(size + b"\r\nhello\r\n0\r\n\r\n"), choice=True)
for size in (b"f" * 16, b"f" * 17, b"8000000000000000", b"10000000000000005"):
    refuse(39, f"overflow {text(size)}", chunked(size + b"\r\nhello\r\n0\r\n\r\n"), "CVE-2013-2028", choice=True)

serve(40, "line ends are data", chunked(b"4\r\n\r\n\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n"), b"\r\n" * 3)
for where, body in {
    "lf behind a size": b"5\nhello\r\n0\r\n\r\n",
    "cr behind a size": b"5\rXhello\r\n0\r\n\r\n",
    "cr cr lf behind a size": b"5\r\r\nhello\r\n0\r\n\r\n",
    "lf behind data": b"5\r\nhello\n0\r\n\r\n",
    "cr behind data": b"5\r\nhello\rX0\r\n\r\n",
    "lf behind the last size": b"5\r\nhello\r\n0\n\r\n",
    "lf at the end": b"5\r\nhello\r\n0\r\n\n",
    "cr at the end": b"5\r\nhello\r\n0\r\n\rX",
}.items():
    # RFC 9112 section 2.2 lets LF end a line of fields, which the last line of trailers is, but no line of chunks.
    refuse(40, where, chunked(body), "CVE-2025-22871", "CVE-2025-58056", choice=where == "lf at the end")

for extension in (b";a", b";a=b;c=d;e", b';a="b c"', b';a="\\"\\\\"', b' ; a = "b"'):
    serve(41, f"extension {text(extension)}", chunked(b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n"),
          b"hello")  # fmt: skip
LINE_END_FLAWS = ("CVE-2024-52304", "CVE-2025-55315", "CVE-2025-58056", "gunicorn-27-chunk-extension")
for extension in (b";a\nb", b";a\rb", b";a=b\n", b';a="b\n"', b';a="b\r\n"', b";\n", b";\nx"):
    refuse(41, f"extension {text(extension)}", chunked(b"5" + extension + b"\r\nhello\r\n0\r\n\r\n"), *LINE_END_FLAWS)
# That it must be well formed to be ignored is our reading; that it holds no control octets is the grammar's.
for extension in (b";a=\x01", b";a\0", b";a=\x7f", b';a="\0"'):
    refuse(41, f"extension {text(extension)}", chunked(b"5" + extension + b"\r\nhello\r\n0\r\n\r\n"), "CVE-2022-24761")
for extension in (b";", b";;", b";=b", b";a=", b";a b", b';a="b', b';a="b"c', b";a=b,c", b";\x80", b" a"):
    refuse(41, f"extension {text(extension)}", chunked(b"5" + extension + b"\r\nhello\r\n0\r\n\r\n"), choice=True)
LONG_FLAWS = ("CVE-2024-21647", "CVE-2024-22019", "CVE-2023-39326", "gunicorn-27-chunk-size-line")
refuse(41, "long extension", chunked(b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n"), *LONG_FLAWS, choice=True)
refuse(41, "long extension without end", chunked(b"5;" + b"a" * 20_000), *LONG_FLAWS, choice=True)
refuse(41, "many extensions", chunked((b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 20), *LONG_FLAWS, choice=True)

for spill in (
    b"5\r\nhelloSPILL\r\n0\r\n\r\n",
    b"5\r\nhell\r\n0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
):
    refuse(42, f"data {text(spill)}", chunked(spill), "CVE-2025-43859")

serve(43, "a trailer is no request", chunked(b"5\r\nhello\r\n0\r\nX: POST /evil HTTP/1.1\r\n\r\n"), b"hello",
      "CVE-2025-53643", environ={"HTTP_X": None})  # fmt: skip

serve(44, "trailers are dropped", chunked(b"5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: a\r\nX: y\r\n\r\n"), b"hello",
      "CVE-2023-40175", "CVE-2025-53643", environ={"HTTP_HOST": "test", "HTTP_X": None}, choice=True)  # fmt: skip
for trailer in (b"no colon", b" X: y", b"X : y", b": y", b"X: \0", b"X(: y", b"X: y\nZ: a", b"GET / HTTP/1.1"):
    refuse(44, f"trailer {text(trailer)}", chunked(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"), "CVE-2025-53643",
           choice=not set(trailer).isdisjoint(b"\n\0"))  # fmt: skip
refuse(44, "folded trailer", chunked(b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"), choice=True)
refuse(44, "many trailers", chunked(b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 101 + b"\r\n"), "CVE-2026-22815", status=431,
       choice=True)  # fmt: skip
refuse(44, "long trailer without end", chunked(b"5\r\nhello\r\n0\r\nA: " + b"b" * 9000), "CVE-2026-22815", status=431,
       choice=True)  # fmt: skip

serve(45, "single octets", chunked(b"1\r\na\r\n" * 500 + b"0\r\n\r\n"), b"a" * 500, "CVE-2025-69229")

refuse(49, "length", post(b"Content-Length: 1025"), status=413, choice=True)
refuse(49, "huge length", post(b"Content-Length: 999999999"), status=413, choice=True)
refuse(49, "largest length", post(b"Content-Length: 9223372036854775807"), status=413, choice=True)
refuse(53, "length that is announced", post(b"Expect: 100-continue", b"Content-Length: 1025"), status=413, choice=True)
refuse(49, "chunk", chunked(b"401\r\n"), status=413, choice=True)
refuse(49, "largest chunk", chunked(b"7fffffffffffffff\r\n"), "CVE-2013-2028", status=413, choice=True)
refuse(49, "chunks", chunked((b"200\r\n" + b"a" * 0x200 + b"\r\n") * 3), status=413, choice=True)
serve(49, "as large as it may be", post(b"Content-Length: 1024", body=b"a" * 1024), b"a" * 1024)
