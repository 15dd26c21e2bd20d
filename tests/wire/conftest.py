"""Judges: feed the same bytes whole, byte by byte and cut in two at every place, and insist on one verdict."""

from collections.abc import Callable, Iterator

import pytest

from pronghorn.errors import PeerError
from pronghorn.wire.framing import ChunkedDecoder
from pronghorn.wire.http1 import HeadParser, ParsedHead

EVERY_CUT = 600  # up to this size a text is cut at every offset, beyond it near its ends and at the edges of blocks


def pieces_of(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    cuts = range(1, len(data))
    if len(data) > EVERY_CUT:
        cuts = sorted({*cuts[:70], *cuts[-70:], *cuts[::509], *cuts[::512]})
    for cut in cuts:
        yield [data[:cut], data[cut:]]


def head_verdict(pieces: list[bytes], limits: dict[str, int]) -> ParsedHead | PeerError | None:
    parser = HeadParser(**limits)
    head = None
    for piece in pieces:
        try:
            head = parser.feed(piece)
        except PeerError as error:
            with pytest.raises(PeerError):
                parser.feed(b"GET / HTTP/1.1\r\nHost: behind-the-fault\r\n\r\n")
            return error
        if head is not None:
            return head
    return head


def body_verdict(pieces: list[bytes], limits: dict[str, int]) -> tuple[bytes, bool, bytes] | PeerError:
    decoder = ChunkedDecoder(**limits)
    body = b""
    for piece in pieces:
        try:
            body += decoder.feed(piece)
        except PeerError as error:
            with pytest.raises(PeerError):
                decoder.feed(b"0\r\n\r\n")
            return error
    return body, decoder.done, decoder.rest


def one_verdict(data: bytes, verdict: Callable[..., object], limits: dict[str, int]) -> object:
    first = verdict([data], limits)
    for pieces in pieces_of(data):
        other = verdict(pieces, limits)
        assert str(other) == str(first), f"cut at {len(pieces[0])}: {other} and not {first}"
    return first


@pytest.fixture(scope="session")
def judge() -> Callable[..., ParsedHead | PeerError | None]:
    """The verdict on a head: a ParsedHead, the PeerError, or None where it is incomplete."""
    return lambda data, **limits: one_verdict(data, head_verdict, limits)


@pytest.fixture(scope="session")
def status(judge: Callable[..., ParsedHead | PeerError | None]) -> Callable[..., int | None]:
    """The verdict on a head as a number: 200 for one that is served, None where it is incomplete."""

    def find(data: bytes, **limits: int) -> int | None:
        verdict = judge(data, **limits)
        if verdict is None:
            return None
        return verdict.status if isinstance(verdict, PeerError) else 200

    return find


@pytest.fixture(scope="session")
def judge_body() -> Callable[..., tuple[bytes, bool, bytes] | PeerError]:
    """The verdict on a chunked body: (body, whether it is complete, what came behind it), or the PeerError."""
    return lambda data, **limits: one_verdict(data, body_verdict, limits)
