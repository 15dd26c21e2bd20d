"""The application behind most configuration files: it shows what the server made of a request, and who serves it."""

import json
import logging
import os
import sys
import time

CODE = "code 1"
SIZE = 1000  # of what describe() gives: the access logs of two servers can then be compared
NAMES = (
    "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "SERVER_NAME",
    "SERVER_PROTOCOL", "REMOTE_ADDR", "RAW_URI", "REMOTE_USER", "wsgi.version", "wsgi.url_scheme", "wsgi.multithread",
    "wsgi.multiprocess", "wsgi.run_once", "wsgi.input_terminated",
)  # fmt: skip

log = logging.getLogger("shop")


def describe(environ):
    """The request as an application sees it."""
    shown = {name: environ[name] for name in NAMES if name in environ}
    shown |= {name: value for name, value in environ.items() if name.startswith("HTTP_") and name != "HTTP_HOST"}
    shown["shop's environment"] = {name: os.environ[name] for name in ("SHOP_KEY", "SHOP_OTHER") if name in os.environ}
    shown["moved"] = os.path.basename(os.getcwd()) == "elsewhere"
    return json.dumps(shown, indent=1, sort_keys=True).ljust(SIZE)


def stream():
    """A body without a length, in pieces."""
    for number in range(3):
        yield f"piece {number}\n".encode()


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/error":
        raise RuntimeError("the shop has burnt down")
    if path == "/nothing":
        start_response("204 No Content", [])
        return []
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream()
    if path == "/cookies":
        start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", "2")])
        return [b"ok"]
    if path == "/slow":
        time.sleep(float(environ["QUERY_STRING"]))
    if path == "/talk":
        print("printed by the shop", flush=True)
        print("cried by the shop", file=sys.stderr, flush=True)
        print("written by the shop", file=environ["wsgi.errors"], flush=True)
        log.warning("logged by the shop")
    if path == "/echo":
        body = environ["wsgi.input"].read()
    elif path == "/environ":
        body = describe(environ).encode()
    else:
        body = CODE.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
