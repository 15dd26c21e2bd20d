"""The smallest app: twelve bytes, with and without Content-Length, and the same with 10 kB."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BODY = b"Hello World!"
LARGE = bytes(range(32, 122)) * 114  # 10,260 bytes

HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(BODY)))]
LARGE_HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(LARGE)))]
BARE_HEADERS = [("Content-Type", "text/plain; charset=utf-8")]


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Hello, with its length."""
    start_response("200 OK", HEADERS)
    return [BODY]


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Hello without Content-Length: the server finds it, or sends chunks, or closes."""
    start_response("200 OK", BARE_HEADERS)
    return [BODY]


def large(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Ten kilobytes."""
    start_response("200 OK", LARGE_HEADERS)
    return [LARGE]
