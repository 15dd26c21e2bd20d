"""What h11 and httptools may refuse although we serve it: each with the section that speaks of it, and the reason.

Whoever adds a line has read the section, and says why ours is the reading to keep. Only refusals stand here: where
others find another body, another field or another target in the same octets, one of us is wrong.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.targets.differential import Request

USUAL_METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"}
# What h11 and llhttp say of fields that frame a body.
FRAMING = "(.*Content-Length|.*Transfer-Encoding|multiple transfer encodings)"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
# Whitespace on either side of a `;` or `=` behind a chunk size.
SPACED_EXTENSION = re.compile(rb"(?m)^[0-9A-Fa-f]+(?=[ \t]|[^\r\n]*[;=][ \t]|[^\r\n]*[ \t][;=]).*;")


@dataclass(frozen=True, slots=True)
class Difference:
    """One known difference."""

    who: str
    refusal: str
    """A pattern of how they put it, from its beginning."""
    section: str
    reason: str
    applies: "Callable[[Request, Request | None], object]"
    """Whether our request has what they refuse; theirs is the second one, if they served its head."""
    example: bytes
    """An input that shows it."""


DIFFERENCES = (
    Difference(
        "h11",
        "no request line received",
        "RFC 9112 section 2.2",
        "a server should ignore an empty line before a request line; some clients send one behind a body",
        lambda ours, _: ours.raw.startswith(b"\r\n"),
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    Difference(
        "h11",
        r"illegal chunk header: bytearray\(b'[0-9A-Fa-f]+( |\\t)",
        "RFC 9112 section 7.1.1",
        "whitespace is allowed before the `;` of an extension, and nothing behind it is read",
        lambda ours, _: SPACED_EXTENSION.search(ours.raw),
        CHUNKED + b"1 ;a\r\nx\r\n0\r\n\r\n",
    ),
    Difference(
        "h11",
        "it closes behind HTTP/1.0",
        "RFC 9112 section 9.3",
        "an HTTP/1.0 connection persists when the client asks for it by keep-alive, and h11 never lets it",
        lambda *_: True,
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    ),
    Difference(
        "httptools",
        "(Invalid method encountered|Expected space after method|Invalid HTTP method)",
        "RFC 9110 section 9.1",
        "methods are an open set of tokens, and llhttp has a list of them",
        lambda ours, _: ours.method not in USUAL_METHODS,
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    Difference(
        "h11",
        FRAMING,
        "RFC 9110 section 6.5.1",
        "a field of a trailer section never frames a message: trailers are held to their syntax and discarded, while "
        "h11 treats them as headers",
        lambda ours, theirs: theirs and dict(ours.fields).get(b"transfer-encoding") == b"chunked",
        CHUNKED + b"0\r\nContent-Length: x\r\n\r\n",
    ),
    Difference(
        "httptools",
        FRAMING,
        "RFC 9110 section 6.5.1",
        "a field of a trailer section never frames a message: trailers are held to their syntax and discarded, while "
        "llhttp treats them as headers",
        lambda ours, theirs: theirs and dict(ours.fields).get(b"transfer-encoding") == b"chunked",
        CHUNKED + b"0\r\nContent-Length: x\r\n\r\n",
    ),
    Difference(
        "httptools",
        "Invalid character in chunk (size|extensions)",
        "RFC 9112 section 7.1.1",
        "whitespace is allowed around the `;` and `=` of an extension",
        lambda ours, _: SPACED_EXTENSION.search(ours.raw),
        CHUNKED + b"1; a\r\nx\r\n0\r\n\r\n",
    ),
    Difference(
        "httptools",
        "upgrade",
        "RFC 9110 section 7.8",
        "a server may ignore Upgrade, and until a 101 the client speaks HTTP; llhttp leaves the rest to its caller",
        lambda _, theirs: theirs is None,
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
)


def explained(who: str, ours: "Request", theirs: "Request | None", refusal: str) -> bool:
    """Whether it is known that `who` refuses our request with these words."""
    return any(
        known.who == who and re.match(known.refusal, refusal) and known.applies(ours, theirs) for known in DIFFERENCES
    )
