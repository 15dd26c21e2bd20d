"""An app of which one path sleeps, /<milliseconds>, and every other path answers at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .hello import BODY, HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Hello, after as many milliseconds as the path says."""
    delay = environ["PATH_INFO"][1:]
    if delay:
        time.sleep(int(delay) / 1000)
    start_response("200 OK", HEADERS)
    return [BODY]
