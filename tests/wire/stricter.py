"""What h11 or httptools serve and we refuse: each difference with its reason, an example, and the octets that make it.

`mark` says in a word of its own what is refused, for the head or the body in which it is: so that a fault which is
found where there is none is not excused by its name.
"""

import re
from dataclasses import dataclass

H11, HTTPTOOLS = "h11", "httptools"
BOTH = (H11, HTTPTOOLS)
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = rb'"(?:[^"\\\r\n]|\\[^\r\n])*"'


@dataclass(frozen=True)
class Difference:
    """What is refused with `fault`, though `who` serve it; `mark` is found in the octets where that is right."""

    fault: str
    who: tuple[str, ...]
    mark: bytes
    example: bytes
    reason: str

    def explains(self, who: str, fault: str, data: bytes) -> bool:
        """Whether it is this difference, for one of them."""
        flags = re.DOTALL | re.IGNORECASE | re.MULTILINE
        return who in self.who and fault == self.fault and re.search(self.mark, data, flags) is not None


def request(line: bytes, *fields: bytes) -> bytes:
    """A head."""
    return b"\r\n".join((line, *fields, b"", b""))


GET = b"GET / HTTP/1.1"
HOST = b"Host: a"

IN_HEADS = [
    Difference("BARE_LF", (HTTPTOOLS,), rb"\A\n", b"\nGET / HTTP/1.0\r\n\r\n", "rule 1: LF in front of a head"),
    Difference("BARE_LF", (H11,), rb"(?<!\r)\n", b"GET / HTTP/1.1\nHost: a\r\n\r\n", "rule 1: LF as a line end"),
    Difference("EMPTY_LINES", (HTTPTOOLS,), rb"\A(?:\r?\n){2}", b"\r\n\r\n" + request(GET, HOST), "rule 3: any number"),
    Difference(
        "BAD_BYTE", (H11,), rb"^[^\n]*:[^\n]*[\x01-\x08\x0e-\x1f\x7f]", request(GET, HOST, b"X: a\x01b"),
        "rule 23: only NUL and line ends are kept out of values",
    ),
    Difference("FOLDED_LINE", (H11,), rb"\n[ \t]", request(GET, HOST, b"X: y", b" z"), "rule 21: it is unfolded"),
    Difference("LONG_METHOD", (H11,), rb"^\S{65,} ", request(b"A" * 65 + b" / HTTP/1.1", HOST), "rule 5: no limit"),
    Difference(
        "BAD_TARGET", (H11,), rb"^\S+ (?!/|\*|https?://[^/])", request(b"GET x HTTP/1.1", HOST),
        "rule 14: targets are not looked into",
    ),
    Difference(
        "BAD_TARGET", (HTTPTOOLS,), rb"^CONNECT (?!/|\*|https?://[^/])", request(b"CONNECT  HTTP/1.1", HOST),
        "rule 14: CONNECT without a target",
    ),
    Difference("FRAGMENT", BOTH, rb"^\S+ [^ ]*#", request(b"GET /# HTTP/1.1", HOST), "rule 9: the same"),
    Difference("USERINFO", BOTH, rb"^\S+ http://[^/ ]*@", request(b"GET http://u@a/ HTTP/1.1", HOST), "rule 11"),
    Difference(
        "OTHER_HOST", BOTH, rb"^\S+ http://([^/? ]*).*^host:[ \t]*(?!\1[ \t]*\r)",
        request(b"GET http://b/ HTTP/1.1", HOST), "rule 11: the target is not held against Host",
    ),
    Difference("BAD_ASTERISK", BOTH, rb"^(?!OPTIONS )\S+ \* ", request(b"GET * HTTP/1.1", HOST), "rule 13: the same"),
    Difference(
        "UNKNOWN_VERSION", BOTH, rb"^\S+ [^\n]* HTTP/(?!1\.[01]\r?$)\d\.\d\r?$", request(b"GET / HTTP/2.0", HOST),
        "rule 7: h11 takes any digit.digit, httptools 2.0",
    ),
    Difference("CONNECT_METHOD", BOTH, rb"^CONNECT ", request(b"CONNECT a:80 HTTP/1.1", b"Host: a:80"), "rule 12"),
    Difference(
        "BAD_HOST", BOTH, rb"^host:[ \t]*(?:\r?$|[^\r\n]*[, ])", request(GET, b"Host: a, b"),
        "rule 18: Host is counted and not read",
    ),
    Difference("NO_HOST", (HTTPTOOLS,), rb"\A(?!.*^host:).* HTTP/1.1", request(GET), "rule 16: left to the caller"),
    Difference("TWO_HOSTS", (HTTPTOOLS,), rb"^host:.*^host:", request(GET, HOST, HOST), "rule 17: the same"),
    Difference(
        "TWO_TYPES", BOTH, rb"^content-type:.*^content-type:",
        request(GET, HOST, b"Content-Type: a", b"Content-Type: a"), "rule 27: left to the caller",
    ),
    Difference(
        "TWO_AUTHORIZATIONS", BOTH, rb"^authorization:.*^authorization:",
        request(GET, HOST, b"Authorization: a", b"Authorization: a"), "rule 27: the same",
    ),
    Difference(
        "UNKNOWN_EXPECTATION", BOTH, rb"^expect:(?:(?![ \t]*100-continue[ \t]*\r?$)|.*^expect:)",
        request(GET, HOST, b"Expect: x"), "rule 56: other expectations are ignored",
    ),
    Difference(
        "BAD_LENGTH", (H11,), rb"^content-length:[^\r\n]*,", request(GET, HOST, b"Content-Length: 5, 5"),
        "rule 35: equal lengths are joined",
    ),
    Difference(
        "TWO_LENGTHS", (H11,), rb"^content-length:.*^content-length:",
        request(GET, HOST, b"Content-Length: 5", b"Content-Length: 5"), "rule 35: the same",
    ),
    Difference(
        "LENGTH_AND_CODING", (H11,), rb"\A(?=.*^content-length:).*^transfer-encoding:",
        request(GET, HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked"), "rule 33: Transfer-Encoding wins",
    ),
    Difference(
        "OLD_CODING", BOTH, rb" HTTP/1\.0\r?$.*^transfer-encoding:",
        request(b"GET / HTTP/1.0", b"Transfer-Encoding: chunked"), "rule 34: it is accepted",
    ),
    Difference(
        "UNKNOWN_CODING", (HTTPTOOLS,), rb"^transfer-encoding:(?![ \t]*chunked[ \t]*\r?$)",
        request(GET, HOST, b"Transfer-Encoding: gzip, chunked"), "rule 38: other codings are left to the caller",
    ),
]  # fmt: skip

IN_BODIES = [
    Difference("BARE_LF", (H11,), rb"(?<!\r)\n", b"0\r\n\n", "rule 44: LF behind the trailers"),
    Difference("FOLDED_LINE", (H11,), rb"\n[ \t]", b"0\r\nX: y\r\n z\r\n\r\n", "rule 44: a trailer is unfolded"),
    Difference(
        "BAD_EXTENSION", BOTH,
        rb"^[0-9a-f]+(?!(?:;" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + QUOTED + rb"))?)*\r?$)[^\r\n]*;",
        b"0;;0\r\nX: y\r\n\r\n", "rule 41: an empty name",
    ),
    Difference(
        "BAD_EXTENSION", (H11,),
        rb"^[0-9a-f]+(?!(?:;" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + QUOTED + rb"))?)*\r?$)[^\r\n]*;",
        b'0;a="0\r\n\r\n', "rule 41: extensions are not looked into",
    ),
]  # fmt: skip
