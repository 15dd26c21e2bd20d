"""The application under load: every answer is made of its request, and some requests are trouble.

It stands in a folder with `release.py`, which a case writes anew to deploy another version, or a broken one. The server
runs in that folder. Standard library only: Gunicorn's environment has nothing else.
"""

import ctypes
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from page import page

LEAKED: list[bytearray] = []


def note(event: str) -> None:
    """Appends a line to the diary of all workers: what happened in which process, and when (monotonic)."""
    with Path(os.environ["FAULTS_DIARY"]).open("a", encoding="ascii") as diary:
        diary.write(f"{event} {os.getpid()} {time.monotonic()}\n")


note("import")
import release  # noqa: E402 - the import of this one may be what takes long, and the diary must show it

note("imported")


def never_return_from_sleep() -> None:
    """A C call that lets the interpreter go, and that no exception can reach."""
    time.sleep(3600)


def never_return_from_library() -> None:
    """The same in a library of somebody else's."""
    ctypes.CDLL(None).sleep(3600)


def never_let_go() -> None:
    """The same, and the interpreter is never let go."""
    ctypes.PyDLL(None).sleep(3600)


def never_stop_computing() -> None:
    """Python code that takes every exception for its own business."""
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: BLE001, S112 - the worst application there is
            continue


def segfault() -> None:
    """A broken extension."""
    ctypes.string_at(0)


def leak() -> None:
    """A megabyte that is never given back."""
    LEAKED.append(bytearray(b"x") * (1 << 20))


def allocate() -> None:
    """More memory than there is."""
    bytearray(1 << 46)


TROUBLE: dict[str, Callable[[], None]] = {
    "sleep": never_return_from_sleep,
    "library": never_return_from_library,
    "hold": never_let_go,
    "compute": never_stop_computing,
    "segfault": segfault,
    "leak": leak,
    "allocate": allocate,
}


def whole(token: str, size: str, body: bytes) -> bytes:
    """The page that the client expects."""
    return page(token, str(release.VERSION), str(os.getpid()), int(size), zlib.crc32(body))


def stream(text: bytes) -> Iterator[bytes]:
    """In four parts, with time between them for something to go wrong."""
    step = len(text) // 4 + 1
    for at in range(0, len(text), step):
        yield text[at : at + step]
        time.sleep(0.002)


def answer(path: str, body: bytes) -> tuple[bool, Iterable[bytes]]:
    """Whether the length is known before, and the body."""
    kind, *words = path.strip("/").split("/")
    if kind == "trouble":
        TROUBLE[words[0]]()
        return True, [b"survived\n"]
    if kind == "environment":
        return True, [json.dumps({"python": sys.version.split()[0], "pid": os.getpid()}).encode()]
    if kind == "slow":
        time.sleep(int(words[2]) / 1000)
    text = whole(words[0], words[1], body)
    return (False, stream(text)) if kind == "stream" else (True, [text])


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """As plain as WSGI can be."""
    known, parts = answer(environ["PATH_INFO"], environ["wsgi.input"].read() if "CONTENT_LENGTH" in environ else b"")
    length = [("Content-Length", str(sum(len(part) for part in parts)))] if known else []
    start_response("200 OK", [("Content-Type", "text/plain"), *length])
    return parts
