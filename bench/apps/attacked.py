"""An app to attack: hello, the length of what was sent, a large response, the same as a stream, and a long stream."""

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
TIMES = 16
EXPORT = ("Content-Length", str(TIMES * BLOCKS * len(BLOCK)))


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """As WSGI."""
    path = environ["PATH_INFO"]
    if path == "/large":
        start_response("200 OK", [LENGTH])
        return [LARGE]
    if path == "/stream":
        start_response("200 OK", [LENGTH])
        return (BLOCK for _ in range(BLOCKS))
    if path == "/export":
        start_response("200 OK", [EXPORT])
        return (BLOCK for _ in range(TIMES * BLOCKS))
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
    blocks = {"/large": BLOCKS, "/stream": BLOCKS, "/export": TIMES * BLOCKS}.get(scope["path"], 0)
    headers = [EXPORT if blocks > BLOCKS else LENGTH] if blocks else HEADERS
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": encoded})
    if blocks and scope["path"] != "/large":
        for _ in range(blocks):
            await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": LARGE if blocks else BODY})
