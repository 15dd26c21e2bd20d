"""One request as a person reads it: `12:01:33 GET /shop?page=2 200 1.4 ms 3.2 kB`."""

import time
from collections.abc import Mapping

COLOURS = {"2": 32, "3": 36, "4": 33, "5": 31}
"""By the first digit of the status: green, cyan, yellow, red (ECMA-48, SGR)."""

DIM = 2

REFUSED = "refused before it was understood"


def line_of(  # noqa: PLR0913 - what a recorder is told
    environ: Mapping[str, object] | None, status: str, sent: int, began: float, duration_ns: int, *, coloured: bool
) -> str:
    """The line, with its line feed.

    Arguments:
        environ: of the request; None for one that was refused.
        status: of the response, with its reason; empty if none was sent.
        sent: octets of the body, negative if that is not known.
        began: wall-clock seconds.
    """
    request = f"{environ.get('REQUEST_METHOD')} {environ.get('RAW_URI')}" if environ else REFUSED
    clock = time.strftime("%H:%M:%S", time.localtime(began))
    code = status[:3] or "---"
    figures = f"{duration(duration_ns)} {size(sent)}"
    request = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in request
    )
    if not coloured:
        return f"{clock} {request} {code} {figures}\n"
    colour = COLOURS.get(code[0], 31)
    return f"\x1b[{DIM}m{clock}\x1b[m {request} \x1b[{colour}m{code}\x1b[m \x1b[{DIM}m{figures}\x1b[m\n"


def duration(nanoseconds: int) -> str:
    """A time in the unit that fits it."""
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds / 1_000_000:.1f} ms"
    return f"{nanoseconds / 1_000_000_000:.2f} s"


def size(octets: int) -> str:
    """An amount in the unit that fits it."""
    if octets < 0:
        return "- B"
    if octets < 1000:
        return f"{octets} B"
    return f"{octets / 1000:.1f} kB" if octets < 1_000_000 else f"{octets / 1_000_000:.1f} MB"
