"""Large bodies: POST is read to its end and counted, GET sends the file BENCH_FILE by wsgi.file_wrapper."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BLOCK = 64 * 1024


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The number of bytes received, or the file."""
    return receive(environ, start_response) if environ["REQUEST_METHOD"] == "POST" else send(environ, start_response)


def receive(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Read the body in blocks of 64 KiB and answer with its length."""
    left, read = int(environ["CONTENT_LENGTH"]), environ["wsgi.input"].read
    received = 0
    while left > 0 and (block := read(min(BLOCK, left))):
        received += len(block)
        left -= len(block)
    answer = str(received).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]


def send(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The file by the server's wrapper; a server without one is given blocks, as PEP 3333 advises."""
    file = Path(os.environ["BENCH_FILE"]).open("rb")  # noqa: SIM115 - the server closes it
    size = os.fstat(file.fileno()).st_size
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None:
        return iter(lambda: file.read(BLOCK), b"")
    wrapped: Iterable[bytes] = wrapper(file, BLOCK)
    return wrapped
