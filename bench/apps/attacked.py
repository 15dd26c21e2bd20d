"""An app to attack: hello, the length of what was sent, a large response in one piece, and the same as a stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .hello import BODY, HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BLOCK = bytes(1 << 16)
BLOCKS = 64
LENGTH = ("Content-Length", str(BLOCKS * len(BLOCK)))
LARGE = BLOCK * BLOCKS


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """As WSGI."""
    path = environ["PATH_INFO"]
    if path == "/large":
        start_response("200 OK", [LENGTH])
        return [LARGE]
    if path == "/stream":
        start_response("200 OK", [LENGTH])
        return (BLOCK for _ in range(BLOCKS))
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [BODY]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The same as ASGI, for servers that have no WSGI of their own."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    large = scope["path"] in ("/large", "/stream")
    headers = [LENGTH] if large else HEADERS
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": encoded})
    if scope["path"] == "/stream":
        for _ in range(BLOCKS):
            await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": LARGE if large else BODY})
