"""Requests as h11 and httptools understand them: what we serve, they must serve, and see the same in it.

An input is what a peer sends: requests, one behind the other, with their bodies. What we refuse they may accept: we are
stricter. Where they differ on something that we serve, it is a finding, unless fuzz/differences.py explains it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import h11
import httptools

from fuzz.differences import explained
from pronghorn.errors import PeerError
from pronghorn.wire.framing import ChunkedDecoder
from pronghorn.wire.http1 import ParsedHead, parse

CLOSE, KEEP_ALIVE = 16, 32  # flags of wire/http1.pxd
Fields = list[tuple[bytes, bytes]]
Reading = tuple[list["Request"], str]
"""What somebody makes of an input: requests, and why what comes behind them is refused (empty where it is not)."""


@dataclass(slots=True)
class Request:
    """One request, as far as somebody has understood it."""

    method: bytes
    target: bytes
    version: tuple[int, int]
    fields: Fields
    body: bytes = b""
    complete: bool = False
    raw: bytes = b""
    """From its first octet on (ours only)."""


def check(data: bytes) -> None:
    """Raise AssertionError when somebody understands what we serve otherwise than we do."""
    ours, end = read(data)
    if not ours and end:
        return
    for who, (theirs, refusal) in (("h11", read_h11(data)), ("httptools", read_httptools(data))):
        for number, request in enumerate(ours):
            other = theirs[number] if number < len(theirs) else None
            if other is not None:
                compare(who, request, other)
            if other is None or (request.complete and not other.complete):
                assert explained(who, request, other, refusal), (
                    f"{who} does not serve this ({refusal or 'it waits'}): {request}"
                )
                break  # from here on they may well be out of step
        else:
            assert end or len(theirs) == len(ours), f"{who} sees a head where we wait: {theirs[-1]}"


def compare(who: str, request: Request, other: Request) -> None:
    """Raise AssertionError where the two are not the same."""
    parts = ["method", "target", "version", "fields"]
    assert request.complete or not other.complete, f"{who} sees the end of a body, and we do not, in {request.raw!r}"
    if request.complete and other.complete:
        parts.append("body")
    for part in parts:
        mine, their = getattr(request, part), getattr(other, part)
        assert mine == their, f"{part}: {mine!r} is {their!r} to {who}, in {request.raw!r}"


def normal(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Names, and the transfer coding, in lower case: the case of these says nothing (RFC 9112 sections 5 and 7)."""
    lowered = [(name.lower(), value) for name, value in fields]
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in lowered]


def read(data: bytes) -> Reading:
    """What we serve of it."""
    requests: list[Request] = []
    while data:
        try:
            head = parse(data)
            if head is None:
                break
            request = Request(head.method, head.target, divmod(head.version, 10), normal(head.fields), raw=data)
            data = read_body(request, head, data[head.end :])
        except PeerError as error:  # in a body too: it is collected before anything is served
            return requests, str(error)
        requests.append(request)
        if is_last(head):
            return requests, "the connection ends here"
        if not request.complete:
            break
    return requests, ""


def read_body(request: Request, head: ParsedHead, data: bytes) -> bytes:
    """Take the body off `data`; what is left. Raises PeerError."""
    if head.chunked:
        decoder = ChunkedDecoder()
        request.body = decoder.feed(data)
        request.complete = decoder.done
        return decoder.rest
    length = head.content_length or 0
    request.body = data[:length]
    request.complete = len(request.body) == length
    return data[length:]


def is_last(head: ParsedHead) -> bool:
    """Whether the connection ends behind this request (RFC 9112 section 9.3)."""
    return bool(head.flags & CLOSE) or (head.version == 10 and not head.flags & KEEP_ALIVE)


def read_h11(data: bytes) -> Reading:
    """What h11 makes of it, with an answer to every request."""
    requests: list[Request] = []
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                major, minor = map(int, event.http_version.split(b"."))
                requests.append(Request(event.method, event.target, (major, minor), normal(event.headers)))
            elif isinstance(event, h11.Data):
                requests[-1].body += event.data
            elif isinstance(event, h11.EndOfMessage):
                requests[-1].complete = True
                if requests[-1].method == b"CONNECT":
                    return requests, "a tunnel"
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return requests, f"it closes behind HTTP/{requests[-1].version[0]}.{requests[-1].version[1]}"
                connection.start_next_cycle()
            else:
                return requests, ""
    except h11.RemoteProtocolError as error:
        return requests, str(error)


class Listener:
    """Collects what llhttp reports, by the names that httptools calls."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.url = b""
        self.fields: Fields = []
        self.in_body = False
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self.url, self.fields, self.in_body = b"", [], False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_body:  # trailers come here too
            self.fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.in_body = True
        major, minor = map(int, self.parser.get_http_version().split("."))
        self.requests.append(Request(self.parser.get_method(), self.url, (major, minor), normal(self.fields)))

    def on_body(self, body: bytes) -> None:
        self.requests[-1].body += body

    def on_message_complete(self) -> None:
        self.requests[-1].complete = True


def read_httptools(data: bytes) -> Reading:
    """What llhttp makes of it, as httptools hands it on."""
    listener = Listener()
    try:
        listener.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        return listener.requests, "upgrade"
    except httptools.HttpParserError as error:
        return listener.requests, str(error) or type(error).__name__
    return listener.requests, ""
