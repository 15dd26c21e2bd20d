"""Asks the application for `ready_path` before the worker accepts connections.

The request goes through the engine like any other, over a socket pair and in the protocol that it speaks: it runs on a
thread of the pool, under the request deadline, and in the access log. What works for it works for the clients.
"""

import contextlib
import socket
import time
from http.client import HTTPException, HTTPResponse

from pronghorn.engine.loop import Engine
from pronghorn.errors import NotReadyError
from pronghorn.wire.uwsgi import render

FIRST_PAUSE = 0.1
"""Seconds before the second attempt; each pause is twice the one before."""

LONGEST_PAUSE = 1.0


def wait_until_ready(engine: Engine, path: str, until: float, protocol: str = "http") -> None:
    """Returns once the application answers a GET of `path` with 2xx or 3xx.

    Arguments:
        engine: started, and not accepting.
        until: monotonic second at which it is given up.
        protocol: `http` or `uwsgi`, as the setting.

    Raises:
        NotReadyError: with what the application said last.
    """
    pause = FIRST_PAUSE
    request = _request(path, protocol)
    while True:
        verdict = _ask(engine, request, until)
        if verdict is None:
            return
        if time.monotonic() + pause >= until:
            raise NotReadyError(f"ready_path {path} {verdict}")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _request(path: str, protocol: str) -> bytes:
    if protocol == "uwsgi":
        return render({"REQUEST_METHOD": "GET", "REQUEST_URI": path, "HTTP_HOST": "localhost"})
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def _ask(engine: Engine, request: bytes, until: float) -> str | None:
    """One attempt: None when it went well, otherwise what happened, as a predicate."""
    ours, theirs = socket.socketpair()
    with ours:
        engine.attach(theirs)
        ours.settimeout(max(0.001, until - time.monotonic()))
        try:
            ours.sendall(request)
            with contextlib.closing(HTTPResponse(ours, method="GET")) as response:
                response.begin()
                response.read()
        except TimeoutError:
            return "did not answer in time (boot_timeout)"
        except (HTTPException, OSError):
            return "was not answered to the end: see the error log"
        return None if 200 <= response.status < 400 else f"answered {response.status} {response.reason}"
