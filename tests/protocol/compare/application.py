"""What every server serves: it appends what it saw of a request to the file that RECORD names, and answers `ok`.

It is imported by the other servers' Python, which has nothing of this project.
"""

import json
import os
from urllib.parse import unquote_to_bytes

RECORD = os.environ.get("RECORD", os.devnull)
SIMPLE = (str, int, float, bool, type(None))


def record(environ, body):
    """One request that is complete."""
    line = json.dumps({"environ": environ, "body": body.decode("latin-1")})
    with open(RECORD, "a", encoding="ascii") as file:  # noqa: PTH123  # as light as it can be
        file.write(line + "\n")


def application(environ, start_response):
    """WSGI."""
    body = environ["wsgi.input"].read()
    record({name: value for name, value in environ.items() if isinstance(value, SIMPLE)}, body)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


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
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


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
