"""Hello at once, to a GET and to the body of a POST; /stream says more than any client waits for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .hello import BARE_HEADERS, BODY, HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PIECE = bytes(64 * 1024)


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Hello when the body has been read to its end; or 64 MiB."""
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", BARE_HEADERS)
        return (PIECE for _ in range(1024))
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (block := environ["wsgi.input"].read(left)):
        left -= len(block)
    start_response("200 OK", HEADERS)
    return [BODY]
