"""Rule 26: a head costs steps in proportion to its size, however it comes and whether or not it is valid."""

import pytest

from pronghorn.errors import PeerError
from pronghorn.wire.http1 import HeadParser

START = b"GET / HTTP/1.1\r\nHost: a\r\n"
HEADS = {
    "one long line": START + b"X: " + b"y" * 60_000 + b"\r\n\r\n",
    "one long name": START + b"X" * 60_000 + b": y\r\n\r\n",
    "a long target": b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "many lines": START + b"X: y\r\n" * 10_000 + b"\r\n",
    "blanks": START + b"X:" + b" " * 60_000 + b"\r\n\r\n",
    "a bad byte at the end (CVE-2020-5236)": START + b"Bad: " + b"x" * 60_000 + b"\x10",
    "no colon": START + b"x" * 60_000 + b"\r\n\r\n",
    "no end": START + b"X: y\r\n" * 10_000,
}


@pytest.mark.parametrize("size", [1, 2, 7, 1460, 1_000_000])
@pytest.mark.parametrize("name", HEADS)
def test_rule_26_steps_are_linear(name, size):
    data = HEADS[name]
    parser = HeadParser(request_line=70_000, field_line=70_000, fields=20_000, section=100_000)
    pieces = range(0, len(data), size)
    for start in pieces:
        try:
            parser.feed(data[start : start + size])
        except PeerError:
            break
    # Each octet at most twice by each of the two readers, and a constant for each piece.
    assert parser.steps <= 4 * len(data) + 3 * len(pieces)
