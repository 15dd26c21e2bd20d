"""The PROXY protocol: one verdict however a header is cut, and nothing but what its document allows."""

import socket

import pytest

from pronghorn.errors import PeerError
from pronghorn.wire.proxy import parse

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FOUR = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.7") + b"\xdc\x04\x01\xbb"
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "::1") + b"\0\1\xff\xff"
PATHS = b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0")
OCTET = b"\x04\0\1x"
"""An extension that means nothing: PP2_TYPE_NOOP with one octet."""


def line(text: str) -> bytes:
    return f"PROXY {text}\r\n".encode()


def header(block: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2, "big") + block


def crc32c(data: bytes) -> bytes:
    sum_ = 0xFFFFFFFF
    for octet in data:
        sum_ ^= octet
        for _ in range(8):
            sum_ = (sum_ >> 1) ^ (0x82F63B78 if sum_ & 1 else 0)
    return (sum_ ^ 0xFFFFFFFF).to_bytes(4, "big")


def summed(block: bytes, behind: bytes = b"") -> bytes:
    """A header with its checksum, and extensions behind that."""
    whole = header(block + b"\x03\0\4\0\0\0\0" + behind)
    at = len(whole) - len(behind) - 4
    return whole[:at] + crc32c(whole) + whole[at + 4 :]


def verdict(data: bytes) -> object:
    """What is said of `data` as soon as something is, when it comes octet by octet; the same as of all at once."""
    at_once = None
    for size in range(len(data) + 1):
        try:
            found: object = parse(data[:size])
        except PeerError as error:
            found = error.detail
        if found is not None and at_once is None:
            at_once = found
        assert at_once is None or found == at_once, f"{found} of {size} octets, and before {at_once}"
    return at_once


TAKEN = {
    "version 1": (LINE, ("TCP4", ("192.0.2.1", 56324), ("198.51.100.7", 443))),
    "version 1, IPv6": (line("TCP6 2001:DB8:0::1 ::1 0 65535"), ("TCP6", ("2001:db8::1", 0), ("::1", 65535))),
    "version 1, mapped": (line("TCP6 ::ffff:192.0.2.1 ::1 1 2"), ("TCP6", ("192.0.2.1", 1), ("::1", 2))),
    "version 1, unknown": (line("UNKNOWN"), ("UNKNOWN", ("", 0), ("", 0))),
    "version 1, unknown, and more": (line("UNKNOWN a b c 70000 x"), ("UNKNOWN", ("", 0), ("", 0))),
    "version 1, as long as can be": (line("UNKNOWN " + "x" * 91), ("UNKNOWN", ("", 0), ("", 0))),
    "version 2": (header(FOUR), ("TCP4", ("192.0.2.1", 56324), ("198.51.100.7", 443))),
    "version 2, IPv6": (header(SIX, family=0x21), ("TCP6", ("2001:db8::1", 1), ("::1", 65535))),
    "version 2, unix": (header(PATHS, family=0x31), ("UNIX", ("", 0), ("", 0))),
    "version 2, local": (header(b"", command=0x20, family=0), ("LOCAL", ("", 0), ("", 0))),
    "version 2, local, and more": (header(b"any thing", command=0x20, family=0x77), ("LOCAL", ("", 0), ("", 0))),
    "version 2, unspecified": (header(b"", family=0), ("UNKNOWN", ("", 0), ("", 0))),
    "extensions": (header(FOUR + OCTET + b"\x20\0\0"), ("TCP4", ("192.0.2.1", 56324), ("198.51.100.7", 443))),
    "a checksum": (summed(FOUR, OCTET), ("TCP4", ("192.0.2.1", 56324), ("198.51.100.7", 443))),
    "version 2, as long as can be": (
        header(FOUR + b"\x04" + (4065).to_bytes(2, "big") + bytes(4065)),
        ("TCP4", ("192.0.2.1", 56324), ("198.51.100.7", 443)),
    ),
}


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("behind", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", LINE])
def test_rule_31_what_is_taken(name, behind):
    data, (kind, source, destination) = TAKEN[name]
    found = verdict(data) if len(data) < 500 and not behind else parse(data + behind)
    assert found[1:] == (kind, source, destination, len(data))


IN_LINE = "the PROXY line (version 1) is malformed or longer than 107 octets"
IN_HEADER = "the PROXY header (version 2) is malformed"
REFUSED = {
    "an unknown family": (line("UDP4 1.2.3.4 1.2.3.4 1 2"), IN_LINE),
    "lower case": (line("tcp4 1.2.3.4 1.2.3.4 1 2"), IN_LINE),
    "nothing behind": (line("TCP4"), IN_LINE),
    "three octets": (line("TCP4 1.2.3 1.2.3.4 1 2"), IN_LINE),
    "a leading zero": (line("TCP4 1.2.3.04 1.2.3.4 1 2"), IN_LINE),
    "a number beyond 255": (line("TCP4 1.2.3.256 1.2.3.4 1 2"), IN_LINE),
    "IPv6 in TCP4": (line("TCP4 ::1 ::1 1 2"), IN_LINE),
    "IPv4 in TCP6": (line("TCP6 1.2.3.4 1.2.3.4 1 2"), IN_LINE),
    "a zone": (line("TCP6 fe80::1%eth0 ::1 1 2"), IN_LINE),
    "two gaps": (line("TCP6 1::2::3 ::1 1 2"), IN_LINE),
    "a port beyond 65535": (line("TCP4 1.2.3.4 1.2.3.4 65536 2"), IN_LINE),
    "a port with a zero": (line("TCP4 1.2.3.4 1.2.3.4 01 2"), IN_LINE),
    "a port with a sign": (line("TCP4 1.2.3.4 1.2.3.4 +1 2"), IN_LINE),
    "no port": (line("TCP4 1.2.3.4 1.2.3.4 1"), IN_LINE),
    "a port too many": (line("TCP4 1.2.3.4 1.2.3.4 1 2 3"), IN_LINE),
    "two spaces": (line("TCP4 1.2.3.4  1.2.3.4 1 2"), IN_LINE),
    "a space at the end": (line("TCP4 1.2.3.4 1.2.3.4 1 2 "), IN_LINE),
    "a tab": (line("TCP4\t1.2.3.4 1.2.3.4 1 2"), IN_LINE),
    "a NUL": (line("TCP4 1.2.3.4\0 1.2.3.4 1 2"), IN_LINE),
    "LF alone": (LINE.replace(b"\r", b""), IN_LINE),
    "CR alone": (LINE.replace(b"\r\n", b"\rGET"), IN_LINE),
    "a line of 108 octets (CVE-2026-47736)": (line("UNKNOWN " + "x" * 92), IN_LINE),
    "a line without end": (b"PROXY " + b"x" * 200, IN_LINE),
    "another version": (header(FOUR, command=0x11), IN_HEADER),
    "another command": (header(FOUR, command=0x22), IN_HEADER),
    "datagrams": (header(FOUR, family=0x12), IN_HEADER),
    "another family": (header(FOUR, family=0x41), IN_HEADER),
    "addresses cut short": (header(FOUR[:11]), IN_HEADER),
    "IPv6 addresses cut short": (header(SIX[:35], family=0x21), IN_HEADER),
    "paths cut short": (header(PATHS[:215], family=0x31), IN_HEADER),
    "an extension cut short": (header(FOUR + b"\x04\0\x02x"), IN_HEADER),
    "half an extension": (header(FOUR + b"\x04\0"), IN_HEADER),
    "a checksum of three octets": (header(FOUR + b"\x03\0\3abc"), IN_HEADER),
    "two checksums": (header(FOUR + b"\x03\0\4abcd" * 2), IN_HEADER),
    "a wrong checksum": (header(FOUR + b"\x03\0\4abcd"), "the checksum of the PROXY header is wrong"),
    "too long": (header(FOUR + bytes(4069)), "the PROXY header (version 2) is longer than 4096 octets"),
    "longest": (SIGNATURE + b"\x21\x11\xff\xff", "the PROXY header (version 2) is longer than 4096 octets"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_rule_31_what_is_refused(name):
    data, detail = REFUSED[name]
    assert verdict(data[:600]) == detail


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n", b"PROPFIND / HTTP/1.1\r\n", b"PROXYING / HTTP/1.1\r\n", b"\r\nGET", b"\r\n\r\n\1", b"\0"],
)
def test_what_begins_with_something_else(data):
    assert verdict(data) is False


def test_one_octet_that_is_wrong_is_noticed_by_the_checksum():
    whole = summed(FOUR, OCTET)
    for at in {*range(16, len(whole))} - {16 + len(FOUR)}:  # there stands which extension it is
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(PeerError):
            parse(changed)
