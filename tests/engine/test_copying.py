"""Rules 27 and 45: behind the parsers, too, what comes eight times as long costs about eight times as many copies.

tests/wire/test_linear.py counts what the parsers look at. Here a whole server is counted, with the joining of fields
and the putting together of a chunked body: the octets that it copies, by copies.c.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sanitized import unless_sanitized

HERE = Path(__file__).parent
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

# What is repeated, between what stands before and behind it.
CASES = {
    "fields of one name": (GET % b"", b"A: b\r\n", b"\r\n"),
    "fields of one name with long values": (GET % b"", b"A: " + b"b" * 500 + b"\r\n", b"\r\n"),
    "cookies": (GET % b"", b"Cookie: a=b\r\n", b"\r\n"),
    "fields of two names by turns": (GET % b"", b"A: b\r\nB: c\r\n", b"\r\n"),
    "chunks of one octet": (POST, b"1\r\nx\r\n", b"0\r\n\r\n"),
    "chunks of ten octets": (POST, b"a\r\n0123456789\r\n", b"0\r\n\r\n"),
    "trailers": (POST + b"0\r\n", b"A: b\r\n", b"\r\n"),
}
BAD = (GET % b"quadratic", b"A: b\r\n", b"\r\n")
Counts = dict[tuple[str, str], list[int]]
WAYS = {"whole": 1 << 30, "in segments": 1460}
SIZES = (7_500, 60_000)
"""One segment of the loopback at most: of two the server may read the first one before the second has come."""
MOST = 10
"""Times: eight, and what has just grown. Lists and buffers grow in steps, and a size may stand right behind one."""


def filled(parts: tuple[bytes, bytes, bytes], size: int) -> bytes:
    before, repeated, behind = parts
    return before + repeated * (size // len(repeated)) + behind


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """How many octets are copied for each case at either size."""
    library = tmp_path_factory.mktemp("copies") / "copies.so"
    command = [os.environ.get("CC", "cc"), "-O1", "-fno-builtin", "-fno-tree-loop-distribute-patterns", "-shared"]
    subprocess.run([*command, "-fPIC", "-o", library, HERE / "copies.c"], check=True)
    rows = [(name, way) for name in (*CASES, "bad") for way in WAYS]
    inputs = [[filled(CASES.get(name, BAD), size).decode("latin-1"), WAYS[way]] for name, way in rows for size in SIZES]
    said = subprocess.run(
        [sys.executable, "-m", "tests.engine.copying"],
        cwd=HERE.parents[1],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"},
        input=json.dumps(inputs),
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    counts = json.loads(said.stdout)
    return {row: counts[2 * number : 2 * number + 2] for number, row in enumerate(rows)}


pytestmark = unless_sanitized("AddressSanitizer has its own memcpy")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_rules_27_and_45_what_is_copied_is_linear(copied: Counts, name: str, way: str) -> None:
    few, many = copied[name, way]
    assert 0 < few <= many <= MOST * few


@pytest.mark.parametrize("way", WAYS)
def test_what_is_copied_again_and_again_is_seen(copied: Counts, way: str) -> None:
    few, many = copied["bad", way]
    assert many > 20 * few
