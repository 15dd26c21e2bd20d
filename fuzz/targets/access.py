"""The access log: one line for each request, whatever the peer wrote into it (CVE-2020-7694).

An input is what a request and its response may hold, with U+001F between: method, target, protocol, Referer,
User-Agent, a response header, Authorization, the environ's own; decoded like the peer's octets (latin-1), and once more
as UTF-8, because what an application puts into the environ and its headers may be any text.
"""

import base64
import binascii
import os
import re
import time
import zlib

from pronghorn.errors import SettingsError
from pronghorn.observe.access import AccessLog
from pronghorn.options.access_format import compile_format

FORMAT = (
    '%(h)s %(l)s "%(r)s" %(s)s "%(f)s" "%(a)s" "%({x-kind}o)s" "%(u)s" "%({x.y}e)s" %(t)s %(b)s %(T)s %(D)s %(M)s '
    "%(L)s %(p)s"
)
LINE_MOST = 65536  # octets of what a line holds
REST = 256  # and the format's own
LINE = re.compile(rb"[\x20-\x7e]*\n")

# Written and read for each input: a file that is memory.
FILE = os.fdopen(os.memfd_create("access log"), "rb")
access_log = AccessLog(FORMAT, f"/proc/self/fd/{FILE.fileno()}")


def check(data: bytes) -> None:
    """Raise AssertionError when the line of a request is not what the model says."""
    number = zlib.crc32(data) << 32 | zlib.crc32(data, 1)
    # Octets sent, when it began, how long it took; each as likely to be small as to be large.
    figures = (number % 5000 - 1 << number % 40, number % (1 << 32) + 0.75, number >> number % 64)
    for text in (data.decode("latin-1"), data.decode("utf-8", "surrogateescape")):
        parts = (text.split("\x1f") + [""] * 8)[:8]
        line = record(parts, *figures)
        assert line == model(parts, *figures), f"{parts!r} {figures} became {line!r}"
        # Beyond what a line may have it is cut, and stays one line. That takes long, and is done for some inputs.
        if text and number % 16 == 0:
            line = record([part * (LINE_MOST // len(text) + 1) for part in parts], *figures)
            assert LINE.fullmatch(line), f"not one line: {line!r}"
            assert len(line) <= LINE_MOST + REST, f"a line of {len(line)} octets"
    try:
        compile_format(data.decode("utf-8", "replace"))
    except SettingsError as error:
        assert str(error).isprintable(), f"a message of more than one line, or not of text: {error}"


def record(parts: list[str], sent: int, began: float, took: int) -> bytes:
    """The line that is logged."""
    method, target, protocol, referer, agent, kind, authorization, own = parts
    environ = {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "SERVER_PROTOCOL": protocol,
        "HTTP_REFERER": referer,
        "HTTP_USER_AGENT": agent,
        "HTTP_AUTHORIZATION": authorization,
        "x.y": own,
    }
    access_log.put("192.0.2.7", environ, "200 OK", [("X-Kind", kind)], sent, began, took)
    access_log.flush()
    line = FILE.read()
    FILE.seek(0)
    os.ftruncate(FILE.fileno(), 0)
    return line


def model(parts: list[str], sent: int, began: float, took: int) -> bytes:
    """The same, written down a second time and in another way than in observe/access.pyx."""
    method, target, protocol, referer, agent, kind, authorization, own = parts
    request = " ".join(map(escape, (method, target, protocol)))
    quoted = " ".join(f'"{escape(text)}"' for text in (referer, agent, kind, user(authorization), own))
    stamp = time.strftime("[%d/%b/%Y:%H:%M:%S %z]", time.localtime(int(began)))
    octets = "-" if sent < 0 else str(sent)
    times = f"{took // 10**9} {took // 10**3} {took // 10**6} {took // 10**9}.{took // 10**3 % 10**6:06}"
    return f'192.0.2.7 - "{request}" 200 {quoted} {stamp} {octets} {times} <{os.getpid()}>\n'.encode()


def escape(text: str | None) -> str:
    """Octets beyond printable ASCII, quotes and backslashes, escaped; `-` for nothing."""
    if text is None:
        return "-"
    try:
        octets = text.encode("latin-1")
    except UnicodeEncodeError:
        octets = text.encode("utf-8", "backslashreplace")
    return "".join(
        '\\"' if octet == 0x22 else chr(octet) if 0x20 <= octet < 0x7F and octet != 0x5C else f"\\x{octet:02x}"
        for octet in octets
    )


def user(authorization: str) -> str | None:
    """Whom Basic Authorization names (RFC 7617)."""
    if authorization[:6].lower() != "basic ":
        return None
    try:
        return base64.b64decode(authorization[6:].strip()).partition(b":")[0].decode() or None
    except (binascii.Error, ValueError):
        return None
