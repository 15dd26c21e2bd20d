"""What every server serves: it appends what it saw of a request to the file that RECORD names, and answers `ok`.

Under a path of ANSWERS it answers as that says, rightly or not. It is imported by the other servers' Python, which has
nothing of this project.
"""

import json
import os
from urllib.parse import unquote_to_bytes

RECORD = os.environ.get("RECORD", os.devnull)
SIMPLE = (str, int, float, bool, type(None))
OK = ("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")], [b"ok"])
BROKEN = None
"""In the place of a piece: an error."""
ANSWERS = {
    "/line-end-in-name": ("200 OK", [("X-A\r\nX-Injected", "b")], [b"ok"]),
    "/line-end-in-value": ("200 OK", [("X-A", "b\r\nX-Injected: c")], [b"ok"]),
    "/lf-in-value": ("200 OK", [("X-A", "b\nX-Injected: c")], [b"ok"]),
    "/cr-in-value": ("200 OK", [("X-A", "b\rX-Injected: c")], [b"ok"]),
    "/nul-in-value": ("200 OK", [("X-A", "b\0X-Injected: c")], [b"ok"]),
    "/length-too-small": ("200 OK", [("Content-Length", "5")], [b"12345678"]),
    "/length-too-small-in-pieces": ("200 OK", [("Content-Length", "5")], [b"1234", b"5678"]),
    "/length-too-large": ("200 OK", [("Content-Length", "9")], [b"1234"]),
    "/204": ("204 No Content", [], [b"dropped"]),
    "/204-with-length": ("204 No Content", [("Content-Length", "7")], [b"dropped"]),
    "/205": ("205 Reset Content", [], [b"dropped"]),
    "/304": ("304 Not Modified", [], [b"dropped"]),
    "/length": ("200 OK", [("Content-Length", "5")], [b"hello"]),
    "/stream": ("200 OK", [], [b"hello", b"", b" world"]),
    "/codings": ("200 OK", [("Transfer-Encoding", "chunked"), ("Content-Length", "5")], [b"hello"]),
    "/date": ("200 OK", [("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Content-Length", "2")], [b"ok"]),
    "/error": ("200 OK", [], [BROKEN]),
    "/error-behind-head": ("200 OK", [], [b"first", BROKEN]),
    "/error-behind-head-with-length": ("200 OK", [("Content-Length", "9")], [b"first", BROKEN]),
}
"""By path: status, fields, pieces of the body."""


def record(environ, body):
    """One request that is complete."""
    write({"environ": environ, "body": body.decode("latin-1")})


def write(fact):
    """A line of the record."""
    with open(RECORD, "a", encoding="ascii") as file:  # noqa: PTH123  # as light as it can be
        file.write(json.dumps(fact) + "\n")


class Pieces:
    """A body that says when it is closed."""

    def __init__(self, path, pieces):
        self.path = path
        self.pieces = pieces

    def __iter__(self):
        for piece in self.pieces:
            if piece is BROKEN:
                raise ValueError(self.path)
            yield piece

    def close(self):
        """PEP 3333: once, however the response ends."""
        write({"closed": self.path})


def application(environ, start_response):
    """WSGI."""
    body = environ["wsgi.input"].read()
    record({name: value for name, value in environ.items() if isinstance(value, SIMPLE)}, body)
    status, fields, pieces = ANSWERS.get(environ["PATH_INFO"], OK)
    start_response(status, list(fields))
    return pieces if pieces is OK[2] else Pieces(environ["PATH_INFO"], pieces)


async def asgi(scope, receive, send):
    """ASGI, for a server that is made for that. A request of which the client did not send all is no request."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event.get("body", b"")
        more = event.get("more_body", False)
    record(environ_of(scope), body)
    path = scope["path"]
    try:
        await answer(path, send)
    finally:
        if path in ANSWERS:
            write({"closed": path})


async def answer(path, send):
    """The answer of this path, begun with its first piece as in WSGI."""
    status, fields, pieces = ANSWERS.get(path, OK)
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    start = {"type": "http.response.start", "status": int(status[:3]), "headers": headers}
    for piece in pieces:
        if piece is BROKEN:
            raise ValueError(path)
        if start:
            await send(start)
            start = None
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def environ_of(scope):
    """A scope in the words of WSGI."""
    query = scope["query_string"].decode("latin-1")
    target = scope["raw_path"].decode("latin-1")
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope["root_path"],
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": f"{target}?{query}" if query else target,
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.url_scheme": scope["scheme"],
    }
    for raw, value in scope["headers"]:
        # Names are told apart here: an underscore passes for a hyphen in environ keys only.
        name = raw.decode("latin-1").upper().replace("_", "%").replace("-", "_")
        key = name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
        separator = "; " if key == "HTTP_COOKIE" else ", "
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]}{separator}{text}" if key in environ else text
    return environ
