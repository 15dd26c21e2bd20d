"""The attacks: what each client sends at first, what it does again and again, and when a server should have enough."""

from dataclasses import dataclass

from pronghorn.options import EngineOptions

BUFFER = 2304
"""Octets, the least receive buffer that Linux gives."""


@dataclass(frozen=True)
class Attack:
    """One kind of slow client, or of a wrong one.

    Arguments:
        first: what it sends as soon as it is connected.
        again: what it sends once in each period; it begins anew at its end.
        sip: octets that it reads in each period; 0: it reads all there is.
        shut: it never reads at all.
        limit: the setting of ours that bounds it; without one it is answered, and cut off, at once.
        stays: nothing is wrong with it: a server need not cut it off.
        times: how many of them for each of another attack.
    """

    title: str
    first: bytes = b""
    again: bytes = b""
    piece: int = 0
    sip: int = 0
    shut: bool = False
    limit: str = ""
    stays: bool = False
    times: float = 1

    @property
    def reads_slowly(self) -> bool:
        """Its receive buffer is as small as can be."""
        return bool(self.sip) or self.shut

    def deadline(self, period: float) -> float | None:
        """Seconds after which our defaults cut it off, where it acts once in `period` seconds; None: never."""
        options = EngineOptions()
        if self.stays or (self.limit in RATED and max(self.piece, self.sip) / period >= options.min_rate):
            return None
        return float(getattr(options, self.limit)) if self.limit else 0.0


RATED = ("body_timeout", "send_timeout")
"""Settings that let those stay who keep `min_rate`."""


HEAD = b"GET %s HTTP/1.1\r\nHost: attacked\r\n"
POST = b"POST / HTTP/1.1\r\nHost: attacked\r\n"

ATTACKS = {
    "silent": Attack("connect and say nothing", limit="header_timeout"),
    "heads": Attack(
        "a head that never ends, a line at a time (slowloris)", HEAD % b"/", b"X-a: b\r\n", 8, limit="header_timeout"
    ),
    "drip": Attack("a head, one byte at a time", b"G", b"ET /" + b"a" * 4000, 1, limit="header_timeout"),
    "bodies": Attack(
        "a body, one byte at a time", POST + b"Content-Length: 1000000\r\n\r\n", b"a", 1, limit="body_timeout"
    ),
    "chunks": Attack(
        "a body, one chunk of one byte at a time",
        POST + b"Transfer-Encoding: chunked\r\n\r\n",
        b"1\r\na\r\n",
        6,
        limit="body_timeout",
    ),
    "reads": Attack(
        "4 MiB in one piece, read at 500 bytes at a time", HEAD % b"/large" + b"\r\n", sip=500, limit="send_timeout"
    ),
    "streams": Attack(
        "4 MiB of a stream, read at 500 bytes at a time", HEAD % b"/stream" + b"\r\n", sip=500, limit="send_timeout"
    ),
    "exports": Attack(
        "64 MiB of a stream, read at 500 bytes at a time",
        HEAD % b"/export" + b"\r\n",
        sip=500,
        limit="send_timeout",
        times=0.05,
    ),
    "shut": Attack("4 MiB that are never read", HEAD % b"/large" + b"\r\n", shut=True, limit="send_timeout"),
    "pipelines": Attack(
        "500 requests at once, the answers read at 500 bytes at a time",
        (HEAD % b"/" + b"\r\n") * 500,
        sip=500,
        stays=True,
    ),
    "refused": Attack("a header line without a colon, again and again", HEAD % b"/" + b"wrong\r\n\r\n"),
    "idle": Attack("one request, then nothing", HEAD % b"/" + b"\r\n", stays=True, times=5),
}
