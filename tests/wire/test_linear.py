"""Rules 26 and 45: what comes eight times as long costs at most nine times as many steps, valid or not, cut or whole.

Steps are octets looked at and calls of wire/cursor.pxd, counted in a build of the parsers for that (`make test` makes
it). Time would say the same less surely.
"""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIZES = {
    "head": 4096,
    "chunked": 480,
    "uwsgi": 4096,
    "proxy": 500,
}  # eight times as much extension is still inside its limits
WAYS = {"whole": 1 << 30, "in segments": 1460, "in sevens": 7, "byte by byte": 1}
LIMIT = 1 << 20  # of octets and lines: no case comes to it

LINE = b"GET / HTTP/1.1\r\n"
HOST = LINE + b"Host: a\r\n"
END = b"\r\n\r\n"

# What is cut off or repeated to fill a size, between what stands before and behind it.
HEADS = {
    "a long target": (b"GET /", b"a", b" HTTP/1.1\r\nHost: a" + END),
    "a long query of escapes": (b"GET /?", b"%41", b" HTTP/1.1\r\nHost: a" + END),
    "a long method": (b"", b"M", b" / HTTP/1.1\r\nHost: a" + END),
    "a long authority": (b"GET http://", b"a%41", b"/ HTTP/1.1\r\nHost: a" + END),
    "a long authority with a port that is none": (b"GET http://", b"a", b":port? HTTP/1.1" + END),
    "a request line without end": (b"GET /", b"a", b""),
    "a byte that may not stand in a request line": (b"GET /", b"a", b"\x80"),
    "a long value": (HOST + b"X: ", b"y", END),
    "a long value of obs-text and tabs": (HOST + b"X: ", b"\x80\t", END),
    "a long name": (HOST, b"X", b": y" + END),
    "a line without a colon": (HOST, b"X", END),
    "blanks before a value": (HOST + b"X:", b" ", b"y" + END),
    "blanks behind a value": (HOST + b"X: y", b" ", END),
    "blanks in a value": (HOST + b"X: ", b"y ", b"y" + END),
    "blanks alone": (HOST + b"X:", b" \t", END),
    "a bad byte at the end of a value (CVE-2020-5236)": (HOST + b"Bad: ", b"x", b"\x10"),
    "a lone CR at the end of a value": (HOST + b"Bad: ", b"x", b"\rx"),
    "many lines": (HOST, b"X: y\r\n", b"\r\n"),
    "many empty fields": (HOST, b"a:\r\n", b"\r\n"),
    "many lines without end": (HOST, b"X: y\r\n", b""),
    "many fields of one name": (HOST, b"Cookie: a\r\n", b"\r\n"),
    "many fields that mean something": (LINE, b"Host:\r\n", b"\r\n"),
    "many connection options": (HOST + b"Connection: ", b"a,", END),
    "a list of nothing": (HOST + b"Connection: ", b",", END),
    "a list of blanks": (HOST + b"Connection: ", b" ,", END),
    "many Connection fields": (HOST, b"Connection: close\r\n", b"\r\n"),
    "many transfer codings": (HOST + b"Transfer-Encoding: ", b"x,", b"chunked" + END),
    "a long length": (HOST + b"Content-Length: ", b"0", END),
    "a long host": (LINE + b"Host: ", b"a", END),
    "a long host of escapes": (LINE + b"Host: ", b"%41", END),
    "a long address": (LINE + b"Host: [", b"1:", b"1]" + END),
    "an address of colons": (LINE + b"Host: [", b":", b"]" + END),
    "two authorities to compare": (b"GET http://a/", b"a", b" HTTP/1.1\r\nHost: a" + END),
}
REQUEST = b"\x0e\0REQUEST_METHOD\3\0GET\x0b\0REQUEST_URI\1\0/"
CODED = {
    "one chunk": (b"ffff\r\n", b"x", b""),
    "chunks of one octet (CVE-2025-69229)": (b"", b"1\r\nx\r\n", b"0\r\n\r\n"),
    "chunks of ten octets": (b"", b"a\r\n0123456789\r\n", b"0\r\n\r\n"),
    "sizes of sixteen digits": (b"", b"0000000000000001\r\nx\r\n", b"0\r\n\r\n"),
    "a size without end": (b"", b"0", b""),
    "short extensions": (b"", b"1;a\r\nx\r\n", b"0\r\n\r\n"),
    "a long extension": (b"1;", b"a", b"\r\nx\r\n0\r\n\r\n"),
    "a long quoted extension": (b'1;a="', b"\\x", b'"\r\nx\r\n0\r\n\r\n'),
    "many extensions of one chunk": (b"1", b" ; a = b", b"\r\nx\r\n0\r\n\r\n"),
    "an extension of blanks": (b"1;", b" \t", b"a\r\nx\r\n0\r\n\r\n"),
    "many trailers": (b"0\r\n", b"X: y\r\n", b"\r\n"),
    "empty trailers": (b"0\r\n", b"X:\r\n", b"\r\n"),
    "a long trailer": (b"0\r\nX: ", b"y", b"\r\n\r\n"),
    "a long trailer name": (b"0\r\n", b"X", b":\r\n\r\n"),
    "trailers without end": (b"0\r\n", b"X: y\r\n", b""),
    "a bad byte at the end of a trailer": (b"0\r\nX: ", b"y", b"\x10"),
}
PACKETS = {
    "small variables": (b"", b"\1\0A\0\0", b""),
    "empty names": (b"", b"\0\0\0\0", b""),
    "headers": (REQUEST, b"\x08\0HTTP_A_B\1\0x", b""),
    "headers that are left out": (REQUEST, b"\x0b\0HTTP_EXPECT\0\0", b""),
    "methods": (b"", b"\x0e\0REQUEST_METHOD\3\0GET", b""),
}
INTRODUCTIONS = {
    "extensions": (b"\x20\1\2\3\4\5\6\7\x08\0\1\0\2", b"\4\0\0", b""),
    "a checksum": (b"\x20\1\2\3\4\5\6\7\x08\0\1\0\2\3\0\4abcd", b"\4\0\0", b""),
}
CLASSES = {"head": HEADS, "chunked": CODED, "uwsgi": PACKETS, "proxy": INTRODUCTIONS}
CASES = [(target, name, way) for target, classes in CLASSES.items() for name in classes for way in WAYS]


def filled(target, parts, size):
    before, repeated, behind = parts
    block = before + repeated * ((size - len(before) - len(behind)) // len(repeated)) + behind
    if target == "uwsgi":
        return b"\0" + len(block).to_bytes(2, "little") + b"\0" + block
    if target == "proxy":
        return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + (len(block) - 1).to_bytes(2, "big") + block[1:]
    return block


def count(build, inputs):
    """How many steps each costs: one process counts them all."""
    command = [sys.executable, "-m", "fuzz.steps", build]
    said = subprocess.run(command, cwd=ROOT, input=json.dumps(inputs), text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(said.stdout)


@pytest.fixture
def steps(fuzz_build):
    """How many octets each case has at either size, and how many steps they cost."""
    return count_cases(fuzz_build)


@functools.cache
def count_cases(build):
    rows, inputs = [], []
    for target, name, way in CASES:
        for size in (SIZES[target], 8 * SIZES[target]):
            data = filled(target, CLASSES[target][name], size)
            rows.append((target, name, way, len(data)))
            inputs.append([target, data.decode("latin-1"), WAYS[way], LIMIT])
    counted = {}
    for (*case, size), cost in zip(rows, count(build, inputs), strict=True):
        counted.setdefault(tuple(case), []).append((size, cost))
    return counted


@pytest.mark.parametrize(("target", "name", "way"), CASES)
def test_rules_26_and_45_steps_are_linear(steps, target, name, way):
    (_small, few), (_large, many) = steps[target, name, way]
    assert 0 < many <= 9 * few


def test_a_request_line_that_is_refused_is_read_once(fuzz_build):
    size = 4096
    good, bad = (b"GET http://" + b"a" * size + port + b" HTTP/1.1" + END for port in (b":80", b":port"))
    cost, cost_of_refusal = count(fuzz_build, [["head", line.decode(), 1 << 30, LIMIT] for line in (good, bad)])
    # Beside what the good one costs: its octets are looked at once more, for one that may not stand in any line.
    assert cost_of_refusal <= cost + 1.1 * size


def test_a_proxy_line_without_end_is_read_again_for_107_octets_at_most_cve_2026_47736(fuzz_build):
    """Byte by byte, each time from its start: the most that there may be of one bounds what that costs."""
    lines = [b"PROXY " + b"1" * size for size in (102, 10_000)]
    cost, cost_of_more = count(fuzz_build, [["proxy", line.decode(), 1, LIMIT] for line in lines])
    assert 0 < cost == cost_of_more <= 107 * 107
