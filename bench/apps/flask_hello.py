"""Hello from Flask; run as a program it prints what Flask alone costs, in CPU microseconds a request."""

from __future__ import annotations

import io
import sys
import time
from typing import Any

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Twelve bytes, by way of routing, request context and a Response."""
    return "Hello World!"


def environ(port: int) -> dict[str, Any]:
    """What a server makes of wrk's request; the constant part is reused, as a server would."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "RAW_URI": "/",
        "REQUEST_URI": "/",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "loop",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "40000",
        "HTTP_HOST": f"127.0.0.1:{port}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def call(template: dict[str, Any]) -> int:
    """One request without a server: the app is called and its body read to the end; gives the body's length."""

    def start_response(*_: object) -> Any:
        return None

    body = app(template.copy(), start_response)
    try:
        return sum(map(len, body))
    finally:
        body.close()  # type: ignore[attr-defined]  # werkzeug's ClosingIterator, which WSGI does not name


def cost(seconds: float) -> float:
    """CPU microseconds that one call takes, measured for `seconds` of CPU time after a warm-up."""
    template = environ(8000)
    for _ in range(500):
        call(template)
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(100):
            call(template)
        calls += 100
    return spent / calls * 1e6


if __name__ == "__main__":
    print(f"{cost(float(sys.argv[1])):.3f}")
