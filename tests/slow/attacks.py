"""The slow attacks: what each client sends at first, and what it does again and again."""

from dataclasses import dataclass

BUFFER = 2304
"""Octets, the least receive buffer that Linux gives."""


@dataclass(frozen=True)
class Attack:
    """One kind of slow client.

    Arguments:
        first: what it sends as soon as it is connected.
        again: what it sends once in each period; it begins anew at its end.
        sip: octets that it reads in each period; 0: it reads all there is.
        shut: it never reads at all.
        stays: nothing is wrong with it: a server need not cut it off.
    """

    title: str
    first: bytes = b""
    again: bytes = b""
    piece: int = 0
    sip: int = 0
    shut: bool = False
    stays: bool = False

    @property
    def reads_slowly(self) -> bool:
        """Its receive buffer is as small as can be."""
        return bool(self.sip) or self.shut


HEAD = b"GET %s HTTP/1.1\r\nHost: attacked\r\n"
POST = b"POST / HTTP/1.1\r\nHost: attacked\r\n"

ATTACKS = {
    "silent": Attack("connect and say nothing"),
    "heads": Attack("a head that never ends, a line at a time (slowloris)", HEAD % b"/", b"X-a: b\r\n", 8),
    "drip": Attack("a head, one byte at a time", b"G", b"ET /" + b"a" * 4000, 1),
    "bodies": Attack("a body, one byte at a time", POST + b"Content-Length: 1000000\r\n\r\n", b"a", 1),
    "chunks": Attack(
        "a body, one chunk of one byte at a time", POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 6
    ),
    "reads": Attack("4 MiB in one piece, read at 500 bytes at a time", HEAD % b"/large" + b"\r\n", sip=500),
    "streams": Attack("4 MiB of a stream, read at 500 bytes at a time", HEAD % b"/stream" + b"\r\n", sip=500),
    "shut": Attack("4 MiB that are never read", HEAD % b"/large" + b"\r\n", shut=True),
    "pipelines": Attack(
        "500 requests at once, the answers read at 500 bytes at a time",
        (HEAD % b"/" + b"\r\n") * 500,
        sip=500,
        stays=True,
    ),
    "idle": Attack("one request, then nothing", HEAD % b"/" + b"\r\n", stays=True),
}
